"""Text of tokens, as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Detokenizer"]

_BROKEN = "�"


class Detokenizer:
    """Turn token ids into text, piece by piece; the pieces joined are the text of all ids.

    A token may hold a part of a character, and the text of a token may depend on the one before it. So each
    piece is the difference of two decodings, of the tokens since the last whole piece, with and without the
    new one. Location tokens and other marks are kept; tokens of `silent` have no text.
    """

    def __init__(self, tokenizer: Any, silent: Collection[int]) -> None:
        self._decode = tokenizer.decode
        self._silent = frozenset(silent)
        self._ids: list[int] = []
        self._known = 0  # of the ids, how many have been written
        self._text = ""  # of those

    def feed(self, token: int) -> str:
        """Add a token; return the text that is complete now."""
        if token in self._silent:
            return ""
        self._ids.append(token)
        text = self._whole()
        if text.endswith(_BROKEN) or len(text) <= len(self._text):
            return ""
        return self._take(text)

    def close(self) -> str:
        """Return the rest, where the last token is only a part of a character."""
        return self._take(self._whole()) if self._known < len(self._ids) else ""

    def _whole(self) -> str:
        return str(self._decode(self._ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _take(self, text: str) -> str:
        piece = text[len(self._text) :]
        # Only the last written tokens are decoded again: the time stays linear.
        del self._ids[: self._known]
        self._known = len(self._ids)
        self._text = self._whole()
        return piece
