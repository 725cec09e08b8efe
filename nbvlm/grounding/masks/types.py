"""The types of masks, boxes and sizes, and the part of a mask that can be true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CODES", "Box", "Codes", "Mask", "MaskCrop", "Point", "Size", "by", "size_of"]

Mask = npt.NDArray[np.bool_]
Size = tuple[int, int]
Box = tuple[float, float, float, float]
Point = tuple[float, float]
Codes = tuple[int, ...]

CODES = 16  # of a mask: a grid of 4 × 4, row by row


def by(size: Size) -> str:
    """Write a size for people: "640×480"."""
    return f"{size[0]}×{size[1]}"


def size_of(size: Size) -> Size:
    """Check a size: width and height, whole and above 0."""
    try:
        width, height = (int(side) for side in size)
        fits = width > 0 and height > 0 and (width, height) == tuple(size)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"size must be (width, height) in whole pixels above 0, got {size!r}.")
    return width, height


@dataclass(frozen=True, slots=True, eq=False)
class MaskCrop:
    """The part of a mask that can be true (h×w, read only), and the column and row where it begins."""

    x: int
    y: int
    pixels: Mask

    def spread(self, size: Size) -> Mask:
        """Height×width bool array of the whole picture, false outside the part."""
        mask = np.zeros((size[1], size[0]), dtype=bool)
        rows, columns = self.pixels.shape
        mask[self.y : self.y + rows, self.x : self.x + columns] = self.pixels
        return mask
