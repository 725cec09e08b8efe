"""Answers of many model families become detections: recorded ones, broken ones, and what their numbers
mean."""

from __future__ import annotations

import base64
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nbvlm
from nbvlm import Parser, parse
from nbvlm.grounding import Detection, Detections, Reading, dialects, overlaps
from nbvlm.grounding.dialects import Canvas, LongEdge, Resize, Square
from nbvlm.grounding.problems import KINDS

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "data" / "golden" / "grounding.json").read_text(encoding="utf-8")
)
SURE = [answer for answer in GOLDEN if answer["sure"] == "high" and answer["expected"] is not None]
SIZE = (1000, 1000)  # a pixel is a thousandth


def read(text: str, size: tuple[int, int] = SIZE, **options: Any) -> Parser:
    parser = Parser(size, **options)
    parser.feed(text)
    parser.close()
    return parser


def kinds(parser: Parser) -> list[str]:
    return [problem.kind for problem in parser.problems]


def numbers(found: Detections) -> list[tuple[str, tuple[float, ...]]]:
    return list(zip(found.labels, found.raw, strict=True))  # type: ignore[arg-type]


# -- recorded answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", SURE, ids=[answer["id"] for answer in SURE])
def test_a_recorded_answer_is_read_exactly(answer: dict[str, Any]) -> None:
    size = tuple(answer["image_size"] or SIZE)
    found = parse(answer["answer"], size, answer["prompt"], model=answer["model"])
    assert list(found.labels) == [thing["label"] for thing in answer["expected"]]
    for detection, thing in zip(found, answer["expected"], strict=True):
        key = next(key for key in thing if key not in ("label", "text"))
        corners = np.array(thing[key], dtype=float).reshape(-1, 2) * (size if "fraction" in key else 1)
        box = [*corners.min(axis=0), *corners.max(axis=0)]
        if "point" in key:
            assert detection.point == pytest.approx(box[:2], abs=1.0)
            assert detection.box == (*detection.point, *detection.point)
        else:
            assert overlaps(np.array([detection.box]), np.array([box]))[0, 0] >= 0.9
            assert detection.point is None
        assert (detection.mask is not None) == ("polygon" in key)


@pytest.mark.parametrize("answer", SURE, ids=[answer["id"] for answer in SURE])
def test_a_recorded_answer_streams_in_any_pieces(answer: dict[str, Any]) -> None:
    size = tuple(answer["image_size"] or SIZE)
    whole = read(answer["answer"], size, model=answer["model"])
    parser, returned = Parser(size, model=answer["model"]), []
    for at in range(0, len(answer["answer"]), 3):
        returned += parser.feed(answer["answer"][at : at + 3])
    returned += parser.close()
    assert (parser.detections, parser.problems) == (whole.detections, whole.problems)
    assert len(returned) == len(whole.detections)


# -- broken answers ----------------------------------------------------------------------------------------

A, B, C = '{"bbox_2d": [1, 2, 3, 4], "label": "a"}', '{"bbox_2d": [5, 6, 7, 8], "label": "b"}', "[1, 2, 3, 4]"
ONE, TWO = [("a", (1, 2, 3, 4))], [("a", (1, 2, 3, 4)), ("b", (5, 6, 7, 8))]

