"""The viewer alone: chips, boxes and rows that belong together, masks, zoom, regions, and its voice."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from browser.parts import load, say, violations
from nbvlm.widgets.esm import style

if TYPE_CHECKING:
    from playwright.sync_api import Page

CODES = "".join(f"<seg{number:03d}>" for number in range(16))
# In a picture of 1023 × 1023 pixels a location is a pixel.
CAT, DOG = ("cat", (100, 200, 500, 400)), ("dog", (450, 350, 600, 500))
COLORS = {"cat": "#009e73", "dog": "#56b4e9"}
DARK = (
    ":root { --jp-layout-color1: #111; --jp-border-color1: #616161; --jp-border-color2: #424242;"
    " --jp-ui-font-color1: #fff; --jp-brand-color1: #42a5f5; --jp-brand-color0: #82b1ff;"
    " --jp-warn-color1: #ff9800; --jp-success-color1: #66bb6a; } body { background: #111 }"
)


def until(page: Page, expression: str) -> None:
    """Wait until something is true; the page forbids what Playwright's own way of waiting needs."""
    assert any(page.evaluate(expression) or page.wait_for_timeout(50) for _ in range(100)), expression


def picture() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (1023, 1023), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def box(label: str, corners: tuple[float, ...]) -> dict[str, Any]:
    return {"label": label, "box": corners, "color": COLORS.get(label, "#d55e00"), "ink": "#000000"}


def item(label: str, corners: tuple[int, ...], codes: str = "") -> str:
    x0, y0, x1, y1 = corners
    return "".join(f"<loc{value:04d}>" for value in (y0, x0, y1, x1)) + f"{codes} {label}"


def opened(page: Page, dark: bool = False) -> Page:
    """Show a viewer with its styles and a picture."""
    css = style("colors", "panel", "form", "viewer_root", "picture_view", "detections_list") + (
        DARK if dark else ""
    )
    page.evaluate(
        "css => document.head.append(Object.assign(document.createElement('style'), {textContent: css}))", css
    )
    load(page, "viewer_root")
    page.evaluate("show()")
    facts = {"name": "a pet.png", "width": 1023, "height": 1023, "mime": "image/png"}
    status = {"state": "running", "parts": ["Asking"]}
    say(page, {"type": "all", "picture": facts, "text": "", "boxes": [], "status": status}, picture())
    return page


def answered(page: Page, dark: bool = False) -> Page:
    """Show an answer with a cat and a dog, the cat with a mask."""
    opened(page, dark)
    say(
        page, {"type": "more", "text": f"{item(*CAT, CODES)} ; {item(*DOG)}", "boxes": [box(*CAT), box(*DOG)]}
    )
    say(page, {"type": "shapes", "shapes": {"0": "M120 220l300 0 0 100z"}})
    status = {"state": "done", "parts": ["Inline", {"text": "request 12345678…", "copy": "1234567890"}]}
    say(page, {"type": "put", "status": status, "said": "1 cat; 1 dog.", "notes": ["Sent as JPEG."]})
    return page


