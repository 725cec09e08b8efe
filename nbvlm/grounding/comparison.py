"""Compare two answers about one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nbvlm.grounding.checks import overlaps
from nbvlm.grounding.detections import Detection, Detections
from nbvlm.grounding.masks.types import by

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Comparison", "Pair", "compare"]


class HasDetections(Protocol):
    """Anything with detections: a `nbvlm.Result`."""

    @property
    def detections(self) -> Detections:
        """The detections of the answer."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing in both answers.

    Attributes
    ----------
    before, after
        The detection in the first answer and in the second.
    iou
        Intersection over union of their boxes.
    """

    before: Detection
    after: Detection
    iou: float

    @property
    def label(self) -> str:
        """The label, which both share."""
        return self.before.label

    @property
    def shift(self) -> tuple[float, float]:
        """How far the centre of the box went, in pixels to the right and down."""
        (x0, y0, x1, y1), (u0, v0, u1, v1) = self.before.box, self.after.box
        return (u0 + u1 - x0 - x1) / 2, (v0 + v1 - y0 - y1) / 2


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """The things of one answer beside those of another.

    Attributes
    ----------
    kept
        Pairs whose boxes are practically the same.
    moved
        Pairs whose boxes overlap less.
    lost
        Things of the first answer that the second lacks.
    new
        Things of the second answer that the first lacks.
    """

    kept: tuple[Pair, ...]
    moved: tuple[Pair, ...]
    lost: Detections
    new: Detections

    @property
    def same(self) -> bool:
        """Whether nothing moved, was lost or is new."""
        return not (self.moved or len(self.lost) or len(self.new))

    def __repr__(self) -> str:
        counts = f"{len(self.kept)} kept, {len(self.moved)} moved, {len(self.lost)} lost, {len(self.new)} new"
        return f"Comparison({counts})"


def compare(
    before: Detections | HasDetections,
    after: Detections | HasDetections,
    kept: float = 0.9,
    moved: float = 0.1,
) -> Comparison:
    """Match two answers about one picture by label and overlap.

    Of all pairs with one label, those that overlap most are matched first, and each detection once; where
    overlaps are equal, the earlier detections go together.

    Parameters
    ----------
    before, after
        Detections, or results that have them.
    kept
        Intersection over union from which a pair counts as the same place.
    moved
        Intersection over union from which a pair counts as one thing that moved; below it, a thing is
        lost and another is new.

    Raises
    ------
    ValueError
        Where the pictures differ in size, or not 0 < moved ≤ kept ≤ 1.

    Examples
    --------
    >>> first = Detections([[0, 0, 10, 10], [20, 0, 30, 10]], ["cat", "dog"], (40, 40))
    >>> second = Detections([[2, 0, 12, 10], [20, 0, 30, 10]], ["cat", "dog"], (40, 40))
    >>> compare(first, second)
    Comparison(1 kept, 1 moved, 0 lost, 0 new)
    """
    one, two = detections_of(before), detections_of(after)
    if one.size != two.size:
        sizes = f"{by(one.size)} and {by(two.size)}"
        raise ValueError(f"The answers must refer to pictures of one size, got {sizes}.")
    if not 0 < moved <= kept <= 1:
        given = f"kept={kept} and moved={moved}"
        raise ValueError(f"kept and moved must satisfy 0 < moved ≤ kept ≤ 1, got {given}.")
    matched = sorted(_matches(one, two, moved))
    pairs = [Pair(one[row], two[column], iou) for row, column, iou in matched]
    rows, columns = ({match[side] for match in matched} for side in (0, 1))
    return Comparison(
        tuple(pair for pair in pairs if pair.iou >= kept),
        tuple(pair for pair in pairs if pair.iou < kept),
        one[[row for row in range(len(one)) if row not in rows]],
        two[[column for column in range(len(two)) if column not in columns]],
    )


def detections_of(answer: Detections | HasDetections) -> Detections:
    """Return detections as they are, and those of a result."""
    return answer if isinstance(answer, Detections) else answer.detections


def _matches(one: Detections, two: Detections, least: float) -> Iterator[tuple[int, int, float]]:
    same = np.array(one.labels, object)[:, None] == np.array(two.labels, object)[None, :]
    ious = np.where(same, overlaps(one.xyxy, two.xyxy), 0.0)
    rows, columns = np.nonzero(ious >= least)
    free = np.ones_like(same, dtype=bool)
    for index in np.argsort(-ious[rows, columns], kind="stable"):
        row, column = int(rows[index]), int(columns[index])
        if free[row, column]:
            free[row, :] = free[:, column] = False
            yield row, column, float(ious[row, column])
