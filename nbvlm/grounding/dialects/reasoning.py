"""Split a model's thinking from its answer, as the text comes.

>>> splitter = Reasoning()
>>> parts = splitter.feed("<think>a cat?</th") + splitter.feed("ink>[1, 2]") + splitter.close()
>>> [(part.thinking, part.text) for part in parts]
[(True, '<think>a cat?'), (True, '</think>'), (False, '[1, 2]')]
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Part", "Reasoning"]

_PAIRS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|channel|>analysis", "<|channel|>final"),
    ("<|channel>thought", "<channel|>"),
    ("to=self<|message|>", "<|eom|>"),
)
_ENDS = dict(_PAIRS)
_OPENING = re.compile("|".join(re.escape(start) for start, _ in _PAIRS))
# An end without a beginning: the chat template had written the beginning.
_LONE = frozenset(end for _, end in _PAIRS if end.startswith(("</", "◁/", "[/")))
_OUTSIDE = re.compile("|".join(re.escape(mark) for mark in (*_ENDS, *_LONE)))
_BEGUN = frozenset(mark[:length] for pair in _PAIRS for mark in pair for length in range(1, len(mark)))
_START = re.compile("[<◁\\[t]")
_LONGEST = 20


class Part(NamedTuple):
    """A piece of an answer: thinking, with its marks, or not; `position` counts from the answer's start.

    With `before`, it is an end mark without a beginning: all that came before it was thinking too. Its first
    `marks` characters are not thinking, but the mark of its beginning or end.
    """

    thinking: bool
    text: str
    position: int
    before: bool = False
    marks: int = 0


class Reasoning:
    """Splits thinking from an answer that comes in pieces; where it is cut makes no difference.

    Attributes
    ----------
    thinking
        Whether the end of the text so far is thinking.
    """

    def __init__(self) -> None:
        self._end = ""
        self._tail, self._position = "", 0

    @property
    def thinking(self) -> bool:
        """Whether the end of the text so far is thinking."""
        return bool(self._end)

    def feed(self, text: str) -> list[Part]:
        """Read the next piece; what may be the beginning of a mark waits."""
        return self._split(self._tail + text, final=False)

    def close(self) -> list[Part]:
        """Return the rest at the end of the answer."""
        return self._split(self._tail, final=True)

    def _split(self, text: str, *, final: bool) -> list[Part]:
        parts: list[Part] = []
        at, start = 0, self._position
        while at < len(text):
            mark, found = self._mark(text, at)
            if not mark:
                until = len(text) if final else _certain(text, at)
                if until > at:
                    parts.append(Part(self.thinking, text[at:until], start + at))
                at = until
                break
            if found > at:
                parts.append(Part(self.thinking, text[at:found], start + at))
            at = found + len(mark)
            parts.append(Part(True, mark, start + found, not self._end and mark in _LONE, len(mark)))
            self._end = "" if self._end or mark in _LONE else _ENDS[mark]
        self._tail, self._position = text[at:], start + at
        return _joined(parts)

    def _mark(self, text: str, at: int) -> tuple[str, int]:
        if self._end:
            found = text.find(self._end, at)
            return (self._end, found) if found >= 0 else ("", at)
        match = _OUTSIDE.search(text, at)
        return (match[0], match.start()) if match else ("", at)


def _certain(text: str, at: int) -> int:
    """Return where a mark that is still incomplete may begin, or the end of the text."""
    for start in _START.finditer(text, max(at, len(text) - _LONGEST)):
        if text[start.start() :] in _BEGUN:
            return start.start()
    return len(text)


def _joined(parts: list[Part]) -> list[Part]:
    """Join a beginning with the thinking behind it."""
    if len(parts) < 2:
        return parts
    joined: list[Part] = []
    for part in parts:
        before = joined[-1] if joined else None
        if before is not None and part.thinking and before.text in _ENDS:
            joined[-1] = before._replace(text=before.text + part.text)
        else:
            joined.append(part)
    return joined
