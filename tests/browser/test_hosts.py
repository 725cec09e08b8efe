"""The same panel in the other front ends, each with its habits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from servers.loopback import Loopback

    from browser.hosts import Sheet

# Both hosts complain about themselves: fonts, MathJax, plug-ins. Ours come from modules made of blobs.
OURS = re.compile(r"nbvlm|anywidget|blob:")


def boxes_arrive(sheet: Sheet) -> None:
    assert sheet.ask("detect car") == "<loc0100><loc0100><loc0500><loc0500> car"
    expect(sheet.find(".nbvlm-viewer svg rect")).to_have_count(1)
    box = sheet.find(".nbvlm-viewer svg rect").bounding_box()
    picture = sheet.find(".nbvlm-picture").bounding_box()
    assert box["x"] - picture["x"] == pytest.approx(picture["width"] * 100 / 1023, abs=2)
    assert box["height"] == pytest.approx(picture["height"] * 400 / 1023, abs=3)  # and its line


@pytest.fixture
def notebook7(sheet: Sheet, quickstart: str, service: Loopback) -> Sheet:
    service.text = "<loc0100><loc0100><loc0500><loc0500> car"
    return sheet.open_notebook(quickstart).run_all_until_it_runs()


def test_notebook_7_answers_and_leaves_the_keys_to_the_panel(notebook7: Sheet) -> None:
    boxes_arrive(notebook7)
    cells = notebook7.page.locator(".jp-Notebook .jp-Cell").count()
    handle = notebook7.find(".nbvlm-top-p .noUi-handle")
    handle.focus()
    for key in ("ArrowLeft", "a", "b", "d", "d"):
        notebook7.page.keyboard.press(key)
    expect(notebook7.find(".nbvlm-top-p .widget-readout")).to_have_text("0.69")
    notebook7.find("button.nbvlm-run").focus()
    for key in ("a", "b", "x"):
        notebook7.page.keyboard.press(key)
    notebook7.find(".nbvlm-thumb").first.focus()
    notebook7.page.keyboard.press("ArrowRight")
    notebook7.page.keyboard.press("a")
    expect(notebook7.find(".nbvlm-chosen-name")).to_have_text("village.png")
    assert notebook7.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert [error for error in notebook7.errors if OURS.search(error)] == []


def test_voila_answers(sheet: Sheet, quickstart: str, service: Loopback) -> None:
    service.text = "<loc0100><loc0100><loc0500><loc0500> car"
    sheet.open_voila(quickstart).ready()
    boxes_arrive(sheet)
    assert [error for error in sheet.errors if OURS.search(error)] == []
