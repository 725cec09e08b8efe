"""Describe a result in words, for screen readers, terminals and captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm._text import count, shorten, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbvlm.grounding import Detections
    from nbvlm.result.values import ResultData

__all__ = ["alt_text", "count", "plain", "shorten", "summary", "tally", "visible", "where"]

_SHOWN = 6
_ALT = 800
_NOTE = 300


def where(box: Sequence[float], size: tuple[int, int]) -> str:
    """Name the place of a box: the third of the picture, across and down, that its middle lies in.

    >>> where((0, 0, 20, 20), (100, 100)), where((40, 40, 60, 60), (100, 100))
    ('top left', 'centre')
    """
    width, height = size
    x0, x1 = sorted(min(max(x, 0.0), width) for x in (box[0], box[2]))
    y0, y1 = sorted(min(max(y, 0.0), height) for y in (box[1], box[3]))
    if (x1 - x0) * (y1 - y0) >= 0.8 * width * height:
        return "filling the picture"
    thirds = [min(2, int(share * 3)) for share in ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height)]
    return f"{('top ', '', 'bottom ')[thirds[1]]}{('left', '', 'right')[thirds[0]]}".strip() or "centre"


def tally(detections: Detections) -> dict[str, list[str]]:
    """List the places of the detections by label, in the order of the answer, from left to right."""
    places: dict[str, list[tuple[float, str]]] = {}
    for label, box in zip(detections.labels, detections.xyxy.tolist(), strict=True):
        places.setdefault(label, []).append((box[0] + box[2], where(box, detections.size)))
    return {label: [place for _, place in sorted(found)] for label, found in places.items()}


def alt_text(result: ResultData) -> str:
    """Describe the annotated picture for people who do not see it.

    ``2 cats: left, right; 1 dog: bottom right. Picture cat.jpg, 640 by 480 pixels.``
    """
    name = f"Picture {result.picture.name}" if result.picture.name else "Picture"
    size = f"{name}, {result.picture.width} by {result.picture.height} pixels."
    said = f"{shorten(summary(result, places=True), _ALT)} {size}"
    if result.notices:
        said += f" Note: {shorten(' '.join(result.notices), _NOTE)}"
    return visible(said)


def summary(result: ResultData, *, places: bool = False) -> str:
    """Write the detections, or else the answer, in one sentence."""
    groups = tally(result.detections)
    if groups:
        return "; ".join(_group(label, found, places) for label, found in groups.items()) + "."
    text = " ".join(result.text.split())
    if not text:
        return "The answer is empty."
    if result.has_locations:
        return "No box could be read from the answer."
    return shorten(text, 200)


def _group(label: str, places: list[str], with_places: bool) -> str:
    head = count(len(places), label)
    if not with_places:
        return head
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return f"{head}: {', '.join(places[:_SHOWN])}{more}"


def facts(result: ResultData) -> list[str]:
    """List the facts of the answer: model, time, route, tokens, and why it ended early."""
    found = [result.model, f"{result.timing.total_s:.2f} s", result.route]
    if result.usage is not None and result.usage.completion_tokens is not None:
        found.append(f"{result.usage.completion_tokens} tokens")
    if result.finish_reason == "length":
        found.append("cut off at max_tokens")
    return found


def plain(result: ResultData, rows: int = 20) -> str:
    """Lay a result out for a terminal: the answer, a table of the detections, problems, notices, facts."""
    lines = [f"{shorten(result.prompt, 200)!r} → {shorten(summary(result), _ALT)}"]
    detections = result.detections
    wide = min(32, max((len(label) for label in detections.labels[:rows]), default=0))
    for label, box in zip(detections.labels[:rows], detections.xyxy.tolist(), strict=False):
        corners = " ".join(f"{value:8.1f}" for value in box)
        lines.append(f"  {shorten(label, 32) or '?':<{wide}}  {corners}  {where(box, detections.size)}")
    if len(detections) > rows:
        lines.append(f"  … and {len(detections) - rows} more")
    lines += [f"  at character {item.position}: {item.message}" for item in result.problems[:rows]]
    lines += [f"  {shorten(notice, 200)}" for notice in result.notices[:rows]]
    return visible("\n".join([*lines, f"  ({', '.join(facts(result))})"]))
