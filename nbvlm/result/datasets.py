"""Export results as tables and data sets: pandas, CSV, COCO, YOLO, supervision.

Swapped corners of a box are put in order where a format demands it (COCO, YOLO, supervision); tables keep
them as the model wrote them.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from nbvlm._optional import require
from nbvlm._text import csv_cell, warn_outside
from nbvlm.grounding import PLACES, SOURCES, decoded, encode_rle, mask_outlines, polygon_area, table_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nbvlm.grounding import Detections, MaskCrop
    from nbvlm.result.values import ResultData

__all__ = [
    "UNLABELLED",
    "coco_annotations",
    "ordered",
    "to_coco",
    "to_csv",
    "to_supervision",
    "to_yolo",
]

COLUMNS = (*PLACES, *SOURCES)
UNLABELLED = "unlabelled"


def to_csv(result: ResultData) -> str:
    """Write the table as comma-separated values; no text is a formula for a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text)  # ends lines by CR LF, so that a label with either of them is put in quotes
    writer.writerow(COLUMNS)
    rows = table_rows(result.detections, result.detections.origin)
    writer.writerows(map(csv_cell, row) for row in rows)
    return text.getvalue()


def to_coco(
    result: ResultData,
    *,
    segmentation: str = "rle",
    image_id: int = 1,
    categories: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Make a COCO data set of one picture; see `Result.to_coco`."""
    if segmentation not in {"rle", "polygon"}:
        raise ValueError(f'segmentation must be "rle" or "polygon", got {segmentation!r}.')
    names = _names(result, categories)
    annotations = coco_annotations(
        result.detections, names, image_id=image_id, segmentation=segmentation, notices=result.notices
    )
    picture = result.picture
    image = {"id": image_id, "width": picture.width, "height": picture.height}
    return {
        "info": {
            "description": result.prompt,
            "contributor": result.model,
            "date_created": result.created,
            "endpoint": result.endpoint,
            "notices": list(result.notices),
        },
        "licenses": [],
        "images": [image | {"file_name": file_name(result)}],
        "annotations": annotations,
        "categories": [{"id": at, "name": name, "supercategory": ""} for at, name in enumerate(names, 1)],
    }


def coco_annotations(
    found: Detections,
    names: Sequence[str],
    *,
    image_id: int = 1,
    first: int = 1,
    segmentation: str = "rle",
    notices: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Write the annotations of one picture, numbered from `first` on; categories are numbered from 1 on."""
    labels = [label or UNLABELLED for label in found.labels]
    things = zip(labels, ordered(found).tolist(), _crops(found), found.points, strict=True)
    return [
        {"id": at, "image_id": image_id, "category_id": names.index(label) + 1, "iscrowd": 0}
        | _shape(box, crop, found.size, segmentation)
        | ({"keypoints": [*point, 2], "num_keypoints": 1} if point is not None else {})
        | ({"notices": list(notices)} if notices else {})
        for at, (label, box, crop, point) in enumerate(things, first)
    ]


def _crops(found: Detections) -> tuple[MaskCrop | None, ...]:
    """Return the masks; where they cannot be decoded, warn and return None for each."""
    crops, reason = decoded(found)
    if reason is not None:
        warn_outside(f"The masks are left out. {reason}")
    return crops


def _shape(box: list[float], crop: MaskCrop | None, size: tuple[int, int], form: str) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    bbox = [x0, y0, x1 - x0, y1 - y0]
    if crop is None or not crop.pixels.any():
        return {"bbox": bbox, "area": bbox[2] * bbox[3]}
    shape: Any = encode_rle(crop, size)
    if form == "polygon":
        shape = [[float(value) for point in outline for value in point] for outline in mask_outlines(crop)]
    return {"bbox": bbox, "area": float(crop.pixels.sum()), "segmentation": shape}


def to_yolo(result: ResultData, *, categories: Sequence[str] | None = None, segments: bool = False) -> str:
    """Write YOLO lines; see `Result.to_yolo`."""
    names = _names(result, categories)
    found = result.detections
    boxes = ordered(found)
    shapes = list(map(_outline, _crops(found), boxes)) if segments else list(map(_centred, boxes))
    lines = []
    for label, shape in zip(found.labels, shapes, strict=True):
        number = names.index(label or UNLABELLED)
        scaled = np.clip(np.asarray(shape, dtype=float).reshape(-1, 2) / found.size, 0.0, 1.0)
        lines.append(" ".join([str(number), *(f"{value:.6g}" for value in scaled.ravel())]) + "\n")
    return "".join(lines)


def _centred(box: npt.NDArray[np.float64]) -> list[float]:
    x0, y0, x1, y1 = box.tolist()
    return [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]


def _outline(crop: MaskCrop | None, box: npt.NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return the largest outline of the mask, or the box: a YOLO line holds one."""
    x0, y0, x1, y1 = box.tolist()
    if crop is None or not crop.pixels.any():
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return [(float(x), float(y)) for x, y in max(mask_outlines(crop), key=polygon_area)]


def to_supervision(result: ResultData) -> Any:
    """Make a `supervision.Detections`; see `Result.to_supervision`."""
    sv = require("supervision", purpose="to_supervision()")
    found = result.detections
    if not len(found):
        return sv.Detections.empty()
    crops, none = _crops(found), np.zeros(found.size[::-1], dtype=bool)
    masks = None
    if any(crop is not None for crop in crops):
        # Rows without a mask are false all over: supervision knows masks for all or for none.
        masks = np.array([none if crop is None else crop.spread(found.size) for crop in crops])
    names = list(dict.fromkeys(found.labels))
    return sv.Detections(
        xyxy=ordered(found),
        mask=masks,
        class_id=np.array([names.index(label) for label in found.labels]),
        data={"class_name": np.array(found.labels)},
    )


def file_name(result: ResultData) -> str:
    """Return the name of the picture's file, or one from its hash."""
    picture = result.picture
    return picture.name or f"{picture.sha256[:16]}.{'png' if picture.mime == 'image/png' else 'jpg'}"


def _names(result: ResultData, categories: Sequence[str] | None) -> list[str]:
    found = list(dict.fromkeys(label or UNLABELLED for label in result.detections.labels))
    if categories is None:
        return found
    missing = [name for name in found if name not in categories]
    if missing:
        listed = ", ".join(map(repr, missing))
        raise ValueError(f"categories must hold every label of the result; missing: {listed}.")
    return list(categories)


def ordered(found: Detections) -> npt.NDArray[np.float64]:
    """Return the boxes with their corners in order."""
    xyxy = found.xyxy
    return np.hstack([np.minimum(xyxy[:, :2], xyxy[:, 2:]), np.maximum(xyxy[:, :2], xyxy[:, 2:])])
