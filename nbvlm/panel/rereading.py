"""Read the numbers of an answer again, where its boxes look wrong: another order, another scale."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from nbvlm.grounding import Detections
    from nbvlm.result import Result

__all__ = ["caveats", "reading_of", "reread"]

_ORDERS = {"xyxy": "x before y", "yxyx": "y before x"}
_BEGIN = "The numbers of the boxes were read again: "


def reading_of(detections: Detections) -> dict[str, Any] | None:
    """Return how the first numbers of an answer are read: `order`, and the `scale` of both sides.

    None if the answer has no numbers that can be read again.
    """
    readings = zip(detections.raw, detections.readings, strict=True)
    found = next((reading for raw, reading in readings if raw is not None and reading is not None), None)
    return None if found is None else {"order": found.order, "scale": list(found.frame)}


def reread(result: Result, order: Literal["xyxy", "yxyx"], scale: tuple[float, float] | None) -> Result:
    """Return a result whose boxes are read in another order, and on another scale unless it is None."""
    detections = result.detections.reproject(order=order, scale=scale)
    read = reading_of(detections)
    on = " on a scale of {:g} × {:g}".format(*read["scale"]) if read else ""
    return replace(
        result, detections=detections, notices=(*caveats(result), f"{_BEGIN}{_ORDERS[order]}{on}.")
    )


def caveats(result: Result) -> list[str]:
    """Return the notices of the answer itself, without the one that its boxes were read again."""
    return [notice for notice in result.notices if not notice.startswith(_BEGIN)]
