"""A task is asked in the words of the model that answers, and its answer is read in that model's form."""

from __future__ import annotations

import json

import pytest

import nbvlm
from nbvlm import prompts
from nbvlm.demo import scenes
from nbvlm.grounding import overlaps

SCENE = scenes.sample(3)
KINDS = sorted({thing.kind for thing in SCENE.things})
FAMILIES = [
    "qwen3-vl",
    "qwen2.5-vl",
    "gemini",
    "claude",
    "gpt",
    "gpt-5",
    "internvl",
    "deepseek-vl2",
    "grok",
    "generic",
]


@pytest.mark.parametrize("family", FAMILIES)
def test_boxes_of_any_family_lie_on_the_things(family: str) -> None:
    with nbvlm.Client("demo") as plain, nbvlm.Client("demo", speak=family) as client:
        wanted = plain.ask(SCENE.picture, prompts.detect(*KINDS))
        result = client.ask(SCENE.picture, prompts.detect(*KINDS))
    assert wanted.asked == wanted.prompt == prompts.detect(*KINDS)
    assert result.prompt == prompts.detect(*KINDS)
    assert result.asked != result.prompt
    assert len(result.detections) == len(wanted.detections) > 0
    assert overlaps(result.detections.xyxy, wanted.detections.xyxy).max(axis=1).min() > 0.9
    assert all(raw is not None and len(raw) == 4 for raw in result.detections.raw)


@pytest.mark.parametrize("family", ["qwen3-vl", "gemini", "molmo", "molmo2"])
def test_points_of_any_family_lie_in_the_things(family: str) -> None:
    with nbvlm.Client("demo", speak=family) as client:
        found = client.ask(SCENE.picture, prompts.point(*KINDS)).detections
    assert len(found)
    for one in found:
        assert one.point is not None
        x, y = one.point
        assert any(
            x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in (thing.box for thing in SCENE.things)
        )


def test_masks_come_as_pictures() -> None:
    with nbvlm.Client("demo", speak="gemini") as client:
        found = client.ask(SCENE.picture, prompts.segment(*KINDS)).detections
    assert any(mask is not None and mask.any() for mask in found.masks)


def test_a_count_says_how_it_counted() -> None:
    for client in (nbvlm.Client("demo"), nbvlm.Client("demo", speak="qwen3-vl")):
        with client:
            result = client.ask(SCENE.picture, prompts.count(*KINDS, "zebra"))
        said = [
            notice for notice in result.notices if notice.startswith("Counted from the places in the answer")
        ]
        assert len(said) == 1
        assert f"{KINDS[0]} {result.detections.labels.count(KINDS[0])}" in said[0]
        assert "zebra 0" in said[0]


def test_a_count_of_nothing_says_so() -> None:
    with nbvlm.Client("demo") as client:
        result = client.ask(SCENE.picture, prompts.count("fish"))
    assert result.text == "nothing found"
    assert result.notices == ("The answer names no places that could be counted.",)


def test_a_prompt_can_be_sent_as_it_is() -> None:
    with nbvlm.Client("demo", speak="qwen3-vl") as client:
        raw = client.ask(SCENE.picture, prompts.detect(*KINDS), translate=False)
        assert raw.asked == raw.prompt == prompts.detect(*KINDS)
        assert "translate=False" in raw.to_python()
        own = client.ask(SCENE.picture, "Where is the car? Give bbox_2d in JSON.")
        assert own.asked == own.prompt
        asked = client.ask(SCENE.picture, prompts.detect(*KINDS))
        assert "translate=False" not in asked.to_python()
        assert json.dumps(asked.asked)[1:-1] in asked.to_curl()


def test_detections_stream_and_are_those_of_the_result() -> None:
    with (
        nbvlm.Client("demo", speak="qwen3-vl") as client,
        client.stream(SCENE.picture, prompts.detect(*KINDS)) as stream,
    ):
        events = list(stream)
    found = [event.detection for event in events if isinstance(event, nbvlm.DetectionFound)]
    assert found == list(stream.result.detections)
    last_text = max(at for at, event in enumerate(events) if isinstance(event, nbvlm.TextDelta))
    first_found = min(at for at, event in enumerate(events) if isinstance(event, nbvlm.DetectionFound))
    assert first_found < last_text


@pytest.mark.parametrize("family", ["qwen3-vl", "gpt", "molmo", "generic"])
def test_an_answer_without_masks_says_so_and_who_gives_them(family: str) -> None:
    with nbvlm.Client("demo", speak=family) as client:
        result = client.ask(SCENE.picture, prompts.segment(*KINDS))
        assert client.ask(SCENE.picture, prompts.point(*KINDS)).notices == ()
    (notice,) = result.notices
    assert notice.startswith("The answer has no masks")
    assert "PaliGemma and Gemini give masks" in notice
    assert len(result.detections) == len(KINDS)
    assert notice in result.detections.to_dataframe()["notices"][0]
    for shown in (result.to_html(), str(result.to_coco()), repr(result)):
        assert "The answer has no masks" in shown


@pytest.mark.parametrize("family", [None, "paligemma", "gemini", "florence"])
def test_an_answer_with_masks_says_nothing(family: str | None) -> None:
    with nbvlm.Client("demo", speak=family) as client, nbvlm.Client("demo") as plain:
        result = client.ask(SCENE.picture, prompts.segment(*KINDS), temperature=0.01)
        wanted = plain.ask(SCENE.picture, prompts.segment(*KINDS), temperature=0.01)
    assert result.notices == ()
    assert result.detections.labels == wanted.detections.labels
    for mask, other in zip(result.detections.masks, wanted.detections.masks, strict=True):
        assert mask is not None
        assert other is not None
        assert (mask & other).sum() > 0.8 * (mask | other).sum()


def test_points_and_boxes_that_a_family_does_not_give_are_named() -> None:
    with nbvlm.Client("demo") as client:
        boxes = client.ask(SCENE.picture, prompts.point(*KINDS))
    assert boxes.notices == ("The answer has no points: models of the family paligemma give boxes.",)
    with nbvlm.Client("demo", speak="molmo") as client:
        points = client.ask(SCENE.picture, prompts.detect(*KINDS))
    assert points.notices == ("The answer has no boxes: models of the family molmo give points.",)


def test_a_language_that_is_not_passed_on_or_not_known_is_named() -> None:
    with nbvlm.Client("demo", speak="florence") as client:
        result = client.ask(SCENE.picture, prompts.caption("de"))
        assert result.asked == "<CAPTION>"
        assert "take no language" in result.notices[0]
        assert client.ask(SCENE.picture, prompts.caption()).notices == ()
    with nbvlm.Client("demo", speak="qwen3-vl") as client:
        (notice,) = client.ask(SCENE.picture, prompts.caption("it")).notices
        assert "not in Italian" in notice