def lit(page: Page) -> set[str]:
    """Classes of what is lit, by the first of them."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('.nbvlm-lit')].map((one) => one.getAttribute('class').split(' ')[0])"
    )
    return set(found)


ALL_OF_CAT = {"nbvlm-mark", "nbvlm-mask", "nbvlm-label", "nbvlm-tokens", "nbvlm-words", "nbvlm-found-row"}


def test_tokens_are_chips_of_their_box_however_the_text_is_cut(page: Page) -> None:
    text = f"{item(*CAT, CODES)} ; {item(*DOG)} ; <loc00 and <b>words</b> & <loc0001>"
    opened(page)
    for at in range(0, len(text), 7):
        say(page, {"type": "more", "text": text[at : at + 7]})
    say(page, {"type": "more", "boxes": [box(*CAT), box(*DOG)]})
    assert page.locator(".nbvlm-answer").text_content() == text
    assert page.locator(".nbvlm-token-loc").count() == 9
    assert page.locator(".nbvlm-token-seg").count() == 16
    linked = page.locator(".nbvlm-tokens.nbvlm-linked")
    assert linked.evaluate_all("nodes => nodes.map((node) => node.getAttribute('aria-label'))") == [
        "Box 1: cat, left third, top, 39 % of the width, 20 % of the height",
        "Box 2: dog, middle third, middle, 15 % of the width, 15 % of the height",
    ]
    assert page.locator(".nbvlm-answer b").count() == 0


def test_chip_box_and_row_light_each_other(page: Page) -> None:
    answered(page)
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


def test_masks_labels_and_strength_are_switched(page: Page) -> None:
    answered(page)
    mask, label = page.locator(".nbvlm-mask"), page.locator(".nbvlm-label").first
    expect(mask).to_be_visible()
    page.get_by_role("button", name="Masks").click()
    expect(mask).to_be_hidden()
    page.get_by_role("button", name="Labels").click()
    expect(label).to_be_hidden()
    page.get_by_role("button", name="Masks").click()
    page.get_by_role("slider", name="Opacity").fill("0.8")
    assert mask.evaluate("node => getComputedStyle(node).fillOpacity") == "0.8"
    say(page, {"type": "put", "boxes": [box(*DOG)]})
    assert mask.count() == 0


def test_labels_and_single_things_are_hidden_and_come_back(page: Page) -> None:
    answered(page)
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


def test_the_list_is_walked_by_keyboard_with_one_stop_for_tab(page: Page) -> None:
    answered(page)
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


def test_the_picture_zooms_by_keys_and_by_wheel_and_the_page_scrolls_as_ever(page: Page) -> None:
    answered(page)
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


def test_a_crop_is_copied_or_where_that_is_forbidden_downloaded(page: Page) -> None:
    answered(page)
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


def test_a_region_is_dragged_or_moved_by_keys_or_given_up(page: Page) -> None:
    opened(page)
    say(page, {"type": "put", "status": {"state": "ready", "parts": []}, "picking": True})
    frame = page.locator(".nbvlm-frame").bounding_box()
    page.mouse.move(frame["x"] + frame["width"] * 0.2, frame["y"] + frame["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.6, frame["y"] + frame["height"] * 0.9)
    page.mouse.up()
    sent = page.evaluate("model.sent.at(-1).content")
    assert sent["type"] == "region"
    assert sent["box"] == pytest.approx([204.6, 306.9, 613.8, 920.7], abs=4)
    assert page.locator(".nbvlm-pick-bar").is_hidden()
    say(page, {"type": "put", "picking": True})
    for key in ("ArrowLeft", "Shift+ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate("model.sent.at(-1).content.box") == pytest.approx(
        [286.4, 306.9, 695.6, 736.6], abs=0.2
    )
    say(page, {"type": "put", "picking": True})
    page.keyboard.press("Escape")
    assert page.evaluate("model.sent.at(-1).content") == {"type": "region", "box": None}


def test_thinking_is_folded_below_the_answer_and_is_only_text(page: Page) -> None:
    opened(page)
    folded, text = page.locator(".nbvlm-reasoning"), page.locator(".nbvlm-reasoning-text")
    expect(folded).to_be_hidden()
    done = {"state": "done", "parts": []}
    say(page, {"type": "put", "text": "a cat", "status": done, "reasoning": "<b>hm</b> <loc0001>"})
    expect(folded).to_be_visible()
    expect(text).to_be_hidden()
    folded.locator("summary").click()
    expect(text).to_have_text("<b>hm</b> <loc0001>")
    assert text.locator("*").count() == 0
    say(page, {"type": "put", "text": "", "reasoning": ""})
    expect(folded).to_be_hidden()


def test_what_is_spoken_is_the_state_and_not_the_tokens(page: Page) -> None:
    opened(page)
    page.evaluate("""() => {
      window.spoken = [];
      const voice = document.querySelector(".nbvlm-voice");
      new MutationObserver(() => spoken.push(voice.textContent)).observe(voice, {childList: true});
    }""")
    status = {"state": "running", "parts": ["Waiting 30 s to ask again"], "wait": 30}
    say(page, {"type": "more", "status": status})
    expect(page.locator(".nbvlm-clock")).to_have_text(re.compile(r"^\d+ s left$"))
    say(page, {"type": "more", "text": "a ", "status": {"state": "running", "parts": ["Answering"]}})
    for _ in range(20):
        say(page, {"type": "more", "text": "word "})
    say(
        page,
        {"type": "put", "text": "a word", "said": "a word", "status": {"state": "done", "parts": ["Inline"]}},
    )
    assert page.evaluate("spoken") == ["Waiting 30 s to ask again", "Answering", "Answer: a word"]
    assert page.locator("[aria-live], [role=status]").count() == 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(page: Page, dark: bool) -> None:
    answered(page, dark)
    assert violations(page) == []


def test_five_hundred_boxes_are_drawn_listed_and_lit_one_by_one(page: Page) -> None:
    opened(page)
    corners = [(at % 25 * 40, at // 25 * 50, at % 25 * 40 + 30, at // 25 * 50 + 40) for at in range(500)]
    for first in range(0, 500, 20):
        made = [(f"thing {at % 7}", corners[at]) for at in range(first, first + 20)]
        text = "".join(f"{item(*one)} ; " for one in made)
        say(page, {"type": "more", "text": text, "boxes": [box(*one) for one in made]})
    assert page.locator(".nbvlm-box").count() == page.locator(".nbvlm-found-row[data-index]").count() == 500
    assert page.locator(".nbvlm-tokens.nbvlm-linked").count() == 500
    page.locator(".nbvlm-found-row[data-index='321'] .nbvlm-found-name").focus()
    assert page.locator(".nbvlm-mark.nbvlm-lit").count() == 1
    assert page.locator(".nbvlm-tokens.nbvlm-lit").get_attribute("data-index") == "321"


def test_a_view_drawn_twice_into_one_place_and_another_follow_alike(page: Page) -> None:
    answered(page)
    page.evaluate("""async () => {
      const el = document.querySelector(".nbvlm-stage");
      cleanups.push(await widget.render({model: {...model}, el}));
      await show();
    }""")
    say(page, {"type": "put", "text": "a new answer", "boxes": [box(*DOG)]})
    assert page.locator(".nbvlm-answer").all_text_contents() == ["a new answer"] * 2
    assert page.locator(".nbvlm-box").count() == 2
    page.get_by_role("button", name="Labels").first.click()
    assert page.locator(".nbvlm-labels.nbvlm-gone").count() == 2
