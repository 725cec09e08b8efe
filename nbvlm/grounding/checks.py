"""The checks on what goes into detections: each returns the value in its one form, or says what is wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nbvlm.grounding.masks.types import CODES, by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.grounding.masks.types import Box, Codes, Mask, Size

__all__ = [
    "areas",
    "box_of",
    "codes_of",
    "label_of",
    "mask_of",
    "overlaps",
    "row_of",
    "rows_of",
    "xyxy_of",
]


def label_of(label: str) -> str:
    """Check a label: any string."""
    if not isinstance(label, str):
        raise ValueError(f"A label is a string, not {type(label).__name__}.")  # noqa: TRY004 - one type for all
    return label


def box_of(box: Box) -> Box:
    """Check a box: four finite numbers."""
    corners = tuple(float(value) for value in box)
    if len(corners) != 4 or not all(map(math.isfinite, corners)):
        raise ValueError(f"A box is four finite numbers x0, y0, x1, y1, not {box!r}.")
    return corners[0], corners[1], corners[2], corners[3]


def xyxy_of(values: npt.ArrayLike, count: int) -> npt.NDArray[np.float64]:
    """Check a column of boxes: `count` rows of four finite numbers, as a read-only copy."""
    xyxy = np.array(values, dtype=np.float64)
    if xyxy.size == 0:
        xyxy = xyxy.reshape(0, 4)
    if xyxy.shape != (count, 4) or not np.isfinite(xyxy).all():
        raise ValueError(f"{count} labels need {count}×4 finite numbers, not an array of shape {xyxy.shape}.")
    xyxy.flags.writeable = False
    return xyxy


def codes_of(codes: Sequence[int] | None) -> Codes | None:
    """Check the codes of one mask: 16 numbers of 0 or more, or None."""
    if codes is None:
        return None
    row = tuple(map(int, codes))
    if len(row) != CODES or min(row) < 0:
        raise ValueError(f"A mask has {CODES} codes of 0 or more, not {row!r}.")
    return row


def mask_of(mask: npt.ArrayLike | None, size: Size) -> Mask | None:
    """Check a mask: height×width of the picture, as a read-only view of bools, or None."""
    if mask is None:
        return None
    pixels = np.asarray(mask).astype(bool, copy=False).view()
    if pixels.shape != size[::-1]:
        raise ValueError(f"A mask of shape {pixels.shape} does not fit a picture of {by(size)}.")
    pixels.flags.writeable = False
    return pixels


def row_of(number: int, count: int) -> int:
    """Turn a number, which may count from the end, into a row number."""
    if not -count <= number < count:
        raise IndexError(f"There is no detection {number}: there are {count}, counted from 0.")
    return number % count


def rows_of(key: Any, labels: tuple[str, ...]) -> list[int]:
    """Turn what a filter was given into row numbers."""
    if isinstance(key, str):
        return [row for row, label in enumerate(labels) if label == key]
    if isinstance(key, slice):
        return list(range(len(labels))[key])
    index = np.asarray(key)
    if index.size == 0 and index.dtype != bool:
        return []
    if index.ndim != 1 or index.dtype.kind not in "biu":
        raise TypeError("Filter detections with a number, a label, a slice, or an array of bools or numbers.")
    if index.dtype == bool and index.size != len(labels):
        raise IndexError(f"{index.size} bools do not fit {len(labels)} detections.")
    found: list[int] = np.arange(len(labels))[index].tolist()
    return found


Boxes = npt.NDArray[np.float64]


def areas(boxes: Boxes) -> npt.NDArray[np.float64]:
    """Areas of n×4 boxes; a box whose corners are swapped has none.

    >>> areas(np.array([[0.0, 0.0, 4.0, 2.0], [4.0, 0.0, 0.0, 2.0]]))
    array([8., 0.])
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def overlaps(first: Boxes, second: Boxes) -> npt.NDArray[np.float64]:
    """Intersection over union of each pair: n×4 and m×4 boxes give n×m numbers from 0 to 1.

    Two boxes without area have an overlap of 0, even where they are equal.

    >>> overlaps(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[0.0, 0.0, 2.0, 1.0]]))
    array([[0.5]])
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    # A swapped box would otherwise share area with what lies between its corners.
    shared *= (areas(first) > 0)[:, None] & (areas(second) > 0)[None, :]
    union = areas(first)[:, None] + areas(second)[None, :] - shared
    overlap: npt.NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap
