from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.loopback import Loopback

from browser.hosts import ROOT, Jupyter, Sheet, launched
from browser.parts import BASE, POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

QUICKSTART = ROOT / "notebooks" / "quickstart.ipynb"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


# Both live as long as the tests of this folder: Playwright keeps an event loop running in the main thread,
# where other tests need their own.
@pytest.fixture(scope="package")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    with Jupyter(tmp_path_factory.mktemp("jupyter")).running() as server:
        yield server


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with launched(chromium) as browser:
        yield browser


@pytest.fixture
def sheet(browser: Browser, jupyter: Jupyter) -> Iterator[Sheet]:
    """An empty page; afterwards nothing outside this machine was asked for."""
    jupyter.environment({})
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    sheet = Sheet(page, jupyter)
    yield sheet
    page.close()


@pytest.fixture
def quickstart(jupyter: Jupyter) -> str:
    """Name of a fresh copy of the quick-start on the server."""
    return jupyter.fresh(QUICKSTART, "quickstart.ipynb")


@pytest.fixture
def service(jupyter: Jupyter, sheet: Sheet) -> Iterator[Loopback]:
    """A hosted service on loopback, which kernels to come will take for the real one."""
    with Loopback() as server:
        jupyter.environment({"NVIDIA_API_KEY": "nvapi-not-a-real-key", "NBVLM_BASE_URL": server.url})
        yield server


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page for single page parts, which asks nobody and complains of nothing."""
    page = browser.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    html = f'<meta charset="utf-8"><body><script>{BASE}</script>'
    headers = {"Content-Security-Policy": POLICY}
    page.route(
        "http://host.test/", lambda route: route.fulfill(body=html, content_type="text/html", headers=headers)
    )
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto("http://host.test/")
    yield page
    outside = [url for url in requests if not url.startswith(("http://host.test/", "blob:", "data:"))]
    assert outside == []
    assert complaints == []
    page.close()
