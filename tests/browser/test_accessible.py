"""The whole panel for people who use a keyboard, or listen; and under axe-core's rules, all of it open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from support.loopback import Loopback, problem

from browser.conftest import hosted_by, opened_notebook
from browser.hosts import SLOW, Sheet
from browser.parts import violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext

    from browser.hosts import Jupyter

CAR = "<loc0100><loc0100><loc0500><loc0500> car"
TREE = "<loc0600><loc0600><loc0800><loc0800> tree"
THEMES = "@jupyterlab/apputils-extension:themes"
MAKE = """
import nbvlm
panel = nbvlm.Panel(client=nbvlm.Client("nvidia"))
panel
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


@pytest.fixture(scope="module")
def lab(context: BrowserContext, jupyter: Jupyter, service: Loopback) -> Iterator[Sheet]:
    """A panel in JupyterLab, on a screen of a usual size, for all tests of this module in their order."""
    name = jupyter.notebook("accessible.ipynb", MAKE)
    with opened_notebook(context, jupyter, name, hosted_by(service)) as sheet:
        sheet.page.set_viewport_size({"width": 1400, "height": 900})
        yield sheet
    jupyter.configure(THEMES, {})  # JupyterLab remembers a theme; the next test begins in the light one
    assert sheet.errors == []


def press(lab: Sheet, *keys: str) -> None:
    for key in keys:
        lab.page.keyboard.press(key)


def said(lab: Sheet) -> Any:
    """What the answer has said to a screen reader last."""
    return expect(lab.find(".nbvlm-answer-part .nbvlm-voice").first)


def test_run_is_on_the_screen_without_scrolling(lab: Sheet) -> None:
    run = lab.find("button.nbvlm-run").bounding_box()
    notebook = lab.page.locator(".jp-WindowedPanel-outer").bounding_box()
    assert run["y"] + run["height"] < notebook["y"] + notebook["height"] - 40
    assert lab.find(".nbvlm-answer").bounding_box()["y"] < notebook["y"] + notebook["height"]


def test_the_prompt_has_a_ring_and_sliders_say_what_their_fields_show(lab: Sheet) -> None:
    prompt = lab.find(".nbvlm-prompt textarea")
    prompt.focus()
    ring = prompt.evaluate(
        "node => [getComputedStyle(node).outlineStyle, getComputedStyle(node).outlineWidth]"
    )
    assert ring == ["solid", "2px"]
    handle = lab.find(".nbvlm-temperature .noUi-handle")
    handle.focus()
    press(lab, "ArrowRight", "ArrowRight")
    expect(handle).to_have_attribute("aria-valuetext", "0.22")
    expect(handle).to_have_attribute("aria-valuenow", "0.22")
    expect(lab.find(".nbvlm-max-tokens .noUi-handle")).to_have_attribute("aria-valuetext", "1024")
    press(lab, "ArrowLeft", "ArrowLeft")


def test_one_key_leads_to_the_answer_which_is_spoken_with_its_places(lab: Sheet, service: Loopback) -> None:
    service.text = f"{CAR} ; {TREE}"
    run, answer = lab.find("button.nbvlm-run"), lab.find(".nbvlm-answer")
    lab.prompt("detect car ; tree")
    run.focus()
    press(lab, "Enter")
    lab.wait("done")
    expect(run).to_be_focused()
    said(lab).to_have_text("Answer: 1 car; 1 tree.")
    press(lab, "Alt+a")
    expect(answer).to_be_focused()
    press(lab, "Tab")
    expect(lab.find(".nbvlm-linked").first).to_be_focused()
    place = "left third, top, 39 % of the width, 39 % of the height"
    expect(lab.find(".nbvlm-linked").first).to_have_attribute("aria-label", f"Box 1: car, {place}")
    expect(lab.find(".nbvlm-found-name").first).to_have_attribute("aria-label", f"car, {place}")
    press(lab, "Escape")
    expect(run).to_be_focused()
    prompt = lab.find(".nbvlm-prompt textarea")
    prompt.focus()
    press(lab, "Alt+a")
    expect(answer).to_be_focused()
    press(lab, "Escape")
    expect(prompt).to_be_focused()
    expect(prompt).to_have_value("detect car ; tree")


def test_the_list_of_keys_opens_by_a_key_and_closes_to_where_it_was_opened(lab: Sheet) -> None:
    keys = lab.page.get_by_role("dialog", name="Keys")
    run = lab.find("button.nbvlm-run")
    run.focus()
    press(lab, "?")
    expect(keys).to_contain_text("go to the answer")
    press(lab, "Escape")
    expect(keys).to_be_hidden()
    expect(run).to_be_focused()
    lab.page.get_by_role("button", name="Keys").click()
    keys.get_by_role("button", name="Close").click()
    expect(lab.find(".nbvlm-keys-button")).to_be_focused()
    lab.prompt("what is this")
    lab.find(".nbvlm-prompt textarea").focus()
    press(lab, "End", "?")
    expect(lab.find(".nbvlm-prompt textarea")).to_have_value("what is this?")
    expect(keys).to_be_hidden()