BROKEN = {
    "a brace twice": (f"```json\n[\n{{\n{A},\n{B}\n]\n```", TWO),
    "a key twice": ('[{"bbox_2d": [1, 2, 3, 4], "label": "label": "a"}]', ONE),
    "a bracket for a brace": (f"[{A[:-1]}],\n{B[:-1]}],\n]", TWO),
    "a key in brackets": (f'[{A},\n["box_2d"], [5, 6, 7, 8], "b"\n}},\n]', TWO),
    "a key in brackets alone": ('["box_2d"], [1, 2, 3, 4], "a"', ONE),
    "no brace, no quote": (f'[{A},\n box_2d": [5, 6, 7, 8], "label": "b"}}\n]', TWO),
    "a key cut off": (f'[{A}, {{"bbox_ "label": "pill"}}, {B}]', TWO),
    "no comma": (f'[{A}\n{B}]', TWO),
    "no brace at the end": (f"[{A[:-1]}\n{B}]", TWO),
    "no list": (f"{A}, {B}", TWO),
    "lines": (f"{A}\n{B}\n", TWO),
    "a comment, no quotes": ('# [{box_2d: [1, 2, 3, 4], label: "a"}]', ONE),
    "python": ("[{'bbox': (1, 2, 3, 4), 'label': 'a', 'x': None,},]", ONE),
    "numbers in a string": ('{"label": "a", "bbox": "(1,2,3,4)"}', ONE),
    "strings for numbers": ('{"label": "a", "bbox": ["1", "2", "3px", "4"]}', ONE),
    "comments": (f"[ // don't\n{A}, /* {B} */ ]", ONE),
    "a quote within": ('[{"bbox_2d": [1, 2, 3, 4], "label": "a "big" dog"}]', [('a "big" dog', (1, 2, 3,
    4))]), "an apostrophe": ("[{'bbox_2d': [1, 2, 3, 4], 'label': 'a dog's tail'}]", [("a dog's tail", (1,
    2, 3, 4))]), "a string without end": (f'[{{"bbox_2d": [1, 2, 3, 4], "label": "a}}, {B}]', TWO),
    "full width": ("[{“bbox_2d”：［1，2，3，4］，“label”：“a”}]", ONE),
    "a letter between": ("<|ref|>a<|/ref|><|det|>[[1, s 2, 3, 4]]<|/det|>", ONE),
    "a minus alone": ("<|ref|>a<|/ref|><|det|>[[1, - 2, 3, 4]]<|/det|>", ONE),
    "a box abandoned": ("<|ref|>x<|/ref|><|det|>[[220, <|ref|>a<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>", ONE),
    "a label without box": ("<|ref|>a<|/ref|>", []),
    "digits without end": ("<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4], [0, 5, 533, 17, " + "9" * 900, ONE),
    "leftovers": ("a[[1, 2, 3, 4]]\nb[[5, 6, 7, 8]]", TWO),
    "leftovers, tuples": ("a(1,2),(3,4)b(5,6),(7,8)", TWO),
    "a cut element": ("<section><loc_1><loc_2><loc_3><loc_4>", [("section", (1, 2, 3, 4))]),
    "corners": ("a<|LOC_1|><|LOC_2|><|LOC_3|><|LOC_2|><|LOC_3|><|LOC_4|><|LOC_1|><|LOC_4|>", [("a", (1, 2,
    3, 2, 3, 4, 1, 4))]), "a bare list": (C, [("", (1, 2, 3, 4))]),
    "bare numbers": ("1 2 3 4", [("", (1, 2, 3, 4))]),
    "letters for numbers": ("The bounding box coordinates are [x1, y1, x2, y2].", []),
    "a cut point": ('<points x1="0.5" y1="61.2" x2="', [("", (0.5, 61.2))]),
    "numbers on lines": ('{"bbox_2d": [\n 1,\n 2,\n 3,\n 4\n ]}', [("", (1, 2, 3, 4))]),
    "an end at the beginning": ("<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>", [("", (1, 2, 3, 4))]),
    "an empty thought": ('<|im_end|><think>\n\n</think>\n<point_box mention="a">(1,2)(3,4)</point_box>', ONE),
    "three numbers": (f'[{{"bbox_2d": [1, 2, 3], "label": "x"}}, {A}]', ONE),
    "cut in an item": (f"[{A}, {B[:-3]}", ONE),
    "cut in a number": (f"[{A}, {B[:20]}", ONE),
    "a wrapper": (f'{{"result": {{"objects": [{A}, {B}]}}}}', TWO),
    "names as keys": ('{"a": [[1, 2, 3, 4]], "b": [5, 6, 7, 8]}', TWO),
    "arguments": ('{"name": "zoom", "arguments": "{\\"bbox_2d\\": [1, 2, 3, 4], \\"label\\": \\"a\\"}"}',
    ONE), "label last": ("<|box_start|>1 2 3 4<|box_end|><|ref_start|>a<|ref_end|>", ONE),
    "nothing": ("[]", []), "nothing in a list": ('{"objects": []}', []), "none":
    ("<ref>a</ref><box>none</box>", []),
    "numbers in prose": ("I count 4: [1, 2, 3, 4] apples, and in [2019, 2020, 2021, 2022] more.", []),
    "prose": ("The bounding box of the cat is [1, 2, 3, 4].", [("", (1, 2, 3, 4))]),
    "lines of prose": ("1. a (1,2),(3,4)\n2. b: [5, 6, 7, 8]", TWO),
    "a line of html": ('<p data-bbox="1 2 3 4">x</p>', [("p", (1, 2, 3, 4))]),
    "three dimensions": ('[{"box_3d": [1, 2, 3, 4, 5, 6, 7, 8, 9], "label": "a"}]', []),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_one_bad_item_costs_one_item(name: str) -> None:
    text, wanted = BROKEN[name]
    parser = read(text, model="qwen3-vl")
    assert numbers(parser.detections) == wanted
    assert {problem.kind for problem in parser.problems} <= set(KINDS)


@pytest.mark.parametrize(
    "inside",
    ["(100,200),(?,?)", "(?,?),(100,200)", "(100,200),(x,300)", "(100,200),(300", "(100,200),(300,?)"],
)
@pytest.mark.parametrize("tag", ["box", "quad", "bbox"])
def test_a_corner_without_the_other_one_is_a_problem_and_not_a_point(tag: str, inside: str) -> None:
    parser = read(f"<ref>cat</ref><{tag}>{inside}</{tag}>", model="qwen2-vl")
    assert (len(parser.detections), kinds(parser)) == (0, ["item"])


def test_whole_boxes_before_a_damaged_one_are_kept() -> None:
    parser = read("<ref>cat</ref><box>(100,200),(300,400),(500</box>", model="qwen2-vl")
    assert (len(parser.detections), kinds(parser)) == (1, ["item"])


def test_what_was_wrong_is_said() -> None:
    assert kinds(read('{"bbox_2d": [900, 900, 1200, 1000], "label": "a"}', model="qwen3")) == ["range"]
    assert kinds(read('{"bbox_2d": [9, 9, 1, 1], "label": "a"}', model="qwen3")) == ["sorted"]
    assert kinds(read('{"bbox_2d": [9, 9, 9, 20], "label": "a"}', model="qwen3")) == ["empty"]
    assert kinds(read('{"bbox_2d": [9, 9, 9], "label": "a"}', model="qwen3")) == ["item"]
    assert kinds(read('{"bbox_2d": [9, 9, 9', model="qwen3")) == ["unfinished"]
    assert kinds(read("<|ref|>a<|/ref|><|det|>[[1, s 2, 3, 4]]<|/det|>", model="deepseek-ocr")) == ["numbers"]
    assert kinds(read('{"bbox_2d": [0.1, 0.2, 0.3, 0.4]}', model="qwen3")) == ["scale"]
    assert kinds(read('{"box_2d": [1, 2, 3, 4]}')) == ["order"]
    assert kinds(read(f"[{','.join([A] * 9)}]", model="qwen3")) == ["repeats"]


def test_boxes_come_while_the_text_streams() -> None:
    parser = Parser(SIZE, model="qwen3-vl")
    assert parser.feed('```json\n[\n{"bbox_2d": [1, 2, 3, 4], "label": "a"') == []
    assert [one.label for one in parser.feed("}")] == ["a"]
    assert parser.feed(', {"bbox_2d": [5, 6') == []
    assert [one.label for one in parser.feed(', 7, 8], "label": "b"}]')] == ["b"]
    assert parser.close() == []


def test_ten_thousand_boxes() -> None:
    text = (
        "["
        + ",".join(
            f'{{"bbox_2d": [{n % 900}, 1, {n % 900 + 50}, 90], "label": "{n}"}}' for n in range(10_000)
        )
        + "]"
    )
    assert len(parse(text, SIZE, model="qwen3-vl")) == 10_000
    assert (
        len(parse("a" + json.dumps([[1, 2, 3, n] for n in range(10, 10_010)]), SIZE, model="internvl"))
        == 10_000
    )


# -- what numbers mean -------------------------------------------------------------------------------------

BOX = '[{"box_2d": [100, 200, 300, 400], "label": "a"}]'
WIDE = (2000, 1000)


@pytest.mark.parametrize(
    ("model", "prompt", "box"),
    [
        ("gemini-2.5-flash", None, (400, 100, 800, 300)),
        ("Qwen/Qwen3-VL-8B-Instruct", None, (200, 200, 600, 400)),
        ("google/gemma-4-31b-it", "[x_min, y_min, x_max, y_max]", (200, 200, 600, 400)),
        ("gpt-5.2", None, (100, 200, 300, 400)),
        ("mistral-large-4", None, (200.2, 200.2, 600.6, 400.4)),
        ("moonshotai/kimi-k2.6", "[ymin, xmin, ymax, xmax], 0-1000", (400, 100, 800, 300)),
        ("moonshotai/kimi-k3", "in absolute pixels", (100, 200, 300, 400)),
        ("a-new-model", None, (200, 200, 600, 400)),
        ("a-new-model", "as percent", (200, 200, 600, 400)),
    ],
)
def test_the_model_and_the_prompt_say_what_numbers_mean(
    model: str, prompt: str | None, box: tuple[float, ...]
) -> None:
    found = parse(BOX, WIDE, prompt, model=model)
    assert found.xyxy[0] == pytest.approx(box, abs=0.1)
    assert found.raw == ((100, 200, 300, 400),)


def test_the_numbers_overrule_a_habit() -> None:
    fractions = '[{"bbox_2d": [0.1, 0.2, 0.3, 0.4], "label": "a"}]'
    assert parse(fractions, SIZE, model="qwen3").xyxy[0] == pytest.approx((100, 200, 300, 400))
    pixels = (
        '[{"bbox_2d": [1500, 200, 1800, 400], "label": "a"}, {"bbox_2d": [100, 200, 300, 400], "label": "b"}]'
    )
    assert parse(pixels, WIDE, model="kimi-k3").xyxy.tolist() == [
        [1500, 200, 1800, 400],
        [100, 200, 300, 400],
    ]
    # A single number beyond the scale is an error of the model, not another scale.
    stray = (
        '[{"bbox_2d": [100, 200, 1100, 400], "label": "a"}, {"bbox_2d": [100, 200, 300, 400], "label": "b"}]'
    )
    assert parse(stray, WIDE, model="qwen3").xyxy.tolist() == [[200, 200, 2000, 400], [200, 200, 600, 400]]


def test_an_entry_for_the_whole_picture_says_the_scale() -> None:
    whole = '{"label": "__IMAGE__", "x1": 0, "y1": 0, "x2": %d, "y2": %d}'
    thing = '{"label": "a", "x1": 10, "y1": 20, "x2": 30, "y2": 40}'
    for width, height, box in (
        (100, 100, (200, 200, 600, 400)),
        (1000, 1000, (20, 20, 60, 40)),
        (200, 100, (100, 200, 300, 400)),
    ):
        found = parse(f"[{whole % (width, height)}, {thing}]", WIDE, model="qwen3")
        assert (found.labels, found.xyxy.tolist()) == (("a",), [list(map(float, box))])


def test_pixels_are_those_of_the_picture_that_the_model_saw() -> None:
    text = '[{"bbox_2d": [170, 105, 429, 699], "label": "dog"}]'
    assert parse(text, (467, 700), model="qwen2.5-vl").xyxy[0] == pytest.approx(
        (166.8, 105, 420.9, 699), abs=0.1
    )
    sent = parse(text, (934, 1400), model="qwen2.5-vl", sent=(467, 700))
    assert sent.xyxy[0] == pytest.approx((333.6, 210, 841.8, 1398), abs=0.1)
    claude = parse('[{"bbox": [0, 0, 1456, 819], "label": "all"}]', (1920, 1080), model="claude-sonnet-4-5")
    assert claude.xyxy.tolist() == [[0, 0, 1920, 1080]]


def test_a_dialect_chosen_by_hand_holds() -> None:
    percent = dialects.GENERIC.but(name="mine", scale=100, order="yxyx")
    assert parse('[{"bbox": [1, 2, 50, 60]}]', WIDE, dialect=percent).xyxy.tolist() == [[40, 10, 1200, 500]]
    assert parse('[{"bbox": [1, 2, 50, 60]}]', WIDE, dialect="gemini").raw == ((1, 2, 50, 60),)
    with pytest.raises(ValueError, match="The dialect 'klingon' does not exist"):
        Parser(SIZE, dialect="klingon")
    with pytest.raises(ValueError, match="size must be"):
        Parser(SIZE, sent=(0, 10))


def test_raw_numbers_are_read_again() -> None:
    found = parse(BOX, WIDE, model="qwen3")
    assert found.reproject(order="yxyx").xyxy.tolist() == [[400, 100, 800, 300]]
    assert found.reproject(scale="pixels").xyxy.tolist() == [[100, 200, 300, 400]]
    assert found.reproject(scale=(500, 500)).xyxy.tolist() == [[400, 400, 1200, 800]]
    assert found.reproject(scale=500, order="yxyx").xyxy.tolist() == [[800, 200, 1600, 600]]
    assert found.reproject().xyxy.tolist() == found.xyxy.tolist()
    again = found.reproject(order="yxyx").reproject(order="xyxy")
    assert again == found
    point = parse('[{"point_2d": [100, 200], "label": "a"}]', WIDE, model="qwen3").reproject(order="yxyx")
    assert (point[0].point, point[0].box) == ((400, 100), (400, 100, 400, 100))
    loc = parse("<loc0000><loc0000><loc0512><loc1024> a", (1024, 1024), bins=1024)
    assert loc.raw == ((0, 0, 512, 1024),)
    assert loc.reproject(order="xyxy").xyxy.tolist() == [[0, 0, 512, 1024]]
    for wrong in (0, -1, "px", (1, 2, 3), float("nan")):
        with pytest.raises(ValueError, match="scale must be"):
            found.reproject(scale=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="order must be"):
        found.reproject(order="xywh")  # type: ignore[arg-type]
    plain = Detections([[1, 2, 3, 4]], ["a"], WIDE)
    assert plain.reproject(scale=5) == plain


# -- points, outlines, masks -------------------------------------------------------------------------------


def test_points_are_detections_whose_box_is_the_point() -> None:
    found = parse(' <points x1="10" y1="20" x2="30" y2="40" alt="cup">cup</points>', WIDE, model="molmo-7b")
    assert found.points == ((200, 200), (600, 400))
    assert found.xyxy.tolist() == [[200, 200, 200, 200], [600, 400, 600, 400]]
    assert pickle.loads(pickle.dumps(found)) == found
    assert pickle.loads(pickle.dumps(found[0])).point == (200, 200)
    assert (found + found).points == found.points * 2
    assert found[1:].points == ((600, 400),)
    assert found[0] != Detection("cup", (200, 200, 200, 200), size=WIDE)
    with pytest.raises(ValueError, match="A point must be"):
        Detection("a", (0, 0, 0, 0), point=(1, float("nan")))


def test_an_outline_is_a_mask() -> None:
    text = '[{"label": "a", "polygon": [[100, 100], [300, 100], [300, 300]]}]'
    one = parse(text, SIZE, model="qwen3")[0]
    assert one.box == (100, 100, 300, 300)
    assert one.mask is not None
    assert one.mask.sum() == pytest.approx(20_000, rel=0.02)
    assert one.mask[150, 250]
    assert not one.mask[250, 150]
    outline = '"mask": [[200, 100], [400, 100], [400, 300]]'
    boxed = f'{{"boxes": [{{"box_2d": [100, 200, 300, 400], "label": "a", {outline}}}]}}'
    one = parse(boxed, SIZE, model="gemini-3.7")[0]
    assert one.box == (200, 100, 400, 300)
    assert one.mask is not None
    assert one.mask[120, 380]


def png(width: int = 8, height: int = 8) -> str:
    pixels = np.zeros((height, width), dtype=np.uint8)
    pixels[:, width // 2 :] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize("head", ["data:image/png;base64,", ""])
def test_a_picture_is_a_mask_stretched_over_its_box(head: str) -> None:
    text = json.dumps([{"box_2d": [100, 200, 300, 400], "mask": head + png(), "label": "a"}])
    found = parse(text, SIZE, model="gemini-2.5-pro")
    mask = found[0].mask
    assert mask is not None
    assert mask[150, 390]
    assert not mask[150, 210]
    assert mask.sum() == pytest.approx(20_000, rel=0.1)
    assert pickle.loads(pickle.dumps(found)) == found
    moved = found.reproject(scale=500)[0]
    assert moved.box == (400, 200, 800, 600)
    assert moved.mask is not None
    assert moved.mask[300, 790]


def test_a_broken_picture_is_no_mask_and_does_no_harm() -> None:
    whole = png()
    for data in (whole[:40], "data:image/png;base64,AAAA", "iVBORw0KGgo!!!"):
        text = json.dumps([{"box_2d": [100, 200, 300, 400], "mask": data, "label": "a"}])
        parser = read(text, model="gemini-2.5-pro")
        assert parser.detections[0].mask is None
        assert kinds(parser) == ["mask"]


# -- thinking ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("<think>", "</think>"),
        ("◁think▷", "◁/think▷"),
        ("[THINK]", "[/THINK]"),
        ("<|channel|>analysis", "<|channel|>final"),
        ("", "</think>"),
    ],
)
def test_places_in_thoughts_are_no_results(start: str, end: str) -> None:
    parser = read(f"{start}{A} perhaps [[1, 2, 3, 4]]{end}{B}", model="glm-4.5v")
    assert parser.detections.labels == ("b",)
    assert read(f"{start}{A}", model="glm-4.5v").detections.labels == (() if start else ("a",))


