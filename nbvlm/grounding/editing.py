"""Correct detections by hand: move and resize boxes, and what becomes of their masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nbvlm.errors import Error
from nbvlm.grounding import checks
from nbvlm.grounding.detections import unchecked
from nbvlm.grounding.masks.lazy import LazyMask
from nbvlm.grounding.masks.types import MaskCrop

if TYPE_CHECKING:
    from nbvlm.grounding.detections import Detection
    from nbvlm.grounding.masks.types import Box, Size

__all__ = ["with_box", "with_label"]

#: Difference of two sides, in pixels, up to which they count as equal.
_SAME = 0.01


@dataclass(frozen=True, slots=True)
class Placed:
    """A mask whose pixels are known, at its place."""

    found: MaskCrop

    def crop(self, box: Box, size: Size | None) -> MaskCrop:  # noqa: ARG002 - called like the other shapes
        """Return the pixels."""
        return self.found


def with_label(row: Detection, label: str) -> Detection:
    """Return a detection with another label; everything else stays."""
    label = checks.label_of(label)
    codes, mask, origin = row.codes, row.lazy_mask, row.origin
    return unchecked(label, row.box, codes, row.size, mask, row.point, row.raw, row.reading, origin=origin)


def with_box(row: Detection, box: Box) -> Detection:
    """Return a detection with another box.

    A box that is moved takes its mask with it. One that is resized keeps the pixels of its mask that lie
    inside of it, at their place. A point that is moved stays a point. The numbers that the model wrote do not
    describe the new box, and are dropped; so are the codes of a mask, unless the box keeps its size.

    Parameters
    ----------
    row
        The detection.
    box
        Corners x0, y0, x1, y1 in pixels of the picture.

    Raises
    ------
    ValueError
        For a box that is not four finite numbers.
    """
    corners = checks.box_of(box)
    x0, y0, x1, y1 = corners
    old = row.box
    point = (x0, y0) if row.point is not None and (x0, y0) == (x1, y1) else None
    moved = abs((x1 - x0) - (old[2] - old[0])) < _SAME and abs((y1 - y0) - (old[3] - old[1])) < _SAME
    shift = (round(x0 - old[0]), round(y0 - old[1])) if moved else (0, 0)
    codes = row.codes if moved else None
    if codes is not None:  # decoded in the new box
        mask = LazyMask(corners, row.size, codes, row.lazy_mask.codebook)
    else:
        mask = LazyMask(corners, row.size, given=_placed(row, shift, None if moved else corners))
    return unchecked(row.label, corners, codes, row.size, mask, point, origin=row.origin)


def _placed(row: Detection, shift: tuple[int, int], frame: Box | None) -> Placed | None:
    """Return the mask of a row, shifted, and cut to the picture and to a frame; None without a mask."""
    try:
        crop = row.lazy_mask.crop()
    except Error:  # its codebook is not here
        return None
    if crop is None or row.size is None:
        return None
    left, top = crop.x + shift[0], crop.y + shift[1]
    high, wide = crop.pixels.shape
    x0, y0, x1, y1 = (0, 0, *row.size)
    if frame is not None:
        x0, x1 = max(x0, round(min(frame[::2]))), min(x1, round(max(frame[::2])))
        y0, y1 = max(y0, round(min(frame[1::2]))), min(y1, round(max(frame[1::2])))
    x0, y0, x1, y1 = max(x0, left), max(y0, top), min(x1, left + wide), min(y1, top + high)
    if x1 <= x0 or y1 <= y0:
        return Placed(MaskCrop(0, 0, np.zeros((0, 0), dtype=bool)))
    pixels = crop.pixels[y0 - top : y1 - top, x0 - left : x1 - left]
    return Placed(MaskCrop(x0, y0, pixels))
