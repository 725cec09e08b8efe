"""Read the places of an answer in any dialect into detections, piece by piece."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nbvlm.grounding.detections import Detection, unchecked
from nbvlm.grounding.dialects.deciding import Decision
from nbvlm.grounding.dialects.fields import ANCHOR
from nbvlm.grounding.dialects.scanner import Scanner
from nbvlm.grounding.masks.lazy import LazyMask
from nbvlm.grounding.masks.shapes import Outline, Raster
from nbvlm.grounding.problems import Problem
from nbvlm.grounding.readings import placed

if TYPE_CHECKING:
    from nbvlm.grounding.dialects.dialect import Dialect
    from nbvlm.grounding.dialects.found import Found
    from nbvlm.grounding.masks.types import Size

__all__ = ["DialectReader"]

_REPEATS = 3  # the same place in a row more often is a loop
_EXCERPT = 80
_OUTLINES = "SEGMENTATION>"  # Florence-2's task tokens that ask for outlines
_POLYGON = re.compile(r"\b(?:polygon|outline|contour)", re.IGNORECASE)
_POINT = re.compile(r"\bpoints?\b", re.IGNORECASE)
_BOX = re.compile(r"\b(?:\w*box(?:es)?|bbox\w*)\b", re.IGNORECASE)


class DialectReader:
    """Reads an answer as it comes; see `nbvlm.Parser`."""

    def __init__(
        self, dialect: Dialect, size: Size, sent: Size, prompt: str | None, fallback: str, *, explicit: bool
    ) -> None:
        self._size, self._fallback = size, fallback
        self._dialect, self._sent, self._prompt, self._explicit = dialect, sent, prompt, explicit
        self._scanner = Scanner(
            label_last=dialect.label_last,
            prose=dialect.form == "bare",
            outlines=_OUTLINES in (prompt or ""),
            pairs=_pairs(prompt or ""),
        )
        self._decision = Decision(self._dialect, self._sent, self._prompt, explicit=self._explicit)
        self._places: list[Found] = []
        self._seen = 0
        self.detections: list[Detection] = []
        self._wrong: list[tuple[str, ...]] = []

    @property
    def idle(self) -> bool:
        """Whether the text so far ends outside of anything that began."""
        return self._scanner.idle

    @property
    def has_locations(self) -> bool:
        """Whether the answer holds a place, or says that it found nothing."""
        return bool(self._places) or self._scanner.answered

    def feed(self, text: str, position: int) -> None:
        """Read the next piece of the answer, which begins at a position; thinking is left out of it."""
        if text:
            self._scanner.feed(text, position)
        self._take()

    def close(self) -> None:
        """Read the rest at the end of the answer."""
        self._scanner.close()
        self._take()

    def _take(self) -> None:
        """Make detections of the scanner's findings."""
        found = self._scanner.found
        while self._seen < len(found):
            place = found[self._seen]
            self._seen += 1
            changed = self._decision.take(place)
            if changed:
                self._read_again()
            if place.label != ANCHOR:
                self._places.append(place)
                self._read(place)

    def _read_again(self) -> None:
        self.detections.clear()
        self._wrong.clear()
        for place in self._places:
            self._read(place)

    def _read(self, place: Found) -> None:
        reading = self._decision.reading(place)
        box, pixels, wrong = placed(place.numbers, reading, self._size)
        source: Outline | Raster | None = None
        if place.kind == "outline":
            source = Outline(pixels)
        elif place.outline is not None:
            xy = self._decision.reading_of_outline()
            source = Outline(placed(place.outline, xy, self._size)[1])
        elif place.mask is not None:
            raster = Raster(place.mask)
            if raster.complete:
                source = raster
            else:
                wrong = (*wrong, "mask")
        mask = LazyMask(box, self._size, given=source)
        point = (box[0], box[1]) if place.kind == "point" else None
        label = place.label or self._fallback
        self._wrong.append(wrong)
        self.detections.append(unchecked(label, box, None, self._size, mask, point, place.numbers, reading))

    @property
    def problems(self) -> list[Problem]:
        """The irregularities so far, in the order of the answer."""
        problems = list(self._scanner.problems)
        for place, wrong in zip(self._places, self._wrong, strict=True):
            problems += [Problem(kind, place.position, _excerpt(place)) for kind in wrong]
        if self._places and self._decision.unexpected:
            problems.append(Problem("scale", self._places[0].position, _excerpt(self._places[0])))
        if self._unsure():
            problems.append(Problem("order", self._places[0].position, _excerpt(self._places[0])))
        problems += self._repeats()
        return sorted(problems, key=lambda problem: problem.position)

    def _unsure(self) -> bool:
        """Whether nothing says which axis comes first."""
        lists = any(place.kind == "box" and not (place.named or place.space) for place in self._places)
        return lists and self._decision.order is None and self._scanner.y_first

    def _repeats(self) -> list[Problem]:
        problems: list[Problem] = []
        run = 0
        for before, place in zip(self._places, self._places[1:], strict=False):
            run = run + 1 if (before.numbers, before.label) == (place.numbers, place.label) else 0
            if run == _REPEATS:
                problems.append(Problem("repeats", place.position, _excerpt(place)))
        return problems


def _pairs(prompt: str) -> str:
    """Return what pairs of numbers are that a prompt asks for: "outline", "point", or "" for corners."""
    if _POLYGON.search(prompt):
        return "outline"
    return "point" if _POINT.search(prompt) and not _BOX.search(prompt) else ""


def _excerpt(place: Found) -> str:
    numbers = ", ".join(f"{number:g}" for number in place.numbers[:8])
    text = f"{place.label} [{numbers}]".strip()
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
