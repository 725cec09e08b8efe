"""Answers in tokens become detections, one row for every irregularity that models and services show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nbvlm
from nbvlm import Parser, parse
from nbvlm.grounding.problems import KINDS

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "data" / "golden" / "answers.json").read_text(encoding="utf-8")
)
SIZE = (1023, 1023)  # a pixel is a bin
BOX = "<loc0010><loc0020><loc0110><loc0220>"
CAT = (20.0, 10.0, 220.0, 110.0)
OTHER = "<loc0300><loc0400><loc0500><loc0600>"
DOG = (400.0, 300.0, 600.0, 500.0)
CODES = tuple(range(3, 19))
SEGS = "".join(f"<seg{code:03d}>" for code in CODES)


def read(text: str, prompt: str | None = None, **options: Any) -> Parser:
    parser = Parser(SIZE, prompt, **options)
    parser.feed(text)
    parser.close()
    return parser


def seen(parser: Parser) -> list[tuple[Any, ...]]:
    return [(one.label, one.box, one.codes) for one in parser.detections]


def kinds(parser: Parser) -> list[str]:
    return [problem.kind for problem in parser.problems]


TWO = [("cat", CAT, None), ("dog", DOG, None)]
REGULAR = {
    "two items": (f"{BOX} cat ; {OTHER} dog", None, TWO),
    "trailing separator": (f"{BOX} cat ; {OTHER} dog ; ", None, TWO),
    "trailing separator at the very end": (f"{BOX} cat ; {OTHER} dog ;", None, TWO),
    "end token": (f"{BOX} cat ; {OTHER} dog<eos>", None, TWO),
    "end token and padding": (f"{BOX} cat ; {OTHER} dog<eos><pad><pad>", None, TWO),
    "separator and end token": (f"{BOX} cat ; {OTHER} dog ; <eos>", None, TWO),
    "leading newline": (f"\n{BOX} cat ; {OTHER} dog", None, TWO),
    "leading space": (f" {BOX} cat ; {OTHER} dog", None, TWO),
    "start token": (f"<bos>{BOX} cat ; {OTHER} dog", None, TWO),
    "echo and newline": (f"detect cat ; dog\n{BOX} cat ; {OTHER} dog", "detect cat ; dog", TWO),
    "echo and space": (f"detect cat ; dog {BOX} cat ; {OTHER} dog", "detect cat ; dog", TWO),
    "echo of an unknown prompt": (f"detect cat ; dog\n{BOX} cat ; {OTHER} dog", None, TWO),
    "no space before the label": (f"{BOX}cat ; {OTHER}dog", None, TWO),
    "tight separator": (f"{BOX} cat;{OTHER} dog", None, TWO),
    "doubled separator": (f"{BOX} cat ; ; {OTHER} dog", None, TWO),
    "no separator": (f"{BOX} cat {OTHER} dog", None, TWO),
    "newline as separator": (f"{BOX} cat\n{OTHER} dog", None, TWO),
    "spaces between tokens": (
        f"{BOX.replace('><', '> <')} cat ; {OTHER.replace('><', '> <')} dog",
        None,
        TWO,
    ),
    "segmentation, pre-training form": (
        f"{BOX} {SEGS} cat ; {OTHER} dog",
        None,
        [("cat", CAT, CODES), TWO[1]],
    ),
    "segmentation, label but no space": (
        f"{BOX}{SEGS}cat ; {OTHER} dog",
        None,
        [("cat", CAT, CODES), TWO[1]],
    ),
    "segmentation, bare form": (f"{BOX}{SEGS}", None, [("", CAT, CODES)]),
    "segmentation, bare form twice": (
        f"{BOX}{SEGS}{OTHER}{SEGS}",
        None,
        [("", CAT, CODES), ("", DOG, CODES)],
    ),
    "no label, one thing asked": (f"{BOX}{SEGS}", "segment red  car", [("red car", CAT, CODES)]),
    "no label, the thing repeated": (
        f"{BOX} ; {OTHER}",
        "detect cat ; cat",
        [("cat", CAT, None), ("cat", DOG, None)],
    ),
    "no label, the prompt has a newline": (BOX, "detect cat\n", [("cat", CAT, None)]),
    "no label, two things asked": (f"{BOX} cat ; {OTHER} ;", "detect cat ; dog", [TWO[0], ("", DOG, None)]),
    "no label, no thing asked": (BOX, "caption en", [("", CAT, None)]),
    "a label that was not asked for": (f"{BOX} cat", "detect dog", TWO[:1]),
    "repeated boxes": (f"{BOX} cat ; {BOX} cat", None, [TWO[0], TWO[0]]),
    "two unlabelled boxes": (f"{BOX} {OTHER} dog", None, [("", CAT, None), TWO[1]]),
    "class token": (
        f"{BOX}<unused12>{OTHER}<unused3>",
        None,
        [("<unused12>", CAT, None), ("<unused3>", DOG, None)],
    ),
    "markup after the box": (f"{BOX} <script>&", None, [("<script>&", CAT, None)]),
    "echo with locations": (f"caption {BOX}\nA cat.", f"caption {BOX}", []),
    "echo with locations alone": (f"caption {BOX}", f"caption {BOX}", []),
    "almost an echo": (f"caption {BOX}x", f"caption {BOX}", [("x", CAT, None)]),
    "echo with locations, then a box": (f"\ncaption {BOX}\n{OTHER} dog", f"caption {BOX}\n", TWO[1:]),
}


@pytest.mark.parametrize(("text", "prompt", "expected"), REGULAR.values(), ids=REGULAR)
def test_forms_that_are_read_without_complaint(text: str, prompt: str | None, expected: Any) -> None:
    parser = read(text, prompt)
    assert seen(parser) == expected
    assert parser.problems == ()


LABELS = [
    "driver's seat",
    "dr. smith, jr",
    "a/b (left) #3 – 50 %!",
    "猫",
    "café au lait",
    "T-shirt",
    "<b>bold</b>",
    "x < y > z",
    "<loc12>",
    "<LOC0001>",
    "<loc00012>",
    "<seg12>",
    "<eo>",
    "🦊 ‍fox",
    "٣",
]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("before", [BOX, BOX + " ", f"{BOX} {SEGS} ", BOX + SEGS])
def test_a_label_has_any_characters(label: str, before: str) -> None:
    parser = read(f"{before}{label} ; {OTHER} dog")
    assert seen(parser)[0][0] == label
    assert seen(parser)[1] == TWO[1]
    assert parser.problems == ()


@pytest.mark.parametrize(
    "label", ["jack  of clubs", " jack of clubs ", "jack\tof\nclubs", "jack\u00a0of clubs"]
)
def test_blanks_in_a_label_are_one_space_each(label: str) -> None:
    assert seen(read(f"{BOX} {label} ; {OTHER} dog"))[0][0] == "jack of clubs"


@pytest.mark.parametrize("tail", ["<", "a <", "<3", "<3 and <"])
def test_angle_brackets_stay_in_a_label_at_the_end(tail: str) -> None:
    assert seen(read(f"{BOX} x{tail}")) == [(f"x{tail}", CAT, None)]


IRREGULAR = {
    "three locations": (f"{BOX[:27]} cat", [], [("locations", 0)]),
    "five locations": (f"{BOX}<loc0007> cat", [], [("locations", 0)]),
    "eight locations": (f"{BOX}{OTHER} cat", [], [("locations", 0)]),
    "three locations with a mask": (f"{BOX[:27]}{SEGS} cat", [], [("locations", 0)]),
    "a point": (f"{BOX[:18]} nose", [], [("point", 0)]),
    "two locations and no label": (BOX[:18], [], [("locations", 0)]),
    "1024": (
        "<loc0010><loc0020><loc0110><loc1024> cat",
        [("cat", (20, 10, 1023, 110), None)],
        [("range", 0)],
    ),
    "9999": (
        "<loc0010><loc0020><loc9999><loc0220> cat",
        [("cat", (20, 10, 220, 1023), None)],
        [("range", 0)],
    ),
    "rows swapped": (
        "<loc0110><loc0020><loc0010><loc0220> cat",
        [("cat", (20, 110, 220, 10), None)],
        [("swapped", 0)],
    ),
    "columns swapped": (
        "<loc0010><loc0220><loc0110><loc0020> cat",
        [("cat", (220, 10, 20, 110), None)],
        [("swapped", 0)],
    ),
    "a line": (
        "<loc0010><loc0020><loc0010><loc0220> cat",
        [("cat", (20, 10, 220, 10), None)],
        [("empty", 0)],
    ),
    "one code": (f"{BOX}<seg001> cat", [("cat", CAT, None)], [("codes", 0)]),
    "fifteen codes": (f"{BOX} {SEGS[:-8]} cat", [("cat", CAT, None)], [("codes", 0)]),
    "seventeen codes": (f"{BOX}{SEGS}<seg001> cat", [("cat", CAT, None)], [("codes", 0)]),
    "a code of 128": (f"{BOX}{SEGS[:-8]}<seg128> cat", [("cat", CAT, None)], [("code range", 0)]),
    "codes alone": (f"{SEGS} cat", [], [("stray codes", 0)]),
    "codes after the label": (f"{BOX} cat {SEGS}", [("cat", CAT, None)], [("stray codes", 0)]),
    "words between items": (f"{OTHER} dog ; bird ; {BOX} cat", [TWO[1], TWO[0]], [("text", 43)]),
    "words after the end": (f"{BOX} cat<eos> and so on", [TWO[0]], [("text", 46)]),
    "cut in a location": (f"{BOX} cat ; <loc00", [TWO[0]], [("cut", 43)]),
    "cut after three locations": (
        f"{BOX} cat ; {OTHER[:27]}<loc",
        [TWO[0]],
        [("locations", 43), ("cut", 70)],
    ),
    "cut in the codes": (f"{BOX}{SEGS[:32]}<seg0", [("", CAT, None)], [("codes", 0), ("cut", 68)]),
    "cut in the end token": (f"{BOX} cat<eo", [TWO[0]], [("cut", 40)]),
    "cut at the first character": (f"{BOX}<", [("", CAT, None)], [("cut", 36)]),
    "several at once": (
        f"<loc0110><loc0020><loc0010><loc1024>{SEGS[:8]} cat",
        [("cat", (20, 110, 1023, 10), None)],
        [("range", 0), ("swapped", 0), ("codes", 0)],
    ),
}


@pytest.mark.parametrize(("text", "expected", "problems"), IRREGULAR.values(), ids=IRREGULAR)
def test_what_does_not_fit_is_reported(text: str, expected: Any, problems: Any) -> None:
    parser = read(text)
    assert seen(parser) == expected
    assert [(problem.kind, problem.position) for problem in parser.problems] == problems
    assert all(problem.message in str(problem) for problem in parser.problems)


@pytest.mark.parametrize("text", [row[0] for row in IRREGULAR.values()], ids=IRREGULAR)
def test_neighbours_of_what_does_not_fit_are_untouched(text: str) -> None:
    parser = read(f"{BOX} left ; {text} ; {OTHER} {SEGS} right")
    assert seen(parser)[0] == ("left", CAT, None)
    assert seen(parser)[-1] == ("right", DOG, CODES)


@pytest.mark.parametrize(
    "text", [*(row[0] for row in REGULAR.values()), *(row[0] for row in IRREGULAR.values())]
)
@pytest.mark.parametrize("prompt", [None, "detect cat ; dog", f"caption {BOX}"])
def test_where_the_answer_is_split_does_not_matter(text: str, prompt: str | None) -> None:
    whole = read(text, prompt)
    for at in range(len(text) + 1):
        parser = Parser(SIZE, prompt)
        found = [*parser.feed(text[:at]), *parser.feed(text[at:]), *parser.close()]
        assert found == list(whole.detections)
        assert parser.problems == whole.problems
        assert parser.has_locations == whole.has_locations
    single = Parser(SIZE, prompt)
    assert [one for character in text for one in single.feed(character)] + single.close() == list(
        whole.detections
    )
    assert single.problems == whole.problems


def test_a_detection_is_returned_as_soon_as_nothing_can_change_it() -> None:
    parser = Parser(SIZE)
    assert parser.feed(f"{BOX} cat") == []
    assert [one.label for one in parser.feed(" ;")] == ["cat"]
    assert parser.feed(f" {OTHER}{SEGS}") == []
    assert [one.box for one in parser.feed(BOX[:9])] == [DOG]
    assert parser.feed(f"{BOX[9:]} fox") == []
    assert [one.label for one in parser.feed("<eos>")] == ["fox"]
    assert parser.close() == []


def test_a_closed_parser_gives_nothing_more_and_takes_nothing_more() -> None:
    parser = read(f"{BOX} cat")
    assert parser.close() == []
    assert len(parser.detections) == 1
    with pytest.raises(ValueError, match="closed"):
        parser.feed("more")


@pytest.mark.parametrize("text", ["", "no", "A cat sits on a mat; it sleeps.", "\n", "<", "a < b", "<loc12>"])
def test_words_alone_are_not_an_empty_find(text: str) -> None:
    parser = read(text, "detect cat")
    assert not parser.has_locations
    assert len(parser.detections) == 0
    assert set(kinds(parser)) <= {"cut"}


def test_an_answer_of_broken_items_has_locations_all_the_same() -> None:
    assert read("<loc0001>").has_locations


@pytest.mark.parametrize("entry", GOLDEN, ids=[str(entry["n"]) for entry in GOLDEN])
def test_real_answers_are_read_without_complaint(entry: Any) -> None:
    parser = read(entry["out"], entry["prompt"])
    assert len(parser.detections) == entry["out"].count("<loc") // 4
    assert parser.problems == ()
    named = (entry["prompt"] or " ").split(" ", 1)[1]
    assert set(parser.detections.labels) == {named}


SIZES = {
    2: (640, 480),
    4: (400, 400),
    5: (400, 400),
    6: (400, 400),
    13: (500, 333),
    14: (275, 183),
    15: (800, 400),
}


PUBLISHED = [(entry, bins) for entry in GOLDEN for bins in (1023, 1024) if f"b{bins}" in entry]


@pytest.mark.parametrize(
    ("entry", "bins"), PUBLISHED, ids=[f"{entry['n']}-{bins}" for entry, bins in PUBLISHED]
)
def test_real_boxes_fall_where_they_belong(entry: Any, bins: int) -> None:
    found = parse(entry["out"], SIZES[entry["n"]], entry["prompt"], bins=bins)
    expected = entry[f"b{bins}"]
    for box, numbers in zip(
        found.xyxy, expected if isinstance(expected[0], list) else [expected], strict=True
    ):
        assert box == pytest.approx(numbers, abs=0.0051)


def test_the_last_bin_is_the_edge_of_the_picture() -> None:
    full = "<loc0000><loc0000><loc1023><loc1023> all"
    for size in [(4000, 3000), (275, 183), (1, 1), (12345, 67891)]:
        assert parse(full, size)[0].box == (0.0, 0.0, *map(float, size))
    assert parse(full, (4096, 1024), bins=1024)[0].box == (0.0, 0.0, 4092.0, 1023.0)


def test_parse_gives_the_same_as_the_parser_and_no_masks_of_its_own() -> None:
    text = f"{BOX} {SEGS} cat"
    assert nbvlm.parse(text, size=SIZE) == read(text).detections
    assert nbvlm.parse(text, size=SIZE)[0].mask is None
    assert list(nbvlm.parse(text, size=SIZE).masks) == [None]


@pytest.mark.parametrize("size", [(0, 10), (10, -1), (10,), (10, 10, 3), (1.5, 2), "ab", None])
def test_a_size_that_cannot_be_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match="size"):
        parse(BOX, size=size)


@pytest.mark.parametrize("bins", [0, -1])
def test_bins_that_cannot_be_are_refused(bins: int) -> None:
    with pytest.raises(ValueError, match="bins"):
        parse(BOX, SIZE, bins=bins)


def test_every_problem_is_a_value_with_a_meaning() -> None:
    reported = {kind for row in IRREGULAR.values() for kind, _ in row[2]}
    others = {
        "item",
        "unfinished",
        "numbers",
        "sorted",
        "mask",
        "scale",
        "order",
        "repeats",
    }  # of other dialects
    assert reported == set(KINDS) - others
    problem = read(f"{BOX}{OTHER * 100} cat").problems[0]
    assert problem == nbvlm.Problem("locations", 0, problem.text)
    assert len(problem.text) == 80


def test_a_megabyte_of_tokens_is_read_whole() -> None:
    count = 1_000_000 // len(f"{BOX} cat ; ")
    parser = read(f"{BOX} cat ; " * count)
    assert len(parser.detections) == count
    assert parser.problems == ()


def test_a_number_of_endless_digits_is_read_at_once() -> None:
    # Tried in parts, it could be read in exponentially many ways.
    assert len(parse("[" + "9" * 400, (640, 480), dialect="generic")) == 0


def test_an_end_mark_with_brackets_is_read_alike_wherever_it_is_cut() -> None:
    text = "<|box[[_start|>6 6 6 6<|box_end|>\n<|box_start|>295 310 303 340<|box_end|><|ref_start|>cat<|ref_end|>"
    whole = parse(text, (640, 480), dialect="mineru")
    assert len(whole) == 1
    for at in range(len(text)):
        parser = Parser((640, 480), dialect="mineru")
        parser.feed(text[:at])
        parser.feed(text[at:])
        parser.close()
        assert parser.detections == whole


@pytest.mark.parametrize("number", ["1e400", "29.1e4001", "inf", "nan", "9" * 400, "1_0"])
def test_a_coordinate_that_is_no_place_is_left_out(number: str) -> None:
    for text in (
        f'<point x="{number}" y="79.5" alt="a dog">a dog</point>',
        f'<points coords="1 1 {number} 400 2 911 800">a dog</points>',
    ):
        assert all(x < 1e6 for x, _ in parse(text, (640, 480), dialect="molmo").xyxy[:, :2].tolist())
