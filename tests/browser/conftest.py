from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import ViewportSize
from support.loopback import Loopback

from browser.hosts import ROOT, Jupyter, Sheet, launched
from browser.parts import BASE, POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser, BrowserContext, Page

QUICKSTART = ROOT / "notebooks" / "quickstart.ipynb"
SIZE = ViewportSize(width=1280, height=1000)


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


@pytest.fixture(scope="package")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Pages with one cache: JupyterLab's megabytes of scripts are loaded and compiled once."""
    with browser.new_context(viewport=SIZE) as context:
        yield context


@pytest.fixture
def sheet(context: BrowserContext, jupyter: Jupyter) -> Iterator[Sheet]:
    """An empty page; afterwards nothing outside this machine was asked for."""
    jupyter.environment({})
    page = context.new_page()
    sheet = Sheet(page, jupyter)
    yield sheet
    page.close()


class Opened:
    """A notebook in one page with one kernel, for tests that need no more than a new panel."""

    def __init__(self, sheet: Sheet, service: Loopback | None = None) -> None:
        self._sheet, self._service = sheet, service

    def again(self) -> Sheet:
        """Put a new panel where the one of the test before was, and forget that test."""
        if self._service is not None:
            self._service.as_new()
        self._sheet.errors.clear()
        self._sheet.outside.clear()
        self._sheet.page.set_viewport_size(SIZE)
        return self._sheet.run_all_again()

    @property
    def service(self) -> Loopback:
        """The hosted service on loopback that the kernel asks."""
        assert self._service is not None
        return self._service


@contextmanager
def opened_notebook(
    context: BrowserContext,
    jupyter: Jupyter,
    name: str,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Sheet]:
    """A page with a notebook of the server, all its cells run in a kernel with these variables."""
    jupyter.environment(environment)
    page = context.new_page()
    yield Sheet(page, jupyter).open_lab(name).run_all()
    page.close()


# Other fixtures that open a notebook end the kernel of these; a module uses one of them for all its tests.
@pytest.fixture(scope="module")
def opened(context: BrowserContext, jupyter: Jupyter) -> Iterator[Opened]:
    """The quick-start, answered by the embedded model."""
    with opened_notebook(context, jupyter, jupyter.fresh(QUICKSTART, "quickstart.ipynb")) as sheet:
        yield Opened(sheet)


@pytest.fixture(scope="module")
def opened_hosted(context: BrowserContext, jupyter: Jupyter) -> Iterator[Opened]:
    """The quick-start, answered by a hosted service on loopback."""
    name = jupyter.fresh(QUICKSTART, "quickstart.ipynb")
    with (
        Loopback() as service,
        opened_notebook(context, jupyter, name, hosted_by(service)) as sheet,
    ):
        yield Opened(sheet, service)


def hosted_by(service: Loopback) -> dict[str, str]:
    """The environment of kernels that take a service on loopback for the real one."""
    return {"NVIDIA_API_KEY": "nvapi-not-a-real-key", "NBVLM_BASE_URL": service.url}


@pytest.fixture
def quickstart(jupyter: Jupyter) -> str:
    """Name of a fresh copy of the quick-start on the server."""
    return jupyter.fresh(QUICKSTART, "quickstart.ipynb")


@pytest.fixture
def service(jupyter: Jupyter, sheet: Sheet) -> Iterator[Loopback]:
    """A hosted service on loopback, which kernels to come will take for the real one."""
    with Loopback() as server:
        jupyter.environment(hosted_by(server))
        yield server


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page for single page parts, which sends no request to a server and reports no error."""
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
