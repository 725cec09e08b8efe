"""Panels in layouts of ipywidgets, in JupyterLab: each of them usable, in every width and theme."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from browser.conftest import opened_notebook
from browser.hosts import SLOW
from nbvlm.demo.gallery import GALLERY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext

    from browser.hosts import Jupyter, Sheet

HEIGHT = 2600  # so that nothing has to be scrolled
MAKE = """
import ipywidgets, nbvlm
one, two = (nbvlm.Panel(client=nbvlm.Client("demo")) for _ in range(2))
"""
LAYOUTS = {
    "beside each other": "ipywidgets.HBox([one, two])",
    "in a column, beside a button": "ipywidgets.HBox([ipywidgets.VBox([one, two]), ipywidgets.Button()])",
    "in a grid": "ipywidgets.GridBox([one, two], layout={'grid_template_columns': 'repeat(2, 1fr)'})",
    "in an app": "ipywidgets.AppLayout(left_sidebar=one, center=two, pane_widths=[1, 1, 0])",
    "in tabs": "ipywidgets.Tab([one, two], titles=['One', 'Two'])",
    "in an accordion": "ipywidgets.Accordion([one, two], titles=['One', 'Two'], selected_index=0)",
}
# What sticks out of a panel, panels that are wider than their place or too narrow to be used, and scroll bars
# inside of the notebook's own.
MISFITS = """() => {
  const seen = [...document.querySelectorAll(".nbvlm-panel")].filter((panel) => panel.offsetParent);
  const misfits = seen.flatMap((panel) => {
    const place = panel.closest(".jp-OutputArea-output").getBoundingClientRect();
    const {left, right, width} = panel.getBoundingClientRect();
    const controls = "button, select, input, textarea, img, .noUi-target, .widget-readout";
    const out = [...panel.querySelectorAll(controls)].filter((one) => {
      if (!one.offsetParent || one.closest(".nbvlm-frame, .nbvlm-cards")) return false;
      const box = one.getBoundingClientRect();
      return box.width && (box.left < left || box.right > right + 1);
    });
    const narrow = [".nbvlm-run", ".nbvlm-stop", ".nbvlm-prompt textarea", ".nbvlm-model", ".nbvlm-picture"]
      .filter((selector) => panel.querySelector(selector).getBoundingClientRect().width < 40);
    const wide = left < place.left - 1 || right > place.right + 1 ? ["sticks out"] : [];
    return [...out.map((one) => one.className), ...narrow, ...wide, ...(width < 280 ? [width] : [])];
  });
  const all = [...document.querySelectorAll(".jp-OutputArea-output, .jp-OutputArea-output *")];
  const scrolled = all.filter((one) => {
    const {overflowX, overflowY} = getComputedStyle(one);
    const moves = (overflow, whole, seen) => /auto|scroll/.test(overflow) && seen && whole > seen + 1;
    return moves(overflowX, one.scrollWidth, one.clientWidth) ||
      moves(overflowY, one.scrollHeight, one.clientHeight);
  });
  return [...misfits, ...scrolled.map((one) => `${one.className} scrolls`)];
}"""


def panel(sheet: Sheet, number: int) -> Any:
    return sheet.page.locator(".nbvlm-panel").nth(number)


# The layout stands in a file, so that one page and one kernel serve all tests.
SHOW = "import pathlib\neval(pathlib.Path('layout.txt').read_text())"


@pytest.fixture(scope="module")
def only(context: BrowserContext, jupyter: Jupyter) -> Iterator[Sheet]:
    """A notebook with one panel, in a page without the list of files, which takes place."""
    (jupyter.notebooks / "layout.txt").write_text("one")
    with opened_notebook(context, jupyter, jupyter.notebook("layouts.ipynb", MAKE, SHOW)) as sheet:
        sheet.page.keyboard.press("Control+b")
        yield sheet


def opened(only: Sheet, layout: str) -> Sheet:
    """Show new panels in a layout."""
    (only.jupyter.notebooks / "layout.txt").write_text(layout)
    only.page.set_viewport_size({"width": 1280, "height": HEIGHT})
    only.errors.clear()
    only.without_old_panels()
    panel(only, 0).locator(".nbvlm-thumb").first.wait_for(timeout=SLOW)
    return only


def test_two_views_of_a_panel_upload_at_the_same_time(only: Sheet, tmp_path: Path) -> None:
    sheet = opened(only, "ipywidgets.HBox([one, one.widget])")
    names = ["left.png", "right.png"]
    for name in names:
        Image.frombytes("RGB", (1200, 1000), os.urandom(3_600_000)).save(tmp_path / name)
    for number, name in enumerate(names):
        panel(sheet, number).locator("input[type=file]").set_input_files(tmp_path / name)
    for number in (0, 1):
        panel(sheet, number).locator(".nbvlm-upload").wait_for(timeout=SLOW)
        chosen = panel(sheet, number).locator(".nbvlm-chosen-name")
        expect(chosen).to_have_text("right.png", timeout=SLOW)
        expect(panel(sheet, number).locator(".nbvlm-error")).to_be_hidden()
    panel(sheet, 1).locator(".nbvlm-thumb").nth(1).click()
    expect(panel(sheet, 0).locator(".nbvlm-chosen-name")).to_have_text(f"{GALLERY[1].name}.png")
    assert sheet.errors == []


def test_the_switches_of_a_picture_stay_inside_of_their_card_on_a_small_screen(only: Sheet) -> None:
    sheet = opened(only, "one")
    sheet.page.set_viewport_size({"width": 320, "height": HEIGHT})
    expect(sheet.find(".nbvlm-reset-picture")).to_be_visible()
    ends = "one => one.getBoundingClientRect().right"
    card = sheet.find(".nbvlm-chosen").evaluate(ends)
    for name in ("route", "reset-picture"):
        assert sheet.find(f".nbvlm-{name}").evaluate(ends) <= card, name


QUICK = ("beside each other", "in tabs")
"""The layouts that differ most; the others are tried by the heavy tests."""


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(code, id=name, marks=[] if name in QUICK else [pytest.mark.heavy])
        for name, code in LAYOUTS.items()
    ],
)
def test_panels_fit_into_every_layout_and_width(only: Sheet, layout: str) -> None:
    sheet = opened(only, layout)
    for tab in ("Two", "One"):
        titles = ".jp-OutputArea .lm-TabBar-tab", ".jp-OutputArea .jp-Collapse-header"
        title = sheet.page.locator(", ".join(f"{one}:has-text('{tab}')" for one in titles))
        if title.count():
            title.first.click()
    first, last = panel(sheet, 0), panel(sheet, 1)
    first.locator("button.nbvlm-run").click()
    first.locator(".nbvlm-status[data-state=done]").wait_for(timeout=SLOW)
    expect(last.locator(".nbvlm-status")).not_to_have_attribute("data-state", "done")
    for width in (1400, 2000, 700, 480, 440):  # the last one leaves 324 pixels to a panel
        sheet.page.set_viewport_size({"width": width, "height": HEIGHT})
        sheet.page.wait_for_function(f"document.querySelector('.jp-Notebook').offsetWidth < {width}")
        assert sheet.page.evaluate(MISFITS) == [], width
    assert sheet.errors == []


PLAYGROUND = """
import ipywidgets, nbvlm
client = nbvlm.Client("demo")
row = ipywidgets.HBox([nbvlm.widgets.Playground(client=client)])
shared = ipywidgets.HBox([nbvlm.widgets.Playground(client=client) for _ in range(2)])
ipywidgets.VBox([row, shared, nbvlm.widgets.Playground(client=client)])
"""


def test_a_playground_takes_its_share_of_a_row(sheet: Sheet, jupyter: Jupyter) -> None:
    page = sheet.page
    sheet.open_lab(jupyter.notebook("playgrounds.ipynb", PLAYGROUND))
    sheet.press_run_all()
    page.keyboard.press("Control+b")
    expect(page.locator(".nbvlm-carrier .nbvlm-picture")).to_have_count(4, timeout=SLOW)
    measured = """() => {
      const place = document.querySelector(".jp-OutputArea-output").clientWidth;
      return [...document.querySelectorAll(".nbvlm-carrier")].map((one) => one.clientWidth / place);
    }"""
    narrow = """() => [...document.querySelectorAll(".nbvlm-carrier .nbvlm-range")]
      .filter((one) => one.clientWidth < 60).length"""
    for width, share in ((1400, 0.5), (700, 1), (320, 1)):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.wait_for_function(f"document.querySelector('.jp-Notebook').offsetWidth < {width}")
        alone, one, two, below = page.evaluate(measured)
        assert (alone, below) == (1, 1), width
        assert (one, two) == (pytest.approx(share, abs=0.02),) * 2, width
        assert page.evaluate(narrow) == 0, width
    assert sheet.errors == []
