"""Measure answers against ground truth, with the numbers of COCO's evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nbvlm.grounding.checks import overlaps
from nbvlm.grounding.detections import Detections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbvlm.grounding.masks.types import MaskCrop

__all__ = ["Evaluation", "evaluate"]

_THRESHOLDS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well answers agree with the truth.

    A number that is not defined is ``nan``: precision without detections, recall and AP without ground truth,
    mean IoU without matches.

    Attributes
    ----------
    precision
        Share of the detections that are correct, at the requested threshold.
    recall
        Share of the truth that was found, at the threshold asked for.
    mean_iou
        Mean overlap of the matched pairs, at the threshold asked for.
    ap50
        Average precision at an overlap of 0.5, mean over labels.
    ap
        The same, mean over overlaps 0.5, 0.55 … 0.95.
    labels
        `ap` of each label of the truth.
    found, truth, matched
        How many detections there are, how many things, how many of both are pairs.
    """

    precision: float
    recall: float
    mean_iou: float
    ap50: float
    ap: float
    labels: Mapping[str, float]
    found: int
    truth: int
    matched: int


class _Case(NamedTuple):
    """One label in one picture, detections best first."""

    ious: Numbers  # detections × things
    scores: Numbers


def evaluate(
    found: Any,
    truth: Any,
    *,
    scores: Sequence[npt.ArrayLike] | npt.ArrayLike | None = None,
    iou: float = 0.5,
    by: Literal["box", "mask"] = "box",
    most: int = 100,
) -> Evaluation:
    """Measure answers against ground truth; AP agrees with COCO's own evaluation.

    Average precision needs an order. An answer in tokens has no scores: without `scores` all count as equal,
    and equal ones are taken in the order of the pictures and of each answer, as pycocotools takes them. AP
    then measures how clean the answers are, not how well the model ranks; a model that names the sure things
    first still gains.

    Parameters
    ----------
    found, truth
        `Detections` or results for one picture, or iterables of them with one element a picture. Labels
        must be equal to match.
    scores
        One number a detection, higher is surer: an array, or a sequence of them.
    iou
        Overlap that precision, recall and mean IoU ask for.
    by
        Overlap of boxes or of masks.
    most
        How many detections of one label in one picture count for AP; COCO's number.

    Raises
    ------
    ValueError
        For answers and truths of different pictures, scores of another length, or missing masks.

    Examples
    --------
    >>> truth = Detections([[0, 0, 10, 10], [20, 0, 30, 10]], ["cat", "cat"], (40, 40))
    >>> found = Detections([[0, 0, 10, 10]], ["cat"], (40, 40))
    >>> outcome = evaluate(found, truth)
    >>> outcome.precision, outcome.recall, round(outcome.ap50, 3)
    (1.0, 0.5, 0.505)
    """
    answers, truths = _pictures(found), _pictures(truth)
    if [one.size for one in answers] != [one.size for one in truths]:
        pictures = f"{len(answers)} and {len(truths)} pictures"
        raise ValueError(f"found and truth must list the same pictures, of the same sizes, got {pictures}.")
    ranks = _ranks(scores, answers, not _is_one(found))
    cases: dict[str, list[_Case]] = {}
    for one, two, rank in zip(answers, truths, ranks, strict=True):
        _add(cases, one, two, rank, by)
    counts = sum(map(len, answers)), sum(map(len, truths))
    pairs = [
        float(case.ious[row, column])
        for group in cases.values()
        for case in group
        for row, column in enumerate(_hits(case.ious, iou))
        if column >= 0
    ]
    tables = {label: _average_precisions(group, most) for label, group in cases.items()}
    known = {label: table for label, table in tables.items() if table is not None}
    return Evaluation(
        precision=len(pairs) / counts[0] if counts[0] else np.nan,
        recall=len(pairs) / counts[1] if counts[1] else np.nan,
        mean_iou=float(np.mean(pairs)) if pairs else np.nan,
        ap50=float(np.mean([table[0] for table in known.values()])) if known else np.nan,
        ap=float(np.mean([table.mean() for table in known.values()])) if known else np.nan,
        labels={label: float(table.mean()) for label, table in sorted(known.items())},
        found=counts[0],
        truth=counts[1],
        matched=len(pairs),
    )


