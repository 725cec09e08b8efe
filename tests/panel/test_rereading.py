"""Numbers that are read again, in another order or on another scale: the answer, its card and its exports."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from support.panel_page import Page, Screen

import nbvlm
from nbvlm.demo.gallery import SCENES
from nbvlm.widgets.export_menu import make

if TYPE_CHECKING:
    from collections.abc import Iterator

PETS = SCENES[0]


@pytest.fixture
def panel(page: Page) -> Iterator[nbvlm.Panel]:
    panel = nbvlm.Panel(
        PETS.picture(), "detect cat ; dog", client=nbvlm.Client("demo", speak="gemini+reason")
    )
    yield panel
    panel.close()


@pytest.fixture
def screen(page: Page, panel: nbvlm.Panel) -> Screen:
    return Screen(page, panel)


def reread(page: Page, panel: nbvlm.Panel, **message: Any) -> None:
    page.send(panel._controller.rows, {"type": "reread", **message})


def test_the_words_that_were_sent_and_the_model_stand_beside_the_answer(
    panel: nbvlm.Panel, screen: Screen
) -> None:
    result = panel.run()
    assert screen.asked == result.asked != result.prompt
    assert screen.by == result.model == "nbvlm/demo-gemini+reason"
    assert screen.reasoning == result.reasoning != ""
    panel.prompt = "What is this?"  # is sent as it is
    panel.run()
    assert screen.asked == ""


def test_another_reading_is_in_the_answer_its_card_and_its_exports(
    page: Page, panel: nbvlm.Panel, screen: Screen
) -> None:
    before = panel.run()
    assert screen.reading == {"order": "yxyx", "scale": [1000.0, 1000.0]}
    panel._notifications.flush()  # of the answer before
    seen: list[Any] = []
    panel.observe(lambda change: seen.append(change["new"]), "result")
    reread(page, panel, order="xyxy", scale=None)
    after = panel.result
    assert seen == [after]
    assert after.detections == before.detections.reproject(order="xyxy")
    assert [tuple(box["box"]) for box in screen.boxes] == [
        pytest.approx(tuple(row), abs=0.01) for row in after.detections.xyxy
    ]
    assert screen.reading["order"] == "xyxy"
    assert panel.history == [after]
    assert screen.notes == list(after.notices)
    assert after.notices[-1].startswith("The numbers of the boxes were read again: x before y")
    saved = json.loads(make(after, "json").data)
    assert after.notices[-1] in saved["notices"]
    reread(page, panel, order="yxyx", scale=[1000, 1000])
    assert panel.result.detections == before.detections
    assert len(panel.result.notices) == len(before.notices) + 1


@pytest.mark.parametrize(
    "message",
    [
        {"order": "zxy", "scale": None},
        {"order": ["xyxy"], "scale": None},
        {"order": "xyxy", "scale": [0, 1000]},
        {"order": "xyxy", "scale": [1000]},
        {"order": "xyxy", "scale": "pixels"},
        {"order": "xyxy", "scale": [float("nan"), 1.0]},
        {},
    ],
)
def test_a_message_that_does_not_fit_changes_nothing(
    page: Page, panel: nbvlm.Panel, screen: Screen, caplog: pytest.LogCaptureFixture, message: Any
) -> None:
    result = panel.run()
    with caplog.at_level(logging.WARNING, "nbvlm"):
        reread(page, panel, **message)
    assert "ignored a message" in caplog.text
    assert panel.result is result
    assert screen.error is None


def test_without_an_answer_there_is_nothing_to_read_again(
    page: Page, panel: nbvlm.Panel, screen: Screen
) -> None:
    reread(page, panel, order="xyxy", scale=None)
    assert panel.result is None
    assert screen.error is None
    panel.prompt = "caption en"
    panel.run()
    assert screen.reading is None


def test_an_answer_whose_card_is_deleted_is_read_again_all_the_same(
    page: Page, panel: nbvlm.Panel, screen: Screen
) -> None:
    before = panel.run()
    panel._controller.answers.history.clear()
    reread(page, panel, order="xyxy", scale=None)
    assert panel.result.detections == before.detections.reproject(order="xyxy")
    assert panel.history == []
