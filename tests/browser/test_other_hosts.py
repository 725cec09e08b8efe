"""The panel in hosts other than Jupyter, each from an environment of its own (scripts/hosts.sh).

In marimo, which runs anywidgets only, the playground and the parts.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from browser.hosts import ROOT, SLOW
from browser.parts import violations
from nbvlm.demo.gallery import GALLERY

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
import os

import nbvlm
import panel as pn

pn.extension("ipywidgets", theme=os.environ["THEME"])
pn.pane.IPyWidget(nbvlm.Panel(client=nbvlm.Client("demo")), sizing_mode="stretch_width").servable()
"""
MARIMO = """
import marimo

app = marimo.App(width="full")


@app.cell
def _():
    import marimo as mo
    import nbvlm
    from nbvlm import widgets
    from nbvlm.demo.gallery import GALLERY
    return GALLERY, mo, nbvlm, widgets
"""
PLAYGROUND = """

@app.cell
def _(mo, nbvlm, widgets):
    playground = mo.ui.anywidget(widgets.Playground(client=nbvlm.Client("demo", pace=12)))
    playground
    return (playground,)


@app.cell
def _(mo, playground):
    mo.plain_text(f"The answer: {playground.result.text if playground.result else 'none'}")
    return
"""
PARTS = """

@app.cell
def _(GALLERY, mo, nbvlm, widgets):
    picker, bar = widgets.Picker(GALLERY[0]), widgets.TaskBar("detect cat ; dog")
    sliders, answer, viewer = widgets.Parameters(), widgets.Answer(), widgets.Viewer()
    asking = widgets.connect(picker, bar, sliders, client=nbvlm.Client("demo"), answer=answer, viewer=viewer)
    mo.vstack([picker, bar, sliders, asking])
    return answer, viewer


@app.cell
def _(answer):
    answer
    return


@app.cell
def _(viewer):
    viewer
    return
"""
# What is wider than it may be, of the playground.
TOO_WIDE = """() => {
  const root = document.querySelector("marimo-anywidget").shadowRoot.querySelector(".nbvlm-panel");
  const right = root.getBoundingClientRect().right;
  return [...root.querySelectorAll("*")].filter((node) => node.checkVisibility())
    .filter((node) => !node.closest(".nbvlm-gallery, .nbvlm-viewport, .nbvlm-unseen"))
    .filter((node) => node.getBoundingClientRect().right > right + 1)
    .map((node) => node.className);
}"""
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
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder)},
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
    expect(page.locator(".nbvlm-sliders-head")).to_contain_text("Parameters")
    page.locator("button.nbvlm-run").click()
    page.locator(".nbvlm-status[data-state=done]").wait_for(timeout=SLOW)
    expect(page.locator(".nbvlm-viewer svg rect").first).to_be_attached()
    page.locator(".nbvlm-keys-button").click()
    page.locator(".nbvlm-sweep-summary").click()
    assert violations(page) == []
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_solara(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    monkeypatch.setenv("SOLARA_THEME_VARIANT", theme)
    start = ("solara", "run", "app.py", "--host=127.0.0.1", "--no-open", "--production")
    with served("solara", SOLARA, tmp_path, *start) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        answers_and_visitors_find_no_path(page, address)


@pytest.mark.parametrize("theme", ["default", "dark"])
def test_holoviz_panel(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    monkeypatch.setenv("THEME", theme)
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


@contextlib.contextmanager
def marimo(
    browser: Browser, folder: Path, code: str, way: str = "run", theme: str = "light"
) -> Iterator[Page]:
    settings = f'[tool.marimo.display]\ntheme = "{theme}"\n[tool.marimo.runtime]\nauto_instantiate = true\n'
    (folder / "pyproject.toml").write_text(settings)
    start = ("marimo", way, "app.py", "--headless", "--no-token", "--host=127.0.0.1")
    complaints: list[str] = []
    outside: list[str] = []
    with served("marimo", MARIMO + code, folder, *start) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.on("pageerror", lambda error: complaints.append(error.stack or error.message))
        page.on("request", lambda request: outside.append(request.url))
        page.goto(address)
        page.locator(".nbvlm-thumb").first.wait_for(timeout=SLOW)
        expect(page.locator(".nbvlm-chosen-way")).not_to_have_text(re.compile("^…?$"), timeout=SLOW)
        yield page
        page.close()
    ours = (address, address.replace("http", "ws"), "data:", "blob:")
    assert [url for url in outside if not url.startswith(ours)] == []
    assert complaints == []


def test_the_playground_in_an_editor_of_marimo(browser: Browser, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.frombytes("RGB", (800, 600), os.urandom(800 * 600 * 3)).save(large)
    with marimo(browser, tmp_path, PLAYGROUND, "edit") as page:
        expect(page.get_by_text("The answer: none")).to_be_visible(timeout=SLOW)
        expect(page.locator("button.nbvlm-link")).to_have_text("Link or path")
        page.locator(".nbvlm-thumb").nth(1).click()
        expect(page.locator(".nbvlm-thumb").nth(1)).to_have_attribute("aria-checked", "true", timeout=SLOW)
        prompt = page.locator(".nbvlm-prompt textarea")
        expect(prompt).not_to_have_value("detect cat ; dog", timeout=SLOW)
        # By the keyboard alone: ask while the prompt is still in focus, see boxes, stop, ask again.
        prompt.fill("detect car ; house ; tree")
        prompt.press("Control+Enter")
        page.locator(".nbvlm-status[data-state=running]").wait_for(timeout=SLOW)
        expect(page.locator(".nbvlm-viewer svg rect").first).to_be_attached(timeout=SLOW)
        expect(page.locator(".nbvlm-status")).to_have_attribute("data-state", "running")
        page.keyboard.press("Escape")
        page.locator(".nbvlm-status[data-state=stopped]").wait_for(timeout=SLOW)
        expect(prompt).to_be_focused()
        page.keyboard.press("Control+Enter")
        page.locator(".nbvlm-status[data-state=done]").wait_for(timeout=SLOW)
        expect(prompt).to_have_value("detect car ; house ; tree")
        expect(page.locator(".nbvlm-token").first).to_be_visible()
        expect(page.get_by_text("The answer: <loc")).to_be_visible(timeout=SLOW)
        assert violations(page, "marimo-anywidget") == []
        # A file in pieces, and a question that cannot be asked.
        page.set_input_files(".nbvlm-picker input[type=file]", large)
        expect(page.locator(".nbvlm-chosen-name")).to_have_text("large.png", timeout=SLOW)
        prompt.fill("")
        prompt.press("Control+Enter")
        expect(page.locator(".nbvlm-error-title")).to_have_text("The prompt cannot be sent", timeout=SLOW)


def test_the_playground_for_visitors_of_marimo(browser: Browser, tmp_path: Path) -> None:
    with marimo(browser, tmp_path, PLAYGROUND, theme="dark") as page:
        expect(page.locator("button.nbvlm-link")).to_have_text("Link")
        page.locator("button.nbvlm-run").click()
        page.locator(".nbvlm-status[data-state=done]").wait_for(timeout=SLOW)
        ground = page.locator(".nbvlm-panel").evaluate("panel => getComputedStyle(panel).backgroundColor")
        assert ground == "rgb(26, 28, 30)"
        assert violations(page, "marimo-anywidget") == []
        for width in (2000, 1000, 320):
            page.set_viewport_size({"width": width, "height": 1000})
            assert page.evaluate(TOO_WIDE) == [], width
        page.reload()
        page.locator(".nbvlm-thumb").first.wait_for(timeout=SLOW)


def test_parts_alone_in_marimo(browser: Browser, tmp_path: Path) -> None:
    with marimo(browser, tmp_path, PARTS) as page:
        page.locator("button.nbvlm-run").click()
        page.locator(".nbvlm-status[data-state=done]").wait_for(timeout=SLOW)
        expect(page.locator(".nbvlm-answer .nbvlm-token").first).to_be_visible()
        expect(page.locator(".nbvlm-viewer-part svg rect").first).to_be_attached(timeout=SLOW)
        page.locator(".nbvlm-thumb").nth(1).click()
        expect(page.locator(".nbvlm-chosen-name")).to_have_text(f"{GALLERY[1].name}.png", timeout=SLOW)