def test_a_choice_leaves_the_focus_and_esc_returns_it(lab: Sheet) -> None:
    model = lab.find("select.nbvlm-model")
    model.focus()
    model.select_option("nbvlm-server")
    expect(lab.find(".nbvlm-server-url")).to_be_visible()
    expect(model).to_be_focused()
    press(lab, "Enter")
    expect(lab.find(".nbvlm-server-url")).to_be_focused()
    press(lab, "Escape")
    expect(model).to_be_focused()
    expect(model).not_to_have_value("nbvlm-server")
    lab.find(".nbvlm-key-button").focus()
    press(lab, "Enter")
    expect(lab.find(".nbvlm-key-input")).to_be_focused()
    press(lab, "Escape")
    expect(lab.find(".nbvlm-key-button")).to_be_focused()


def test_a_region_is_drawn_from_its_button_and_the_focus_comes_back(lab: Sheet) -> None:
    task, draw = lab.find(".nbvlm-task select"), lab.find(".nbvlm-pick-region")
    task.focus()
    task.select_option("Caption a region")
    expect(lab.find(".nbvlm-pick-bar")).to_be_visible()
    expect(task).to_be_focused()
    press(lab, "Tab", "Enter")
    expect(lab.find(".nbvlm-viewport")).to_be_focused()
    press(lab, "Escape")
    expect(draw).to_be_focused()
    expect(lab.find(".nbvlm-pick-bar")).to_be_hidden()
    press(lab, "Enter")
    expect(lab.find(".nbvlm-viewport")).to_be_focused()
    press(lab, "ArrowRight", "Enter")
    expect(draw).to_be_focused()
    expect(lab.find(".nbvlm-prompt textarea")).to_have_value("caption <loc0307><loc0327><loc0716><loc0737>")


def test_what_goes_gives_the_focus_on(lab: Sheet) -> None:
    """Chips, a card of the history, Clear, a message and the picture's reset."""
    lab.prompt("detect car")
    offered = lab.find(".nbvlm-chip-offer")
    count = offered.count()
    offered.first.focus()
    press(lab, "Enter")
    expect(offered).to_have_count(count - 1)
    expect(lab.find(".nbvlm-thing")).to_be_focused()
    if not lab.find(".nbvlm-card").count():
        lab.ask("detect car")
    lab.find(".nbvlm-clear").focus()
    press(lab, "Enter")
    expect(lab.find(".nbvlm-undo")).to_be_focused()
    expect(lab.find(".nbvlm-card")).to_have_count(0)
    press(lab, "Enter")
    expect(lab.find(".nbvlm-card")).to_have_count(1)
    expect(lab.find(".nbvlm-clear")).to_be_focused()
    lab.find(".nbvlm-reset-picture").focus()
    press(lab, "Enter")
    expect(lab.find(".nbvlm-thumb").first).to_be_focused()
    lab.press("run")
    lab.page.get_by_role("button", name="Close this message").focus()
    press(lab, "Enter")
    expect(lab.find(".nbvlm-error")).to_be_hidden()
    expect(lab.find("button.nbvlm-run")).to_be_focused()
    lab.find(".nbvlm-thumb").first.click()
    expect(lab.find(".nbvlm-chosen-switches")).to_be_visible()


def compared(sheet: Sheet, service: Loopback) -> None:
    """Two pinned answers side by side, and a sweep."""
    for text in (CAR, f"{CAR} ; {TREE}"):
        service.text = text
        sheet.ask("detect car ; tree")
    for card in (1, 0):
        sheet.find(".nbvlm-card-pin").nth(card).click()
    expect(sheet.find(".nbvlm-side")).to_have_count(2)
    sheet.find(".nbvlm-sweep-summary").click()
    sheet.find(".nbvlm-sweep-prompts").fill("detect car\ncaption en")
    sheet.find(".nbvlm-sweep-heats").fill("0.3")
    sheet.press("sweep-start")
    expect(sheet.find("button.nbvlm-sweep-cell")).to_have_count(2, timeout=SLOW)


def refused(sheet: Sheet, service: Loopback) -> None:
    """A card that says what went wrong, its details unfolded, and the field for a key."""
    service.replies.append(problem(401, "Authentication failed"))
    sheet.press("run")
    sheet.find(".nbvlm-error-details summary").click()
    expect(sheet.find(".nbvlm-key-input")).to_be_visible()


def elsewhere(sheet: Sheet, form: str, field: str) -> None:
    sheet.find("select.nbvlm-model").select_option(form)
    expect(sheet.find(field)).to_be_visible()


def test_axe_finds_nothing_in_a_panel_with_everything_open(lab: Sheet, service: Loopback) -> None:
    assert violations(lab.page) == []
    compared(lab, service)
    assert violations(lab.page) == []
    refused(lab, service)
    elsewhere(lab, "nbvlm-server", ".nbvlm-server-url")
    lab.find(".nbvlm-keys-button").click()
    assert violations(lab.page) == []
    lab.dark()
    assert violations(lab.page) == []
    elsewhere(lab, "nbvlm-recording", ".nbvlm-recording-path")
    lab.page.set_viewport_size({"width": 480, "height": 900})
    assert violations(lab.page) == []
