"""Pinned answers side by side, and which of their boxes are kept, moved, lost or new."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import prompts
from nbvlm.draw import annotate
from nbvlm.errors import ImageError
from nbvlm.grounding import compare
from nbvlm.images import encoded
from nbvlm.result import Result, where
from nbvlm.widgets._observers import Observed
from nbvlm.widgets._part import Part
from nbvlm.widgets._values import Typed
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Message, flag, whole
from nbvlm.widgets.thumbnails import card, label_colors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.grounding import Comparison as Compared
    from nbvlm.grounding import Detection, Pair
    from nbvlm.widgets.thumbnails import LabelColors, NumberedResult

__all__ = ["Comparison", "columns", "masked_picture", "word_changes"]

#: Pixels of the longer side of a picture here.
SIDE = 640


@dataclass(frozen=True, slots=True)
class Side:
    """An answer of a comparison, with its number there."""

    number: int
    result: Result
    pinned: bool = False


class ResultsTrait(Typed["tuple[Result, ...]", Any]):
    """Results, in the order in which they stand beside each other."""

    info_text = "an iterable of Result"

    def validate(self, _obj: Any, value: Any) -> tuple[Result, ...]:
        """Take results only."""
        found = tuple(value) if isinstance(value, Iterable) else (value,)
        if wrong := [one for one in found if not isinstance(one, Result)]:
            raise traitlets.TraitError(f"results must be results of a model, got {type(wrong[0]).__name__}.")
        return found


class Comparison(Observed, Part):
    """Show two or more answers beside each other, and which of their boxes are kept, moved, lost or new.

    The first answer about a picture is the one that the others about it are compared with. Fewer than two
    answers are not shown.

    Parameters
    ----------
    *results
        The answers, or one iterable of them.
    on_message
        Called with each message of the page that asks for something: "show" or "pin", and the number of the
        `answer`. Without it the page has no buttons for that.

    Attributes
    ----------
    results : tuple of Result
        The answers. Default: (). ``comparison.results = [first, second]``
    counts : tuple
        For each answer a dictionary of how many boxes are kept, moved, lost and new; None for those that
        others are compared with. Read-only.
        ``comparison.observe(lambda change: print(change.new), "counts")``

    Raises
    ------
    traitlets.TraitError
        For something else than results.

    Examples
    --------
    >>> nbvlm.widgets.Comparison(first, second)  # doctest: +SKIP
    """

    _esm = script("comparison", "colors", "theme", "comparison")
    messages = MappingProxyType({"show": Message(answer=whole), "pin": Message(answer=whole, pinned=flag)})

    results = ResultsTrait(default_value=())
    counts: Any = traitlets.Tuple(read_only=True)

    def __init__(
        self,
        *results: Result | Iterable[Result],
        on_message: Callable[[Mapping[str, Any]], None] | None = None,
        **traits: Any,
    ) -> None:
        self._sides: tuple[NumberedResult, ...] = ()
        self._columns: list[dict[str, Any]] = []
        self._pictures: dict[int, tuple[Result, bytes]] = {}
        super().__init__(on_message, **traits)
        if results:
            try:
                one = results[0]
                self.results = results if len(results) > 1 or isinstance(one, Result) else one
            except BaseException:
                self.close()
                raise

    @traitlets.observe("results")  # type: ignore[untyped-decorator]
    def _results_changed(self, change: Any) -> None:
        if change["new"] != tuple(side.result for side in self._sides):
            self.update([Side(at, result) for at, result in enumerate(change["new"], 1)])

    def update(self, sides: Sequence[NumberedResult]) -> None:
        """Compare answers that have numbers of their own."""
        with self._lock:
            if tuple(sides) == self._sides:
                return
            self._sides = tuple(sides)
            shown = self._sides if len(self._sides) > 1 else ()
            kept = self._pictures
            self._pictures = {}
            for one in shown:
                before = kept.get(one.number)
                same = before is not None and before[0] is one.result
                self._pictures[one.number] = (
                    before if same and before else (one.result, masked_picture(one.result))
                )
            self._columns = columns(shown)
            self.results = tuple(side.result for side in self._sides)
            self.set_trait("counts", tuple(column["counts"] for column in self._columns))
            self.send_all()

    def send_all(self) -> None:
        """Send all columns, to a page that opens."""
        with self._lock:
            buffers = [self._pictures[column["number"]][1] for column in self._columns]
            asks = self._on_message is not None
            self.send({"type": "sides", "columns": self._columns, "asks": asks}, buffers=buffers)

    def _summary(self) -> str:
        return f"{len(self._columns)} answers"


def masked_picture(result: Result) -> bytes:
    """Draw a result's masks on a copy of its picture that fits a column; empty without its bytes."""
    try:
        small = result.picture.thumbnail(SIDE)
    except ImageError:
        return b""
    things = prompts.things(result.prompt)
    drawn = annotate(small, result.detections, things=things, boxes=False, labels=False)
    return encoded(drawn, "JPEG", quality=85)


