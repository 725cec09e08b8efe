"""The history strip: every answer as a card, to be shown again, asked again, pinned or deleted."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm.widgets._base import PageWidget
from nbvlm.widgets.esm import script, style
from nbvlm.widgets.messages import Message, flag, whole
from nbvlm.widgets.thumbnails import card

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.widgets.thumbnails import NumberedResult

__all__ = ["HistoryStrip"]


class HistoryStrip(PageWidget):
    """Shows cards in the order of the history, and reports which one was pressed.

    Thumbnails and prompts are in no synced trait: a page that opens asks for them.

    Parameters
    ----------
    on_message
        Called with each message that asks for something: "show", "again", "pin", "delete" or "clear".
    still
        CSS class of the panel's static output: a page shows either the panel or that output.
    """

    _esm = script("history_strip")
    kind = "history_strip"
    _css = style("history_strip")
    messages = MappingProxyType(
        {
            "show": Message(answer=whole),
            "again": Message(answer=whole),
            "pin": Message(answer=whole, pinned=flag),
            "delete": Message(answer=whole),
            "clear": Message(),
        }
    )

    still = traitlets.Unicode("").tag(sync=True)

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None], still: str = "") -> None:
        self._cards: dict[int, dict[str, Any]] = {}
        self._thumbnails: dict[int, bytes] = {}
        self._current: int | None = None
        super().__init__(on_message, still=still)

    def update(self, entries: Sequence[NumberedResult]) -> None:
        """Show these entries and no others; only the changes are sent."""
        wanted = {entry.number: card(entry) for entry in entries}
        with self._lock:
            gone = [number for number in self._cards if number not in wanted]
            changed = [card for number, card in wanted.items() if self._cards.get(number) != card]
            self._cards = wanted
            for number in gone:
                self._thumbnails.pop(number, None)
            if gone or changed:
                self.send({"type": "cards", "gone": gone, "cards": changed})

    def draw(self, number: int, thumbnail: bytes) -> None:
        """Give a card its picture."""
        with self._lock:
            if thumbnail and number in self._cards:
                self._thumbnails[number] = thumbnail
                self.send({"type": "thumbnail", "number": number}, buffers=[thumbnail])

    def mark(self, number: int | None) -> None:
        """Mark the card of the answer in the viewer."""
        with self._lock:
            if number != self._current:
                self._current = number
                self.send({"type": "mark", "number": number})

    def send_all(self) -> None:
        """Send all cards, to a page that opens."""
        with self._lock:
            message = {
                "type": "all",
                "cards": list(self._cards.values()),
                "drawn": list(self._thumbnails),
                "number": self._current,
            }
            self.send(message, buffers=list(self._thumbnails.values()))

    def _summary(self) -> str:
        return f"{len(self._cards)} answers"
