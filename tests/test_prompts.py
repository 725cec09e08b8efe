from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbvlm import prompts
from nbvlm.errors import PromptError


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (prompts.cap(), "cap en"),
        (prompts.caption(), "caption en"),
        (prompts.caption("de"), "caption de"),
        (prompts.describe(), "describe en"),
        (prompts.ocr(), "ocr"),
        (prompts.answer("How many cats?"), "answer en How many cats?"),
        (prompts.answer("¿Qué es?", lang="es"), "answer es ¿Qué es?"),
        (prompts.question("two"), "question en two"),
        (prompts.detect("cat"), "detect cat"),
        (prompts.detect("cat", "traffic light", "Hündin"), "detect cat ; traffic light ; Hündin"),
        (prompts.segment("left wheel", "right wheel"), "segment left wheel ; right wheel"),
        (
            prompts.caption_region((0, 0, 200, 100), (200, 100)),
            "caption <loc0000><loc0000><loc1023><loc1023>",
        ),
    ],
)
def test_each_task_has_its_prefix(prompt, text):
    assert prompt == text


def test_the_languages_are_those_of_the_training():
    assert len(prompts.LANGUAGES) == 35
    codes = "ar bn cs da de el en es fa fi fil fr he hi hr hu id it ja ko mi nl no pl pt ro ru sv sw te th"
    assert list(prompts.LANGUAGES) == [*codes.split(), "tr", "uk", "vi", "zh"]


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("english", "en"),
        ("German", "de"),
        ("en-US", "en"),
        ("zh_CN", "zh"),
        ("filo", "fil"),
        ("spansh", "es"),
    ],
)
def test_an_unknown_language_is_answered_with_the_nearest(wrong, near):
    with pytest.raises(PromptError, match=f"Did you mean '{near}'"):
        prompts.caption(wrong)


@pytest.mark.parametrize("wrong", ["", "xx", "klingon", None, 3])
def test_a_language_near_nothing_is_answered_with_all(wrong):
    with pytest.raises(PromptError) as caught:
        prompts.describe(wrong)
    assert "zh" in str(caught.value)


def test_language_codes_may_be_written_large():
    assert prompts.caption(" EN ") == "caption en"


@pytest.mark.parametrize(
    "make",
    [
        lambda: prompts.detect(),
        lambda: prompts.segment(),
        lambda: prompts.detect(""),
        lambda: prompts.detect("cat", "  "),
        lambda: prompts.answer(""),
        lambda: prompts.question("\n"),
        lambda: prompts.check(""),
        lambda: prompts.check(" \t\n"),
        lambda: prompts.check(None),
        lambda: prompts.detect(["cat", "dog"]),
        lambda: prompts.detect(7),
    ],
)
def test_nothing_to_ask_is_refused(make):
    with pytest.raises(PromptError):
        make()


def test_a_separator_inside_a_thing_is_refused_with_the_way_to_write_it():
    with pytest.raises(PromptError) as caught:
        prompts.detect("cat ; dog")
    assert 'detect("cat", "dog")' in str(caught.value)


DISGUISED = [
    "&lt;img src=x",
    "&LT;IMG",
    "&#60;img",
    "&#x3c;iMg",
    "&amp;lt;img",
    "%3Cimg",
    "%253Cimg",
    "\\u003cimg",
    "\\x3Cimg",
    "<\u200bimg",
    "<i\u00admg",
    "<\0img",
    "\uff1cimg",
    "<\uff49\uff4d\uff47",
]


@pytest.mark.parametrize(
    "tag", ["<img src='x'>", "<IMG>", "< img", "</img>", "<image>", "<\timg", "< / img", *DISGUISED]
)
def test_a_smuggled_picture_is_refused_everywhere(tag):
    for make in (prompts.detect, prompts.segment, prompts.answer, prompts.question, prompts.check):
        with pytest.raises(PromptError, match="<img> tag"):
            make(f"a cat {tag} b")


