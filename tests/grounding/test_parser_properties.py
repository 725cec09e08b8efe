"""What holds for every answer: splits change nothing, damage stays where it is, nothing raises."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nbvlm import Parser
from nbvlm.grounding.problems import KINDS

SIZE = (1023, 1023)
REPRODUCIBLE = settings(deadline=None, derandomize=True)
TOKEN = re.compile(r"<loc\d{4}>|<seg\d{3}>|<(?:eos|bos|pad)>|;")

location = st.integers(0, 1023).map("<loc{:04d}>".format)
code = st.integers(0, 127).map("<seg{:03d}>".format)
blank = st.sampled_from(["", " ", "  ", "\n"])
characters = st.one_of(st.characters(codec="utf-8"), st.sampled_from("<>;loceg0123 "))
words = (
    st.text(characters, max_size=12)
    .map(lambda text: TOKEN.sub("", text))
    .filter(lambda text: not TOKEN.search(text))
)
label = words.filter(lambda text: not re.search(r"<[a-z]{0,3}[0-9]*\Z", text))
separator = st.sampled_from([" ; ", ";", " ;\n", "; "])


@st.composite
def items(draw: Any) -> str:
    """A well-formed item in any of the written forms."""
    low = sorted(draw(st.lists(st.integers(0, 1023), min_size=2, max_size=2, unique=True)))
    left = sorted(draw(st.lists(st.integers(0, 1023), min_size=2, max_size=2, unique=True)))
    box = "".join(f"<loc{value:04d}>" for value in (low[0], left[0], low[1], left[1]))
    codes = draw(st.one_of(st.just(""), st.lists(code, min_size=16, max_size=16).map("".join)))
    return box + draw(blank) + codes + draw(blank) + draw(label)


# What may stand between two separators and is no item: it must not harm what stands beside it.
rubble = st.lists(
    st.one_of(location, code, words, blank, st.sampled_from(["<loc", "<", "<eos>", "<loc12>"])), max_size=24
).map("".join)


def read(pieces: list[str], prompt: str | None = None) -> Parser:
    parser = Parser(SIZE, prompt)
    returned = [one for piece in pieces for one in parser.feed(piece)] + parser.close()
    assert returned == list(parser.detections)
    return parser


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def same(one: Parser, other: Parser) -> bool:
    return (one.detections, one.problems, one.has_locations) == (
        other.detections,
        other.problems,
        other.has_locations,
    )


answers = st.lists(st.one_of(items(), rubble), max_size=6).flatmap(
    lambda parts: st.lists(separator, min_size=len(parts), max_size=len(parts)).map(
        lambda marks: "".join(part + mark for part, mark in zip(parts, marks, strict=True))
    )
)
prompts = st.one_of(st.none(), st.sampled_from(["detect cat", "detect cat ; dog"]), items())


@REPRODUCIBLE
@given(st.lists(items(), max_size=6), separator)
def test_an_answer_by_the_grammar_is_read_whole(parts: list[str], mark: str) -> None:
    parser = read([mark.join(parts)])
    assert parser.problems == ()
    assert [list(one.box) for one in parser.detections] == [boxes(part) for part in parts]
    assert [one.label for one in parser.detections] == [
        " ".join(TOKEN.sub("", part).split()) for part in parts
    ]
    assert [one.codes or () for one in parser.detections] == [
        tuple(map(int, re.findall(r"<seg(\d{3})>", part, re.ASCII))) for part in parts
    ]


def boxes(part: str) -> list[float]:
    y0, x0, y1, x1 = map(float, re.findall(r"<loc(\d{4})>", part, re.ASCII))
    return [x0, y0, x1, y1]


@REPRODUCIBLE
@given(answers, prompts, st.lists(st.integers(0, 10_000), max_size=8), st.booleans())
def test_splits_change_nothing(answer: str, prompt: str | None, places: list[int], echo: bool) -> None:
    text = f"{prompt}\n{answer}" if echo and prompt else answer
    assert same(read([text], prompt), read(cut(text, places), prompt))
    assert same(read([text], prompt), read(list(text), prompt))


@REPRODUCIBLE
@given(items(), rubble, items(), separator, separator, st.lists(st.integers(0, 10_000), max_size=3))
def test_damage_stays_where_it_is(
    left: str, damage: str, right: str, mark: str, other: str, places: list[int]
) -> None:
    alone = read([left]).detections, read([right]).detections
    parser = read(cut(left + mark + damage + other + right, places))
    assert parser.detections[:1] == alone[0]
    assert parser.detections[-1:] == alone[1]


@REPRODUCIBLE
@given(st.lists(items(), min_size=1, max_size=5), st.data())
def test_a_corrupted_item_leaves_its_neighbours_alone(parts: list[str], data: st.DataObject) -> None:
    victim = data.draw(st.integers(0, len(parts) - 1))
    text = parts[victim]
    start, end = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2)))
    damaged = [*parts[:victim], text[:start] + data.draw(rubble) + text[end:], *parts[victim + 1 :]]
    parser = read([" ; ".join(damaged)])
    before, after = read([" ; ".join(parts[:victim])]), read([" ; ".join(parts[victim + 1 :])])
    assert parser.detections[: len(before.detections)] == before.detections
    assert parser.detections[len(parser.detections) - len(after.detections) :] == after.detections


@REPRODUCIBLE
@given(st.text(characters), prompts)
def test_any_text_is_read_without_an_exception(text: str, prompt: str | None) -> None:
    parser = read([text], prompt)
    assert all(problem.kind in KINDS for problem in parser.problems)
    assert all(0 <= problem.position < len(text) and len(problem.text) <= 80 for problem in parser.problems)
    positions = [problem.position for problem in parser.problems]
    assert positions == sorted(positions)


@REPRODUCIBLE
@given(st.lists(items(), min_size=1, max_size=4), st.data())
def test_a_truncated_answer_keeps_what_was_final(parts: list[str], data: st.DataObject) -> None:
    text = " ; ".join(parts)
    end = data.draw(st.integers(0, len(text)))
    final = Parser(SIZE)
    certain = final.feed(text[:end])
    assert read([text]).detections[: len(certain)] == type(final.detections).of(certain, SIZE)
