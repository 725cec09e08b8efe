"""The viewer and the list of detections alone: selected both ways, and corrected by mouse and keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import nbvlm
from browser.parts import violations
from browser.wired import Wired
from nbvlm.widgets import DetectionList, Viewer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

CAT, DOG = (20.0, 20.0, 80.0, 60.0), (120.0, 50.0, 180.0, 90.0)
DARK = (
    ":root { --jp-layout-color1: #111; --jp-border-color1: #616161; --jp-border-color2: #424242;"
    " --jp-ui-font-color1: #fff; --jp-brand-color1: #42a5f5; --jp-brand-color0: #82b1ff;"
    " --jp-warn-color1: #ff9800; --jp-success-color1: #66bb6a; } body { background: #111 }"
)


@pytest.fixture
def wired(page: Page, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    yield Wired(page, monkeypatch)
    ipywidgets.Widget.close_all()


def found() -> nbvlm.Detections:
    mask = np.zeros((100, 200), dtype=bool)
    mask[25:55, 25:75] = True
    return nbvlm.Detections([CAT, DOG], ["cat", "dog"], (200, 100), masks=[mask, None])


def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((200, 100)).convert("RGB")


@pytest.fixture
def viewer(wired: Wired) -> Viewer:
    viewer = Viewer(picture(), found())
    wired.show(viewer)
    return viewer


def frame(x: float, y: float) -> tuple[float, float]:
    """A place of the picture, as shares of its sides."""
    return x / 200, y / 100


def edit(wired: Wired) -> None:
    wired.click(".nbvlm-edit-toggle")
    expect(wired.page.locator(".nbvlm-edit-bar")).to_be_visible()


def test_a_box_is_selected_on_the_page_and_in_python(wired: Wired, viewer: Viewer) -> None:
    heard: list[list[int]] = []
    viewer.observe(lambda change: heard.append(change.new), "selected")
    wired.click(".nbvlm-frame", frame(150, 70))
    assert heard == [[1]]
    wired.click(".nbvlm-frame", frame(40, 40), modifiers=["Shift"])
    assert viewer.selected == [0, 1]
    viewer.selected = [0]
    wired.page.mouse.move(0, 0)
    wired.pump()
    assert wired.page.locator(".nbvlm-mark.nbvlm-lit").get_attribute("data-index") == "0"
    wired.page.locator(".nbvlm-viewport").focus()
    wired.key("Escape")
    assert viewer.selected == []


def test_the_list_and_its_viewer_select_and_hide_the_same(wired: Wired, viewer: Viewer) -> None:
    rows = DetectionList(viewer)
    wired.show(rows)
    wired.page.locator(".nbvlm-found-name").nth(1).click()
    expect(wired.page.locator(".nbvlm-mark.nbvlm-lit")).to_have_attribute(
        "data-index", "1"
    )  # no kernel needed
    wired.pump()
    assert (viewer.selected, rows.selected) == ([1], [1])
    viewer.selected = [0]
    wired.pump()
    expect(wired.page.locator(".nbvlm-found-row").nth(1)).to_have_attribute("aria-selected", "true")
    wired.page.get_by_role("button", name="Show dog 2").click()
    expect(wired.page.locator(".nbvlm-mark").nth(1)).to_be_hidden()
    wired.pump()
    assert viewer.hidden == rows.hidden == [1]
    viewer.hidden = []
    wired.pump()
    expect(wired.page.locator(".nbvlm-mark").nth(1)).to_be_visible()
    wired.page.locator(".nbvlm-found-row[data-index='1']").hover()
    assert wired.page.locator(".nbvlm-mark.nbvlm-lit").get_attribute("data-index") == "1"


def test_boxes_are_corrected_by_mouse(wired: Wired, viewer: Viewer) -> None:
    model = viewer.detections
    wired.until(lambda: wired.page.locator(".nbvlm-mask").count() == 1)
    edit(wired)
    wired.drag(".nbvlm-frame", frame(50, 40), frame(70, 50))  # move
    assert viewer.detections is not None
    assert viewer.detections.xyxy[0] == pytest.approx([40, 30, 100, 70], abs=1)
    assert viewer.selected == [0]
    shift = np.roll(model.mask_crops[0].spread((200, 100)), (10, 20), (0, 1))
    assert (viewer.detections.masks[0] != shift).mean() < 0.02
    wired.drag(".nbvlm-frame", frame(*viewer.detections.xyxy[0][2:]), frame(120, 90))  # a handle resizes
    assert viewer.detections.xyxy[0] == pytest.approx([40, 30, 120, 90], abs=1)
    wired.drag(".nbvlm-frame", frame(140, 10), frame(170, 30))  # beside all boxes: another one
    assert viewer.detections.labels == ("cat", "dog", "dog")
    assert viewer.detections.xyxy[2] == pytest.approx([140, 10, 170, 30], abs=1)
    assert viewer.selected == [2]
    wired.page.locator(".nbvlm-edit-label").fill("bird")
    wired.page.keyboard.press("Enter")
    wired.pump()
    assert viewer.detections.labels == ("cat", "dog", "bird")
    wired.click(".nbvlm-edit-delete")
    assert viewer.detections.labels == ("cat", "dog")
    wired.click(".nbvlm-edit-undo")
    assert viewer.detections.labels == ("cat", "dog", "bird")
    for _ in range(4):
        wired.click(".nbvlm-edit-undo")
    assert viewer.detections == model
    assert wired.page.locator(".nbvlm-edit-undo").is_disabled()
    wired.click(".nbvlm-edit-redo")
    assert viewer.detections.xyxy[0] == pytest.approx([40, 30, 100, 70], abs=1)
    outcome = nbvlm.evaluate(model, viewer.detections)
    assert (outcome.found, outcome.truth) == (2, 2)
    assert outcome.matched == 1  # the cat was found at another place


def test_boxes_are_corrected_by_keyboard_alone(wired: Wired, viewer: Viewer) -> None:
    page = wired.page
    page.locator(".nbvlm-edit-toggle").focus()
    wired.key("Enter")
    assert page.evaluate("document.activeElement.className").startswith("nbvlm-viewport")
    wired.key("n", "n")
    assert viewer.selected == [1]
    before = viewer.detections.xyxy[1].copy()
    wired.key("ArrowLeft", "ArrowUp")
    moved = viewer.detections.xyxy[1] - before
    assert moved[0] == moved[2] < 0
    assert moved[1] == moved[3] < 0
    wired.key("Shift+ArrowRight")
    assert viewer.detections.xyxy[1][2] > before[2] + moved[2]
    wired.key("Enter")
    page.keyboard.type("")
    page.locator(".nbvlm-edit-label").fill("wolf")
    wired.key("Enter")
    assert viewer.detections.labels == ("cat", "wolf")
    assert page.evaluate("document.activeElement.className").startswith("nbvlm-viewport")
    wired.key("a")
    assert viewer.detections.labels == ("cat", "wolf", "wolf")
    assert viewer.detections.xyxy[2].tolist() == [80, 40, 120, 60]
    wired.key("Delete", "Control+z", "Control+z", "Control+z")
    assert viewer.detections.labels == ("cat", "dog")
    wired.key("Control+y")
    assert viewer.detections.labels == ("cat", "wolf")
    assert "Done again" in (page.locator(".nbvlm-voice").text_content() or "")
    wired.key("Escape")  # undone and redone boxes are not selected: the first Esc ends
    assert viewer.mode == "select"


def test_an_arrow_that_is_held_down_is_one_step(wired: Wired, viewer: Viewer) -> None:
    model = viewer.detections
    edit(wired)
    wired.key("n")
    for _ in range(5):
        wired.page.keyboard.down("ArrowRight")
    wired.page.keyboard.up("ArrowRight")
    wired.pump()
    assert viewer.detections.xyxy[0][0] > CAT[0] + 4
    wired.key("Control+z")
    assert viewer.detections == model


def test_a_region_is_drawn_once_and_is_a_trait(wired: Wired, viewer: Viewer) -> None:
    viewer.mode = "region"
    wired.pump()
    wired.drag(".nbvlm-frame", frame(20, 10), frame(100, 60))
    assert viewer.region == pytest.approx((20, 10, 100, 60), abs=1)
    assert viewer.mode == "select"


def test_corrections_can_be_refused(wired: Wired) -> None:
    viewer = Viewer(picture(), found(), editable=False)
    wired.show(viewer)
    expect(wired.page.locator(".nbvlm-edit-toggle")).to_be_hidden()
    viewer.mode = "edit"
    wired.pump()
    wired.drag(".nbvlm-frame", frame(50, 40), frame(70, 50))
    assert viewer.detections == found()


def test_detections_without_a_picture_are_shown_on_an_empty_ground(wired: Wired) -> None:
    viewer = Viewer(found())
    wired.show(viewer)
    assert wired.page.locator(".nbvlm-box").count() == 2
    expect(wired.page.locator(".nbvlm-picture")).to_be_hidden()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(wired: Wired, viewer: Viewer, dark: bool) -> None:
    page = wired.page
    page.evaluate(
        "css => document.head.append(Object.assign(document.createElement('style'), {textContent: css}))",
        DARK if dark else "",
    )
    page.evaluate("document.querySelector('.place').classList.add('nbvlm-panel')")
    wired.show(DetectionList(viewer))
    edit(wired)
    wired.key("n")
    page.locator(".nbvlm-edit-keys summary").click()
    assert violations(page) == []
