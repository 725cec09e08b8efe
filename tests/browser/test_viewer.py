"""Viewer, answer and list together: chips, boxes and rows that belong together, masks, zoom, the voice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from browser.parts import violations
from browser.wired import Wired
from nbvlm.grounding import Detection, Detections
from nbvlm.widgets import Answer, DetectionList, Viewer
from nbvlm.widgets.stream_throttle import boxes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

CODES = "".join(f"<seg{number:03d}>" for number in range(16))
# In a picture of 1023 × 1023 pixels a location is a pixel.
SIZE = (1023, 1023)
CAT, DOG = ("cat", (100, 200, 500, 400)), ("dog", (450, 350, 600, 500))
DARK = (
    ":root { --jp-layout-color1: #111; --jp-border-color1: #616161; --jp-border-color2: #424242;"
    " --jp-ui-font-color1: #fff; --jp-brand-color1: #42a5f5; --jp-brand-color0: #82b1ff;"
    " --jp-warn-color1: #ff9800; --jp-success-color1: #66bb6a; } body { background: #111 }"
)
Thing = tuple[str, tuple[float, ...]]


def until(page: Page, expression: str) -> None:
    """Wait until something is true; the page forbids what Playwright's own way of waiting needs."""
    assert any(page.evaluate(expression) or page.wait_for_timeout(50) for _ in range(100)), expression


def item(label: str, corners: tuple[float, ...], codes: str = "") -> str:
    x0, y0, x1, y1 = corners
    return "".join(f"<loc{value:04d}>" for value in (y0, x0, y1, x1)) + f"{codes} {label}"


class Parts:
    """A viewer, an answer and a list on one page, about a picture without boxes."""

    def __init__(self, wired: Wired, path: Path) -> None:
        self.wired, self.page = wired, wired.page
        Image.new("RGB", SIZE, "teal").save(path)
        self.viewer = Viewer(path)
        self.answer = Answer(viewer=self.viewer)
        self.rows = DetectionList(self.viewer)
        for part in (self.viewer, self.answer, self.rows):
            wired.show(part)
        self.answer._page.begin(SIZE)
        self.wired.pump()

    def more(
        self, text: str = "", things: tuple[Thing, ...] = (), phase: str = "", wait: float = 0.0
    ) -> None:
        found = [Detection(label, corners, size=SIZE) for label, corners in things]
        self.answer._page.more(text, boxes(found, "detect cat ; dog"), phase, wait)
        if found:
            before = self.viewer.detections
            self.viewer.detections = Detections.of([*(before if before is not None else ()), *found], SIZE)
        self.wired.pump()

    def show(self, *things: Thing) -> None:
        """Show other boxes, in place of those that are there."""
        self.viewer.detections = Detections([box for _, box in things], [label for label, _ in things], SIZE)
        self.wired.pump()

    def finish(self, text: str, *, said: str = "", reasoning: str = "", notes: tuple[str, ...] = ()) -> None:
        found = boxes(self.viewer.detections if self.viewer.detections is not None else (), "")
        status = ["Inline", {"text": "request 12345678…", "copy": "1234567890"}]
        self.answer._page.finish(text, found, status, size=SIZE, said=said, reasoning=reasoning, notes=notes)
        self.wired.pump()


@pytest.fixture
def opened(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Parts]:
    return lambda: Parts(Wired(page, monkeypatch), tmp_path / "a pet.png")


@pytest.fixture
def answered(opened: Callable[[], Parts]) -> Parts:
    """An answer with a cat and a dog, the cat with a mask."""
    parts = opened()
    text = f"{item(*CAT, CODES)} ; {item(*DOG)}"
    parts.more(text, (CAT, DOG))
    parts.viewer.outline(parts.viewer.turn, {"0": "M120 220l300 0 0 100z"})
    parts.finish(text, said="1 cat; 1 dog.", notes=("Sent as JPEG.",))
    return parts


