"""The irregularities that an answer can have, as values."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KINDS", "Problem"]

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "locations": "a box needs four location tokens; the item is left out",
        "point": "two location tokens make a point, not a box; the item is left out",
        "range": "a location lies beyond the picture's edge; it was moved to the edge",
        "swapped": "the corners of the box are swapped; it is kept as it came",
        "empty": "the box has no area; it is kept as it came",
        "codes": "a mask needs 16 codes; the box is kept without a mask",
        "code range": "the mask has a code that its codebook lacks; the box is kept without a mask",
        "stray codes": "mask codes that follow no box; they are left out",
        "text": "words between items that come with no box; they are left out",
        "item": "an item without a place that can be read; it is left out",
        "unfinished": "the answer ends within an item; the item is left out",
        "numbers": "characters between the numbers of a place; they are left out",
        "sorted": "the corners of the box were swapped; they are put in order",
        "mask": "the picture of the mask is cut or damaged; the box is kept without a mask",
        "scale": "the numbers are not on the scale of this model; another was taken (see "
        "Detections.reproject)",
        "order": "nothing says which axis comes first; name the model, or see Detections.reproject",
        "repeats": "the same place several times in a row; all are kept (see Detections.unique)",
        "cut": "the answer ends within a token; the token is left out",
    }
)
"""The kinds of a `Problem`, and their meanings."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One part of an answer that does not follow the grammar.

    Attributes
    ----------
    kind
        One of `KINDS`.
    position
        Its first character, counted from the start of the answer.
    text
        The part itself, shortened.

    Examples
    --------
    >>> print(Problem("cut", 12, "<loc00"))
    the answer ends within a token; the token is left out (character 12: '<loc00')
    """

    kind: str
    position: int
    text: str

    @property
    def message(self) -> str:
        """The meaning of the kind and the consequence, as a clause."""
        return KINDS.get(self.kind, self.kind)

    def __str__(self) -> str:
        return f"{self.message} (character {self.position}: {self.text!r})"