def test_thoughts_are_split_from_the_answer_wherever_the_text_is_cut() -> None:
    text = "<think>a < b [1]</think>An <b>answer</b>[THIN</think>k"
    for length in (1, 2, 3, 5, 100):
        splitter, parts = dialects.Reasoning(), []
        for at in range(0, len(text), length):
            parts += splitter.feed(text[at : at + length])
        parts += splitter.close()
        assert "".join(part.text for part in parts) == text
        assert "".join(part.text for part in parts if not part.thinking) == "An <b>answer</b>[THINk"
        assert [part.position for part in parts] == list(
            np.cumsum([0, *(len(part.text) for part in parts)])[:-1]
        )
        assert [part.text for part in parts if part.before] == ["</think>"]


# -- families ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2.5-vl"),
        ("qwen2.5vl:7b", "qwen2.5-vl"),
        ("qwen/qwen2.5-vl-72b-instruct:free", "qwen2.5-vl"),
        ("lmstudio-community/Qwen2.5-VL-7B-Instruct-GGUF/Qwen2.5-VL-7B-Instruct-Q4_K_M.gguf", "qwen2.5-vl"),
        (r"C:\models\Qwen3-VL-8B.gguf", "qwen3-vl"),
        ("hf.co/unsloth/gemma-3-4b-it-GGUF:Q4_K_M", "gemma"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-4.6"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-8-v1:0", "claude"),
        ("claude-sonnet-4@20250514", "claude-4.6"),
        ("openai/gpt-5", "gpt-5"),
        ("openai/gpt-5.4-mini", "gpt"),
        ("google/paligemma2-3b-mix-448", "paligemma"),
        ("google/gemini-2.5-flash:thinking", "gemini"),
        ("nvidia/nemotron-3-nano-omni-30b-a3b-reasoning", "nemotron"),
        ("nvidia/nemotron-parse", "nemotron-parse"),
        ("XiaomiMiMo/MiMo-VL-7B-RL", "qwen2.5-vl"),
        ("gemma", "gemma"),
        ("a-new-model", "generic"),
        ("", "generic"),
        (None, "generic"),
    ],
)  # fmt: skip
def test_a_family_is_known_by_any_channels_id(model: str | None, name: str) -> None:
    assert dialects.of(model).name == name


