"""Detections as the rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm._text import encodable
from nbvlm.grounding.masks.lazy import decoded

if TYPE_CHECKING:
    import pandas as pd

    from nbvlm.grounding.detections import Detections
    from nbvlm.grounding.origin import Origin

__all__ = ["PLACES", "SOURCES", "dataframe", "rows"]

PLACES = (
    "label", "x0", "y0", "x1", "y1", "width", "height", "area", "mask_area",
    "x0_norm", "y0_norm", "x1_norm", "y1_norm",
)  # fmt: skip
"""Columns of every table."""
SOURCES = ("model", "endpoint", "notices")
"""Further columns where the answer is known that the detections are from."""


def rows(found: Detections, origin: Origin | None) -> list[tuple[Any, ...]]:
    """Return one row a detection, in the order of `PLACES` and, with an origin, `SOURCES`."""
    width, height = found.size
    source = (origin.model, origin.endpoint, " ".join(origin.notices)) if origin is not None else ()
    table = []
    columns = found.labels, found.xyxy.tolist(), found.areas.tolist(), decoded(found).mask_crops
    for label, box, area, crop in zip(*columns, strict=True):
        x0, y0, x1, y1 = box
        mask_area = int(crop.pixels.sum()) if crop is not None else None
        norm = (x0 / width, y0 / height, x1 / width, y1 / height)
        table.append((label, *box, x1 - x0, y1 - y0, area, mask_area, *norm, *source))
    return table


def dataframe(found: Detections, origin: Origin | None) -> pd.DataFrame:
    """Make a pandas table of the rows."""
    pandas = require("pandas", extra="pandas", purpose="A table")
    table = [
        [encodable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows(found, origin)
    ]
    columns = [*PLACES, *(SOURCES if origin is not None else ())]
    frame: pd.DataFrame = pandas.DataFrame(table, columns=columns)
    texts = ["label", *columns[len(PLACES) :]]
    return frame.astype(
        dict.fromkeys(columns, "float64") | dict.fromkeys(texts, "str") | {"mask_area": "Int64"}
    )
