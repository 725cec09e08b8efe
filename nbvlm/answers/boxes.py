"""Boxes as n×4 arrays of x0, y0, x1, y1: areas and overlaps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["areas", "overlaps"]

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