def test_every_family_is_found_by_its_own_name_and_can_ask_every_task() -> None:
    assert len(set(dialects.names())) == len(dialects.names())
    for dialect in (*dialects.FAMILIES, dialects.GENERIC):
        assert dialects.get(dialect.name) is dialect
        assert dialects.of(dialect.name) is dialect
        for task in dialects.TASKS:
            words = dialect.ask(task, ["cat", "red dog"], question="How many?")
            assert words
            assert "{" not in words.replace('{"', "").replace("{box", "")


def test_a_dialect_of_ones_own() -> None:
    mine = dialects.get("qwen3-vl").but(name="house", matches=("housevlm",), scale=100, order="yxyx")
    try:
        assert dialects.register(mine) is mine
        assert dialects.of("our/House-VLM-2:latest") is mine
        assert parse(BOX.replace("00", "0"), WIDE, model="house-vlm").xyxy.tolist() == [[400, 100, 800, 300]]
        assert dialects.register(mine.but(scale=10.0)).scale == 10.0
        assert dialects.names().count("house") == 1
    finally:
        dialects.unregister("house")
    assert dialects.of("our/House-VLM-2").name == "generic"
    with pytest.raises(ValueError, match="needs matches"):
        dialects.register(mine.but(matches=()))
    for wrong in ({"scale": 0}, {"order": "xywh"}, {"form": "xml"}, {"words": {"sing": "la"}}):
        with pytest.raises(ValueError, match=r"must be|must have"):
            mine.but(**wrong)


