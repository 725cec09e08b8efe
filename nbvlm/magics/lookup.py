"""Pictures and clients that a line of `%vlm` names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nbvlm._files import expanded
from nbvlm._text import did_you_mean
from nbvlm.client import AsyncClient, Client
from nbvlm.errors import ImageError, ParameterError
from nbvlm.magics.line import evaluate, expand

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from nbvlm.magics.line import Word

__all__ = ["Clients", "picture"]

_ROOT = re.compile(r"([^\W\d]\w*)\s*[.\[(]")
_NAME = re.compile(r"[^\W\d]\w*")


def picture(word: Word, names: Mapping[str, Any]) -> Any:
    """Return the picture that a word names.

    That is a path, an address, the name of a variable, an expression on one such as `pictures[0]`, or any
    expression in braces. A quoted word is a path or an address.
    """
    text = word.text
    if word.quoted:
        return expand(text, names)
    if text in names:
        return names[text]
    if text.startswith("{") and text.endswith("}"):
        return evaluate(text[1:-1].strip(), names)
    if (root := _ROOT.match(text)) and root[1] in names and not _is_file(text):
        return _member(text, root[1], names)
    if _NAME.fullmatch(text) and not _is_file(text):
        raise _unknown(text, names)
    return expand(text, names)


def _member(text: str, root: str, names: Mapping[str, Any]) -> Any:
    """Evaluate `scene.picture`; return `scene.jpg`, whose variable lacks the attribute, as a path."""
    first = re.match(rf"{re.escape(root)}\.(\w+)$", text)
    if first and not hasattr(names[root], first[1]):
        return text
    return evaluate(text, names)


def _is_file(text: str) -> bool:
    try:
        return expanded(text).exists()
    except (OSError, ValueError):
        return False


def _unknown(text: str, names: Mapping[str, Any]) -> ImageError:
    guess = did_you_mean(text, [name for name in names if name[:1] != "_"], cutoff=0.6)
    hint = guess.strip() or "Give a path, an address, or a variable with a picture."
    return ImageError(f"{text!r} is neither a variable nor a file.", hint=hint)


class Clients:
    """Clients that stay open for the next question."""

    def __init__(self) -> None:
        self._open: dict[Hashable, Client] = {}

    def find(self, endpoint: str | None, opening: dict[str, Any], names: Mapping[str, Any]) -> Client:
        """Return the client that a variable holds, or one opened with these arguments of `nbvlm.Client`."""
        held = names.get(endpoint) if endpoint is not None else None
        if isinstance(held, Client | AsyncClient) and opening:
            given = ", ".join(f"--{name.replace('_', '-')}" for name in opening)
            raise ParameterError(
                f"The client {endpoint} is open already and cannot take {given}.", hint="Leave it out."
            )
        if isinstance(held, Client):
            return held
        if isinstance(held, AsyncClient):
            return self._keep(id(held.settings), Client.from_settings(held.settings))
        client = Client(endpoint, **opening)
        settings = client.settings
        return self._keep((settings.endpoint, settings.api_key, *sorted(opening.items())), client)

    def _keep(self, key: Hashable, client: Client) -> Client:
        """Return the client that is open for a key, or keep this one for it."""
        kept = self._open.setdefault(key, client)
        if kept is not client:
            client.close()
        return kept

    def close(self) -> None:
        """Close all clients."""
        clients, self._open = self._open, {}
        for client in clients.values():
            client.close()
