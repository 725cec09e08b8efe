"""A lesson at a real JupyterHub: students ask, use their quota up, and the teacher raises it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect
from support import hub as hubs

from browser.hosts import SLOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1500)]
PANEL = "import nbvlm\npanel = nbvlm.Panel()\npanel"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hubs.Hub]:
    folder = tmp_path_factory.mktemp("hub")
    try:
        with hubs.running(folder) as running:
            yield running
    except hubs.Missing as reason:
        pytest.skip(str(reason))


def log_in(browser: Browser, hub: hubs.Hub, name: str, path: str) -> Page:
    """Open a page of the hub as a user, in a browser of its own."""
    page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
    page.set_default_timeout(SLOW)
    page.goto(f"{hub.url}{path}")
    page.fill("#username_input", name)
    page.fill("#password_input", "open-sesame")
    page.click("#login_submit")
    return page


def open_panel(browser: Browser, hub: hubs.Hub, name: str) -> Page:
    """Log a student in, start the server, and show a panel in JupyterLab."""
    page = log_in(browser, hub, name, f"/hub/spawn/{name}")
    page.wait_for_url(re.compile(r"/lab"), timeout=3 * SLOW)
    page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click(timeout=3 * SLOW)
    page.wait_for_selector("#jp-main-statusbar >> text=| Idle", timeout=3 * SLOW)
    page.locator(".jp-Notebook .cm-content").first.click()
    page.keyboard.insert_text(PANEL)
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".nbvlm-badge")).to_have_text("Class gateway", timeout=2 * SLOW)
    return page


def ask(page: Page) -> None:
    """Press Run, and wait for the end."""
    page.locator(".nbvlm-run").click()
    page.locator(".nbvlm-status[data-state=running]").wait_for(state="detached", timeout=SLOW)


def test_two_students_and_a_teacher(hub: hubs.Hub, browser: Browser) -> None:
    ada, emil = (open_panel(browser, hub, name) for name in ("ada", "emil"))
    title = ada.locator(".nbvlm-badge").get_attribute("title") or ""
    assert hub.url in title
    assert "Your teacher can see your questions" in title
    ask(ada)
    expect(ada.locator(".nbvlm-status")).to_contain_text("1 of 2 left")
    ask(ada)
    expect(ada.locator(".nbvlm-status")).to_contain_text("0 of 2 left")
    ask(ada)
    error = ada.locator(".nbvlm-error")
    expect(error).to_contain_text("Your quota is used up")
    expect(error).to_contain_text("You have used your 2 questions of today")
    expect(error).to_contain_text("Ask your teacher for more")
    ask(emil)
    expect(emil.locator(".nbvlm-status")).to_contain_text("1 of 2 left")

    teacher = log_in(browser, hub, "curie", "/services/nbvlm/teacher")
    row = teacher.get_by_role("row", name=re.compile("^ada"))
    expect(row).to_contain_text("0 of 2")
    expect(teacher.get_by_role("row", name=re.compile("^emil"))).to_contain_text("1 of 2")
    teacher.get_by_role("button", name="20 more ada").click()
    expect(teacher.get_by_role("status")).to_contain_text("20 more questions")
    ask(ada)
    expect(ada.locator(".nbvlm-status")).to_contain_text("19 of 22 left")

    for page in (ada, emil, teacher):
        shot = hub.folder / f"{page.url.rpartition('/')[2] or 'page'}.png"
        page.screenshot(path=shot)


def test_students_have_no_teachers_page_and_strangers_nothing(hub: hubs.Hub, browser: Browser) -> None:
    page = log_in(browser, hub, "emil", "/services/nbvlm/")
    expect(page.locator("main")).to_contain_text("You are emil")
    expect(page.locator("main")).to_contain_text("Your server knows the gateway already")
    page.goto(f"{hub.url}/services/nbvlm/teacher")
    expect(page.locator("main")).to_contain_text("This page is for teachers")
    service = f"{hub.url}/services/nbvlm"
    for token in ("", "wrong", "x" * 3000):
        answer = httpx.get(
            f"{service}/v1/models", headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        assert answer.status_code == 401
    assert httpx.get(f"{service}/oauth_callback?code=a&state=b").status_code == 403
    assert httpx.post(f"{service}/join", json={"code": "a", "name": "b"}).status_code == 404
    log = hub.log.read_text()
    assert "x" * 3000 not in log


def test_the_prefix_is_in_every_address(hub: hubs.Hub) -> None:
    page = httpx.get(f"{hub.url}/services/nbvlm/", follow_redirects=False)
    assert page.status_code == 302
    assert "/class/hub/api/oauth2/authorize" in page.headers["location"]
    assert "code_challenge=" in page.headers["location"]
    assert httpx.get(f"{hub.url}/services/nbvlm/style.css").status_code == 200
