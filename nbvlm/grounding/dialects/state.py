"""The state of a scanner between two pieces of a text, and the loop that reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nbvlm.grounding.dialects import tags
from nbvlm.grounding.dialects.fields import Fields
from nbvlm.grounding.dialects.found import Found, Numbers
from nbvlm.grounding.problems import Problem

__all__ = ["ACTION", "ACTION_RANK", "BLANK", "BOX_NUMBERS", "WAIT", "Frame", "State", "Tagged"]

WAIT = -1
"""What a step returns that needs more text."""
ACTION = re.compile(r"([A-Za-z_]\w{0,40})\(\s*(?:\w{1,20}\s*=\s*)?[\"']?\Z")
ACTION_RANK = (99, 0)
"""Rank of an action's name among labels: the last resort."""
BOX_NUMBERS = 4
BLANK = re.compile(r"\s{0,64}")
_EXCERPT = 80


@dataclass(slots=True)
class Tagged:
    """The content of a tag, while it is read."""

    name: str
    kind: str
    position: int
    label: str = ""
    numbers: Numbers = field(default_factory=lambda: Numbers(0))
    words: list[str] = field(default_factory=list)
    bare: bool = False  # numbers that are tags themselves
    cells: list[float] = field(default_factory=list)


Frame = Fields | Numbers | Tagged


class State:
    """The memory of a `Scanner`, which describes it."""

    def __init__(
        self, *, label_last: bool = False, prose: bool = False, outlines: bool = False, pairs: str = ""
    ) -> None:
        self.found: list[Found] = []
        self.problems: list[Problem] = []
        self.answered = False  # whether the answer says that it found nothing
        self.y_first = False  # whether a key came that some families write y first
        self._label_last, self._prose_lists = label_last, prose
        self._text, self._base = "", 0
        self._before = ""  # the last character before the text at hand
        self._stack: list[Frame] = []
        self._deep = 0  # brackets beyond the deepest level
        self._words = ""  # prose since the last line break or place
        self._label = ""  # the label of a tag, for the places behind it
        self._naming = False  # within a tag that names
        self._pending: list[Found] = []  # places whose label comes behind them
        self._until = ""  # … "ref", "line" or "content"
        self._pieces: list[str] | None = None  # of a string that is open
        self._quote, self._began = "", 0
        self._comment = ""
        self._digits = False  # within a number without end
        self._tag = tags.Reader()
        self._element_name = ""  # of the tag right before
        self._places_list: list[float] = []  # locations that are tokens
        self._places_name, self._places_label, self._places_doc, self._places_at = "", "", "", 0
        self._parts: list[tuple[float, ...]] = []  # outlines that are complete, of the same thing
        self._outlines, self._pairs = outlines, pairs
        self._quads = False  # whether locations made an outline
        self._lines: list[Found] = []  # lines of four numbers
        self._plain = True  # whether there were no other lines
        self._line_at = 0

    @property
    def idle(self) -> bool:
        """Whether the text so far ends outside of anything that began."""
        return not (self._stack or self._tag.open or self._naming)

    # -- pieces --------------------------------------------------------------------------------------------

    def feed(self, text: str, position: int | None = None) -> None:
        """Read the next piece; `position` is where it begins, if something before it was left out."""
        if position is not None and position != self._base + len(self._text):
            self._run(final=True)
            self._text, self._base = "", position
        self._text += text
        self._run(final=False)

    def close(self) -> None:
        """Read the rest at the end of the text."""
        self._run(final=True)
        self._unclosed()
        self._flush_locations(final=True)
        self._end_line()
        self._settle()
        if self._plain and not self.found:
            self.found += self._lines

    def _run(self, *, final: bool) -> None:
        text, at, end = self._text, 0, len(self._text)
        while at < end:
            step = self._step(text, at, final)
            if step < 0:
                break
            at = step
        if at:
            self._base += at
            self._text, self._before = text[at:], text[at - 1]

    def _step(self, text: str, at: int, final: bool) -> int:
        """Read one thing; return where it ends, or -1 to wait for more text."""
        if self._pieces is not None:
            return self._in_string(text, at, final)
        if self._tag.open:
            return self._in_tag(text, at, final)
        if self._comment:
            return self._in_comment(text, at)
        if self._digits:
            return self._more_digits(text, at, final)
        if not self._stack:
            return self._prose(text, at, final)
        return self._data(text, at, final)

    def _place(self, place: Found) -> None:
        """Take a place in prose; its words are used up."""
        self._settle()
        self._emit(place)
        self._words = ""

    def _emit(self, place: Found) -> None:
        if place.stray:
            self._report("numbers", place.position, place.text or place.label)
        self.found.append(place)

    def _report(self, kind: str, position: int, text: str = "") -> None:
        text = " ".join(text.split())
        self.problems.append(
            Problem(kind, position, text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…")
        )

    def _wait_for(self, places: list[Found], what: str) -> None:
        self._settle()
        self._pending, self._until = places, what

    def _tag_places(self, places: list[Found]) -> None:
        self._settle()
        for place in places:
            self._emit(place)

    def _settle(self, label: str = "") -> None:
        """Emit the places that wait for a label."""
        waiting, self._pending = self._pending, []
        for place in waiting:
            place.label = " ".join(label.split()) or place.label
            self._emit(place)

    # What the layers above read.

    def _prose(self, text: str, at: int, final: bool) -> int:
        raise NotImplementedError

    def _data(self, text: str, at: int, final: bool) -> int:
        raise NotImplementedError

    def _angle(self, text: str, at: int, final: bool) -> int:
        raise NotImplementedError

    def _in_string(self, text: str, at: int, final: bool) -> int:
        raise NotImplementedError

    def _in_tag(self, text: str, at: int, final: bool) -> int:
        raise NotImplementedError

    def _in_comment(self, text: str, at: int) -> int:
        raise NotImplementedError

    def _more_digits(self, text: str, at: int, final: bool) -> int:
        raise NotImplementedError

    def _unclosed(self) -> None:
        raise NotImplementedError

    def _close_tagged(self, *, cut: bool = False) -> None:
        raise NotImplementedError

    def _flush_locations(self, *, final: bool = False) -> None:
        raise NotImplementedError

    def _end_line(self, position: int = 0) -> None:
        raise NotImplementedError

    def _regular(self, text: str, at: int, final: bool) -> int:
        raise NotImplementedError

    def _say(self, text: str) -> None:
        raise NotImplementedError

    def _said(self, *, flat: bool = False) -> str:
        raise NotImplementedError
