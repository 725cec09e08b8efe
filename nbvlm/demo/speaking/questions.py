"""Understand a question in the words of any family: the task, and the list of things that are asked for.

>>> from nbvlm.grounding import dialects
>>> understand(dialects.of("qwen3-vl").ask("detect", ["cat", "red car"]))
Question(task='detect', things=('cat', 'red car'), prompt='detect cat ; red car')
>>> understand('Where are the cars? Give each one as {"bbox_2d": …} in JSON.').prompt
'detect car'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from nbvlm import prompts
from nbvlm.demo.scenes import COLORS, KINDS
from nbvlm.demo.world.vocabulary import PLURALS
from nbvlm.grounding import dialects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbvlm.grounding.dialects import Dialect

__all__ = ["BOXES", "Question", "understand"]

BOXES = ("detect", "segment", "point", "count")
"""The tasks that are answered with places."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, understood.

    Attributes
    ----------
    task
        One of `nbvlm.grounding.dialects.TASKS`.
    things
        The things asked for, if the task is one of `BOXES`.
    prompt
        The same for the embedded model.
    """

    task: str
    things: tuple[str, ...]
    prompt: str


def understand(text: str, dialect: Dialect | None = None) -> Question:
    """Understand a question; what is not about places goes to the model as it is.

    Parameters
    ----------
    text
        The question.
    dialect
        The family whose words are tried before those of all others.
    """
    # One blank and one line break at a time: searching in long runs of them takes very long.
    plain = re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()
    return _templated(plain, dialect) or _free(plain)


# In the words of a family: what the dialects ask, read backwards.

_THINGS, _LANGUAGE, _CODE, _QUESTION = "\ue000", "\ue001", "\ue002", "\ue003"
_SIZE = (987_654, 876_543)
_SEPARATOR = re.compile(r"\s*(?:[;,]|</c>|\bor\b)\s*")
_NOT_A_THING = re.compile(r"json|bbox|\bbox|coordinate|output|keys?\b", re.IGNORECASE)
_CODES = {name: code for code, name in prompts.LANGUAGES.items()}


def _templated(text: str, dialect: Dialect | None) -> Question | None:
    for task, template in (*(_templates(dialect) if dialect else ()), *_all_templates()):
        if found := template.fullmatch(text):
            fields = found.groupdict()
            things = [thing.strip(' "') for thing in _SEPARATOR.split(fields.get("things", ""))]
            things = [thing for thing in things if thing]
            if not any(_NOT_A_THING.search(thing) for thing in things):
                return _question(task, things, fields)
    return None


def _question(task: str, things: Sequence[str], fields: Mapping[str, str]) -> Question:
    if task in BOXES:
        things = tuple(things) or ("thing",)
        return Question(task, things, f"{'segment' if task == 'segment' else 'detect'} {' ; '.join(things)}")
    code = fields.get("code") or _CODES.get(fields.get("language", ""), "en")
    asked = {
        "ocr": "ocr",
        "answer": f"answer {code} {fields.get('question', '')}",
        "cap": f"caption {code}",
    }
    return Question(task, (), asked.get(task, f"{task} {code}"))


@cache
def _all_templates() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """All templates, those with most words of their own first: "Point to {things}" fits nearly anything."""
    families = (*dialects.FAMILIES, dialects.GENERIC)
    found = dict.fromkeys(template for family in families for template in _templates(family))
    return tuple(sorted(found, key=lambda template: -len(re.sub(r"\(\?P[^)]*\)", "", template[1].pattern))))


@cache
def _templates(dialect: Dialect) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((task, _pattern(dialect, task)) for task in dialects.TASKS)


def _pattern(dialect: Dialect, task: str) -> re.Pattern[str]:
    """Return an expression for a task's words, in which the last list of things counts."""
    words = dialect.ask(
        task, [_THINGS], language=_LANGUAGE, code=_CODE, question=_QUESTION, size=_SIZE
    ).strip()
    before, found, after = words.rpartition(_THINGS)
    pattern = (
        re.escape(before).replace(_THINGS, ".+") + ("(?P<things>.+)" if found else "") + re.escape(after)
    )
    for mark, group in ((_LANGUAGE, "language"), (_CODE, "code"), (_QUESTION, "question")):
        pattern = pattern.replace(mark, f"(?P<{group}>.+)", 1).replace(mark, ".+")
    for side in _SIZE:
        pattern = pattern.replace(str(side), "[0-9]+")
    return re.compile(pattern, re.DOTALL)


# In any other words.

_TASKS = {
    "point": re.compile(r"\bpoint(?:s|_2d|ing)?\b|\bclick", re.IGNORECASE),
    "segment": re.compile(r"\bsegment|\bmasks?\b|\bpolygons?\b", re.IGNORECASE),
    "detect": re.compile(
        r"\bdetect|\blocate|\blocali[sz]e|\boutline|bbox|\bbox(?:es|_2d)?\b|\bcoordinates?\b|\bgrounding\b|<OD>",
        re.IGNORECASE,
    ),
}
_EVERYTHING = re.compile(
    r"\b(?:objects?|things?|items?|everything|elements?)\b|<OD>|<grounding>", re.IGNORECASE
)
_QUOTED = re.compile(r"[\"“]([^\"“”\n]*)[\"”](\s*:)?|<ref>(.+?)</ref>|<\|ref\|>(.+?)<\|/ref\|>")
_OBJECT = re.compile(
    r"\b(?:detect|locate|find|"
    r"(?:position|point|box|boxes|bbox|masks?|segment)(?: (?:to|out|of|for|around|the))?)\s+"
    r"(?:(?:all|every|each|any|of|the|an?)\s+)*(.{1,80}?)"
    r"(?=[.,;:?!\n]|\s+(?:in|on|within|and|with|as|using)\s|$)",
    re.IGNORECASE,
)
_ONE = {**{plural: kind for kind, plural in PLURALS.items()}, **{kind: kind for kind in KINDS}}
_KEY = re.compile(r"label|bbox|box_2d|point_2d|^(?:point|mask|points|name|[xy])$", re.IGNORECASE)


def _free(text: str) -> Question:
    for task, pattern in _TASKS.items():
        if pattern.search(text):
            things = tuple(dict.fromkeys(_mentioned(text) or _named(text) or ["thing"]))
            return _question(task, things, {})
    return Question("answer", (), text)


def _mentioned(text: str) -> list[str]:
    """The things of the embedded model's world that a text mentions, with their colours."""
    words = re.findall(r"[a-z]+", text.lower())
    found = []
    for at, word in enumerate(words):
        if word in _ONE:
            before = words[at - 1] if at else ""
            found.append(f"{before} {_ONE[word]}" if before in COLORS else _ONE[word])
    return found


def _named(text: str) -> list[str]:
    """Things that the model does not know, or an empty list where all things are asked for."""
    quoted = [
        next(filter(None, found.group(1, 3, 4)), "").strip()
        for found in _QUOTED.finditer(text)
        if not found[2]
    ]
    if things := [thing for thing in quoted if thing and not _KEY.search(thing)]:
        return things
    found = [match.strip() for match in _OBJECT.findall(text)]
    return (
        [] if _EVERYTHING.search(text) else [thing for thing in found if not _NOT_A_THING.search(thing)][:1]
    )
