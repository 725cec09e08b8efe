"""Checks on the values of detections, and areas and overlaps of boxes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nbvlm.grounding.masks.rle import RunLengths
from nbvlm.grounding.masks.types import CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbvlm.grounding.masks.types import Box, Codes, Mask, Point, Size

__all__ = [
    "areas",
    "box_of",
    "codes_of",
    "column_of",
    "label_of",
    "mask_of",
    "overlaps",
    "point_of",
    "raw_of",
    "row_of",
    "rows_of",
    "xyxy_of",
]


def label_of(label: str) -> str:
    """Check a label: any string."""
    if not isinstance(label, str):
        raise ValueError(f"A label must be a string, got {type(label).__name__}.")  # noqa: TRY004 - one type for all
    return label


def box_of(box: Box) -> Box:
    """Check a box: four finite numbers."""
    corners = tuple(float(value) for value in box)
    if len(corners) != 4 or not all(map(math.isfinite, corners)):
        raise ValueError(f"A box must be four finite numbers (x0, y0, x1, y1), got {box!r}.")
    return corners[0], corners[1], corners[2], corners[3]


def point_of(point: Point | None) -> Point | None:
    """Check a point: two finite numbers, or None."""
    if point is None:
        return None
    places = tuple(float(value) for value in point)
    if len(places) != 2 or not all(map(math.isfinite, places)):
        raise ValueError(f"A point must be two finite numbers (x, y), got {point!r}.")
    return places[0], places[1]


def raw_of(raw: Sequence[float] | None) -> tuple[float, ...] | None:
    """Check the numbers of a place as they were written: finite numbers, or None."""
    if raw is None:
        return None
    numbers = tuple(raw)
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in numbers):
        raise ValueError(f"raw must be finite numbers, got {raw!r}.")
    return numbers


def column_of(values: Sequence[Any], count: int, name: str, check: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Check an optional column: a value a row; all None if it is empty."""
    column = tuple(map(check, values)) or (None,) * count
    if len(column) != count:
        raise ValueError(f"labels and {name} must have the same length, got {count} and {len(column)}.")
    return column


def xyxy_of(values: npt.ArrayLike, count: int) -> npt.NDArray[np.float64]:
    """Check a column of boxes: `count` rows of four finite numbers, as a read-only copy."""
    xyxy = np.array(values, dtype=np.float64)
    if xyxy.size == 0:
        xyxy = xyxy.reshape(0, 4)
    if xyxy.shape != (count, 4) or not np.isfinite(xyxy).all():
        raise ValueError(f"xyxy must be {count}×4 finite numbers, one row per label, got shape {xyxy.shape}.")
    xyxy.flags.writeable = False
    return xyxy


def codes_of(codes: Sequence[int] | None) -> Codes | None:
    """Check the codes of one mask: 16 numbers of 0 or more, or None."""
    if codes is None:
        return None
    row = tuple(map(int, codes))
    if len(row) != CODES or min(row) < 0:
        raise ValueError(f"A mask must have {CODES} codes of 0 or more, got {row!r}.")
    return row


def mask_of(mask: npt.ArrayLike | RunLengths | None, size: Size) -> Mask | RunLengths | None:
    """Check a mask: height×width of the picture, as a read-only view of bools; run lengths and None stay."""
    if isinstance(mask, RunLengths) and mask.size == size:
        return mask
    if mask is None:
        return None
    pixels = np.asarray(mask).astype(bool, copy=False).view()
    if pixels.shape != size[::-1]:
        raise ValueError(f"A mask must be height×width of its picture, {size[::-1]}, got {pixels.shape}.")
    pixels.flags.writeable = False
    return pixels


def row_of(number: int, count: int) -> int:
    """Turn a number, which may count from the end, into a row number."""
    if not -count <= number < count:
        raise IndexError(f"Detection {number} does not exist: there are {count}, counted from 0.")
    return number % count


def rows_of(key: Any, labels: tuple[str, ...]) -> list[int]:
    """Turn an index or a filter into row numbers."""
    if isinstance(key, str):
        return [row for row, label in enumerate(labels) if label == key]
    if isinstance(key, slice):
        return list(range(len(labels))[key])
    index = np.asarray(key)
    if index.size == 0 and index.dtype != bool:
        return []
    if index.ndim != 1 or index.dtype.kind not in "biu":
        raise TypeError("Index detections with a number, a label, a slice, or an array of bools or numbers.")
    if index.dtype == bool and index.size != len(labels):
        raise IndexError(f"A filter must have one bool per detection: {len(labels)}, got {index.size}.")
    found: list[int] = np.arange(len(labels))[index].tolist()
    return found


Boxes = npt.NDArray[np.float64]


def areas(boxes: Boxes) -> npt.NDArray[np.float64]:
    """Return the areas of n×4 boxes; 0 where the corners are swapped.

    >>> areas(np.array([[0.0, 0.0, 4.0, 2.0], [4.0, 0.0, 0.0, 2.0]]))
    array([8., 0.])
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def overlaps(first: Boxes, second: Boxes) -> npt.NDArray[np.float64]:
    """Return the intersection over union of each pair: n×m numbers from 0 to 1 for n×4 and m×4 boxes.

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
