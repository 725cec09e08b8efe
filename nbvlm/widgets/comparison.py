"""Pinned answers side by side, and what became of each thing: kept, moved, lost or new."""

from __future__ import annotations

import difflib
import threading
from typing import TYPE_CHECKING, Any

import anywidget

from nbvlm import prompts
from nbvlm.draw import annotate, assign_colors, css_color, ink_color
from nbvlm.errors import ImageError
from nbvlm.grounding import compare
from nbvlm.images import encoded
from nbvlm.result import where
from nbvlm.widgets import thumbnails
from nbvlm.widgets.esm import script, style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nbvlm.grounding import Comparison, Detection, Pair
    from nbvlm.panel import Kept
    from nbvlm.result import Result

__all__ = ["Sides", "columns", "picture_of", "said"]

#: Pixels of the longer side of a picture here.
SIDE = 640


class Sides(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Shows two or more answers beside each other; is not seen while there are fewer.

    Parameters
    ----------
    on_message
        Called with each message of a page that asks for something: "show" or "pin".
    """

    _esm = script("comparison")
    _css = style("comparison")

    def __init__(self, on_message: Callable[[Mapping[str, Any]], None]) -> None:
        self._lock = threading.RLock()
        self._pinned: tuple[Kept, ...] = ()
        self._columns: list[dict[str, Any]] = []
        self._pictures: dict[int, bytes] = {}
        self._on_message = on_message
        super().__init__()
        self.on_msg(Sides.receive)

    def receive(self, message: Mapping[str, Any], _buffers: Sequence[Any]) -> None:
        """Take one message of a page."""
        if message.get("type") == "hello":
            self.send_all()
        else:
            self._on_message(message)

    def update(self, pinned: Sequence[Kept]) -> None:
        """Compare these; the first is what all others about the same picture are compared with."""
        with self._lock:
            if tuple(pinned) == self._pinned:
                return
            self._pinned = tuple(pinned)
            known, self._pictures = self._pictures, {}
            if len(pinned) > 1:
                self._pictures = {
                    one.number: known.get(one.number) or picture_of(one.result) for one in pinned
                }
            self._columns = columns(pinned) if len(pinned) > 1 else []
            self.send_all()

    def send_all(self) -> None:
        """Send everything, to a page that asks for it."""
        with self._lock:
            buffers = [self._pictures[column["number"]] for column in self._columns]
            self.send({"type": "sides", "columns": self._columns}, buffers=buffers)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._columns)} answers>"


def picture_of(result: Result) -> bytes:
    """Draw a result's masks on a copy of its picture that fits a column; empty without its bytes."""
    try:
        small = result.picture.thumbnail(SIDE)
    except ImageError:
        return b""
    things = prompts.things(result.prompt)
    drawn = annotate(small, result.detections, things=things, boxes=False, labels=False)
    return encoded(drawn, "JPEG", quality=85)


def columns(pinned: Sequence[Kept]) -> list[dict[str, Any]]:
    """Describe pinned answers for the browser, each compared with the first about the same picture.

    Parameters
    ----------
    pinned
        In the order in which they are shown.

    Returns
    -------
    list of dict
        For each what its card says; `width` and `height` of the picture; `boxes` with label, corners, colours
        and `state` ("plain", "kept", "moved", "lost", "new"); `counts` by state, or None for an answer that
        the others are compared with; `words`: pieces of the answer with their state.
    """
    things = [thing for one in pinned for thing in prompts.things(one.result.prompt)]
    labels = [label for one in pinned for label in one.result.detections.labels]
    paint = _paints([*things, *labels])
    first: dict[str, Kept] = {}
    return [_column(one, first.setdefault(one.result.picture.sha256, one), paint) for one in pinned]


def _paints(labels: Iterable[str]) -> dict[str, tuple[str, str]]:
    return {
        label: (css_color(color), css_color(ink_color(color)))
        for label, color in assign_colors(labels).items()
    }


def _column(one: Kept, base: Kept, paint: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    result = one.result
    column = thumbnails.card(one) | {
        "width": result.picture.width,
        "height": result.picture.height,
        "base": base.number,
    }
    if one is base:
        boxes = [_box(found, paint, "plain") for found in result.detections]
        return column | {"boxes": boxes, "counts": None, "words": [(result.text, "plain")]}
    comparison = compare(base.result, result)
    boxes = list(_compared(comparison, paint))
    states = [box["state"] for box in boxes]
    counts = {state: states.count(state) for state in ("kept", "moved", "lost", "new")}
    return column | {"boxes": boxes, "counts": counts, "words": said(base.result, result)}


def _compared(comparison: Comparison, paint: Mapping[str, tuple[str, str]]) -> Iterable[dict[str, Any]]:
    for pair in comparison.kept:
        yield _box(pair.after, paint, "kept", note=f"overlap {pair.iou:.0%}")
    for pair in comparison.moved:
        before = [round(value, 1) for value in pair.before.box]
        yield _box(pair.after, paint, "moved", note=f"{_way(pair)}, overlap {pair.iou:.0%}", before=before)
    size = comparison.new.size
    for state, found in (("lost", comparison.lost), ("new", comparison.new)):
        for one in found:
            yield _box(one, paint, state, note=where(one.box, size))


def _box(found: Detection, paint: Mapping[str, tuple[str, str]], state: str, **more: Any) -> dict[str, Any]:
    color, ink = paint[found.label]
    corners = [round(float(value), 1) for value in found.box]
    return {"label": found.label, "box": corners, "color": color, "ink": ink, "state": state, **more}


def _way(pair: Pair) -> str:
    """Say how far a box went.

    The sides of a box may change while its middle stays.
    """
    across, down = (round(value) for value in pair.shift)
    parts = [f"{abs(across)} px {'right' if across > 0 else 'left'}" if across else ""]
    parts.append(f"{abs(down)} px {'down' if down > 0 else 'up'}" if down else "")
    return " and ".join(filter(None, parts)) or "another size"


def said(before: Result, after: Result) -> list[tuple[str, str]]:
    """Compare two answers word by word.

    Returns
    -------
    list of (str, str)
        Pieces of the second answer ("same" or "new") and, where they were, of the first ("gone"). Answers
        with boxes are not taken apart: their boxes are compared.
    """
    if before.has_locations or after.has_locations:
        return [(after.text, "plain")]
    one, two = before.text.split(), after.text.split()
    pieces: list[tuple[str, str]] = []
    matcher = difflib.SequenceMatcher(None, one, two, autojunk=False)
    for kind, a0, a1, b0, b1 in matcher.get_opcodes():
        if kind == "equal":
            pieces.append((" ".join(two[b0:b1]), "same"))
            continue
        pieces += [(" ".join(one[a0:a1]), "gone")] if a1 > a0 else []
        pieces += [(" ".join(two[b0:b1]), "new")] if b1 > b0 else []
    return pieces
