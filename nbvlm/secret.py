"""A key that does not show itself.

A `Secret` prints as `***`, is equal to another with the same text, and refuses to be pickled. `reveal` is
called in one place only: where the `Authorization` header of a request is written.

>>> Secret("nvapi-not-a-real-key")
***
"""

from __future__ import annotations

import hmac
import weakref
from typing import Any, NoReturn

from nbvlm.errors import AuthenticationError

__all__ = ["Secret", "known"]

_KNOWN: weakref.WeakSet[Secret] = weakref.WeakSet()


class Secret:
    """A text that must never be seen.

    Parameters
    ----------
    text
        The key; blanks and line breaks around it are taken off.

    Raises
    ------
    AuthenticationError
        If nothing is left, or if it holds characters that no HTTP header can carry. The message does not
        repeat the text.
    """

    __slots__ = ("__weakref__", "_text")

    def __init__(self, text: str) -> None:
        stripped = text.strip()
        if not stripped:
            raise AuthenticationError("The key is empty.", hint="Pass the whole key, as it was given out.")
        if not all("!" <= character <= "~" for character in stripped):
            raise AuthenticationError(
                "The key holds a blank or a character that keys never have.",
                hint="Copy it again, without quotes, blanks or line breaks.",
            )
        self._text = stripped
        _KNOWN.add(self)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text, other._text)

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("A key is never pickled: set NVIDIA_API_KEY where the work is done.")


def known() -> list[str]:
    """Return the texts of all secrets alive, longest first, for redaction."""
    return sorted((secret.reveal() for secret in list(_KNOWN)), key=len, reverse=True)