def test_how_a_processor_resizes() -> None:
    qwen = Resize(28, 3136, 12_845_056)
    for sent, seen in (
        ((467, 700), (476, 700)),
        ((870, 1398), (868, 1400)),
        ((1014, 1532), (1008, 1540)),
        ((368, 434), (364, 448)),
    ):
        assert qwen.size(sent) == seen
    assert Resize(28, 3136, 1_003_520).size((4000, 3000)) == (1148, 840)
    assert qwen.size((10, 10)) == (56, 56)
    low, high = LongEdge(28, 1568, 1568), LongEdge(28, 2576, 4784)
    assert (low.size((1920, 1080)), high.size((1920, 1080))) == ((1456, 819), (1920, 1080))
    assert (low.size((1075, 1520)), high.size((6000, 4000))) == ((924, 1307), (2352, 1568))
    assert high.size((4864, 3648)) == (2212, 1659)
    square = dialects.get("medgemma").reading((800, 600))
    assert square.pixels((125, 0, 875, 1000), (800, 600)) == pytest.approx((0, 0, 800, 600))
    canvas = dialects.get("nemotron-parse").reading((1648, 1024))
    assert canvas.pixels((0.5, 0.25), (1648, 1024)) == pytest.approx((824, 512))
    assert Canvas(100, 100).seen((50, 40)) == ((100, 100), (0, 0, 50, 40))
    assert Square().seen((4, 2)) == ((4, 4), (0, 1, 4, 3))


