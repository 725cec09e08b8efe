"""The teacher's page in a real browser: by keyboard alone, for screen readers, narrow and dark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from support.gateway_running import Class, running
from support.service_standin import picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def lesson() -> Iterator[Class]:
    with running(quota={"per_minute": 0, "per_day": 5}, wall={"on": True}) as started:
        yield started


@pytest.fixture
def page(browser: Browser, lesson: Class) -> Iterator[Page]:
    page = browser.new_page()
    complaints: list[str] = []
    outside: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("request", lambda asked: outside.append(asked.url) if lesson.origin not in asked.url else None)
    yield page
    assert complaints == []
    assert outside == []
    page.close()


def fit(page: Page) -> None:
    """Check the page with axe, and that nothing is wider than the window."""
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element of this name has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        said = page.evaluate(
            "(document.activeElement.ariaLabel || document.activeElement.labels?.[0]?.textContent"
            " || document.activeElement.textContent || '').trim()"
        )
        if said.startswith(name):
            return
    raise AssertionError(f"{name} cannot be reached by keyboard")


def test_a_lesson_by_keyboard_alone(page: Page, lesson: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    student = lesson.client("Ada", monkeypatch)
    student.ask(picture((300, 200)), "detect car")
    page.goto(f"{lesson.origin}/teacher")
    fit(page)
    tab_to(page, "The teacher's code")
    page.keyboard.type(lesson.gateway.joins.new_teacher_code)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Our class")
    expect(page.locator("#students + .scroll tbody tr")).to_contain_text(
        re.compile("Ada.*active.*4 of 5", re.DOTALL)
    )
    expect(page.locator(".wall img")).to_have_count(1)
    assert page.evaluate("document.querySelector('.wall img').naturalWidth") == 160
    tab_to(page, "20 more Ada")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("20 more questions")
    expect(page.locator("#students + .scroll tbody tr")).to_contain_text("24 of 25")
    tab_to(page, "Pause the class")
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_contain_text("paused")
    assert lesson.gateway.rules.now.paused
    tab_to(page, "Go on")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("The class is open")
    page.goto(f"{lesson.origin}/teacher")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for scheme in ("light", "dark"):
        for width in (1280, 360):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            fit(page)


def test_a_student_joins(page: Page, lesson: Class) -> None:
    page.goto(lesson.origin)
    fit(page)
    page.get_by_label("Code from your teacher").fill(lesson.gateway.joins.class_code)
    page.get_by_label("Your name").fill("Noor")
    page.get_by_role("button", name="Join").click()
    expect(page.locator("main")).to_contain_text("You are Noor")
    expect(page.locator("#token")).to_have_text(re.compile("^nbc-"))
    fit(page)
