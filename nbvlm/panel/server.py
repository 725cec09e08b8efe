"""The forms for what is in no list: an OpenAI-compatible server with one of its models, and a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget

from nbvlm.panel.page import script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Server"]

_HERE = Path(__file__).parent


class Server(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Asks for the address and the model of a server, or for the path of a recording.

    Parameters
    ----------
    on_message
        Called with each message: `type` is "connect" (`url`, `model`), "models" (`url`) or "play" (`path`).
    """

    _esm = script("server")
    _css = _HERE / "drawer.css"

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self.add_class("nbvlm-server")
        self.on_msg(lambda _server, message, _buffers: on_message(message))

    def models(self, names: Sequence[str], words: str = "") -> None:
        """Offer the models of a server, or say in `words` why there are none."""
        self.send({"type": "models", "names": list(names), "words": words})

    def connected(self) -> None:
        """Close the form."""
        self.send({"type": "connected"})

    def refused(self, words: str) -> None:
        """Say below the form what is wrong with it."""
        self.send({"type": "models", "names": [], "words": words})

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
