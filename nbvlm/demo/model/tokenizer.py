"""The tokens of the embedded model: words, locations and mask codes, as in PaliGemma.

A picture-book world needs few words, so each word is a token. Locations are the 1,024 tokens `<loc0000>` to
`<loc1023>`, mask codes the 128 tokens `<seg000>` to `<seg127>`. The text of a sign is one token, read from
the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbvlm.demo.scenes import COLORS, KINDS
from nbvlm.demo.world.vocabulary import PLURALS, place, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BINS", "BOS", "BOX", "COLORS_AT", "EOS", "KINDS_AT", "LOC", "NEWLINE", "PAD", "SEG", "SIZE", "TEXT",
    "UNKNOWN", "WORDS", "Piece", "bin_of", "encode", "text_of",
]  # fmt: skip

BINS = 1024

_COMMON = """
caption describe detect segment ocr answer question en es fr de
how many what color is are there where which larger or does say
0 1 2 3 4 5 6 7 8 9 10
, ; : . ? a an the and no yes such thing text
nothing found small large saying picture shows i see do not know
"""
_PLACES = [word for x in (0.1, 0.5, 0.9) for y in (0.1, 0.5, 0.9) for word in place(x, y)]
_SPECIAL = ("<pad>", "<bos>", "<eos>", "\n", "<unk>", "<box>")
WORDS: tuple[str, ...] = tuple(
    dict.fromkeys((*_SPECIAL, *KINDS, *COLORS, *_COMMON.split(), *_PLACES, *PLURALS.values(), *words_of()))
)
"""Words and signs by their number."""

_NUMBER = {word: number for number, word in enumerate(WORDS)}
PAD, BOS, EOS, NEWLINE, UNKNOWN, BOX = range(6)
KINDS_AT, COLORS_AT = _NUMBER[KINDS[0]], _NUMBER[COLORS[0]]
"""Numbers of the first kind and the first colour."""
LOC, SEG, TEXT = (len(WORDS) + n for n in range(3))
"""Tokens copied from the region pointed at: an edge of its box, a code of its outline, its text."""
SIZE = len(WORDS) + 3


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of an answer."""

    token: int  # number of a word, or `LOC`, `SEG` or `TEXT`
    region: int = -1  # number of the region that it is about, or -1
    value: int = 0  # number of the location or the mask code
    text: str = ""  # of a sign


def encode(words: Iterable[str]) -> list[int]:
    """Return the numbers of words; an unknown word becomes `UNKNOWN`."""
    return [_NUMBER.get(word, UNKNOWN) for word in words]


def bin_of(value: float) -> int:
    """Return the location of a coordinate from 0 to 1: round of value × 1023, as in PaliGemma's training."""
    return min(BINS - 1, max(0, round(value * (BINS - 1))))


def text_of(piece: Piece, before: Sequence[Piece]) -> str:
    """Return the text that a token adds to the answer `before` it, with its leading space."""
    if piece.token == EOS:
        return ""
    if piece.token == SEG:
        return f"<seg{piece.value:03d}>"
    if piece.token == LOC:
        return f"{' ' if before and before[-1].token != LOC else ''}<loc{piece.value:04d}>"
    word = piece.text if piece.token == TEXT else WORDS[piece.token]
    return word if word in tuple(",.:?") or not before else f" {word}"
