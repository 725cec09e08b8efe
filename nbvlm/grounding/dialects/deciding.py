"""Decide what the numbers of an answer mean: their order and their scale.

In this order: an explicit choice, an entry for the whole picture, named fields, what the prompt asks for
(of models that obey), the family's habit, the numbers themselves, 0 to 1000. The decision holds for the
whole answer, and a later number may change it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nbvlm.grounding.dialects.families import FAMILIES
from nbvlm.grounding.dialects.fields import ANCHOR
from nbvlm.grounding.readings import Order, Reading

if TYPE_CHECKING:
    from nbvlm.grounding.dialects.dialect import Dialect
    from nbvlm.grounding.dialects.found import Found
    from nbvlm.grounding.dialects.spaces import Scale
    from nbvlm.grounding.masks.types import Size

__all__ = ["Decision", "asked_order", "asked_scale"]

_Y_FIRST = re.compile(
    r"[\[(<]\s*\"?(?:y|ymin|y_min|y1|y0|top)\b|\bymin\s*,\s*xmin|\by_min\s*,\s*x_min", re.IGNORECASE
)
_X_FIRST = re.compile(
    r"[\[(<]\s*\"?(?:x|xmin|x_min|x1|x0|left)\b|\bxmin\s*,\s*ymin|\bx_min\s*,\s*y_min", re.IGNORECASE
)
_RANGE = re.compile(
    r"\b0(?:\.0)?\s*(?:-|–|—|to|and|\.\.|,)\s*(1000|999|1023|1024|100|1(?:\.0)?)(?![\d.]*\d)", re.IGNORECASE
)
_PERCENT = re.compile(r"\bpercent", re.IGNORECASE)
_PIXELS = re.compile(r"\bpixels?\b", re.IGNORECASE)
_SLACK = 1.02  # a number may lie this much beyond the edge and still be on its scale
_FRACTION = 1.5
_SPACES = {
    "percent": (100.0, 0.0),
    "thousand": (1000.0, 0.0),
    "docling": (500.0, 0.0),
    "bins": (1000.0, 0.5),
    "share": (1.0, 0.0),
}
_CANVAS = next(family for family in FAMILIES if family.form == "parse")


def asked_order(prompt: str | None) -> Order | None:
    """Return the order of axes that a prompt asks for; None if it does not, or asks for both.

    >>> asked_order("as [ymin, xmin, ymax, xmax]")
    'yxyx'
    """
    y_first, x_first = (bool(form.search(prompt or "")) for form in (_Y_FIRST, _X_FIRST))
    return None if y_first == x_first else "yxyx" if y_first else "xyxy"


def asked_scale(prompt: str | None) -> Scale:
    """Return the scale that a prompt asks for, or None.

    >>> asked_scale("integers between 0 and 1000"), asked_scale("in absolute pixels")
    (1000.0, 'pixels')
    >>> asked_scale("detect cat")
    """
    text = prompt or ""
    if found := _RANGE.search(text):
        return float(found[1])
    if _PERCENT.search(text):
        return 100.0
    return "pixels" if _PIXELS.search(text) else None


class Decision:
    """The reading of one answer, which its numbers may change.

    Parameters
    ----------
    dialect
        The family's habits.
    sent
        Width and height of the picture that was sent.
    prompt
        The prompt.
    explicit
        Whether the dialect was chosen by hand: then its order and scale hold.
    """

    def __init__(self, dialect: Dialect, sent: Size, prompt: str | None, *, explicit: bool = False) -> None:
        self._dialect, self._sent, self._explicit = dialect, sent, explicit
        asked = asked_order(prompt)
        self.order: Order | None = dialect.order if explicit and dialect.order else asked or dialect.order
        self._asked = asked_scale(prompt) if dialect.scale is None or dialect.obeys else None
        self._anchor: tuple[float, float] | None = None
        self._top, self._fractional, self._count, self._beyond, self._outside = 0.0, False, 0, 0, False
        self._most = [0.0, 0.0]
        self._readings: dict[str, Reading] = {}
        # Coordinates in attributes are percent (Molmo) if they can be, and the family does not write pixels.
        self._tags_on_scale = dialect.scale == "pixels"
        self.scale: Scale = None
        self._decide()

    @property
    def unexpected(self) -> bool:
        """Whether the numbers are on another scale than the family's."""
        return not self._anchor and self._dialect.scale is not None and self.scale != self._dialect.scale

    def take(self, place: Found) -> bool:
        """Look at a place; return whether the reading has changed."""
        if place.space == "tag" and not self._tags_on_scale:
            if max(place.numbers) <= 100.0 * _SLACK:
                return False
            self._tags_on_scale = True
            self._readings.clear()
            self._take(place)
            return True
        if place.space and place.space != "tag":
            return False
        if place.label == ANCHOR and place.kind == "box":
            return self._anchored(place)
        return self._take(place)

    def _take(self, place: Found) -> bool:
        first = 0 if place.named or self.order != "yxyx" else 1
        numbers = place.numbers
        self._count += 1
        self._top = max(self._top, *numbers)
        self._fractional = self._fractional or any(number % 1 for number in numbers)
        for axis in (0, 1):
            self._most[axis] = max(self._most[axis], *numbers[axis ^ first :: 2])
        limit = self._limit()
        if limit:
            self._beyond += max(numbers) > limit * _SLACK
            self._outside = (
                self._outside or min(numbers[0::2]) > limit * _SLACK or min(numbers[1::2]) > limit * _SLACK
            )
        return self._decide()

    def reading(self, place: Found) -> Reading:
        """Return how a place is read."""
        named = place.named or place.kind == "outline"
        key = f"{place.space}{named}"
        if key not in self._readings:
            self._readings[key] = self._make(place.space, "xyxy" if named else self.order or "xyxy")
        return self._readings[key]

    def reading_of_outline(self) -> Reading:
        """Return how an outline beside a box is read: x first."""
        if "outline" not in self._readings:
            self._readings["outline"] = self._make("", "xyxy")
        return self._readings["outline"]

    def _make(self, space: str, order: Order) -> Reading:
        if space == "parse":
            return _CANVAS.reading(self._sent)
        if space == "tag":
            space = "" if self._tags_on_scale else "percent"
        if space == "pixels":
            return Reading("xyxy", (float(self._sent[0]), float(self._sent[1])))
        if space == "bins" and self._dialect.form == "doctags":
            space = "docling"
        if space:
            scale, shift = _SPACES[space]
            return Reading("xyxy", (scale, scale), (-shift, -shift))
        if self._anchor is not None:
            return Reading(order, self._anchor)
        return self._dialect.reading(self._sent, order=order, scale=self.scale)

    def _anchored(self, place: Found) -> bool:
        x, y = place.numbers[2:] if place.named or self.order != "yxyx" else place.numbers[:1:-1]
        for scale in (1.0, 100.0, 1000.0):
            if abs(x - scale) <= 0.05 * scale and abs(y - scale) <= 0.05 * scale:
                x = y = 1000.0 if scale == 1000.0 else scale
        before, self._anchor = self._anchor, (x, y) if x > 0 and y > 0 else None
        self._readings.clear()
        return before != self._anchor

    def _limit(self) -> float:
        scale = self._asked or self._dialect.scale
        return scale if isinstance(scale, (int, float)) else 0.0

    def _decide(self) -> bool:
        before, self.scale = self.scale, self._scale()
        if before == self.scale:
            return False
        self._readings.clear()
        return True

    def _scale(self) -> Scale:
        habit = self._dialect.scale
        if self._explicit and habit is not None:
            return habit
        if 0 < self._top <= 1.0 and self._fractional:
            return 1.0
        for scale in (self._asked, habit):
            if scale is not None and self._possible(scale):
                return scale
        return self._inferred()

    def _possible(self, scale: float | str) -> bool:
        """Whether the numbers so far can be on a scale."""
        if not isinstance(scale, (int, float)) or self._top <= scale * 1.1:
            return True
        if scale < 500:
            return self._top <= scale * _FRACTION and scale == 1.0
        # Now and then a number lies beyond the scale; many, or a box wholly beyond it, are pixels.
        many = self._beyond >= max(2, 0.2 * self._count)
        fits = all(most <= side * _SLACK for most, side in zip(self._most, self._sent, strict=True))
        return not (fits and (many or self._outside))

    def _inferred(self) -> Scale:
        if self._top <= _FRACTION and self._fractional:
            return 1.0
        if self._top <= 100.0 and self._fractional:
            return 100.0
        return 1000.0 if self._top <= 1000.0 * _SLACK else "pixels"
