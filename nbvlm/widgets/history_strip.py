"""The history strip: every answer as a card, to be shown again, asked again, pinned or deleted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from nbvlm.widgets import thumbnails
from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.panel import Kept

__all__ = ["Strip"]


class Strip(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Shows cards in the order of the history, and tells what a person wants with one.

    Thumbnails and prompts are in no synced trait: a page that opens asks for them.

    Parameters
    ----------
    on_message
        Called with each message that asks for something: "show", "again", "pin", "delete" or "clear".
    still
        Class of the panel's still form: a page shows the panel or that.
    """

    _esm = script("history_strip")
    _css = style("history_strip")

    still = traitlets.Unicode("").tag(sync=True)

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None], still: str = "") -> None:
        self._lock = threading.RLock()
        self._cards: dict[int, dict[str, Any]] = {}
        self._thumbnails: dict[int, bytes] = {}
        self._current: int | None = None
        self._on_message = on_message
        super().__init__(still=still)
        self.on_msg(Strip.receive)

    def receive(self, message: Mapping[str, Any], _buffers: Sequence[Any]) -> None:
        """Take one message of a page."""
        if message.get("type") == "hello":
            self.send_all()
        else:
            self._on_message(message)

    def update(self, kept: Sequence[Kept]) -> None:
        """Show these and no others; what is shown already is not sent again."""
        wanted = {one.number: thumbnails.card(one) for one in kept}
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
        """Mark the card of what the stage shows."""
        with self._lock:
            if number != self._current:
                self._current = number
                self.send({"type": "mark", "number": number})

    def send_all(self) -> None:
        """Send everything, to a page that asks for it."""
        with self._lock:
            message = {
                "type": "all",
                "cards": list(self._cards.values()),
                "drawn": list(self._thumbnails),
                "number": self._current,
            }
            self.send(message, buffers=list(self._thumbnails.values()))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._cards)} answers>"
