"""The part of a mask that can be true: what decoding gives, and what masks, boxes and sizes are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Box", "Mask", "Patch", "Size"]

Mask = npt.NDArray[np.bool_]
Size = tuple[int, int]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The part of a mask that can be true, and its place in the picture.

    Attributes
    ----------
    x, y
        Column and row of the picture where the part begins.
    pixels
        h×w bool array, read only.
    """

    x: int
    y: int
    pixels: Mask

    def spread(self, size: Size) -> Mask:
        """Height×width bool array of the whole picture, false outside the part."""
        mask = np.zeros((size[1], size[0]), dtype=bool)
        rows, columns = self.pixels.shape
        mask[self.y : self.y + rows, self.x : self.x + columns] = self.pixels
        mask.flags.writeable = False
        return mask
