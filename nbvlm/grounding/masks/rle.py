"""Encode and decode masks as COCO run lengths: the compressed string of pycocotools.

Runs are counted down the columns, beginning with the background. Each count, from the fourth on as the
difference to the one two before it, is written in groups of five bits, the low group first, with a sixth bit
where another group follows; 48 is added to make a character of each group (cocoapi, `common/maskApi.c`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nbvlm.grounding.masks.types import MaskCrop

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from nbvlm.grounding.masks.types import Box, Mask, Size

__all__ = ["RunLengths", "decode", "encode", "encode_mask", "read"]

MAX_PIXELS = 178_956_970
_LONGEST = 40  # bits of a run length and more


def encode(crop: MaskCrop, size: Size) -> dict[str, Any]:
    """Encode a mask in a picture of `size` as ``{"size": [height, width], "counts": str}``."""
    width, height = size
    rows, columns = crop.pixels.shape
    edges = np.zeros((columns, rows + 2), dtype=np.int8)
    edges[:, 1:-1] = crop.pixels.T
    steps = np.diff(edges, axis=1)
    starts, ends = (
        (column + crop.x) * height + row + crop.y
        for column, row in (np.nonzero(steps == way) for way in (1, -1))
    )
    joined = np.flatnonzero(starts[1:] == ends[:-1])
    starts, ends = np.delete(starts, joined + 1), np.delete(ends, joined)
    bounds = np.concatenate([[0], np.column_stack([starts, ends]).ravel(), [width * height]])
    counts = np.diff(bounds).tolist()
    if len(counts) > 1 and not counts[-1]:
        counts.pop()
    return {"size": [height, width], "counts": _pack(counts)}


def encode_mask(mask: Mask) -> dict[str, Any]:
    """Encode a mask of the whole picture, height×width.

    >>> encode_mask(np.array([[False, True], [False, True]]))
    {'size': [2, 2], 'counts': '22'}
    """
    return encode(MaskCrop(0, 0, mask), (mask.shape[1], mask.shape[0]))


@dataclass(frozen=True, slots=True, eq=False)
class RunLengths:
    """A mask as its runs, in a few bytes however large the picture is; made by `read`."""

    size: Size  # of the picture, width and height
    starts: npt.NDArray[np.int64]  # of the runs in the mask, counted down the columns
    ends: npt.NDArray[np.int64]

    @property
    def window(self) -> tuple[int, int, int, int]:
        """Columns and rows that bound the mask: x0, y0, x1, y1; zeros where it is empty."""
        if not len(self.starts):
            return 0, 0, 0, 0
        height = self.size[1]
        first, last = self.starts // height, (self.ends - 1) // height
        x0, x1 = int(first.min()), int(last.max()) + 1
        if (first != last).any():  # a run that goes on in the next column touches both edges
            top, bottom = 0, height
        else:
            top, bottom = int((self.starts % height).min()), int(((self.ends - 1) % height).max()) + 1
        return x0, top, x1, bottom

    def crop(self, box: Box | None = None, size: Size | None = None) -> MaskCrop:  # noqa: ARG002 - a `Shape`
        """Decode the part of the mask that can be true."""
        x0, y0, x1, y1 = self.window
        height = self.size[1]
        edges = np.zeros((x1 - x0) * height + 1, dtype=np.int8)
        np.add.at(edges, self.starts - x0 * height, 1)
        np.add.at(edges, self.ends - x0 * height, -1)
        flat = np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_).reshape(x1 - x0, height)
        return MaskCrop(x0, y0, np.ascontiguousarray(flat[:, y0:y1].T))


def read(rle: Mapping[str, Any]) -> RunLengths:
    """Check run lengths without decoding them; counts may be a list of numbers too.

    Raises
    ------
    ValueError
        The counts do not fill the picture, or the picture is larger than nbvlm loads.
    """
    height, width = (int(side) for side in rle["size"])
    if not (height > 0 < width and height * width <= MAX_PIXELS):
        raise ValueError(f"A mask must have 1 to {MAX_PIXELS:,} pixels, got {width}×{height}.")
    counts = rle["counts"]
    runs = _unpack(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if min(runs, default=0) < 0 or sum(runs) != width * height:
        raise ValueError(f"The run lengths of a mask must fill its {width}×{height} pixels.")
    bounds = np.cumsum(runs, dtype=np.int64)
    starts, ends = bounds[:-1:2], bounds[1::2]
    some = starts < ends
    return RunLengths((width, height), starts[some], ends[some])


def decode(rle: Mapping[str, Any]) -> Mask:
    """Decode to a mask of the whole picture, height×width; errors as `read`."""
    runs = read(rle)
    return runs.crop().spread(runs.size)


def _pack(counts: list[int]) -> str:
    deltas = counts[:3] + [count - before for before, count in zip(counts[1:], counts[3:], strict=False)]
    return "".join(map(_number, deltas))


def _number(value: int) -> str:
    groups = ""
    while True:
        group, value = value & 31, value >> 5
        more = value != (-1 if group & 16 else 0)
        groups += chr(48 + group + 32 * more)
        if not more:
            return groups


def _unpack(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for char in text:
        group = ord(char) - 48
        if not 0 <= group < 64:
            raise ValueError(f"The run lengths of a mask hold {char!r}, which encodes no number.")
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            value -= (1 << shift) if group & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
        elif shift > _LONGEST:
            raise ValueError("The run lengths of a mask hold a number that is too large.")
    if shift:
        raise ValueError("The run lengths of a mask end within a number.")
    return counts
