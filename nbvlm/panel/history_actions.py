"""The history of a panel, and what follows it: comparison, exports, and the output of a saved notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm.panel.static_output import StaticOutput
from nbvlm.widgets import Comparison, ExportMenu, History

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.panel.messages import MessageSequencer
    from nbvlm.result import Result
    from nbvlm.widgets import Offer

__all__ = ["HistoryActions"]


class HistoryActions:
    """The history of a panel, the widgets that follow it, and the form of it that a saved notebook shows.

    `on_show` and `on_again` take an answer that a person wants to see, or to ask for, again.
    """

    def __init__(
        self,
        messages: MessageSequencer,
        *,
        on_show: Callable[[Result], None],
        on_again: Callable[[Result], None],
        on_change: Callable[[], None],
        on_error: Callable[[Exception], None],
        offer: Offer,
    ) -> None:
        self._on_change = on_change
        self.static_output = StaticOutput()
        self.history = History(
            on_show=on_show,
            on_again=on_again,
            on_change=self._follow,
            handler=messages.handler,
            limited=True,
            draws=False,
            still=self.static_output.name,
            bare=True,
        )
        self.comparison = Comparison(on_message=self.history.take)
        self.export_menu = ExportMenu(on_error, offer)

    def add(self, result: Result, pieces: int | None = None) -> None:
        """Add an answer, unless it is there already."""
        if self.history.store.number_of(result) is None:
            self.history.add(result, pieces)

    def pieces_of(self, result: Result) -> int | None:
        """Return the number of pieces that an answer came in, if it is there and they were counted."""
        number = self.history.store.number_of(result)
        return None if number is None else self.history.store.find(number).pieces

    def finish(self, result: Result) -> None:
        """Draw an answer small and update the static output; takes a moment, so not on the loop thread."""
        self.history.draw(result)
        if result is next(reversed(self.history.store.results), None):
            self.static_output.update(result)

    def mark(self, result: Result | None) -> None:
        """Mark the answer in the viewer, and offer it for export."""
        self.history.select(result)
        self.export_menu.offer(result)

    def _follow(self) -> None:
        self._on_change()
        self.comparison.update(self.history.store.pinned)
