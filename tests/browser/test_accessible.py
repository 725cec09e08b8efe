"""The whole panel under axe-core's rules, with everything open that can be, in both themes of JupyterLab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from support.loopback import problem

from browser.hosts import SLOW
from browser.parts import serious

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.loopback import Loopback

    from browser.hosts import Jupyter, Sheet

CAR = "<loc0100><loc0100><loc0500><loc0500> car"
TREE = "<loc0600><loc0600><loc0800><loc0800> tree"
THEMES = "@jupyterlab/apputils-extension:themes"


@pytest.fixture
def light_again(jupyter: Jupyter) -> Iterator[None]:
    """JupyterLab remembers a theme; the next test begins in the light one."""
    yield
    jupyter.configure(THEMES, {})


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
    expect(sheet.find(field)).to_be_focused()


@pytest.mark.usefixtures("light_again")
def test_nothing_serious_is_found_in_a_panel_with_everything_open(
    sheet: Sheet, quickstart: str, service: Loopback
) -> None:
    sheet.open_lab(quickstart).run_all()
    assert serious(sheet.page) == []
    compared(sheet, service)
    assert serious(sheet.page) == []
    refused(sheet, service)
    elsewhere(sheet, "nbvlm-server", ".nbvlm-server-url")
    assert serious(sheet.page) == []
    sheet.dark()
    assert serious(sheet.page) == []
    elsewhere(sheet, "nbvlm-recording", ".nbvlm-recording-path")
    sheet.page.set_viewport_size({"width": 480, "height": 900})
    assert serious(sheet.page) == []