def test_numbers_and_pixels_are_inverse() -> None:
    for dialect in dialects.FAMILIES:
        reading = dialect.reading((640, 480))
        box = (64.0, 48.0, 320.0, 240.0)
        assert reading.pixels(reading.numbers(box, (640, 480)), (640, 480)) == pytest.approx(box)
    assert Reading("yxyx").pixels((100, 200), WIDE) == (400, 100)


# -- tasks -------------------------------------------------------------------------------------------------


def test_a_task_is_asked_in_the_models_words() -> None:
    from nbvlm import prompts

    ask = prompts.detect("cat", "dog")
    assert prompts.translate(ask, dialects.of("google/paligemma-3b")) == "detect cat ; dog"
    assert prompts.translate(ask, dialects.of("qwen3-vl")).startswith("locate every instance that belongs to")
    assert '"box_2d"' in prompts.translate(ask, dialects.of("gemini-2.5"))
    assert "1920x1080 pixel" in prompts.translate(ask, dialects.of("gpt-6"), (1920, 1080))
    generic = prompts.translate(ask, dialects.of("new"))
    assert "__IMAGE__" in generic
    assert '"x1"' in generic
    assert prompts.translate("What is this?", dialects.of("qwen3-vl")) == "What is this?"
    assert prompts.translate("point to the dog", dialects.of("molmo")) == "point to the dog"
    assert prompts.translate(prompts.point("dog"), dialects.of("molmo")) == "Point to the dog."
    assert prompts.translate(prompts.point("dog"), dialects.of("paligemma")) == "detect dog"
    assert prompts.translate(prompts.count("dog", "cat"), dialects.of("paligemma")) == "detect dog ; cat"
    assert "in French" in prompts.translate(prompts.caption("fr"), dialects.of("qwen3-vl"))
    assert prompts.translate(prompts.ocr(), dialects.of("paddleocr-vl")) == "Spotting:"
    assert prompts.translate(prompts.answer("Why?"), dialects.of("new")).startswith("Why?")
    assert prompts.translate("detect {x} ; 100%", dialects.of("qwen3")).count("{x}") == 1


