"""Outlines of masks, along the edges of their pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nbvlm.grounding.masks.types import Mask, MaskCrop

__all__ = ["area", "loops", "outlines"]

Point = tuple[int, int]
Ways = dict[Point, list[Point]]


def outlines(crop: MaskCrop) -> list[list[Point]]:
    """Trace the outer outlines of a mask.

    Parameters
    ----------
    crop
        The part of the picture that holds the mask.

    Returns
    -------
    list of list of (x, y)
        One closed polygon for each part whose pixels are connected by their sides: clockwise, the first
        corner not repeated. The corners are pixel corners of the picture; holes are left out.

    Examples
    --------
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