def _is_one(given: Any) -> bool:
    return isinstance(given, Detections) or hasattr(given, "detections")


def _pictures(given: Any) -> list[Detections]:
    many = [given] if _is_one(given) else given
    return [one if isinstance(one, Detections) else one.detections for one in many]


def _ranks(scores: Any, answers: list[Detections], many: bool) -> list[Numbers]:
    if scores is None:
        return [np.ones(len(answer)) for answer in answers]
    ranks = [np.asarray(one, float) for one in (scores if many else [scores])]
    if [rank.shape for rank in ranks] != [(len(answer),) for answer in answers]:
        rule = "one array a picture, as long as its detections"
        raise ValueError(f"scores must hold one number per detection: {rule}.")
    return ranks


def _add(
    cases: dict[str, list[_Case]], found: Detections, truth: Detections, scores: Numbers, by: str
) -> None:
    said, true = np.array(found.labels, object), np.array(truth.labels, object)
    for label in dict.fromkeys((*truth.labels, *found.labels)):
        rows = np.flatnonzero(said == label)
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        columns = np.flatnonzero(true == label)
        pair = found[rows], truth[columns]
        ious = overlaps(pair[0].xyxy, pair[1].xyxy) if by == "box" else _mask_overlaps(*pair)
        cases.setdefault(label, []).append(_Case(ious, scores[rows]))


def _hits(ious: Numbers, threshold: float) -> npt.NDArray[np.intp]:
    """Let each detection, best first, take the free thing that it overlaps most; −1 for none."""
    free = ious.copy()
    hits = np.full(len(ious), -1)
    if not ious.shape[1]:
        return hits
    for row in range(len(ious)):
        # Of equal overlaps COCO takes the last.
        column = ious.shape[1] - 1 - int(np.argmax(free[row, ::-1]))
        if free[row, column] >= min(threshold, 1 - 1e-10):
            hits[row] = column
            free[:, column] = -1.0
    return hits


def _average_precisions(cases: list[_Case], most: int) -> Numbers | None:
    """One number for each of the ten thresholds, or None for a label that the truth lacks."""
    things = sum(case.ious.shape[1] for case in cases)
    if not things:
        return None
    order = np.argsort(-np.concatenate([case.scores[:most] for case in cases]), kind="stable")
    table = []
    for threshold in _THRESHOLDS:
        hits = np.concatenate([_hits(case.ious[:most], threshold) >= 0 for case in cases])
        table.append(_area(hits[order], things))
    return np.array(table)


def _area(hits: npt.NDArray[np.bool_], things: int) -> float:
    """Area under the precision–recall curve, at COCO's 101 recalls."""
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    best_after = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(right / things, _RECALLS, side="left")
    return float(np.append(best_after, 0.0)[np.minimum(at, len(hits))].mean())


def _mask_overlaps(found: Detections, truth: Detections) -> Numbers:
    ours, theirs = found.mask_crops, truth.mask_crops
    table = np.array([[_mask_overlap(one, two) for two in theirs] for one in ours])
    return table.reshape(len(ours), len(theirs))


def _mask_overlap(one: MaskCrop | None, two: MaskCrop | None) -> float:
    if one is None or two is None:
        raise ValueError('by="mask" needs a mask for every detection.')
    x0, y0 = max(one.x, two.x), max(one.y, two.y)
    x1 = min(one.x + one.pixels.shape[1], two.x + two.pixels.shape[1])
    y1 = min(one.y + one.pixels.shape[0], two.y + two.pixels.shape[0])
    if x0 >= x1 or y0 >= y1:
        return 0.0
    first, second = (mask.pixels[y0 - mask.y : y1 - mask.y, x0 - mask.x : x1 - mask.x] for mask in (one, two))
    shared = int(np.count_nonzero(first & second))
    union = int(np.count_nonzero(one.pixels)) + int(np.count_nonzero(two.pixels)) - shared
    return shared / union if union else 0.0
