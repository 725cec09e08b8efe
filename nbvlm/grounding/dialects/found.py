"""Places as they are written: numbers, a label and a kind, before they become pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["FAR", "NUMBER", "Found", "Kind", "Numbers", "chunks", "floats", "numbers_in", "shape", "shapes"]

Kind = Literal["box", "point", "outline"]

NUMBER = re.compile(r"[-+]?(?:[0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,3})?")
_TAG = re.compile(r"<[^<>]{0,40}>")
_LONGEST = 12  # digits before the point of a number that can be a place
FAR = 10.0**_LONGEST


@dataclass(slots=True)
class Numbers:
    """A list of numbers as it is written, with the lists inside it."""

    position: int
    values: list[float] = field(default_factory=list)
    children: list[Numbers] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    broken: bool = False  # a number without end
    stray: bool = False  # characters between numbers
    other: bool = False  # words, or characters that are not a number, anywhere in it
    percent: bool = False

    @property
    def is_rest(self) -> bool:
        """Whether it is two numbers beside something else: the rest of a box, not a point."""
        return len(self.values) == 2 and (self.other or bool(self.strings))

    def flat(self) -> Iterator[Numbers]:
        """The lists of numbers in it, itself included."""
        if self.values or self.broken:
            yield self
        for child in self.children:
            yield from child.flat()


@dataclass(slots=True)
class Found:
    """A place: a box, a point, or an outline (x, y, …).

    Attributes
    ----------
    named
        Whether the numbers were named, and so are in the order x, y whatever the dialect's.
    space
        The space that the form itself decides ("percent", "docling", …), or "".
    outline
        The numbers of an outline that comes with a box, x first.
    mask
        A base64 PNG that comes with a box, stretched over it.
    """

    kind: Kind
    numbers: tuple[float, ...]
    label: str
    position: int
    text: str = ""
    named: bool = False
    space: str = ""
    stray: bool = False
    outline: tuple[float, ...] | None = None
    mask: str | None = None


def numbers_in(text: str) -> Numbers | None:
    """Read the numbers of a string such as "(1, 2, 3, 4)" or "12px"; None for other text."""
    bare = _TAG.sub(" ", text)
    rest = re.sub(r"px|[\s,;:()\[\]{}%]", "", NUMBER.sub("", bare))
    if rest or len(text) > 2000:
        return None
    values = [float(number) for number in NUMBER.findall(bare)]
    return Numbers(0, values, percent="%" in text) if values else None


def shapes(numbers: Numbers, kind: str) -> tuple[list[tuple[Kind, tuple[float, ...]]], bool]:
    """Turn a list into places; also return whether a part of it could not be read.

    `kind` is what its key or tag names: "box", "point", "outline" or "any".
    """
    lists = list(numbers.flat())
    corners = [one for one in lists if len(one.values) == 2 and not one.broken]
    if lists and len(corners) == len(lists) and len(lists) > 1 and kind != "point":
        values = tuple(value for one in lists for value in one.values)
        if kind != "any" or len(lists) > 4:
            if len(lists) == 2:
                return [("box", values)], False
            return ([("outline", values)], False) if kind == "outline" or len(lists) > 3 else ([], True)
    found: list[tuple[Kind, tuple[float, ...]]] = []
    wrong = False
    for one in lists:
        read = None if one.broken or (kind == "box" and one.is_rest) else shape(tuple(one.values), kind)
        if read is None:
            wrong = True
        else:
            found += read
    return found, wrong


def shape(values: tuple[float, ...], kind: str) -> list[tuple[Kind, tuple[float, ...]]] | None:
    """Read one list by its length; None if it is not a place."""
    count = len(values)
    if not count or max(map(abs, values)) >= FAR:
        return None
    if kind == "outline" and count >= 6 and count % 2 == 0:
        return [("outline", values)]
    if kind == "point" and count % 2 == 0:
        return [("point", values[at : at + 2]) for at in range(0, count, 2)]
    if count == 2:
        return [("point", values)]
    if count == 4:
        return [("box", values)]
    if count == 8 or (count > 8 and count % 2 == 0 and kind == "any"):
        return [("outline", values)]
    return None


def chunks(values: Iterable[float], length: int) -> list[tuple[float, ...]]:
    """Cut numbers into groups of one length; an incomplete one at the end is left out."""
    numbers = tuple(values)
    return [numbers[at : at + length] for at in range(0, len(numbers) - length + 1, length)]


def floats(texts: object) -> tuple[float, ...] | None:
    """Turn texts into numbers; None if one of them is not a number that can be a place."""
    try:
        numbers: tuple[float, ...] = tuple(map(float, texts))  # type: ignore[call-overload]
    except ValueError:
        return None
    return numbers if all(abs(number) < FAR for number in numbers) else None
