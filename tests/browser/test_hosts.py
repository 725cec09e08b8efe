"""The same panel in the other front ends, each with its habits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.parts import violations
from nbvlm.demo.gallery import GALLERY

if TYPE_CHECKING:
    from support.loopback import Loopback

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


def its_visitors_find_no_path_and_no_key(sheet: Sheet) -> None:
    expect(sheet.find("button.nbvlm-upload")).to_be_visible()
    expect(sheet.find("button.nbvlm-link")).to_have_text("Link")
    for hidden in ("button.nbvlm-key-button", "button.nbvlm-hide-button"):
        expect(sheet.find(hidden)).to_be_hidden()
    models = sheet.find("select.nbvlm-model option").all_text_contents()
    assert not {"Another server …", "A recording …"} & set(models)
    sheet.find("button.nbvlm-link").click()
    expect(sheet.find(".nbvlm-open-label")).to_contain_text("Address of a picture")
    sheet.find("button.nbvlm-link").click()


STOPS = (
    *("nbvlm-model", "nbvlm-key-button", "nbvlm-thumb", "nbvlm-upload", "nbvlm-webcam", "nbvlm-link"),
    *("nbvlm-route", "nbvlm-reset-picture", "nbvlm-task-choice", "nbvlm-chip-remove", "nbvlm-thing"),
    *("widget-input", "nbvlm-run", "nbvlm-reset", "noUi-handle", "widget-readout", "nbvlm-viewport"),
)


def the_keyboard_reaches_everything(sheet: Sheet, service: Loopback) -> None:
    """Tab from field to field, with letters that are shortcuts of the notebook in between; ask on the way."""
    page, press = sheet.page, sheet.page.keyboard.press
    sheet.find("select.nbvlm-model").focus()
    reached: list[str] = []
    while len(reached) < 60 and "nbvlm-viewport" not in "".join(reached):
        if page.evaluate("document.activeElement.matches('button, .noUi-handle')"):
            for key in "bddax":
                press(key)
        reached.append(page.evaluate("document.activeElement.className"))
        if "nbvlm-run" in reached[-1]:
            press("Enter")
            sheet.wait("done")
        press("Tab")
    assert [stop for stop in STOPS if not any(stop in name for name in reached)] == []
    readout = sheet.find(".nbvlm-max-tokens .widget-readout")
    readout.focus()
    press("Control+a")
    page.keyboard.type("77")
    press("Tab")
    press("Control+Enter")
    sheet.find(".nbvlm-status[data-state=done]").wait_for()
    assert service.seen[-1].json["max_tokens"] == 77


@pytest.fixture
def notebook7(sheet: Sheet, quickstart: str, service: Loopback) -> Sheet:
    service.text = "<loc0100><loc0100><loc0500><loc0500> car"
    return sheet.open_notebook(quickstart).run_all_until_it_runs()


def test_notebook_7_answers_and_leaves_the_keys_to_the_panel(notebook7: Sheet, service: Loopback) -> None:
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
    expect(notebook7.find(".nbvlm-chosen-name")).to_have_text(f"{GALLERY[1].name}.png")
    the_keyboard_reaches_everything(notebook7, service)
    assert notebook7.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert [error for error in notebook7.errors if OURS.search(error)] == []


def test_voila_answers(sheet: Sheet, quickstart: str, service: Loopback) -> None:
    service.text = "<loc0100><loc0100><loc0500><loc0500> car"
    sheet.open_voila(quickstart).ready()
    its_visitors_find_no_path_and_no_key(sheet)
    boxes_arrive(sheet)
    assert [error for error in sheet.errors if OURS.search(error)] == []


def everything_open(sheet: Sheet) -> None:
    """An answer with boxes, the list of keys, the sweep, and an error with its details."""
    sheet.ask("detect car")
    sheet.find(".nbvlm-keys-button").click()
    sheet.find(".nbvlm-sweep-summary").click()
    sheet.press("reset-picture")
    expect(sheet.find(".nbvlm-chosen-name")).to_have_text("No picture chosen")
    sheet.press("run")
    sheet.find(".nbvlm-error-details summary").click()


@pytest.mark.heavy
@pytest.mark.parametrize("host", ["notebook", "voila"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(sheet: Sheet, quickstart: str, service: Loopback, host: str, theme: str) -> None:
    service.text = "<loc0100><loc0100><loc0500><loc0500> car"
    if host == "notebook":
        sheet.open_notebook(quickstart).run_all_until_it_runs()
        if theme == "dark":
            sheet.dark()
    else:
        sheet.open_voila(quickstart, theme).ready()
    assert violations(sheet.page) == []
    everything_open(sheet)
    assert violations(sheet.page) == []
