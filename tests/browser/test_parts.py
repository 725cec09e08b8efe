"""The parts of the panel alone, in JupyterLab: a panel of one's own, and the parts beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.hosts import SLOW
from browser.parts import violations
from nbvlm.demo.gallery import GALLERY

if TYPE_CHECKING:
    from browser.hosts import Jupyter, Sheet

OWN = """
import ipywidgets, nbvlm
from nbvlm import widgets
from nbvlm.demo.gallery import GALLERY
picker, bar, parameters = widgets.Picker(GALLERY[3]), widgets.TaskBar("caption en"), widgets.Parameters()
answer, viewer, history, card = widgets.Answer(), widgets.Viewer(), widgets.History(), widgets.ErrorCard()
choice = widgets.ModelChoice(nbvlm.Client("demo", pace=10))
asking = widgets.connect(picker, bar, parameters, client=choice, answer=answer, viewer=viewer,
                         history=history, error_card=card)
card.actions = {"again": lambda: asking.run(wait=False)}
ipywidgets.HBox([ipywidgets.VBox([choice, picker, bar, parameters, asking], layout={"flex": "1 1 0"}),
                 ipywidgets.VBox([card, viewer, answer, history], layout={"flex": "1 1 0"})])
"""
# Parts that stick out of the notebook, or whose content sticks out of them.
MISFITS = """() => [...document.querySelectorAll(".nbvlm-own")].filter((part) => part.offsetParent)
  .filter((part) => part.scrollWidth > part.clientWidth + 1 || part.clientWidth < 200)
  .map((part) => [part.firstElementChild.className, part.scrollWidth, part.clientWidth].join(" "))"""


@pytest.mark.heavy
def test_a_panel_of_ones_own(sheet: Sheet, jupyter: Jupyter) -> None:
    page = sheet.page
    page.set_viewport_size({"width": 1400, "height": 1800})
    sheet.open_lab(jupyter.notebook("own.ipynb", OWN, "asking.result.text"))
    sheet.press_run_all()
    page.locator(".nbvlm-thumb").nth(1).click(timeout=SLOW)
    expect(page.locator(".nbvlm-chosen-name")).to_have_text(f"{GALLERY[1].name}.png", timeout=SLOW)
    page.select_option(".nbvlm-task-choice", "Describe")
    expect(page.locator(".nbvlm-prompt textarea")).to_have_value("describe en")
    page.click("button.nbvlm-run")
    page.locator(".nbvlm-status[data-state=running]").wait_for(timeout=SLOW)
    page.click("button.nbvlm-stop")
    page.locator(".nbvlm-status[data-state=stopped]").wait_for(timeout=SLOW)
    page.select_option(".nbvlm-task-choice", "Caption")
    page.click("button.nbvlm-run")
    page.locator(".nbvlm-status[data-state=done]").wait_for(timeout=SLOW)
    expect(page.locator(".nbvlm-answer")).not_to_be_empty()
    expect(page.locator(".nbvlm-card")).to_have_count(1, timeout=SLOW)
    assert violations(page, ".jp-OutputArea-output .nbvlm-own") == []
    handle = page.locator(".nbvlm-temperature .noUi-handle")
    handle.focus()
    page.keyboard.press("ArrowRight")
    expect(handle).to_have_attribute("aria-valuetext", "0.21")
    for width in (2000, 1400, 1000, 700):
        page.set_viewport_size({"width": width, "height": 1800})
        page.wait_for_function(f"document.querySelector('.jp-Notebook').offsetWidth < {width}")
        assert page.evaluate(MISFITS) == [], width
    assert sheet.errors == []


NARROW = """
import ipywidgets, nbvlm
from nbvlm import widgets
from nbvlm.demo.gallery import GALLERY
answer = nbvlm.Client("demo").ask(GALLERY[0], "detect cat ; dog")
parts = [widgets.TaskBar(), widgets.Parameters(), widgets.Viewer(result=answer, mode="edit", selected=[0])]
ipywidgets.VBox([*parts, widgets.Review([answer])])
"""


def test_parts_fit_on_a_small_screen(sheet: Sheet, jupyter: Jupyter) -> None:
    page = sheet.page
    sheet.open_lab(jupyter.notebook("narrow.ipynb", NARROW))
    sheet.press_run_all()
    page.keyboard.press("Control+b")
    expect(page.locator(".nbvlm-edit-label:visible")).to_have_count(2, timeout=SLOW)
    expect(page.locator(".noUi-target")).to_have_count(3)
    page.set_viewport_size({"width": 320, "height": 1800})
    page.wait_for_function("document.querySelector('.jp-Notebook').offsetWidth < 320")
    tracks = "all => all.map((one) => one.getBoundingClientRect().width)"
    assert min(page.locator(".noUi-target").evaluate_all(tracks)) > 60
    over = """all => all.map((one) =>
      one.getBoundingClientRect().right - one.closest(".nbvlm-part").getBoundingClientRect().right)"""
    assert max(page.locator(".nbvlm-edit-label:visible").evaluate_all(over)) < 0
    assert sheet.errors == []
