"""The pixels that the embedded model reads: the whole picture, small, and closer crops of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CELLS", "CROP", "LETTERS", "PIXELS", "SIGN", "Frame"]

PIXELS, CELLS = 128, 16
"""Side of the small picture, and of the grid of cells that it becomes."""
CROP, SIGN = (48, 48), (80, 40)
"""Width and height of the crop around a thing, and of a sign's."""
LETTERS = 26
_MOST = 640
_MARGIN = 0.25
_BORDER = (127, 127, 127)
_SMOOTH = Image.Resampling.BILINEAR
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of at most 640 pixels a side, with a border around it."""

    image: Image.Image  # RGB, the border included
    width: int  # without the border, as `height`
    height: int

    @classmethod
    def of(cls, picture: Image.Image) -> Frame:
        """Convert and shrink a picture, and add the border."""
        small = picture.convert("RGB")
        if max(small.size) > _MOST:
            share = _MOST / max(small.size)
            size = (max(1, round(small.width * share)), max(1, round(small.height * share)))
            small = small.resize(size, _SMOOTH, reducing_gap=2.0)
        w, h = small.size
        framed = Image.new("RGB", (w + 2 * _border(w), h + 2 * _border(h)), _BORDER)
        framed.paste(small, (_border(w), _border(h)))
        return cls(framed, w, h)

    def whole(self) -> NDArray[np.uint8]:
        """The picture as 128 × 128 × 3 uint8, whatever its aspect ratio."""
        x, y = _border(self.width), _border(self.height)
        inside = (x, y, x + self.width, y + self.height)
        return np.asarray(self.image.resize((PIXELS, PIXELS), _SMOOTH, box=inside))

    def around(self, box: Sequence[float]) -> NDArray[np.uint8]:
        """A box (x0, y0, x1, y1 in shares of the sides) in the middle 32 × 32 of 48 × 48 × 3 uint8."""
        return self._cut(box, _MARGIN, CROP)

    def sign(self, box: Sequence[float]) -> NDArray[np.uint8]:
        """A box with a narrow margin, as 40 × 80 × 3 uint8."""
        return self._cut(box, 0.04, SIGN)

    def _cut(self, box: Sequence[float], margin: float, size: tuple[int, int]) -> NDArray[np.uint8]:
        x0, y0, x1, y1 = box
        dx, dy = margin * (x1 - x0), margin * (y1 - y0)
        place = (
            _inside((x0 - dx) * self.width, self.width), _inside((y0 - dy) * self.height, self.height),
            _inside((x1 + dx) * self.width, self.width), _inside((y1 + dy) * self.height, self.height),
        )  # fmt: skip
        return np.asarray(self.image.resize(size, _SMOOTH, box=_wide(place, self.image.size)))


def _border(side: int) -> int:
    return side // 4 + 1


def _inside(value: float, side: int) -> float:
    border = _border(side)
    return min(max(value + border, 0.0), side + 2.0 * border)


def _wide(box: Box, size: tuple[int, int]) -> Box:
    """Widen a box without area to one pixel."""
    x0, y0, x1, y1 = box
    x0, y0 = min(x0, size[0] - 1.0), min(y0, size[1] - 1.0)
    return x0, y0, min(float(size[0]), max(x1, x0 + 1)), min(float(size[1]), max(y1, y0 + 1))
