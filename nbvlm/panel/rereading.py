"""Read the numbers of an answer again, where its boxes look wrong: another order, another scale."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from nbvlm.widgets import reading_of

if TYPE_CHECKING:
    from nbvlm.result import Result

__all__ = ["caveats", "reread"]

_ORDERS = {"xyxy": "x before y", "yxyx": "y before x"}
_BEGIN = "The numbers of the boxes were read again: "


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
