"""How the numbers of an answer become places in the picture, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.grounding.masks.types import Box, Size

__all__ = ["Order", "Reading", "placed"]

Order = Literal["xyxy", "yxyx"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How the numbers of an answer become places in the picture.

    Attributes
    ----------
    order
        "xyxy" (left, top, right, bottom) or "yxyx"; a point begins with the same axis.
    frame
        The picture's width and height in the answer's numbers: (1000, 1000), or pixels of the
        picture that the model saw.
    origin
        The numbers of the picture's upper left corner.

    Examples
    --------
    >>> reading = Reading("yxyx", (1000, 1000))
    >>> reading.pixels((250, 100, 750, 900), (640, 480))
    (64.0, 120.0, 576.0, 360.0)
    >>> reading.numbers((64, 120, 576, 360), (640, 480))
    (250.0, 100.0, 750.0, 900.0)
    """

    order: Order = "xyxy"
    frame: tuple[float, float] = (1000.0, 1000.0)
    origin: tuple[float, float] = (0.0, 0.0)

    def pixels(self, numbers: Sequence[float], size: Size) -> tuple[float, ...]:
        """Turn numbers, pairs of two axes, into pixels x, y, … of a picture of this size."""
        first = 0 if self.order == "xyxy" else 1
        places = []
        for at in range(0, len(numbers) - 1, 2):
            for axis in (0, 1):
                value = numbers[at + (axis ^ first)] - self.origin[axis]
                # Multiplied before the division: the last value is then the picture's edge exactly.
                places.append(value * size[axis] / self.frame[axis])
        return tuple(places)

    def numbers(self, pixels: Sequence[float], size: Size) -> tuple[float, ...]:
        """Turn pixels x, y, … into the numbers that a model would write: the inverse of `pixels`."""
        first = 0 if self.order == "xyxy" else 1
        written: list[float] = []
        for at in range(0, len(pixels) - 1, 2):
            written += [
                pixels[at + axis] * self.frame[axis] / size[axis] + self.origin[axis]
                for axis in (first, 1 - first)
            ]
        return tuple(written)

    def but(self, order: Order | None, scale: Any, size: Size) -> Reading:
        """Return the reading in another order, or on another scale: a number, two of them, or "pixels"."""
        if scale is None:
            return Reading(order or self.order, self.frame, self.origin)
        if scale == "pixels":
            scale = size
        sides = scale if isinstance(scale, (tuple, list)) else (scale, scale)
        if len(sides) != 2 or not all(
            isinstance(side, (int, float)) and 0 < side < math.inf for side in sides
        ):
            raise ValueError(f'scale must be a number above 0, two of them, or "pixels", got {scale!r}.')
        return Reading(order or self.order, (float(sides[0]), float(sides[1])))


def placed(
    numbers: Sequence[float], reading: Reading, size: Size
) -> tuple[Box, tuple[float, ...], tuple[str, ...]]:
    """Read numbers as a box in the picture, its corners in order and within the picture.

    Returns
    -------
    tuple
        The box; all corners in pixels, in the order as written; and what was wrong: "range", "sorted",
        "empty".
    """
    pixels = reading.pixels(numbers, size)
    wide, high = size
    inside = tuple(
        min(max(value, 0.0), float(wide if at % 2 == 0 else high)) for at, value in enumerate(pixels)
    )
    wrong = [] if inside == pixels else ["range"]
    xs, ys = inside[0::2], inside[1::2]
    box = min(xs), min(ys), max(xs), max(ys)
    if len(numbers) == 4 and box != inside:
        wrong.append("sorted")
    if len(numbers) > 2 and (box[0] == box[2] or box[1] == box[3]):
        wrong.append("empty")
    return box, inside, tuple(wrong)
