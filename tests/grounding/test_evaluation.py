"""Answers against the truth, beside pycocotools."""

from __future__ import annotations

import contextlib
import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nbvlm import Detections
from nbvlm.grounding.evaluation import evaluate

SIZE = (200, 150)
LABELS = ("cat", "dog", "bird")


def scene(draw: np.random.Generator, whole: bool) -> tuple[Detections, Detections]:
    """A truth, and an answer that finds most of it, moved a little, among inventions and repetitions."""
    count = int(draw.integers(0, 9))
    low = draw.uniform(0, 100, (count, 2))
    boxes = np.hstack([low, low + draw.uniform(4, 50, (count, 2))])
    labels = draw.choice(LABELS[: int(draw.integers(1, 4))], count).tolist()
    kept = draw.random(count) < 0.8
    moved = np.vstack(
        [boxes[kept] + draw.normal(0, 3, (kept.sum(), 4)), boxes[:2], draw.uniform(0, 90, (2, 4))]
    )
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    said = [label for label, keep in zip(labels, kept, strict=True) if keep] + labels[:2]
    said += draw.choice([*LABELS, "fox"], 2).tolist()
    order = draw.permutation(len(moved))
    if whole:
        boxes, moved = boxes.round(), moved.round()
    return (
        Detections(moved[order], [said[at] for at in order], SIZE),
        Detections(boxes, labels, SIZE),
    )


def coco(
    found: list[Detections], truth: list[Detections], scores: Any, kind: str = "bbox"
) -> tuple[float, float]:
    """AP and AP50 by pycocotools."""
    coco_module = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    from pycocotools.cocoeval import COCOeval

    names = sorted({label for one in found + truth for label in one.labels})
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco_module.COCO()
        known.dataset = {
            "info": {},
            "images": [{"id": at + 1, "width": SIZE[0], "height": SIZE[1]} for at in range(len(truth))],
            "categories": [{"id": at + 1, "name": name} for at, name in enumerate(names)],
            "annotations": [
                row | {"id": number + 1, "iscrowd": 0}
                for number, row in enumerate(rows(truth, names, None, kind))
            ],
        }
        known.createIndex()
        run = COCOeval(known, known.loadRes(list(rows(found, names, scores, kind))), kind)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats[0], run.stats[1]


def rows(pictures: list[Detections], names: list[str], scores: Any, kind: str) -> Any:
    from pycocotools import mask as tools

    for picture, detections in enumerate(pictures):
        for at, one in enumerate(detections):
            x0, y0, x1, y1 = one.box
            row = {"image_id": picture + 1, "category_id": names.index(one.label) + 1}
            row |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}
            if kind == "segm":
                row["segmentation"] = tools.encode(np.asfortranarray(one.mask.astype(np.uint8)))
            yield row | {"score": 1.0 if scores is None else float(scores[picture][at])}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("scored", ["no scores", "scores", "equal scores"])
def test_average_precision_agrees_with_pycocotools(seed: int, scored: str) -> None:
    draw = np.random.default_rng(seed)
    pictures = [scene(draw, whole=seed % 2 == 0) for _ in range(int(draw.integers(1, 8)))]
    found, truth = [list(side) for side in zip(*pictures, strict=True)]
    scores = {
        "no scores": None,
        "scores": [draw.random(len(one)) for one in found],
        "equal scores": [draw.integers(0, 3, len(one)) / 2 for one in found],
    }[scored]
    outcome = evaluate(found, truth, scores=scores)
    expected = coco(found, truth, scores)
    if not sum(map(len, truth)):
        assert np.isnan(outcome.ap)
        assert expected == (-1, -1)
    else:
        assert (outcome.ap, outcome.ap50) == pytest.approx(expected, abs=1e-6)


