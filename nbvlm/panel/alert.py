"""The error area: one card that says what happened, what to do, and does it at the press of a button."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget

from nbvlm.panel.page import script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Alert"]

_HERE = Path(__file__).parent


class Alert(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Shows one failure at a time, or none.

    Parameters
    ----------
    on_act
        Called with the message of a press: `action` is the id of a card's action. "again" never comes: the
        page presses Run itself, so that what the fields say travels with it.
    """

    _esm = script("alert")
    _css = _HERE / "alert.css"

    def __init__(self, on_act: Callable[[Mapping[str, Any]], None]) -> None:
        self._card: dict[str, Any] | None = None
        super().__init__()
        self.add_class("nbvlm-alert")
        self._on_act = on_act
        self.on_msg(Alert.take)

    @property
    def card(self) -> dict[str, Any] | None:
        """What is shown; see `nbvlm.panel.trouble.card`."""
        return self._card

    def show(self, card: Mapping[str, Any] | None) -> None:
        """Show a card in place of the last one, or none."""
        self._card = None if card is None else dict(card)
        self.send({"type": "card", "card": self._card})

    def clear(self) -> None:
        """Take the card away, if there is one."""
        if self._card is not None:
            self.show(None)

    def take(self, message: Mapping[str, Any], _buffers: Sequence[memoryview]) -> None:
        """Take one message of the page."""
        if message.get("type") == "hello":
            self.send({"type": "card", "card": self._card})
        elif message.get("type") == "close":
            self._card = None
        else:
            self._on_act(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._card['title'] if self._card else 'nothing'}>"
