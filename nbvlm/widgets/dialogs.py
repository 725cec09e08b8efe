"""The dialogs of the panel: the key field, and the form for a server or a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm.widgets._base import PageWidget
from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["KeyField", "ServerForm"]


class KeyField(PageWidget):
    """Asks for a key, masked. No trait ever holds it, so no notebook, echo or saved state does.

    Parameters
    ----------
    on_message
        Called with each message: `type` is "key", and `key` is the text as it was typed.
    """

    _esm = script("key_dialog")
    _css = style("dialog")
    css_class = "nbvlm-key"

    def ask(self, *, again: bool = False) -> None:
        """Open the field; `again` repeats the question with the new key."""
        self.send({"type": "open", "again": again})

    def accepted(self) -> None:
        """Close the field."""
        self.send({"type": "taken"})

    def refused(self, reason: str) -> None:
        """Show below the field why the key cannot be used."""
        self.send({"type": "refused", "words": reason})


class ServerForm(PageWidget):
    """Asks for the address and the model of a server, or for the path of a recording.

    Parameters
    ----------
    on_message
        Called with each message: `type` is "connect" (`url`, `model`), "models" (`url`) or "play" (`path`).
    """

    _esm = script("server_dialog")
    _css = style("dialog")
    css_class = "nbvlm-server"

    def models(self, names: Sequence[str], reason: str = "") -> None:
        """Offer the models of a server, or show the reason why there are none."""
        self.send({"type": "models", "names": list(names), "words": reason})

    def connected(self) -> None:
        """Close the form."""
        self.send({"type": "connected"})

    def refused(self, reason: str) -> None:
        """Show below the form why its values cannot be used."""
        self.models([], reason)
