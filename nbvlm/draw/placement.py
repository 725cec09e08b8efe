"""Place labels: whole inside the picture, close to their box, not over each other while there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Position", "place", "select"]

Rects = npt.NDArray[np.int64]

_COVERED = 0.25
_RING = (1.5, 2.5, 4.0, 6.0)
_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)


class Position(NamedTuple):
    """The upper left corner of a label, and whether a leader line connects it with its box."""

    x: int
    y: int
    leader: bool


def place(boxes: Rects, labels: Sequence[tuple[int, int]], size: tuple[int, int]) -> list[Position | None]:
    """Find a place for every label; None for an empty label and where all places are taken.

    Boxes are n×4 integers x0, y0, x1, y1, as drawn, x1 and y1 exclusive; a label is its width and height, (0,
    0) for none. Small boxes choose first, as they have the least choice. A label prefers to sit on its box,
    then in it, under it and beside it; if all of these would cover another label it moves away a little, on a
    leader line.
    """
    positions: list[Position | None] = [None] * len(labels)
    taken = np.empty((0, 4), dtype=np.int64)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for at in np.argsort(areas, kind="stable").tolist():
        if min(labels[at]) <= 0:
            continue
        position = _position(at, boxes, labels[at], taken, size)
        positions[at] = position
        if position is not None:
            rect = (position.x, position.y, position.x + labels[at][0], position.y + labels[at][1])
            taken = np.vstack([taken, rect])
    return positions


def select(
    boxes: Rects, names: Sequence[str], labels: Sequence[tuple[int, int]], size: tuple[int, int]
) -> set[int]:
    """Choose the rows to label so that labels do not hide the picture.

    Boxes and labels are as for `place`; the names are the texts of the labels. All rows are chosen if their
    labels cover at most a quarter of the picture; else the largest boxes, as many as do, and one of every
    name in any case.
    """
    wide, high = (boxes[:, 2:] - boxes[:, :2]).T
    budget = _COVERED * size[0] * size[1]
    chosen: set[int] = set()
    seen: set[str] = set()
    for at in np.argsort(-wide * high, kind="stable").tolist():
        budget -= labels[at][0] * labels[at][1]
        if budget >= 0 or names[at] not in seen:
            chosen.add(at)
            seen.add(names[at])
    return chosen


def _position(
    at: int, boxes: Rects, label: tuple[int, int], taken: Rects, size: tuple[int, int]
) -> Position | None:
    for corners, leader in ((_near, False), (_around, True)):
        best = _best(_rects(corners(boxes[at], label), label, size), at, boxes, taken)
        if best is not None:
            return Position(*best, leader)
    return None


def _near(box: Rects, label: tuple[int, int]) -> list[tuple[int, int]]:
    """List corners of places that touch the box, the best first."""
    (x0, y0, x1, y1), (wide, high) = box.tolist(), label
    above, below, right, middle = y0 - high, y1, x1 - wide, (x0 + x1 - wide) // 2
    places = [(x0, above)]
    if (x1 - x0) * (y1 - y0) > 4 * wide * high and x1 - x0 >= wide:
        places += [(x0, y0), (right, y0), (x0, y1 - high), (right, y1 - high)]
    places += [(x0, below), (right, above), (right, below), (middle, above), (middle, below)]
    places += [(x1, y0), (x0 - wide, y0), (x1, y1 - high), (x0 - wide, y1 - high)]
    return [*places, (x0 - wide, above), (x1, above), (x0 - wide, below), (x1, below)]


def _around(box: Rects, label: tuple[int, int]) -> list[tuple[int, int]]:
    """List corners of places near the box, the nearest first."""
    x0, y0, x1, y1 = box.tolist()
    wide, high = label
    reach_x, reach_y = (x1 - x0 + wide) / 2, (y1 - y0 + high) / 2
    return [
        (
            round((x0 + x1 - wide) / 2 + np.cos(angle) * (reach_x + high * ring)),
            round((y0 + y1 - high) / 2 + np.sin(angle) * (reach_y + high * ring)),
        )
        for ring in _RING
        for angle in _ANGLES
    ]


def _rects(corners: list[tuple[int, int]], label: tuple[int, int], size: tuple[int, int]) -> Rects:
    """Turn corners into rectangles inside the picture; one that would have to move far is left out."""
    wanted = np.array(corners, dtype=np.int64)
    room = np.maximum(np.array(size) - label, 0)
    moved = np.clip(wanted, 0, room)
    shift = np.abs(moved - wanted)
    kept = moved[(shift[:, 1] == 0) & (shift[:, 0] <= label[0])]
    kept = kept if len(kept) else moved[:1]
    return np.hstack([kept, kept + label])


def _shared(rects: Rects, others: Rects) -> npt.NDArray[np.float64]:
    """Areas that each of n rectangles shares with each of m others, n×m."""
    low = np.maximum(rects[:, None, :2], others[None, :, :2])
    high = np.minimum(rects[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], dtype=np.float64)


def _best(rects: Rects, at: int, boxes: Rects, taken: Rects) -> tuple[int, int] | None:
    """Choose the place that covers no label and least of the other boxes, the first of equal ones."""
    free = (_shared(rects, taken) == 0).all(axis=1)
    if not free.any():
        return None
    others = np.delete(boxes, at, axis=0)
    shared = _shared(rects, others)
    areas = np.maximum((others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1]), 1)
    label = (rects[0, 2] - rects[0, 0]) * (rects[0, 3] - rects[0, 1])
    # Hiding most of a small thing is worse than lying inside a large one.
    cost = 2.0 * (shared / areas).sum(axis=1) + 0.2 * shared.sum(axis=1) / label
    cost += 0.04 * np.arange(len(rects))
    cost[~free] = np.inf
    x, y = rects[int(cost.argmin()), :2].tolist()
    return x, y
