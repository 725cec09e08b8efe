"""Read questions in free words, as far as single words give the task and the thing away.

The embedded model does not understand sentences: it looks for a word that names a task, and for the first
thing that it knows with the color before it. It ignores all other words, so wording matters.

>>> read_words("could you count the bright red cars for me?", {"cars": "car"}, {})
FreeReading(words=('answer', 'en', 'how', 'many', 'red', 'car'), ignored=('bright',))
>>> read_words("how many of the cars are red?", {"cars": "car"}, {})
FreeReading(words=('answer', 'en', 'how', 'many', 'car'), ignored=('red',))
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbvlm.demo.scenes import COLORS, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["FreeReading", "Reading", "listed", "phrases", "read_words", "split"]

_CUES: Mapping[str, str] = {
    **dict.fromkeys(("many", "count", "number"), "count"),
    **dict.fromkeys(("color",), "color"),
    **dict.fromkeys(("where", "position", "place"), "where"),
    **dict.fromkeys(("detect", "find", "locate", "show", "mark", "point", "box", "boxes"), "detect"),
    **dict.fromkeys(("segment", "outline", "outlines", "mask", "masks"), "segment"),
    **dict.fromkeys(("read", "written", "letters", "text"), "ocr"),
    **dict.fromkeys(("describe", "description", "details"), "describe"),
    **dict.fromkeys(("caption", "title", "summarize", "summary", "list"), "caption"),
}
"""Words that name a task; the first one in a question decides."""
_WEAK: Mapping[str, str] = {
    **dict.fromkeys(("is", "are", "does", "do", "can", "has", "any", "yes"), "is there"),
    **dict.fromkeys(("what", "which"), "caption"),
}
"""Words that stand in many questions: they decide where no other word does."""
_QUIET = frozenset(
    (  # noqa: SIM905 - a list of words reads best as text
        "the a an any all of in on at to me my you your i we us it its this that these those them there here "
        "for with and or so please picture image scene photo could would will can do does did is are was be "
        "have has what which who how tell give say see look every each both some answer en around draw write "
        "make short whole now just out up s"
    ).split()
)
"""Words that may be ignored without a notice."""
_MOST_WORDS = 60


@dataclass(frozen=True, slots=True)
class FreeReading:
    """A question as the model understands it: in its own words, and the words that it ignores."""

    words: tuple[str, ...]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """The things in a text, each as the model names it, and the words that belong to none."""

    things: tuple[tuple[str, ...], ...]
    ignored: tuple[str, ...]


def split(text: str) -> list[str]:
    """Split a text into words, without the punctuation."""
    return re.findall(r"[^\s.,;:!?\"'()]+", text)


def listed(things: Iterable[Iterable[str]]) -> list[str]:
    """Return the words for a list of things, a ``;`` before each but the first."""
    return [word for n, thing in enumerate(things) for word in ((";", *thing) if n else thing)]


def phrases(words: Sequence[str], synonyms: Mapping[str, str]) -> Reading:
    """Return the known things of a text, each with a color directly before it."""
    known = [synonyms.get(word, word) for word in words]
    things, used = [], set()
    for n, word in enumerate(known):
        if word in KINDS or word == "thing":
            colored = n > 0 and known[n - 1] in COLORS
            things.append((known[n - 1], word) if colored else (word,))
            used |= {n, n - 1} if colored else {n}
    return Reading(
        tuple(things), tuple(word for n, word in enumerate(words) if n not in used and word not in _QUIET)
    )


def read_words(text: str, synonyms: Mapping[str, str], spellings: Mapping[str, str]) -> FreeReading | None:
    """Read a question; None where no word names a task, or the thing that the task needs.

    Parameters
    ----------
    text
        In lower case.
    synonyms
        Words for known things.
    spellings
        Other spellings of the words in which tasks are named.
    """
    plain = [spellings.get(word, word) for word in split(text)]
    if len(plain) > _MOST_WORDS:
        return None
    cues = [word for word in plain if word in _CUES] or [word for word in plain if word in _WEAK]
    if not cues:
        return None
    task = _CUES.get(cues[0]) or _WEAK[cues[0]]
    found = phrases([word for word in plain if word != cues[0]], synonyms)
    words = _question(task, found.things)
    if words is None:
        return None
    first = found.things[:1] if task in ("count", "color", "where", "is there") else found.things
    left = [word for thing in found.things if thing not in first for word in thing]
    if cues[0] not in _CUES and task == "caption" and found.ignored:
        return None  # "what is the meaning of life?" asks for something else
    others = tuple(word for word in found.ignored if word not in _CUES or word == "box")
    return FreeReading(words, tuple(dict.fromkeys((*others, *left))))


def _question(task: str, things: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    if task == "caption":
        return None if things and things[0] != ("thing",) else ("caption", "en")
    if task == "describe":
        return ("describe", "en")
    if task == "ocr":
        return ("ocr",)
    if not things:
        return None
    first = things[0]
    match task:
        case "count":
            return ("answer", "en", "how", "many", *first)
        case "color":
            return ("answer", "en", "what", "color", *first)
        case "where":
            return ("answer", "en", "where", *first)
        case "is there":
            return ("answer", "en", "is", "there", *first)
    return (task, *listed(dict.fromkeys(things)))