def test_the_public_names() -> None:
    assert nbvlm.parse is parse
    assert nbvlm.Parser is Parser
    assert nbvlm.grounding.dialects is dialects


@pytest.mark.parametrize(
    "place",
    [
        *("[a, b, 500, 500]", '["a", "b", 500, 500]', "[-, -, 500, 500]", "[１, １, 500, 500]"),
        *("[100, 200, ...]", "[100, 200, null, null]", "[100, 200, NaN, NaN]"),
    ],
)
@pytest.mark.parametrize(
    "form", ['[{{"bbox_2d": {}, "label": "cat"}}]', "bbox_2d: {}", "<ref>cat</ref><box>[{}]</box>"]
)
def test_two_numbers_of_a_box_beside_something_else_are_not_a_point(form: str, place: str) -> None:
    parser = read(form.format(place), model="qwen3-vl")
    assert len(parser.detections) == 0
    assert kinds(parser) == ["item"]


@pytest.mark.parametrize(
    "text",
    [
        "<ref>cat</ref><box>100 2",
        "<ref>cat</ref><box>(100,200),(3",
        "<ref>cat</ref><point>100 2",
        "<ref>cat</ref><box>100 200 300 4",
        "<ref>cat</ref><box><100><2",
        "<ref>cat</ref><box><100><200><300><4",
        "<|box_start|>(100,200)",
        "<bbox><x_53><y_573>",
        "<polygon> (100,200) (300,200) (300,400)",
        "cat<poly><loc_100><loc_200><loc_300><loc_200><loc_300><loc_400>",
        "hello<|LOC_100|><|LOC_200|><|LOC_300|><|LOC_200|>",
        "hello<|LOC_100|><|LOC_200|><|LOC_300|><|LOC_200|><|LO",
    ],
)
def test_half_a_place_at_the_end_of_a_cut_answer_is_not_a_place(text: str) -> None:
    parser = read(text)
    assert parser.detections.labels == ()
    assert kinds(parser)


