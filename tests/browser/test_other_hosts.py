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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.heavy

PROGRAM = ROOT / "build" / "environments" / "solara" / "bin" / "solara"
APP = """
import nbvlm
import solara


@solara.component
def Page():
    panel = solara.use_memo(lambda: nbvlm.Panel(client=nbvlm.Client("demo")), [])
    solara.Column(children=[panel])
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    if not PROGRAM.exists():
        pytest.skip("Solara is not installed: sh scripts/hosts.sh")
    (tmp_path / "app.py").write_text(APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PROGRAM, "run", "app.py", "--host=127.0.0.1", f"--port={port}", "--no-open", "--production"]
    log = tmp_path / "log"
    with log.open("wb") as file:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=file, stderr=file)
    try:
        url, deadline = f"http://127.0.0.1:{port}/", time.monotonic() + SLOW / 1000
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


def test_solara_answers_and_its_visitors_find_no_path(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(address)
    page.locator(".nbvlm-panel .nbvlm-thumb").first.wait_for(timeout=SLOW)
    expect(page.locator("button.nbvlm-link")).to_have_text("Link")
    for hidden in ("button.nbvlm-key-button", "button.nbvlm-hide-button"):
        expect(page.locator(hidden)).to_be_hidden()
    page.locator(".noUi-handle").first.wait_for()
    page.locator("button.nbvlm-run").click()
    page.locator(".nbvlm-status[data-state=done]").wait_for(timeout=SLOW)
    expect(page.locator(".nbvlm-viewer svg rect").first).to_be_attached()
    page.close()
