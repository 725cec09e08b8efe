"""Read the phrases that kosmos-2 returns beside its text, each with boxes in shares of the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm.grounding.detections import Detection
from nbvlm.grounding.problems import Problem

if TYPE_CHECKING:
    from nbvlm.grounding.masks.types import Box, Size

__all__ = ["read"]

_EXCERPT = 80
_FAR = 1e9


def read(entities: Any, size: Size) -> tuple[list[Detection], list[Problem]]:
    """Turn entities into detections, one a box, in the order of the answer, with their problems.

    An entity has a `phrase`, its `substring` (start and end in the text) and `bboxes`: x0, y0, x1, y1 from 0
    to 1 each. An unreadable box is left out, its neighbours stay.

    >>> read([{"phrase": "a snowman", "substring": [12, 21], "bboxes": [[0.25, 0.5, 0.75, 1]]}], (640, 480))
    ([Detection('a snowman', (160.0, 240.0, 480.0, 480.0))], [])
    """
    found: list[Detection] = []
    problems: list[Problem] = []
    for entity in entities if isinstance(entities, list) else ():
        if not isinstance(entity, dict):
            continue
        phrase = entity.get("phrase")
        label = " ".join(phrase.split()) if isinstance(phrase, str) else ""
        boxes = entity.get("bboxes")
        for shares in boxes if isinstance(boxes, list) else ():
            kind = _wrong(shares)
            if kind is not None:
                problems.append(Problem(kind, _position(entity), f"{label} {shares}".strip()[:_EXCERPT]))
            if kind != "locations":
                found.append(Detection(label, _in_pixels(shares, size), size=size))
    return found, problems


def _wrong(shares: Any) -> str | None:
    if not (isinstance(shares, list) and len(shares) == 4 and all(map(_is_number, shares))):
        return "locations"
    x0, y0, x1, y1 = shares
    if min(shares) < 0 or max(shares) > 1:
        return "range"
    return "swapped" if x0 > x1 or y0 > y1 else "empty" if x0 == x1 or y0 == y1 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_FAR < value < _FAR


def _in_pixels(shares: list[float], size: Size) -> Box:
    (width, height), (x0, y0, x1, y1) = size, (min(max(share, 0.0), 1.0) for share in shares)
    return x0 * width, y0 * height, x1 * width, y1 * height


def _position(entity: dict[str, Any]) -> int:
    place = entity.get("substring")
    start = place[0] if isinstance(place, list) and place else 0
    return start if isinstance(start, int) and start >= 0 else 0
