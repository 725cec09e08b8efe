"""The picture that a model sees: how a processor resizes or pads the picture that was sent.

>>> Resize(28, 3136, 12_845_056).size((467, 700))
(476, 700)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from nbvlm.grounding.readings import Order, Reading

if TYPE_CHECKING:
    from nbvlm.grounding.masks.types import Size

__all__ = ["Canvas", "LongEdge", "Order", "Reading", "Resize", "Scale", "Space", "Square"]

Scale = float | Literal["pixels"] | None

_MOST_UNEVEN = 200.0  # sides of a picture that a processor of the Qwen kind accepts


class Space(Protocol):
    """The picture that the model saw, made from the picture that was sent."""

    def seen(self, sent: Size) -> tuple[Size, tuple[float, float, float, float]]:
        """Return the size of what the model saw, and where in it (x0, y0, x1, y1) the picture lies."""


@dataclass(frozen=True, slots=True)
class Resize:
    """Both sides rounded to multiples of a factor, the area kept between two bounds ("smart resize").

    Attributes
    ----------
    factor
        Pixels of a patch's side, merged patches included.
    low, high
        Bounds of the area in pixels.
    """

    factor: int
    low: int
    high: int

    def size(self, sent: Size) -> Size:
        """Return the size of the resized picture."""
        width, height = sent
        step = self.factor
        if max(sent) / min(sent) > _MOST_UNEVEN:
            return sent
        wide, high = (max(step, round(side / step) * step) for side in sent)
        if wide * high > self.high:
            shrink = math.sqrt(width * height / self.high)
            wide, high = (max(step, math.floor(side / shrink / step) * step) for side in sent)
        elif wide * high < self.low:
            grow = math.sqrt(self.low / (width * height))
            wide, high = (math.ceil(side * grow / step) * step for side in sent)
        return wide, high

    def seen(self, sent: Size) -> tuple[Size, tuple[float, float, float, float]]:
        """Return the resized size; the picture fills it."""
        size = self.size(sent)
        return size, (0.0, 0.0, float(size[0]), float(size[1]))


@dataclass(frozen=True, slots=True)
class LongEdge:
    """The largest size of the same shape whose patches fit an edge and a number of tokens (Anthropic).

    >>> LongEdge(28, 1568, 1568).size((1920, 1080)), LongEdge(28, 2576, 4784).size((4864, 3648))
    ((1456, 819), (2212, 1659))
    """

    factor: int
    edge: int
    tokens: int

    def size(self, sent: Size) -> Size:
        """Return the size of the resized picture."""
        if self._fits(sent):
            return sent
        # Larger never fits where smaller does not, so the long edge is found by halving.
        longer, shorter = max(sent), min(sent)
        low, high = 1, longer
        while low < high:
            middle = (low + high + 1) // 2
            if self._fits((middle, max(1, round(middle * shorter / longer)))):
                low = middle
            else:
                high = middle - 1
        short = max(1, round(low * shorter / longer))
        return (low, short) if sent[0] >= sent[1] else (short, low)

    def _fits(self, size: Size) -> bool:
        columns, rows = (math.ceil(side / self.factor) for side in size)
        return max(columns, rows) * self.factor <= self.edge and columns * rows <= self.tokens

    def seen(self, sent: Size) -> tuple[Size, tuple[float, float, float, float]]:
        """Return the resized size; the picture fills it."""
        size = self.size(sent)
        return size, (0.0, 0.0, float(size[0]), float(size[1]))


@dataclass(frozen=True, slots=True)
class Square:
    """The picture in the middle of a square of its longer side."""

    def seen(self, sent: Size) -> tuple[Size, tuple[float, float, float, float]]:
        """Return the square, and the picture's place in it."""
        side = max(sent)
        left, top = (side - sent[0]) // 2, (side - sent[1]) // 2
        return (side, side), (float(left), float(top), float(left + sent[0]), float(top + sent[1]))


@dataclass(frozen=True, slots=True)
class Canvas:
    """The picture in the upper left of a canvas, scaled down to it where it is larger."""

    width: int
    height: int

    def seen(self, sent: Size) -> tuple[Size, tuple[float, float, float, float]]:
        """Return the canvas, and the picture's place in it."""
        shrink = min(1.0, self.width / sent[0], self.height / sent[1])
        return (self.width, self.height), (0.0, 0.0, sent[0] * shrink, sent[1] * shrink)
