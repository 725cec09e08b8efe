"""The page of a history: every answer as a card, to be shown again, asked again, pinned or deleted."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm.widgets._base import PageWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Message, flag, whole
from nbvlm.widgets.thumbnails import card

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.widgets.thumbnails import NumberedResult

__all__ = ["HistoryPage"]


class HistoryPage(PageWidget):
    """Shows cards in the order of the history, and reports which one was pressed.

    Thumbnails and prompts are in no synced trait: a page that opens asks for them.

    Parameters
    ----------
    on_message
        Called with each message that asks for something: "show", "again", "pin", "delete", "clear", or "undo"
        of the last two.
    still
        CSS class of the panel's static output: a page shows either the panel or that output.
    """

    _esm = script("history_strip", "history_strip")
    kind = "history_strip"
    messages = MappingProxyType(
        {
            "show": Message(answer=whole),
            "again": Message(answer=whole),
            "pin": Message(answer=whole, pinned=flag),
            "delete": Message(answer=whole),
            "clear": Message(),
            "undo": Message(),
        }
    )

    still = traitlets.Unicode("").tag(sync=True)

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None], still: str = "") -> None:
        self._cards: dict[int, dict[str, Any]] = {}
        self._thumbnails: dict[int, bytes] = {}
        self._removed: frozenset[int] = frozenset()
        self._current: int | None = None
        self._asks = False
        super().__init__(on_message, still=still)

    def update(self, entries: Sequence[NumberedResult], removed: Sequence[NumberedResult] = ()) -> None:
        """Show these entries and no others; only the changes are sent.

        `removed` are those that "undo" brings back; their pictures are kept.
        """
        wanted = {entry.number: card(entry) for entry in entries}
        with self._lock:
            gone = [number for number in self._cards if number not in wanted]
            changed = [card for number, card in wanted.items() if self._cards.get(number) != card]
            drawn = [one for one in wanted if one not in self._cards and one in self._thumbnails]
            before, self._removed = self._removed, frozenset(entry.number for entry in removed)
            self._cards = wanted
            kept = {*wanted, *self._removed}
            self._thumbnails = {one: data for one, data in self._thumbnails.items() if one in kept}
            if gone or changed or before != self._removed:
                message = {"type": "cards", "gone": gone, "cards": changed, "drawn": drawn}
                self.send(
                    {**message, "removed": len(self._removed)},
                    buffers=[self._thumbnails[one] for one in drawn],
                )

    def offer_again(self, asks: bool) -> None:
        """Show the buttons that ask again, or hide them."""
        with self._lock:
            self._asks = asks
            self.send({"type": "asks", "asks": asks})

    def draw(self, number: int, thumbnail: bytes) -> None:
        """Give a card its picture."""
        with self._lock:
            if thumbnail and (number in self._cards or number in self._removed):
                self._thumbnails[number] = thumbnail
            if thumbnail and number in self._cards:
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
            drawn = [number for number in self._cards if number in self._thumbnails]
            message = {
                "type": "all",
                "cards": list(self._cards.values()),
                "drawn": drawn,
                "number": self._current,
                "removed": len(self._removed),
                "asks": self._asks,
            }
            self.send(message, buffers=[self._thumbnails[number] for number in drawn])

    def _summary(self) -> str:
        return f"{len(self._cards)} answers"
