"""What a magic is given by name: a picture, and a client."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from nbvlm._files import expanded
from nbvlm.client import AsyncClient, Client
from nbvlm.errors import ImageError, ParameterError
from nbvlm.magics.line import evaluated, expand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbvlm.magics.line import Word

__all__ = ["Clients", "picture"]

_ROOT = re.compile(r"([^\W\d]\w*)\s*[.\[(]")
_NAME = re.compile(r"[^\W\d]\w*")


def picture(word: Word, names: Mapping[str, Any]) -> Any:
    """Find the picture that a word stands for.

    Parameters
    ----------
    word
        A path, an address, the name of a variable, an expression on one such as `pictures[0]`, or any
        expression in braces. What is quoted is a path or an address.
    names
        The user's variables.

    Raises
    ------
    ImageError
        If it looks like a variable, and there is none, nor a file of this name.
    PromptError
        If an expression cannot be evaluated.
    """
    text = word.text
    if word.quoted:
        return expand(text, names)
    if text in names:
        return names[text]
    if text.startswith("{") and text.endswith("}"):
        return evaluated(text[1:-1].strip(), names)
    if (root := _ROOT.match(text)) and root[1] in names and not _is_file(text):
        return _member(text, root[1], names)
    if _NAME.fullmatch(text) and not _is_file(text):
        raise _unknown(text, names)
    return expand(text, names)


def _member(text: str, root: str, names: Mapping[str, Any]) -> Any:
    """Evaluate `scene.picture`; `scene.jpg` may be a missing file instead, as the error should then say."""
    first = re.match(rf"{re.escape(root)}\.(\w+)$", text)
    if first and not hasattr(names[root], first[1]):
        return text
    return evaluated(text, names)


def _is_file(text: str) -> bool:
    try:
        return expanded(text).exists()
    except (OSError, ValueError):
        return False


def _unknown(text: str, names: Mapping[str, Any]) -> ImageError:
    near = difflib.get_close_matches(text, [name for name in names if name[:1] != "_"], n=1, cutoff=0.6)
    guess = f"Did you mean {near[0]!r}?" if near else "Give a path, an address, or a variable with a picture."
    return ImageError(f"There is no variable and no file {text!r}.", hint=guess)


class Clients:
    """The clients that magics ask, kept open for the next question."""

    def __init__(self) -> None:
        self._open: dict[tuple[Any, ...], Client] = {}

    def find(self, endpoint: str | None, opening: dict[str, Any], names: Mapping[str, Any]) -> Client:
        """Return the client of a variable, or one that is opened with these arguments.

        Parameters
        ----------
        endpoint
            Name of a variable that holds a client, or as for `nbvlm.Client`.
        opening
            Further arguments of `nbvlm.Client`.
        names
            The user's variables.

        Raises
        ------
        ParameterError
            If the arguments do not fit each other, or the endpoint.
        """
        held = names.get(endpoint) if endpoint is not None else None
        if not isinstance(held, Client | AsyncClient):
            return self._opened(endpoint, opening)
        if opening:
            given = ", ".join(f"--{name.replace('_', '-')}" for name in opening)
            raise ParameterError(f"{endpoint} is open already, without {given}.", hint="Leave that out.")
        return held if isinstance(held, Client) else self._twin(held)

    def _opened(self, endpoint: str | None, opening: dict[str, Any]) -> Client:
        client = Client(endpoint, **opening)
        settings = client.settings
        return self._kept((settings.endpoint, settings.api_key, *sorted(opening.items())), client)

    def _twin(self, other: AsyncClient) -> Client:
        return self._kept((id(other.settings),), Client.from_settings(other.settings))

    def _kept(self, key: tuple[Any, ...], client: Client) -> Client:
        kept = self._open.setdefault(key, client)
        if kept is not client:
            client.close()
        return kept

    def close(self) -> None:
        """Close them all."""
        clients, self._open = self._open, {}
        for client in clients.values():
            client.close()
