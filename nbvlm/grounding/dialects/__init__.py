"""Dialects: how model families write boxes, points and masks, as data, and chosen by a model's id.

A model that is not known gets `GENERIC`. A dialect of your own is five lines:

>>> from nbvlm.grounding import dialects
>>> house = dialects.register(
...     dialects.of("qwen3-vl").but(name="house", matches=("housevlm",), scale=100, order="yxyx"),
... )
>>> dialects.of("our/House-VLM-2").name
'house'
>>> dialects.unregister("house")
"""

from __future__ import annotations

import functools
import re

from nbvlm._text import did_you_mean
from nbvlm.grounding.dialects.dialect import TASKS, Dialect, Form
from nbvlm.grounding.dialects.families import FAMILIES, GENERIC
from nbvlm.grounding.dialects.reasoning import Part, Reasoning
from nbvlm.grounding.dialects.spaces import Canvas, LongEdge, Resize, Scale, Space, Square
from nbvlm.grounding.readings import Order, Reading

__all__ = [
    "FAMILIES",
    "GENERIC",
    "TASKS",
    "Canvas",
    "Dialect",
    "Form",
    "LongEdge",
    "Order",
    "Part",
    "Reading",
    "Reasoning",
    "Resize",
    "Scale",
    "Space",
    "Square",
    "get",
    "names",
    "of",
    "register",
    "unregister",
]

_own: list[Dialect] = []
_REMARK = re.compile(r"\([^)]*\)")
_DATE = re.compile(r"[-_@]?20[0-9]{2}[-_]?[01][0-9][-_]?[0-3][0-9]")
_PUNCTUATION = re.compile(r"[-_.\s]+|(?<=[0-9])p(?=[0-9])")  # "qwen2p5" is "qwen2.5"
_LONGEST_ID = 1000


def of(model: str | None) -> Dialect:
    """Return the dialect of a model by its id, as any channel writes it.

    Parameters
    ----------
    model
        For example "Qwen/Qwen2.5-VL-7B-Instruct", "qwen2.5vl:7b", "qwen/qwen2.5-vl-72b-instruct:free",
        "us.anthropic.claude-opus-4-5-20251101-v1:0", the name of a GGUF file, or a dialect's own name.

    Returns
    -------
    Dialect
        The first registered one, then the first known family; `GENERIC` if the model is not known.

    Examples
    --------
    >>> of("qwen2.5vl:7b").name, of("lmstudio-community/gemma-3-4b-it-GGUF").name, of("a-new-model").name
    ('qwen2.5-vl', 'gemma', 'generic')
    """
    return _of((model or "")[:_LONGEST_ID])


@functools.lru_cache(maxsize=256)  # A question asks for it several times.
def _of(model: str) -> Dialect:
    for dialect in (*_own, *FAMILIES):
        if dialect.name == model:
            return dialect
    text = _REMARK.sub("", model.lower()).replace("\\", "/").strip().rstrip("/")
    last = text.rpartition("/")[2]
    for part in (re.split("[:@]", last)[0], last, text):
        name = _PUNCTUATION.sub("", _DATE.sub("", part))
        for dialect in (*_own, *FAMILIES):
            if any(re.search(match, name) for match in dialect.matches):
                return dialect
    return GENERIC


def get(name: str) -> Dialect:
    """Return the dialect of this name.

    Raises
    ------
    ValueError
        If the dialect does not exist; the message lists all dialects.
    """
    for dialect in (*_own, *FAMILIES, GENERIC):
        if dialect.name == name:
            return dialect
    near = did_you_mean(name, names())
    raise ValueError(f"The dialect {name!r} does not exist. {near}Dialects: {', '.join(names())}.")


def names() -> tuple[str, ...]:
    """List the names of all dialects, those registered first."""
    return tuple(dialect.name for dialect in (*_own, *FAMILIES, GENERIC))


def register(dialect: Dialect) -> Dialect:
    """Make a dialect known, before all others; one of the same name is replaced.

    Raises
    ------
    ValueError
        If it has no expression to be found by.
    """
    if not dialect.matches:
        raise ValueError(
            f"The dialect {dialect.name!r} needs matches: expressions for the ids of its models."
        )
    for match in dialect.matches:
        re.compile(match)
    unregister(dialect.name)
    _own.insert(0, dialect)
    _of.cache_clear()
    return dialect


def unregister(name: str) -> None:
    """Forget a registered dialect; a name that is not registered changes nothing."""
    _own[:] = [dialect for dialect in _own if dialect.name != name]
    _of.cache_clear()
