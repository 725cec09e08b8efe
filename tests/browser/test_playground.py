"""The playground on a page: one anywidget with the modules of all parts inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
import pytest
from playwright.sync_api import expect

import nbvlm
from browser.parts import violations
from browser.wired import Wired
from nbvlm.demo.gallery import GALLERY
from nbvlm.widgets import Answer, Playground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page


@pytest.fixture
def wired(page: Page, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    page.set_viewport_size({"width": 1200, "height": 1100})
    yield Wired(page, monkeypatch)
    ipywidgets.Widget.close_all()


def test_a_playground_asks_by_the_keyboard_and_stops(wired: Wired, page: Page) -> None:
    playground = Playground(client=nbvlm.Client("demo"))
    wired.show(playground)
    wired.until(lambda: page.locator(".nbvlm-thumb").count() == len(GALLERY))
    prompt = page.locator(".nbvlm-prompt textarea")
    expect(prompt).to_have_value("detect cat ; dog")
    expect(page.locator(".nbvlm-badge")).to_have_text("Demo model")
    # A sample brings its prompt; the arrow keys move through the samples.
    page.locator(".nbvlm-thumb").first.focus()
    page.keyboard.press("ArrowRight")
    wired.until(lambda: playground.prompt == GALLERY[1].prompt)
    # A slider by its keys, and by its number.
    page.locator(".nbvlm-temperature input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    warmth = page.locator(".nbvlm-top-p .widget-readout")
    warmth.fill("7")
    warmth.press("Enter")
    page.locator(".nbvlm-max-tokens .widget-readout").fill("64")
    page.keyboard.press("Tab")
    wired.until(lambda: playground.max_tokens == 64)
    assert playground.temperature == pytest.approx(0.21)
    assert playground.top_p == 1.0
    expect(warmth).to_have_value("1.00")
    # The prompt is asked as it stands in the field, still in focus.
    prompt.fill("detect car ; house")
    prompt.press("Control+Enter")
    wired.until(lambda: playground.result is not None)
    result = playground.result
    assert result is not None
    assert result.prompt == "detect car ; house"
    wired.until(lambda: page.locator(".nbvlm-status").get_attribute("data-state") == "done")
    expect(page.locator(".nbvlm-viewer svg rect")).to_have_count(len(result.detections))
    expect(page.locator(".nbvlm-token").first).to_be_visible()
    wired.until(lambda: playground._seen == 1)  # the page reports the answer back
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    page.add_style_tag(content=":root { color-scheme: dark; background: #111 }")
    assert violations(page) == []
    # Esc stops an answer that is slow.
    playground.client = nbvlm.Client("demo", pace=4)
    prompt.press("Control+Enter")
    wired.until(lambda: page.locator(".nbvlm-status").get_attribute("data-state") == "running")
    page.keyboard.press("Escape")
    wired.until(lambda: page.locator(".nbvlm-status").get_attribute("data-state") == "stopped")
    assert (playground.running, playground.result) == (False, None)
    # The focus on Stop goes on to Run, for Stop has nothing to do any more.
    prompt.press("Control+Enter")
    stop = page.locator("button.nbvlm-stop")
    wired.until(stop.is_enabled)
    stop.focus()
    page.keyboard.press("Enter")
    wired.until(lambda: page.locator("button.nbvlm-run:focus").count())
    # An error is a card with buttons that help.
    prompt.fill("")
    prompt.press("Control+Enter")
    wired.until(lambda: page.locator(".nbvlm-error-title").count())
    expect(page.locator(".nbvlm-error-title")).to_have_text("The prompt cannot be sent")


def test_an_answer_without_a_picture_takes_boxes(wired: Wired, page: Page) -> None:
    carrier = Answer()._display_()
    answer = carrier._root
    wired.show(carrier)
    with nbvlm.Client("demo").stream(GALLERY[0], GALLERY[0].prompt) as stream:
        for event in stream:
            answer.feed(event)
    wired.until(lambda: page.locator(".nbvlm-token").count())
    answer.finish(stream.result)
    wired.until(lambda: page.locator(".nbvlm-status").get_attribute("data-state") == "done")
    expect(page.locator(".nbvlm-viewer")).to_be_hidden()