@pytest.mark.parametrize("token", ["<loc0001>", "<seg001>", "<eos>", "<BOS>"])
def test_a_token_of_the_model_is_no_thing(token):
    with pytest.raises(PromptError, match="token"):
        prompts.detect(f"cat {token}")


def test_comparisons_and_html_words_are_no_tags():
    for text in (
        "is 3 < 4?",
        "what does <b> mean",
        "imaging < 5",
        "an img tag",
        "&lt;b&gt; 100%",
        "a &amp; b",
    ):
        assert prompts.answer(text) == f"answer en {text}"


def test_line_breaks_become_spaces_since_they_end_a_prefix():
    assert prompts.answer("what\n is\r\nthis?") == "answer en what is this?"
    assert prompts.detect("traffic\n light") == "detect traffic light"


def test_inner_spaces_of_a_thing_stay():
    assert prompts.detect("jack  of clubs") == "detect jack  of clubs"


def test_check_strips_and_keeps_the_rest():
    assert prompts.check("  detect a;b \n") == "detect a;b"


def test_regions_put_y_first():
    assert (
        prompts.caption_region((10, 0, 20, 100), (100, 100)) == "caption <loc0000><loc0102><loc1023><loc0205>"
    )


def test_region_bins_round_halves_to_even():
    # 0.5 · 1023 = 511.5 → 512; 1.5/1023 of 1023 bins = 1.5 → 2; 0.5 → 0; 2.5 → 2
    assert (
        prompts.caption_region((0.5, 1.5, 2.5, 511.5), (1023, 1023))
        == "caption <loc0002><loc0000><loc0512><loc0002>"
    )


def test_regions_are_clamped_to_the_picture():
    assert (
        prompts.caption_region((-5, -5, 500, 500), (100, 50))
        == "caption <loc0000><loc0000><loc1023><loc1023>"
    )


def test_regions_take_other_bins():
    assert prompts.caption_region((0, 0, 10, 10), (10, 10), bins=999).endswith("<loc0999><loc0999>")


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((0, 0, 10), (10, 10)),
        ((0, 0, 10, 10, 10), (10, 10)),
        ((0, 0, float("nan"), 1), (10, 10)),
        ((0, 0, float("inf"), 1), (10, 10)),
        ((5, 0, 5, 10), (10, 10)),
        ((9, 0, 1, 10), (10, 10)),
        ((20, 20, 30, 30), (10, 10)),
        ((0, 0, 1, 1), (0, 10)),
        ((0, 0, 1, 1), (10, -1)),
    ],
)
def test_a_region_that_is_none_is_refused(box, size):
    with pytest.raises(PromptError):
        prompts.caption_region(box, size)


@given(
    st.tuples(*[st.floats(-50, 5000)] * 4),
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
)
def test_every_region_is_four_tokens_in_order_or_refused(box, size):
    try:
        text = prompts.caption_region(box, size)
    except PromptError:
        return
    y0, x0, y1, x1 = (int(value) for value in re.findall(r"<loc(\d{4})>", text))
    assert 0 <= y0 <= y1 <= 1023
    assert 0 <= x0 <= x1 <= 1023


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5))
def test_things_come_back_from_the_prompt(things):
    try:
        prompt = prompts.detect(*things)
    except PromptError:
        return
    assert len(prompt.removeprefix("detect ").split(" ; ")) == len(things)
    assert "\n" not in prompt
    assert prompts.things(prompt) == tuple(dict.fromkeys(" ".join(thing.split()) for thing in things))


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        (" Segment  left   wheel;;cat\ndog ; cat", ("left wheel", "cat", "dog")),
        ("detect", ()),
        ("detective story", ()),
        ("caption en", ()),
        (None, ()),
    ],
)
def test_things_are_read_as_people_and_services_write_them(prompt, named):
    assert prompts.things(prompt) == named