def lit(page: Page) -> set[str]:
    """Classes of what is lit, by the first of them."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('.nbvlm-lit')].map((one) => one.getAttribute('class').split(' ')[0])"
    )
    return set(found)


ALL_OF_CAT = {"nbvlm-mark", "nbvlm-mask", "nbvlm-label", "nbvlm-tokens", "nbvlm-words", "nbvlm-found-row"}


def test_tokens_are_chips_of_their_box_however_the_text_is_cut(
    page: Page, opened: Callable[[], Parts]
) -> None:
    text = f"{item(*CAT, CODES)} ; {item(*DOG)} ; <loc00 and <b>words</b> & <loc0001>"
    parts = opened()
    for at in range(0, len(text), 7):
        parts.more(text[at : at + 7])
    parts.more(things=(CAT, DOG))
    assert page.locator(".nbvlm-answer").text_content() == text
    assert page.locator(".nbvlm-token-loc").count() == 9
    assert page.locator(".nbvlm-token-seg").count() == 16
    linked = page.locator(".nbvlm-tokens.nbvlm-linked")
    assert linked.evaluate_all("nodes => nodes.map((node) => node.getAttribute('aria-label'))") == [
        "Box 1: cat, left third, top, 39 % of the width, 20 % of the height",
        "Box 2: dog, middle third, middle, 15 % of the width, 15 % of the height",
    ]
    assert page.locator(".nbvlm-answer b").count() == 0


def test_chip_box_and_row_light_each_other(page: Page, answered: Parts) -> None:
    page.locator(".nbvlm-tokens").first.hover()
    assert lit(page) == ALL_OF_CAT
    page.locator(".nbvlm-found-row[data-index='0']").hover()
    assert lit(page) == ALL_OF_CAT
    frame = page.locator(".nbvlm-frame").bounding_box()
    page.mouse.move(frame["x"] + frame["width"] * 0.55, frame["y"] + frame["height"] * 0.45)
    assert lit(page) == ALL_OF_CAT - {"nbvlm-mask"}
    assert page.locator(".nbvlm-found-row.nbvlm-lit").get_attribute("data-index") == "1"
    page.mouse.move(0, 0)
    assert lit(page) == set()
    page.locator(".nbvlm-tokens").first.focus()
    assert lit(page) == ALL_OF_CAT
    page.keyboard.press("ArrowRight")
    assert page.locator(".nbvlm-found-row.nbvlm-lit").get_attribute("data-index") == "1"


def test_masks_labels_and_strength_are_switched(page: Page, answered: Parts) -> None:
    mask, label = page.locator(".nbvlm-mask"), page.locator(".nbvlm-label").first
    expect(mask).to_be_visible()
    page.get_by_role("button", name="Masks").click()
    expect(mask).to_be_hidden()
    page.get_by_role("button", name="Labels").click()
    expect(label).to_be_hidden()
    page.get_by_role("button", name="Masks").click()
    page.get_by_role("slider", name="Opacity").fill("0.8")
    assert mask.evaluate("node => getComputedStyle(node).fillOpacity") == "0.8"
    answered.show(DOG)
    assert mask.count() == 0


def test_labels_and_single_things_are_hidden_and_come_back(page: Page, answered: Parts) -> None:
    chip = page.locator(".nbvlm-legend-chip", has_text="cat")
    cat, dog = page.locator(".nbvlm-mark").all()
    chip.click()
    expect(cat).to_be_hidden()
    expect(chip).to_have_attribute("aria-pressed", "false")
    chip.click()
    expect(cat).to_be_visible()
    page.get_by_role("button", name="Show dog 2").click()
    expect(dog).to_be_hidden()
    expect(page.locator(".nbvlm-legend-chip", has_text="dog")).to_have_attribute("aria-pressed", "false")


def test_the_list_is_walked_by_keyboard_with_one_stop_for_tab(page: Page, answered: Parts) -> None:
    assert page.locator(".nbvlm-found [tabindex='0']").count() == 1
    page.locator(".nbvlm-found-name").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".nbvlm-found-name").nth(1).evaluate("node => node === document.activeElement")
    page.keyboard.press("Enter")
    assert (
        float(page.locator(".nbvlm-frame").evaluate("node => node.style.getPropertyValue('--nbvlm-zoom')"))
        > 2
    )
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    expect(page.locator(".nbvlm-mark").nth(1)).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    assert page.locator(".nbvlm-found-row.nbvlm-lit").get_attribute("data-index") == "0"


def test_the_picture_zooms_by_keys_and_by_wheel_and_the_page_scrolls_as_ever(
    page: Page, answered: Parts
) -> None:
    page.evaluate("document.body.style.minHeight = '4000px'")
    view, frame = page.locator(".nbvlm-viewport"), page.locator(".nbvlm-frame")
    whole = frame.bounding_box()["width"]
    view.focus()
    for key in ("+", "+", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    zoomed = frame.bounding_box()
    assert zoomed["width"] == pytest.approx(whole * 1.5625, rel=0.01)
    assert page.evaluate("scrollY") == 0
    line = page.locator(".nbvlm-box").first.bounding_box()
    assert line["x"] - zoomed["x"] == pytest.approx(zoomed["width"] * 100 / 1023, abs=3)
    page.keyboard.press("0")
    assert frame.bounding_box()["width"] == pytest.approx(whole, abs=1)
    view.hover()
    page.mouse.wheel(0, 100)
    until(page, "scrollY > 0")
    assert frame.bounding_box()["width"] == pytest.approx(whole, abs=1)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    until(page, "document.querySelector('.nbvlm-zoomed') !== null")
    page.locator(".nbvlm-zoom-level").click()
    assert page.locator(".nbvlm-zoom-level").text_content() == "100 %"


def test_a_crop_is_copied_or_where_that_is_forbidden_downloaded(page: Page, answered: Parts) -> None:
    # The page has no secure origin, so what the browser would offer there is put in place.
    page.evaluate("""() => {
      window.clipboard = {write: () => Promise.reject(new Error("not allowed"))};
      Object.defineProperty(navigator, "clipboard", {value: clipboard});
      window.ClipboardItem = class { constructor(data) { this.types = Object.keys(data); } };
    }""")
    page.get_by_role("button", name="Copy the crop of dog 2").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "a-pet-dog-2.png"
    with Image.open(download.value.path()) as crop:
        assert crop.size == (150, 150)
    page.evaluate("() => { clipboard.write = async ([one]) => { window.copied = one.types; }; }")
    page.get_by_role("button", name="Copy the picture as it is drawn").click()
    until(page, "window.copied?.[0] === 'image/png'")


def test_a_region_is_dragged_or_moved_by_keys_or_given_up(page: Page, opened: Callable[[], Parts]) -> None:
    parts, drawn = opened(), []
    parts.viewer.on_region(drawn.append)

    def draw() -> None:
        parts.viewer.mode = "region"
        parts.wired.pump()

    draw()
    frame = page.locator(".nbvlm-frame").bounding_box()
    page.mouse.move(frame["x"] + frame["width"] * 0.2, frame["y"] + frame["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.6, frame["y"] + frame["height"] * 0.9)
    page.mouse.up()
    parts.wired.pump()
    assert drawn[-1] == pytest.approx([204.6, 306.9, 613.8, 920.7], abs=4)
    assert page.locator(".nbvlm-pick-bar").is_hidden()
    draw()
    parts.wired.key("ArrowLeft", "Shift+ArrowDown", "Enter")
    assert drawn[-1] == pytest.approx([286.4, 306.9, 695.6, 736.6], abs=0.2)
    draw()
    parts.wired.key("Escape")
    assert drawn[-1] is None


def test_thinking_is_folded_below_the_answer_and_is_only_text(
    page: Page, opened: Callable[[], Parts]
) -> None:
    parts = opened()
    folded, text = page.locator(".nbvlm-reasoning"), page.locator(".nbvlm-reasoning-text")
    expect(folded).to_be_hidden()
    parts.finish("a cat", reasoning="<b>hm</b> <loc0001>")
    expect(folded).to_be_visible()
    expect(text).to_be_hidden()
    folded.locator("summary").click()
    expect(text).to_have_text("<b>hm</b> <loc0001>")
    assert text.locator("*").count() == 0
    parts.finish("")
    expect(folded).to_be_hidden()


def test_what_is_spoken_is_the_state_and_not_the_tokens(page: Page, opened: Callable[[], Parts]) -> None:
    parts = opened()
    page.evaluate("""() => {
      window.spoken = [];
      const voice = document.querySelector(".nbvlm-answer-part .nbvlm-voice");
      new MutationObserver(() => spoken.push(voice.textContent)).observe(voice, {childList: true});
    }""")
    parts.more(phase="Waiting 30 s to ask again", wait=30)
    expect(page.locator(".nbvlm-clock")).to_have_text(re.compile(r"^\d+ s left$"))
    parts.more("a ", phase="Answering")
    for _ in range(20):
        parts.more("word ")
    parts.finish("a word", said="a word")
    assert page.evaluate("spoken") == ["Waiting 30 s to ask again", "Answering", "Answer: a word"]
    assert page.locator(".nbvlm-answer-part [aria-live], .nbvlm-answer-part [role=status]").count() == 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(page: Page, answered: Parts, dark: bool) -> None:
    if dark:
        page.evaluate(
            "css => document.head.append(Object.assign(document.createElement('style'), {textContent: css}))",
            DARK,
        )
    assert violations(page, ".nbvlm-part") == []


def test_five_hundred_boxes_are_drawn_listed_and_lit_one_by_one(
    page: Page, opened: Callable[[], Parts]
) -> None:
    parts = opened()
    corners = [(at % 25 * 40, at // 25 * 50, at % 25 * 40 + 30, at // 25 * 50 + 40) for at in range(500)]
    for first in range(0, 500, 20):
        made = tuple((f"thing {at % 7}", corners[at]) for at in range(first, first + 20))
        parts.more("".join(f"{item(*one)} ; " for one in made), made)
    assert page.locator(".nbvlm-box").count() == page.locator(".nbvlm-found-row[data-index]").count() == 500
    assert page.locator(".nbvlm-tokens.nbvlm-linked").count() == 500
    page.locator(".nbvlm-found-row[data-index='321'] .nbvlm-found-name").focus()
    assert page.locator(".nbvlm-mark.nbvlm-lit").count() == 1
    assert page.locator(".nbvlm-tokens.nbvlm-lit").get_attribute("data-index") == "321"


def test_a_second_view_of_each_part_follows_alike(page: Page, answered: Parts) -> None:
    page.evaluate("async () => { for (const one of Object.values(models)) await one.show(place); }")
    answered.finish("a new answer")
    answered.show(DOG)
    assert page.locator(".nbvlm-answer").all_text_contents() == ["a new answer"] * 2
    assert page.locator(".nbvlm-box").count() == 2
    page.get_by_role("button", name="Labels").first.click()
    assert page.locator(".nbvlm-labels.nbvlm-gone").count() == 2


def test_a_chip_selects_its_box_in_all_parts_and_escape_ends_that(page: Page, answered: Parts) -> None:
    page.locator(".nbvlm-tokens").nth(1).click()
    answered.wired.pump()
    assert answered.viewer.selected == answered.rows.selected == [1]
    page.mouse.move(0, 0)
    assert page.locator(".nbvlm-found-row[aria-selected=true]").get_attribute("data-index") == "1"
    assert "nbvlm-lit" in (page.locator(".nbvlm-tokens").nth(1).get_attribute("class") or "")
    answered.wired.key("Escape")
    assert answered.viewer.selected == answered.rows.selected == []
    assert lit(page) <= ALL_OF_CAT
