"""A history on a page: its cards offer what works there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
import pytest
from playwright.sync_api import expect

import nbvlm
from browser.wired import Wired
from nbvlm.widgets import History, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page


@pytest.fixture
def wired(page: Page, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    page.set_viewport_size({"width": 900, "height": 600})
    yield Wired(page, monkeypatch)
    ipywidgets.Widget.close_all()


def test_a_card_asks_again_where_something_asks(wired: Wired, page: Page) -> None:
    client, picture = nbvlm.Client("demo"), nbvlm.demo.gallery.GALLERY[0]
    history = History([client.ask(picture, "caption en")])
    wired.show(history)
    button = page.get_by_role("button", name="Ask for answer 1 again")
    wired.until(lambda: page.locator(".nbvlm-card").count() == 1)
    expect(button).to_be_hidden()
    page.locator(".nbvlm-card-main").focus()
    page.keyboard.press("r")
    asking = connect(picture, "detect cat", client=client, history=history)
    wired.until(button.is_visible)
    button.click()
    wired.until(lambda: len(history.entries) == 2)
    page.locator(".nbvlm-card-main").first.focus()
    page.keyboard.press("r")
    wired.until(lambda: len(history.entries) == 3)
    assert [one.prompt for one in history.entries] == ["caption en"] * 3
    asking.close()
    wired.until(lambda: not button.is_visible())
