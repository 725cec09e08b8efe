"""The tokens of the embedded model: one a word, one a location, as in PaliGemma.

A picture-book world needs few words, so a token is a word. Locations are the 1,024 tokens `<loc0000>` to
`<loc1023>`, after the words. A prompt is `<bos>`, its words, and a newline; an answer ends with `<eos>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BINS",
    "BOS",
    "EOS",
    "FIRST_KIND",
    "FIRST_LOC",
    "NEWLINE",
    "PAD",
    "UNKNOWN",
    "WORDS",
    "encode",
    "is_loc",
    "loc",
    "text_of",
]

BINS = 1024
KINDS = ("house", "car", "tree", "fish", "boat", "star", "heart", "circle", "square", "triangle")
COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")

WORDS: tuple[str, ...] = (
    *("<pad>", "<bos>", "<eos>", "\n", "<unk>"),
    *("caption", "detect", "answer", "en", "how", "many", "what", "color", "is", "there"),
    *KINDS,
    *COLORS,
    *("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    *(",", ";", "a", "an", "and", "at", "in", "on", "the"),
    *("meadow", "sea", "night", "sand", "snow", "paper"),
    *("yes", "no", "nothing", "found", "such", "thing"),
)
"""Words and signs by their number."""

_NUMBER = {word: number for number, word in enumerate(WORDS)}
PAD, BOS, EOS, NEWLINE, UNKNOWN = range(5)
FIRST_KIND = WORDS.index(KINDS[0])
"""The kinds begin here; the colours follow them."""
FIRST_LOC = len(WORDS)
SIZE = FIRST_LOC + BINS


def encode(words: Iterable[str]) -> list[int]:
    """Numbers of words; a word that the model does not know becomes `UNKNOWN`."""
    return [_NUMBER.get(word, UNKNOWN) for word in words]


def loc(value: float) -> int:
    """Token of a coordinate from 0 to 1: round of value × 1023, as PaliGemma was trained."""
    return FIRST_LOC + min(BINS - 1, max(0, round(value * (BINS - 1))))


def is_loc(token: int) -> bool:
    """Whether a token is a location."""
    return token >= FIRST_LOC


def text_of(token: int, before: Sequence[int]) -> str:
    """Text that a token adds to an answer.

    Parameters
    ----------
    token
        The new token.
    before
        The answer's tokens before it.

    Returns
    -------
    str
        With a leading space where the answer's grammar has one; `""` for `<eos>`.
    """
    if token == EOS:
        return ""
    if is_loc(token):
        space = " " if before and not is_loc(before[-1]) else ""
        return f"{space}<loc{token - FIRST_LOC:04d}>"
    word = WORDS[token]
    return word if word == "," or not before else f" {word}"
