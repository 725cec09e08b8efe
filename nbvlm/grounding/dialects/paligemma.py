"""The tokens of PaliGemma, an item while it is being read, and the prompt repeated before an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["CORNERS", "REGULAR_ITEM", "TOKEN", "PendingItem", "PromptEcho", "complete"]

CORNERS = 4  # locations that make a box

TOKEN = re.compile(r"<loc([0-9]{4})>|<seg([0-9]{3})>|((?:;\s*+)++|<(?:eos|bos|pad)>)")
"""A location, a code, or a separator: one group each."""

REGULAR_ITEM = re.compile(
    r"<loc([0-9]{4})><loc([0-9]{4})><loc([0-9]{4})><loc([0-9]{4})>"
    r"(?: ?((?:<seg[0-9]{3}>){16}))?([^<;]*+);\s*+"
)
"""A whole item as the model writes it, its separator included: locations, codes if any, label."""

_EXCERPT = 80
_CUT = re.compile(r"<(?:l(?:o(?:c[0-9]{0,4})?)?|s(?:e(?:g[0-9]{0,3})?)?|e(?:os?)?|b(?:os?)?|p(?:ad?)?)?")
_LONGEST_CUT = len("<loc0000")


@dataclass(slots=True)
class PendingItem:
    """The tokens and words read since the last item ended."""

    position: int = -1
    locations: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    stray: bool = False  # codes that came after the words
    gap: bool = False  # blanks since the last location
    spaced: bool = False  # blanks between locations of the box

    @property
    def fresh(self) -> bool:
        """Whether the item is still empty."""
        return self.position < 0

    @property
    def ended(self) -> bool:
        """Whether a location that came next would begin another item."""
        box = len(self.locations) == CORNERS and self.gap and not self.spaced
        return bool(box or self.words or self.codes)

    @property
    def label(self) -> str:
        """The words, blanks collapsed, without the end of a fence around the answer."""
        return " ".join("".join(self.words).split()).removesuffix("```").rstrip()

    def excerpt(self) -> str:
        """Write the item again, shortened, for a problem."""
        shown = _EXCERPT // len("<loc0000>") + 1
        locations = "".join(f"<loc{value:04d}>" for value in self.locations[:shown])
        codes = "".join(f"<seg{value:03d}>" for value in self.codes[:shown])
        text = " ".join(filter(None, (locations + codes, self.label[:_EXCERPT])))
        return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


class PromptEcho:
    """Removes the prompt from the front of an answer that repeats it."""

    # Only a prompt that holds tokens needs it: the parser skips words before the first location.

    def __init__(self, prompt: str | None) -> None:
        self._prompt = (prompt or "").strip()
        self._matched = 0
        self.waits = TOKEN.search(self._prompt) is not None  # the text so far may still be the prompt

    def feed(self, text: str) -> tuple[int, str]:
        """Return how many characters are removed, and the text to read after them."""
        if not self.waits:
            return 0, text
        blank = 0 if self._matched else len(text) - len(text.lstrip())
        head = text[blank : blank + len(self._prompt) - self._matched]
        if not self._prompt.startswith(head, self._matched):
            return blank, self._release() + text[blank:]
        self._matched += len(head)
        rest = text[blank + len(head) :]
        if not rest:
            return blank, ""
        if rest[0].isspace():
            self.waits = False
            return blank + len(self._prompt), rest
        return blank, self._release() + rest

    def close(self) -> tuple[int, str]:
        """Return the same at the end of the answer, which may be the prompt alone."""
        if not self.waits:
            return 0, ""
        if self._matched == len(self._prompt):
            return self._matched, ""
        return 0, self._release()

    def _release(self) -> str:
        self.waits = False
        return self._prompt[: self._matched]


def complete(text: str) -> int:
    """Return where a token that is still incomplete begins, or the end of the text."""
    start = text.rfind("<", max(0, len(text) - _LONGEST_CUT))
    return start if start >= 0 and _CUT.fullmatch(text, start) else len(text)
