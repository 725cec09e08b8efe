"""The key field: what is typed goes by message into memory, and is wiped in the browser at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget

from nbvlm.errors import Error
from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.panel import Order

__all__ = ["KeyField", "Server"]


class KeyField(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Asks for a key, masked. No trait ever holds it, so no notebook, echo or saved state does.

    Parameters
    ----------
    order
        In which the messages of a page are taken.
    on_key
        Called with the key as it was typed; an `Error` that it raises is shown below the field.
    """

    _esm = script("key_dialog")
    _css = style("dialog")

    def __init__(self, *, order: Order, on_key: Callable[[str], None]) -> None:
        self._order, self._on_key = order, on_key
        super().__init__()
        self.add_class("nbvlm-key")
        self.on_msg(KeyField.take)

    def ask(self, *, again: bool = False) -> None:
        """Open the field; `again` if the question is to be asked again with the new key."""
        self.send({"type": "open", "again": again})

    def take(self, message: Mapping[str, Any], _buffers: Sequence[memoryview]) -> None:
        """Take one message of the page."""
        self._order.take(message, lambda: self._take_key(message))

    def _take_key(self, message: Mapping[str, Any]) -> None:
        try:
            self._on_key(str(message["key"]))
        except Error as error:
            self.send({"type": "refused", "words": f"{error.message} {error.hint or ''}".strip()})
        except Exception as error:  # noqa: BLE001 - its text might hold what was typed
            self.send({"type": "refused", "words": f"The key could not be used ({type(error).__name__})."})
        else:
            self.send({"type": "taken"})

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Server(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Asks for the address and the model of a server, or for the path of a recording.

    Parameters
    ----------
    on_message
        Called with each message: `type` is "connect" (`url`, `model`), "models" (`url`) or "play" (`path`).
    """

    _esm = script("server_dialog")
    _css = style("dialog")

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