def columns(pinned: Sequence[NumberedResult]) -> list[dict[str, Any]]:
    """Describe pinned answers for the browser, each compared with the first about the same picture.

    `state` of a box is "plain", "kept", "moved", "lost" or "new"; `counts` are None for an answer that the
    others are compared with.
    """
    things = [thing for one in pinned for thing in prompts.things(one.result.prompt)]
    labels = [label for one in pinned for label in one.result.detections.labels]
    colors = label_colors([*things, *labels])
    first: dict[str, NumberedResult] = {}
    return [_column(one, first.setdefault(one.result.picture.sha256, one), colors) for one in pinned]


def _column(one: NumberedResult, base: NumberedResult, colors: LabelColors) -> dict[str, Any]:
    result = one.result
    column = card(one) | {
        "width": result.picture.width,
        "height": result.picture.height,
        "base": base.number,
    }
    if one is base:
        boxes = [_box(found, colors, "plain") for found in result.detections]
        return column | {"boxes": boxes, "counts": None, "words": [(result.text, "plain")]}
    comparison = compare(base.result, result)
    boxes = list(_compared(comparison, colors))
    states = [box["state"] for box in boxes]
    counts = {state: states.count(state) for state in ("kept", "moved", "lost", "new")}
    return column | {"boxes": boxes, "counts": counts, "words": word_changes(base.result, result)}


def _compared(comparison: Compared, colors: LabelColors) -> Iterable[dict[str, Any]]:
    for pair in comparison.kept:
        yield _box(pair.after, colors, "kept", note=f"overlap {pair.iou:.0%}")
    for pair in comparison.moved:
        before = [round(value, 1) for value in pair.before.box]
        yield _box(pair.after, colors, "moved", note=f"{_shift(pair)}, overlap {pair.iou:.0%}", before=before)
    size = comparison.new.size
    for state, found in (("lost", comparison.lost), ("new", comparison.new)):
        for one in found:
            yield _box(one, colors, state, note=where(one.box, size))


def _box(found: Detection, colors: LabelColors, state: str, **more: Any) -> dict[str, Any]:
    corners = [round(float(value), 1) for value in found.box]
    return {"label": found.label, "box": corners, **colors[found.label], "state": state, **more}


def _shift(pair: Pair) -> str:
    """Say how far the middle of a box moved."""
    across, down = (round(value) for value in pair.shift)
    parts = [f"{abs(across)} px {'right' if across > 0 else 'left'}" if across else ""]
    parts.append(f"{abs(down)} px {'down' if down > 0 else 'up'}" if down else "")
    return " and ".join(filter(None, parts)) or "another size"  # its sides moved, its middle did not


def word_changes(before: Result, after: Result) -> list[tuple[str, str]]:
    """Compare two answers word by word: pieces of the second ("same" or "new") and of the first ("gone").

    Answers with boxes are not taken apart: their boxes are compared.
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
