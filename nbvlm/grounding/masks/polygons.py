"""Outlines of masks, along the edges of their pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from nbvlm.grounding.masks.types import Mask, MaskCrop

__all__ = ["area", "loops", "outlines", "svg_path"]

Point = tuple[int, int]
Ways = dict[Point, list[Point]]

_TOLERANCE = 0.75  # pixels that a corner of a simplified outline may lie off the true one, at least
_SHARE = 1 / 400  # … and as a share of the mask's larger side


def outlines(crop: MaskCrop) -> list[list[Point]]:
    """Trace the outer outlines of a mask: one for each part whose pixels are connected by their sides.

    They are clockwise, the first corner not repeated. Corners are pixel corners of the picture; holes are
    left out.

    >>> from nbvlm.grounding.masks.types import MaskCrop
    >>> outlines(MaskCrop(10, 20, np.ones((2, 3), bool)))
    [[(10, 20), (13, 20), (13, 22), (10, 22)]]
    """
    return [loop for loop in loops(crop) if area(loop) > 0]


def loops(crop: MaskCrop) -> list[list[Point]]:
    """Trace all outlines of a mask: those of its parts clockwise, those of holes the other way round."""
    ways = _ways(crop.pixels, crop.x, crop.y)
    return [_walk(ways, start) for start in sorted(ways) if start in ways]


def _ways(pixels: Mask, left: int, top: int) -> Ways:
    """Map corners to the ends of the pixel sides that begin there, with the inside on the right hand."""
    inside = np.pad(pixels, 1)
    core = inside[1:-1, 1:-1]
    ways: Ways = {}
    for outside, (x0, y0), (x1, y1) in (
        (inside[:-2, 1:-1], (0, 0), (1, 0)),
        (inside[1:-1, 2:], (1, 0), (1, 1)),
        (inside[2:, 1:-1], (1, 1), (0, 1)),
        (inside[1:-1, :-2], (0, 1), (0, 0)),
    ):
        for y, x in np.argwhere(core & ~outside).tolist():
            start = (left + x + x0, top + y + y0)
            ways.setdefault(start, []).append((left + x + x1, top + y + y1))
    return ways


def _walk(ways: Ways, start: Point) -> list[Point]:
    """Take the loop through a leftmost corner out of the ways, and keep its corners."""
    loop, here = [start], start
    before: Point | None = None
    while True:
        there = _turn(ways, here, before)
        step = (there[0] - here[0], there[1] - here[1])
        if step == before:
            loop.pop()
        loop.append(there)
        here, before = there, step
        if here == start:
            return loop[:-1]


def _turn(ways: Ways, here: Point, before: Point | None) -> Point:
    """Leave a corner; where two ways meet, round the same pixel."""
    ends = ways[here]
    wanted = (here[0] - before[1], here[1] + before[0]) if before else ends[0]
    there = wanted if wanted in ends else ends[0]
    ends.remove(there)
    if not ends:
        del ways[here]
    return there


def area(loop: list[Point]) -> float:
    """Area of a polygon in pixels; negative if it runs counter-clockwise, y pointing down."""
    x, y = np.array(loop).T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def svg_path(crop: MaskCrop) -> str:
    """Write the outline of a mask as the data of an SVG path, in pixels of the picture; "" for an empty mask.

    Its loops are closed and of straight lines, holes included: fill them by the even-odd rule.

    >>> from nbvlm.grounding.masks.types import MaskCrop
    >>> svg_path(MaskCrop(10, 20, np.ones((2, 3), bool)))
    'M10 20l3 0 0 2-3 0z'
    """
    tolerance = max(_TOLERANCE, max(crop.pixels.shape) * _SHARE)
    simple = (_simplified(np.array(loop), tolerance) for loop in loops(crop))
    return "".join(_drawn(loop) for loop in simple if len(loop) > 2)


def _drawn(loop: npt.NDArray[np.int64]) -> str:
    (x, y), steps = loop[0].tolist(), np.diff(loop, axis=0).tolist()
    numbers = "".join(f"{value}" if value < 0 else f" {value}" for step in steps for value in step)
    return f"M{x} {y}l{numbers.strip()}z"


def _simplified(loop: npt.NDArray[np.int64], tolerance: float) -> npt.NDArray[np.int64]:
    """Leave out corners by the algorithm of Douglas and Peucker; the loop begins at its first corner."""
    far = int(np.argmax(((loop - loop[0]) ** 2).sum(axis=1)))
    closed = np.vstack([loop, loop[:1]])
    keep = np.zeros(len(closed), bool)
    keep[[0, far]] = True
    waiting = [(0, far), (far, len(loop))]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        away = _distances(closed[first + 1 : last], closed[first], closed[last])
        most = int(np.argmax(away))
        if away[most] > tolerance:
            middle = first + 1 + most
            keep[middle] = True
            waiting += [(first, middle), (middle, last)]
    return closed[:-1][keep[:-1]]


def _distances(
    points: npt.NDArray[np.int64], start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Measure how far points lie from the line through two others, or from the one if they are the same."""
    (x, y), way = (points - start).T, end - start
    length = float(np.hypot(*way))
    found: npt.NDArray[np.float64] = np.abs(x * way[1] - y * way[0]) / length if length else np.hypot(x, y)
    return found
