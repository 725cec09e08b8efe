"""The dialogs of the panel: the key field, and the form for a server or a recording."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import endpoints
from nbvlm.client import AsyncClient, Secret, resolve
from nbvlm.errors import AuthenticationError
from nbvlm.widgets._base import OfferingWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Message, text
from nbvlm.widgets.model_connection import TYPED
from nbvlm.widgets.status_text import failure_sentences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KeyField", "ServerForm", "list_models", "look_here"]

#: Bytes of a key at most.
KEY_BYTES = 4096


def _secret(buffers: Sequence[Any]) -> Secret | str:
    """Read a key from the buffer of a message: kernels may log what stands in the message itself.

    A text says what is wrong with it.
    """
    try:
        return Secret(bytes(buffers[0]).decode())
    except (AuthenticationError, UnicodeDecodeError) as error:
        hint = getattr(error, "hint", None) or "Copy it again."
        return f"{getattr(error, 'message', 'This is not a key.')} {hint}"


class KeyField(OfferingWidget):
    """Asks for a key, masked. No trait ever holds it, so no notebook, echo or saved state does.

    Parameters
    ----------
    on_message
        Called with each message: `type` is "key", and `key` is a `Secret`.

    Attributes
    ----------
    about
        One sentence below the field: which key is asked for, and where it comes from.
    """

    _esm = script("key_dialog", "dialog")
    kind = "key_dialog"
    css_class = "nbvlm-key"
    messages = MappingProxyType({"key": Message(KEY_BYTES)})
    needs = MappingProxyType({"key": "key"})

    about = traitlets.Unicode("").tag(sync=True)

    def take(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a key from the buffer of a message."""
        key = _secret(buffers)
        if isinstance(key, Secret):
            super().take({**message, "key": key}, ())
        else:
            self.refused(key)

    def ask(self, *, again: bool = False) -> None:
        """Open the field, if it is offered; `again` repeats the question with the new key."""
        if "key" in self.allowed:
            self.send({"type": "open", "again": again})

    def accepted(self) -> None:
        """Close the field, and repeat the question that it was opened for."""
        self.send({"type": "taken"})

    def leave(self) -> None:
        """Close the field."""
        self.send({"type": "close"})

    def refused(self, reason: str) -> None:
        """Show below the field why the key cannot be used."""
        self.send({"type": "refused", "words": self.allowed.shown(reason)})


class ServerForm(OfferingWidget):
    """Asks for the address and the model of a server, or for the path of a recording.

    Parameters
    ----------
    on_message
        Called with each message: `type` is "connect" (`url` or the name of a service, `model`), "models"
        (`url`), "local" or "play" (`path`). The first two have a `key`, a `Secret` or None; it travels as
        that of the `KeyField` does.
    """

    _esm = script("server_dialog")  # the key field brings the style sheet of all dialogs
    kind = "server_dialog"
    css_class = "nbvlm-server"
    messages = MappingProxyType(
        {
            "connect": Message(url=text, model=text),
            "connect-keyed": Message(KEY_BYTES, url=text, model=text),
            "models": Message(url=text),
            "models-keyed": Message(KEY_BYTES, url=text),
            "local": Message(),
            "play": Message(path=text),
        }
    )
    needs = MappingProxyType(
        {
            **dict.fromkeys(("connect", "connect-keyed", "models", "models-keyed", "local"), "server"),
            "play": "path",
        }
    )

    def take(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a message, with the key from its buffer if there is one."""
        key = _secret(buffers) if buffers else None
        if isinstance(key, str):
            self.refused(key)
        else:
            super().take({**message, "type": message["type"].removesuffix("-keyed"), "key": key}, ())

    def models(self, names: Sequence[str], reason: str = "") -> None:
        """Offer the models of a server, or show the reason why there are none."""
        self.send({"type": "models", "names": list(names), "words": self.allowed.shown(reason)})

    def here(self, models: Sequence[Mapping[str, str]], words: str = "") -> None:
        """Offer the models that were found on this computer: `service`, `model` and a `label` for each."""
        self.send(
            {"type": "here", "models": [dict(model) for model in models], "words": self.allowed.shown(words)}
        )

    def ask(self, form: str) -> None:
        """Open a form: "server" or "recording"."""
        self.send({"type": "open", "name": f"nbvlm-{form}"})

    def connected(self) -> None:
        """Close the form."""
        self.send({"type": "connected"})

    def refused(self, reason: str) -> None:
        """Show below the form why its values cannot be used."""
        self.models([], reason)


async def list_models(form: ServerForm, url: str, key: Secret | None) -> None:
    """Offer in a form the models of a server, or show why there are none."""
    try:
        settings = resolve(url.strip(), model="?")
        if key is not None:
            settings = replace(settings, api_key=key, key_source=TYPED)
        async with AsyncClient.from_settings(settings) as client:
            names = await client.models()
    except Exception as error:  # noqa: BLE001 - shown below the form
        form.refused(failure_sentences(error))
    else:
        form.models(names, "" if names else "The server lists no models.")


async def look_here(form: ServerForm) -> None:
    """Offer in a form the models of the servers on this computer that see; show what the others lack."""
    offered, lacking = [], []
    for server in await endpoints.find_local():
        able = [model.id for model in server.models if model.vision is not False]
        offered += [
            {"service": server.service, "model": name, "label": f"{name} · {server.title}"} for name in able
        ]
        if not able:
            lacking.append(f"{server.title}: {server.problem or 'no vision model.'}")
    programs = ", ".join(service.title for service in endpoints.SERVICES.values() if service.local)
    nothing = f"No model server responds on the computer of the kernel. Looked for: {programs}."
    form.here(offered, " ".join(lacking) if offered or lacking else nothing)
