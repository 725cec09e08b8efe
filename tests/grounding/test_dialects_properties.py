"""What holds for every dialect: what is written is read, cuts change nothing, damage stays where it is."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nbvlm import Parser, parse
from nbvlm.grounding import dialects
from nbvlm.grounding.problems import KINDS
from tests.support.dialect_writing import write

REPRODUCIBLE = settings(deadline=None, derandomize=True, max_examples=25)
SIZE = (800, 600)
EVERY = [dialect.name for dialect in (*dialects.FAMILIES, dialects.GENERIC)]
STEP = {"patches": 26.0}

words = st.from_regex(r"[a-z]{2,8}(?:_[a-z]{2,6})?", fullmatch=True)
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=12
)


@st.composite
def boxes(draw: Any) -> tuple[float, ...]:
    x = draw(st.integers(0, 700))
    y = draw(st.integers(0, 500))
    return x, y, x + draw(st.integers(30, 100)), y + draw(st.integers(30, 100))


def read(pieces: list[str], **options: Any) -> Parser:
    parser = Parser(SIZE, **options)
    for piece in pieces:
        parser.feed(piece)
    parser.close()
    return parser


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def same(one: Parser, other: Parser) -> bool:
    columns = one.detections, other.detections
    raw = columns[0].raw == columns[1].raw and columns[0].readings == columns[1].readings
    return raw and (*columns[:1], one.problems, one.has_locations) == (
        *columns[1:],
        other.problems,
        other.has_locations,
    )


@pytest.mark.parametrize("name", EVERY)
@REPRODUCIBLE
@given(
    things=st.lists(st.tuples(words, boxes()), min_size=1, max_size=5, unique_by=lambda thing: thing[1]),
    data=st.data(),
)
def test_what_a_dialect_writes_is_read_wherever_it_is_cut(
    name: str, things: Any, data: st.DataObject
) -> None:
    dialect = dialects.get(name)
    text = write(dialect, things, SIZE)
    whole = read([text], dialect=dialect)
    found = whole.detections
    wanted = things
    if dialect.form in ("points", "tracks"):  # one tag for each label
        wanted = sorted(things, key=lambda thing: [label for label, _ in things].index(thing[0]))
    assert list(found.labels) == [label for label, _ in wanted]
    step = STEP.get(
        dialect.form, 1.7 if dialect.scale and dialect.scale != "pixels" and dialect.scale >= 100 else 1.0
    )
    for box, (_, written) in zip(found.xyxy.tolist(), wanted, strict=True):
        if dialect.form in ("points", "tracks"):
            written = ((written[0] + written[2]) / 2, (written[1] + written[3]) / 2) * 2
        assert box == pytest.approx(written, abs=step)
    places = data.draw(st.lists(st.integers(0, 10_000), max_size=8))
    assert same(whole, read(cut(text, places), dialect=dialect))
    assert same(whole, read(list(text), dialect=dialect))


@pytest.mark.parametrize("name", ["qwen3-vl", "gemini", "generic"])
@REPRODUCIBLE
@given(things=st.lists(st.tuples(texts, boxes()), min_size=1, max_size=4))
def test_any_label_survives_json(name: str, things: Any) -> None:
    found = parse(write(dialects.get(name), things, SIZE), SIZE, dialect=name)
    assert list(found.labels) == [label for label, _ in things]


FRAGMENTS = st.sampled_from(
    [
        "[", "]", "{", "}", "(", ")", "[[", "]]", "},", "```", "```json\n", '"', "'", "\\", ",", ":", "\n",
        " ", "<", ">",
        '"bbox_2d": [1, 2, 30, 40]', '"label": "cat"', '{"box_2d": [1, 2, 3, 4], "label": "a"}',
        "bbox",
        '"point_2d": [5, 6]', "<ref>", "</ref>", "<box>", "</box>", "<|det|>", "<|/det|>", "<|ref|>",
        "<|/ref|>", "<|box_start|>", "<|box_end|>", "(1,2),(3,4)", "[1, 2, 3, 4]", "[1, 2]", "12", "0.5",
        "9999999999999", "-", "%", "cat", "none", "label", "x1=",
        '<points x1="1" y1="2"', '<point x="1.5" y="2.5" alt="dog">',
        "</points>", "</point>", "<loc_12>", "<|LOC_3|>", "<x_0.5>", "<y_0.25>", "<class_Text>", "<think>",
        "</think>",
        "<loc0001>", "<patch_index_0044>", "<text>", "<12>", "//", "/*", "*/",
        '"mask": "data:image/png;base64,iVBORw0KGgo', "“", "”", "：", "，", "e",
        ".", "_", "=", "start_box='", "<point>4 5</point>",
    ]
)  # fmt: skip
rubble = st.lists(st.one_of(FRAGMENTS, st.text(max_size=3)), max_size=24).map("".join)


@example(text="[</ref>000start_box='[", places=[10], name=None)
@example(text="<point_box>3<y_1>\n\n<", places=[18], name=None)
@example(text="<think>[</thi[{", places=[13], name="qwen3-vl")
@settings(deadline=None, derandomize=True, max_examples=400)
@given(
    text=rubble,
    places=st.lists(st.integers(0, 10_000), max_size=6),
    name=st.sampled_from([None, "qwen3-vl", "mineru", "ferret"]),
)
def test_any_text_is_read_without_an_exception_and_cuts_change_nothing(
    text: str, places: list[int], name: str | None
) -> None:
    whole = read([text], dialect=name)
    assert all(problem.kind in KINDS for problem in whole.problems)
    assert all(0 <= problem.position <= len(text) and len(problem.text) <= 80 for problem in whole.problems)
    positions = [problem.position for problem in whole.problems]
    assert positions == sorted(positions)
    assert all(0 <= one <= 800 for box in whole.detections.xyxy.tolist() for one in box)
    for pieces in (cut(text, places), list(text)):
        other = read(pieces, dialect=name)
        assert (whole.detections, whole.problems) == (other.detections, other.problems), pieces


@REPRODUCIBLE
@given(
    things=st.lists(st.tuples(words, boxes()), min_size=3, max_size=6, unique_by=lambda thing: thing[1]),
    data=st.data(),
)
def test_a_damaged_item_costs_itself_only(things: Any, data: st.DataObject) -> None:
    items = [json.dumps({"bbox_2d": [round(n) for n in box], "label": label}) for label, box in things]
    victim = data.draw(st.integers(1, len(items) - 2))
    place = data.draw(st.integers(0, len(items[victim]) - 1))
    items[victim] = items[victim][:place] + items[victim][place + 1 :]
    found = parse("[" + ",\n".join(items) + "]", SIZE, dialect=dialects.get("qwen3-vl"))
    whole = set(re.findall(r"\d+, \d+, \d+, \d+", " ".join(items[:victim] + items[victim + 1 :])))
    assert whole <= {", ".join(f"{n:g}" for n in raw or ()) for raw in found.raw}


@REPRODUCIBLE
@given(things=st.lists(st.tuples(words, boxes()), min_size=1, max_size=4), data=st.data())
def test_a_truncated_answer_keeps_what_was_complete(things: Any, data: st.DataObject) -> None:
    text = write(dialects.get("qwen3-vl"), things, SIZE)
    end = data.draw(st.integers(0, len(text)))
    found = parse(text[:end], SIZE, model="qwen3-vl")
    assert len(found) == text[:end].count("}")
    assert found.raw == parse(text, SIZE, model="qwen3-vl").raw[: len(found)]
