"""The history of a panel and its widgets: answers are added, drawn, pinned, compared and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm.errors import Error
from nbvlm.panel.static_output import StaticOutput
from nbvlm.widgets import Comparison, ExportMenu, HistoryPage, HistoryStore, Ignored, thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.panel.messages import MessageSequencer
    from nbvlm.result import Result
    from nbvlm.widgets import HistoryEntry, Offer

__all__ = ["HistoryActions"]


class HistoryActions:
    """The history of a panel, the widgets that show it, and the form of it that a saved notebook shows.

    `on_show` and `on_again` take an entry that a person wants to see, or to ask for, again.
    """

    def __init__(
        self,
        messages: MessageSequencer,
        *,
        on_show: Callable[[HistoryEntry], None],
        on_again: Callable[[HistoryEntry], None],
        on_change: Callable[[], None],
        on_error: Callable[[Exception], None],
        offer: Offer,
    ) -> None:
        self._on_change = on_change
        self.history = HistoryStore()
        self.static_output = StaticOutput()
        handler = messages.handler(
            {
                "show": lambda message: on_show(self._entry(message)),
                "again": lambda message: on_again(self._entry(message)),
                "pin": lambda message: self.pin(self._entry(message).number, message["pinned"]),
                "delete": lambda message: self.delete(message["answer"]),
                "clear": lambda _message: self.clear(),
                "undo": lambda _message: self.undo(),
            }
        )
        self.strip = HistoryPage(handler, self.static_output.name)
        self.comparison = Comparison(on_message=handler)
        self.export_menu = ExportMenu(on_error, offer)

    def _entry(self, message: Mapping[str, Any]) -> HistoryEntry:
        try:
            return self.history.find(message["answer"])
        except Error:
            raise Ignored("the history does not hold this answer") from None

    def add(self, result: Result, pieces: int | None = None) -> HistoryEntry:
        """Add an answer."""
        entry = self.history.add(result, pieces)
        self._refresh()
        return entry

    def replace(self, result: Result, other: Result) -> int | None:
        """Put another form of an answer in its place; return the pieces that it came in, if known."""
        number = self.history.number_of(result)
        if number is None:
            return None
        self.history.replace(number, other)
        self._refresh()
        return self.history.find(number).pieces

    def finish(self, result: Result) -> None:
        """Draw an answer small and update the static output; takes a moment, so not on the loop thread."""
        number = self.history.number_of(result)
        if number is None:
            return
        self.strip.draw(number, thumbnail(result))
        if number == self.history.newest:
            self.static_output.update(result)

    def mark(self, result: Result | None) -> None:
        """Mark the answer in the viewer, and offer it for export."""
        self.strip.mark(self.history.number_of(result))
        self.export_menu.offer(result)

    def pin(self, number: int, pinned: bool = True) -> None:
        """Pin an answer, or unpin it."""
        self.history.pin(number, pinned)
        self._refresh()

    def delete(self, number: int) -> None:
        """Drop an answer."""
        self.history.delete(number)
        self._refresh()

    def clear(self) -> None:
        """Drop all answers that are not pinned."""
        self.history.clear()
        self._refresh()

    def undo(self) -> None:
        """Bring back what was deleted or cleared last."""
        self.history.undo()
        self._refresh()

    def _refresh(self) -> None:
        self._on_change()
        self.strip.update(self.history.entries, self.history.removed)
        self.comparison.update(self.history.pinned)
