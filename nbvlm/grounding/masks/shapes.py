"""Masks that come as a shape: an outline, or a small picture stretched over a box."""

from __future__ import annotations

import binascii
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nbvlm.errors import ImageError
from nbvlm.grounding.masks.types import MaskCrop

if TYPE_CHECKING:
    from nbvlm.grounding.masks.types import Box, Size

__all__ = ["Outline", "Raster"]

_MOST_PIXELS = 4096 * 4096  # of a small picture; more is not a mask of a model
_SURE = 127  # a pixel above this value of 255 belongs to the mask


@dataclass(frozen=True, slots=True)
class Outline:
    """An outline: x, y, … in pixels of the picture."""

    corners: tuple[float, ...]

    def crop(self, box: Box, size: Size | None) -> MaskCrop | None:  # noqa: ARG002 - called like the other
        """Fill the outline."""
        if size is None:
            return None
        from PIL import Image, ImageDraw

        xs, ys = self.corners[0::2], self.corners[1::2]
        left, top, right, bottom = _within((min(xs), min(ys), max(xs), max(ys)), size)
        if right <= left or bottom <= top:
            return MaskCrop(left, top, np.zeros((0, 0), dtype=bool))
        image = Image.new("1", (right - left, bottom - top))
        # A pixel belongs to the mask where its middle lies inside.
        corners = [(x - left - 0.5, y - top - 0.5) for x, y in zip(xs, ys, strict=True)]
        ImageDraw.Draw(image).polygon(corners, fill=1)
        return MaskCrop(left, top, _frozen(np.asarray(image, dtype=bool)))


@dataclass(frozen=True, slots=True)
class Raster:
    """A map of probabilities as a PNG in base64, with or without the head of a data URI."""

    png: str

    @property
    def complete(self) -> bool:
        """Whether the picture's end is there."""
        return b"IEND" in self._bytes()[-32:]

    def crop(self, box: Box, size: Size | None) -> MaskCrop | None:
        """Stretch the map over the box; None if it is not a picture."""
        if size is None:
            return None
        from PIL.Image import Resampling

        from nbvlm.images import decoding, open_encoded

        left, top, right, bottom = _within(box, size)
        if right <= left or bottom <= top:
            return None
        x0, y0, x1, y1 = min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])
        try:
            image = open_encoded(self._bytes(), "PNG", "The mask")
            if image.width * image.height > _MOST_PIXELS:
                return None
            wide, high = image.width / (x1 - x0), image.height / (y1 - y0)
            part = (
                max((left - x0) * wide, 0.0),
                max((top - y0) * high, 0.0),
                min((right - x0) * wide, image.width),
                min((bottom - y0) * high, image.height),
            )
            with decoding("The mask", "PNG"):
                map_ = image.convert("L").resize((right - left, bottom - top), Resampling.BILINEAR, part)
        except ImageError:
            return None
        return MaskCrop(left, top, _frozen(np.asarray(map_) > _SURE))

    def _bytes(self) -> bytes:
        try:
            return binascii.a2b_base64(re.sub(r"^data:[^,]{0,100},", "", self.png).strip())
        except binascii.Error:
            return b""


def _within(box: Box, size: Size) -> tuple[int, int, int, int]:
    """Return the pixels that a box touches."""
    x0, y0, x1, y1 = min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])
    left, top = max(0, math.floor(x0)), max(0, math.floor(y0))
    return left, top, min(size[0], math.ceil(x1)), min(size[1], math.ceil(y1))


def _frozen(pixels: np.ndarray) -> np.ndarray:
    pixels = pixels.copy()
    pixels.flags.writeable = False
    return pixels