def test_a_place_whose_tag_has_no_end_counts_if_it_has_all_numbers() -> None:
    assert parse("<bbox>175 98 791 476", SIZE, model="seed-2.0").raw == ((175, 98, 791, 476),)
    assert parse("<quad>1 2 30 2 30 40 1 40", SIZE, model="minicpm-v").xyxy.tolist() == [[1, 2, 30, 40]]


@pytest.mark.parametrize("model", [None, "gpt-4o", "gemma-3-4b"])
@pytest.mark.parametrize(
    "thought",
    [
        "<think>maybe <loc0001><loc0001><loc0002><loc0002> dog</think>",
        "maybe <loc0001><loc0001><loc0002><loc0002> dog</think>",
        '{"bbox_2d": [1, 2, 30, 40], "label": "dog"}</think>',
        "<think>maybe [[1, 2, 30, 40]]</think>",
    ],
)
def test_location_tokens_after_thinking_are_read_wherever_the_text_is_cut(
    thought: str, model: str | None
) -> None:
    text = thought + "```\n<loc0200><loc0100><loc0400><loc0300> cat\n```"
    whole = read(text, model=model)
    assert numbers(whole.detections) == [("cat", (200, 100, 400, 300))]
    for at in range(1, len(text)):
        parser = Parser(SIZE, model=model)
        found = [*parser.feed(text[:at]), *parser.feed(text[at:]), *parser.close()]
        assert numbers(parser.detections) == numbers(whole.detections)
        assert parser.problems == whole.problems
        assert found[-1].label == "cat"  # also what `feed` and `close` return, after a box that was a thought


def test_pairs_in_attributes_are_percent_only_if_they_can_be() -> None:
    text = '<points x1="100" y1="200" x2="300" y2="400">cats</points>'
    assert [thing.point for thing in parse(text, SIZE, model="qwen3-vl")] == [(100, 200), (300, 400)]
    seen = Resize(28, 3136, 12_845_056).size((640, 480))
    one = parse('<point x="10" y="20">cat</point>', (640, 480), model="qwen2.5-vl-7b")
    assert one[0].point == pytest.approx((10 * 640 / seen[0], 20 * 480 / seen[1]))
    assert parse('<point x="10" y="20">cat</point>', SIZE)[0].point == (100, 200)
    late = '<points x1="50" y1="20" x2="300" y2="400">cats</points>'  # one number decides for all
    assert [thing.point for thing in parse(late, SIZE)] == [(50, 20), (300, 400)]


def test_outlines_of_florence() -> None:
    one = "<loc_100><loc_200><loc_300><loc_200><loc_300><loc_400>"
    two = "<loc_500><loc_100><loc_900><loc_100><loc_900><loc_800>"
    boxes = [[100.5, 200.5, 300.5, 400.5], [500.5, 100.5, 900.5, 800.5]]
    for text in (f"cat<poly>{one}<sep>{two}</poly>", f"cat{one}<sep>{two}"):
        found = parse(text, SIZE, model="florence-2")
        assert list(found.labels) == ["cat", "cat"]
        assert found.xyxy.tolist() == boxes
        assert all(mask is not None for mask in found.masks)
    plain = one + "<loc_150><loc_400>" * 3
    asked = parse(plain, SIZE, "<REFERRING_EXPRESSION_SEGMENTATION>cat", model="florence-2")
    assert len(asked) == 1
    assert asked.masks[0] is not None


def test_several_boxes_in_one_bracket() -> None:
    text = "Dogs [0.500,0.100,0.900,0.800;0.100,0.200,0.300,0.400] play."
    assert parse(text, SIZE, model="shikra-7b").xyxy.tolist() == [[500, 100, 900, 800], [100, 200, 300, 400]]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('{"result": [100, 200, 300, 400]}', ""),
        ('{"answer": [[100, 200, 300, 400]]}', ""),
        ('{"result": {"cat": [100, 200, 300, 400]}}', "cat"),
        ('{"detections": {"cat": [[100, 200, 300, 400]], "dog": []}}', "cat"),
    ],
)
def test_a_list_under_any_wrapper(text: str, label: str) -> None:
    assert numbers(parse(text, SIZE, model="qwen3-vl")) == [(label, (100, 200, 300, 400))]


def test_what_is_not_text_is_refused_in_words() -> None:
    for text in (None, b"<loc0001>", 3):
        with pytest.raises(TypeError, match="The answer must be text, got"):
            parse(text, SIZE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="model must be text or None, got int"):
        parse("cat", SIZE, model=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="prompt must be text or None, got list"):
        Parser(SIZE, ["cat"])  # type: ignore[arg-type]