def test_more_than_a_hundred_detections_agree_too() -> None:
    draw = np.random.default_rng(3)
    low = draw.uniform(0, 100, (150, 2))
    boxes = np.hstack([low, low + 20])
    truth = Detections(boxes, ["cat"] * 150, SIZE)
    found = Detections(boxes + draw.normal(0, 1, boxes.shape), ["cat"] * 150, SIZE)
    scores = draw.random(150)
    outcome = evaluate(found, truth, scores=scores)
    assert (outcome.ap, outcome.ap50) == pytest.approx(coco([found], [truth], [scores]), abs=1e-6)
    assert evaluate(found, truth, scores=scores, most=150).ap50 > outcome.ap50


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_of_masks_agrees_with_pycocotools(seed: int) -> None:
    draw = np.random.default_rng(seed)
    found, truth = [], []
    for _ in range(3):
        pair = scene(draw, whole=True)
        for side, plain in zip((found, truth), pair, strict=True):
            side.append(
                Detections(plain.xyxy, plain.labels, SIZE, masks=[ellipse(box) for box in plain.xyxy])
            )
    outcome = evaluate(found, truth, by="mask")
    assert (outcome.ap, outcome.ap50) == pytest.approx(coco(found, truth, None, "segm"), abs=1e-6)


def ellipse(box: Any) -> Any:
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    (x0, y0, x1, y1) = box
    return ((columns - (x0 + x1) / 2) / (x1 - x0)) ** 2 + ((rows - (y0 + y1) / 2) / (y1 - y0)) ** 2 <= 0.25


def one(*boxes: tuple[float, float, float, float], label: str = "cat") -> Detections:
    return Detections(list(boxes), [label] * len(boxes), SIZE)


def test_counts_and_shares() -> None:
    truth = one((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)) + one((0, 50, 10, 60), label="dog")
    found = one((0, 0, 10, 8), (20, 0, 30, 10), (20, 0, 30, 10), (90, 90, 99, 99))
    outcome = evaluate(found, truth)
    assert (outcome.found, outcome.truth, outcome.matched) == (4, 4, 2)
    assert (outcome.precision, outcome.recall) == (0.5, 0.5)
    assert outcome.mean_iou == pytest.approx(0.9)
    assert outcome.labels == {"cat": pytest.approx(outcome.ap * 2), "dog": 0.0}
    strict = evaluate(found, truth, iou=0.9)
    assert (strict.precision, strict.recall, strict.mean_iou) == (0.25, 0.25, 1.0)
    assert strict.ap == outcome.ap


def test_the_order_of_an_answer_without_scores_counts() -> None:
    truth, right, wrong = one((0, 0, 10, 10)), one((0, 0, 10, 10)), one((90, 90, 99, 99))
    assert evaluate(right + wrong, truth).ap50 == pytest.approx(1.0)
    assert evaluate(wrong + right, truth).ap50 == pytest.approx(0.5)
    assert evaluate(wrong + right, truth, scores=[0.1, 0.9]).ap50 == pytest.approx(1.0)


def test_what_is_not_defined_is_nan() -> None:
    nothing, something = Detections.empty(SIZE), one((0, 0, 10, 10))
    assert np.isnan([*numbers(evaluate(nothing, nothing))]).all()
    unfound = evaluate(nothing, something)
    assert (unfound.recall, unfound.ap, unfound.ap50) == (0, 0, 0)
    assert np.isnan([unfound.precision, unfound.mean_iou]).all()
    invented = evaluate(something, nothing)
    assert invented.precision == 0
    assert np.isnan([invented.recall, invented.ap]).all()


def numbers(outcome: Any) -> Any:
    return outcome.precision, outcome.recall, outcome.mean_iou, outcome.ap50, outcome.ap


def test_perfect_answers_and_results() -> None:
    truth = one((0, 0, 10, 10), (20, 0, 30, 10))
    answer = SimpleNamespace(detections=truth)
    assert numbers(evaluate(answer, truth)) == pytest.approx((1, 1, 1, 1, 1))
    assert numbers(evaluate((answer for _ in range(2)), (truth, truth))) == pytest.approx((1, 1, 1, 1, 1))


def test_swapped_boxes_match_nothing() -> None:
    truth = one((0, 0, 10, 10))
    assert evaluate(one((10, 10, 0, 0)), truth).matched == 0


def test_what_does_not_fit_is_refused() -> None:
    truth = one((0, 0, 10, 10))
    with pytest.raises(ValueError, match="same pictures"):
        evaluate([truth], [truth, truth])
    with pytest.raises(ValueError, match="same sizes"):
        evaluate(Detections.empty((7, 7)), truth)
    with pytest.raises(ValueError, match="score"):
        evaluate(truth, truth, scores=[0.5, 0.5])
    with pytest.raises(ValueError, match="mask"):
        evaluate(truth, truth, by="mask")
