"""The whole panel in hosts that are no Jupyter, each from an environment of its own (scripts/hosts.sh)."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.hosts import ROOT, SLOW
from browser.parts import violations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.heavy

ENVIRONMENTS = ROOT / "build" / "environments"
SOLARA = """
import nbvlm
import solara


@solara.component
def Page():
    panel = solara.use_memo(lambda: nbvlm.Panel(client=nbvlm.Client("demo")), [])
    solara.Column(children=[panel])
"""
HOLOVIZ = """
import nbvlm
import panel as pn

pn.extension("ipywidgets")
pn.pane.IPyWidget(nbvlm.Panel(client=nbvlm.Client("demo")), sizing_mode="stretch_width").servable()
"""
# HoloViz Panel loads anywidget from this address; the test gives it the same file from the environment.
ANYWIDGET = "https://unpkg.com/anywidget@**"


@contextlib.contextmanager
def served(name: str, code: str, folder: Path, *arguments: str, path: str = "") -> Iterator[str]:
    program = ENVIRONMENTS / name / "bin" / arguments[0]
    if not program.exists():
        pytest.skip(f"{arguments[0]} is not installed: sh scripts/hosts.sh")
    (folder / "app.py").write_text(code)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [program, *arguments[1:], f"--port={port}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=file,
            stderr=file,
        )
    try:
        url, deadline = f"http://127.0.0.1:{port}/{path}", time.monotonic() + SLOW / 1000
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(url, timeout=5).close()
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def answers_and_visitors_find_no_path(page: Page, address: str) -> None:
    page.goto(address)
    page.locator(".nbvlm-panel .nbvlm-thumb").first.wait_for(timeout=SLOW)
    expect(page.locator("button.nbvlm-link")).to_have_text("Link")
    for hidden in ("button.nbvlm-key-button", "button.nbvlm-hide-button"):
        expect(page.locator(hidden)).to_be_hidden()
    page.locator(".noUi-handle").first.wait_for()
    page.locator("button.nbvlm-run").click()
    page.locator(".nbvlm-status[data-state=done]").wait_for(timeout=SLOW)
    expect(page.locator(".nbvlm-viewer svg rect").first).to_be_attached()
    page.locator(".nbvlm-keys-button").click()
    page.locator(".nbvlm-sweep-summary").click()
    assert violations(page) == []
    page.close()


def test_solara(browser: Browser, tmp_path: Path) -> None:
    start = ("solara", "run", "app.py", "--host=127.0.0.1", "--no-open", "--production")
    with served("solara", SOLARA, tmp_path, *start) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        answers_and_visitors_find_no_path(page, address)


def test_holoviz_panel(browser: Browser, tmp_path: Path) -> None:
    start = ("panel", "serve", "app.py", "--address=127.0.0.1")
    with served("holoviz", HOLOVIZ, tmp_path, *start, path="app") as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        script = ENVIRONMENTS / "holoviz" / "share" / "jupyter" / "nbextensions" / "anywidget" / "index.js"
        headers = {"Access-Control-Allow-Origin": "*"}
        page.route(
            ANYWIDGET,
            lambda route: route.fulfill(path=script, content_type="text/javascript", headers=headers),
        )
        answers_and_visitors_find_no_path(page, address)
