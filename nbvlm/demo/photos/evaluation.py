"""Measure the detector on photographs whose objects are known, with COCO's own measures."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm.demo.photos import detector
from nbvlm.demo.photos.kinds import KINDS
from nbvlm.errors import Error
from nbvlm.images import Picture

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MEASURES", "evaluate", "table"]

MEASURES = (
    ("average precision, IoU 0.50 to 0.95", 0),
    ("average precision, IoU 0.50", 1),
    ("average precision, small things", 3),
    ("average precision, medium things", 4),
    ("average precision, large things", 5),
    ("average recall, at most 100 boxes", 8),
)
"""Names of the measures, and their places among the twelve of COCO."""
_OVERALL = ("precision of the boxes", "recall of the things")


def evaluate(folder: Path, truth: Path) -> dict[str, float]:
    """Detect the things in all pictures that a COCO file lists, and compare.

    Parameters
    ----------
    folder
        Where the pictures lie.
    truth
        A COCO file of instances (images, annotations, categories), such as `instances_val2017.json`;
        categories are matched by their names.

    Returns
    -------
    dict
        The measures in `MEASURES`, and precision and recall of the detector's boxes, with an intersection
        over union of at least 0.5; each from 0 to 1, or -1 where the truth has no such things.

    Raises
    ------
    Error
        If pycocotools is not installed, the file is not a COCO file, or a picture is missing.
    """
    coco = require("pycocotools.coco", purpose="The evaluation on photographs")
    cocoeval = require("pycocotools.cocoeval", purpose="The evaluation on photographs")
    known = _read(truth)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
        expected = coco.COCO()
        expected.dataset = known
        expected.createIndex()
        boxes = _boxes(folder, known)
        if not boxes:
            return dict.fromkeys((*(name for name, _ in MEASURES), *_OVERALL), 0.0)
        made = cocoeval.COCOeval(expected, expected.loadRes(boxes), "bbox")
        made.evaluate()
        made.accumulate()
        made.summarize()
    return {name: float(made.stats[at]) for name, at in MEASURES} | _at_the_floor(made)


def table(measures: dict[str, float]) -> str:
    """Return the measures as text, a line each."""
    return "".join(f"{name:38}{value:7.3f}\n" for name, value in measures.items())


def _read(truth: Path) -> dict[str, Any]:
    try:
        known = json.loads(truth.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Error(f"{str(truth)!r} cannot be read as JSON: {error}") from None
    lists = ("images", "annotations", "categories")
    if not isinstance(known, dict) or not all(isinstance(known.get(name), list) for name in lists):
        raise Error(
            f"{str(truth)!r} is not a COCO file of instances: the lists images, annotations and categories "
            "are needed."
        )
    known.setdefault("info", {})
    for number, entry in enumerate(known["annotations"]):
        entry.setdefault("iscrowd", 0)
        entry.setdefault("id", number + 1)
        entry.setdefault("area", entry["bbox"][2] * entry["bbox"][3])
    return known


def _boxes(folder: Path, known: dict[str, Any]) -> list[dict[str, Any]]:
    """Detect; each box in COCO's form, pixels from the upper left corner with width and height."""
    categories = {category["name"]: category["id"] for category in known["categories"]}
    boxes = []
    for entry in known["images"]:
        image = Picture.load(folder / entry["file_name"]).image()
        for found in detector.detect(image):
            category = categories.get(KINDS[found.kind].name)
            if category is not None:
                x0, y0, x1, y1 = found.box
                width, height = image.size
                box = [x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height]
                boxes.append(
                    {"image_id": entry["id"], "category_id": category, "bbox": box, "score": found.score}
                )
    return boxes


def _at_the_floor(made: Any) -> dict[str, float]:
    """Precision and recall of all boxes, with the smallest overlap of COCO's, 0.5."""
    right = boxes = things = 0
    for one in made.evalImgs:
        if one is None or one["aRng"] != made.params.areaRng[0]:
            continue
        kept = ~one["dtIgnore"][0].astype(bool)
        right += int((one["dtMatches"][0][kept] > 0).sum())
        boxes += int(kept.sum())
        things += int((~one["gtIgnore"].astype(bool)).sum())
    return dict(
        zip(_OVERALL, (right / boxes if boxes else -1.0, right / things if things else -1.0), strict=True)
    )
