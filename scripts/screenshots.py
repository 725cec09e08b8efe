"""The pictures of README and docs: the panel in a real JupyterLab, in the states that people see.

Usage: screenshots.py [FOLDER] [STATE …]. Writes PNG files of at most 200 kB each to FOLDER (docs/images); a
state is named as its file, without "panel-". The embedded model answers, but for what it cannot show: an
answer that is caught half-way, and a service that refuses.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from nbvlm.demo.gallery import SCENES

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser.hosts import Jupyter, Sheet, launched  # noqa: E402 - found by the line before
from support.loopback import Loopback, problem, stream  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

WIDE, NARROW = {"width": 1280, "height": 1160}, {"width": 480, "height": 1500}
MOST = 200_000
PATIENCE = 240_000  # milliseconds: a busy machine makes pictures as well
CELL = "import nbvlm\n\npanel = nbvlm.Panel()\npanel"


def _kinds(index: int) -> tuple[str, ...]:
    return SCENES[index].kinds


def _fitness(index: int) -> tuple[bool, int]:
    """Return how well a scene fits the panel: a broad one, with about four kinds of things, does best."""
    width, height = SCENES[index].scene().picture.size
    return width > height, -abs(len(_kinds(index)) - 4)


SCENE = max(range(len(SCENES)), key=_fitness)
THINGS = SCENES[SCENE].scene().things
KINDS = _kinds(SCENE)


@dataclass(frozen=True)
class PanelPage:
    """What a state is brought about with."""

    sheet: Sheet
    service: Loopback


def choose(sheet: Sheet) -> None:
    """Choose the scene that shows most."""
    thumb = sheet.find(".nbvlm-thumb").nth(SCENE)
    thumb.click()
    sheet.find(f".nbvlm-thumb:nth-of-type({SCENE + 1})[aria-checked=true]").wait_for()


def empty(panel: PanelPage) -> None:
    """Choose no picture."""
    panel.sheet.press("reset-picture")
    panel.sheet.find(".nbvlm-no-picture").wait_for()


def ready(panel: PanelPage) -> None:
    """Leave the panel as it opens."""


def streaming(panel: PanelPage) -> None:
    """Catch an answer half-way."""
    choose(panel.sheet)
    tokens = [token for part in _truth().split(" ; ") for token in (part, " ; ")]
    half = [piece for token in tokens[: len(tokens) * 2 // 3] for piece in (token, 0.05)]
    panel.service.replies.append(stream(*half, hold=True, done=False))
    panel.sheet.prompt(f"detect {' ; '.join(KINDS)}")
    panel.sheet.press("run")
    panel.sheet.find(f".nbvlm-label >> nth={len(half) // 4 - 1}").wait_for()
    panel.sheet.page.wait_for_timeout(800)


def boxes(panel: PanelPage) -> None:
    """Ask for boxes."""
    choose(panel.sheet)
    panel.sheet.ask(f"detect {' ; '.join(KINDS)}")


def masks(panel: PanelPage) -> None:
    """Ask for masks."""
    choose(panel.sheet)
    panel.sheet.ask(f"segment {' ; '.join(KINDS)}")


def compare(panel: PanelPage) -> None:
    """Pin two answers."""
    boxes(panel)
    panel.sheet.ask(f"detect {' ; '.join(KINDS[:2])}")
    panel.sheet.ask("caption en")
    panel.sheet.find(".nbvlm-card-picture >> nth=2").wait_for()
    for card in (1, 0):
        panel.sheet.find(".nbvlm-card-pin").nth(card).click()
    panel.sheet.find(".nbvlm-side >> nth=1").wait_for()


def error(panel: PanelPage) -> None:
    """Let the service refuse the key."""
    choose(panel.sheet)
    panel.service.replies.append(problem(401, "Authentication failed"))
    panel.sheet.press("run")
    panel.sheet.wait("failed")


def dark(panel: PanelPage) -> None:
    """Ask for boxes in the dark theme."""
    panel.sheet.dark()
    boxes(panel)


def narrow(panel: PanelPage) -> None:
    """Ask for boxes in a window as wide as a telephone."""
    panel.sheet.page.set_viewport_size(NARROW)
    boxes(panel)


def _truth() -> str:
    """Write what a perfect answer would say."""
    width, height = SCENES[SCENE].scene().picture.size
    said = []
    for thing in THINGS:
        x0, y0, x1, y1 = thing.box
        places = (y0 / height, x0 / width, y1 / height, x1 / width)
        said.append("".join(f"<loc{round(1023 * place):04d}>" for place in places) + f" {thing.kind}")
    return " ; ".join(said)


STATES: dict[str, Callable[[PanelPage], None]] = {
    "panel": boxes,
    "panel-empty": empty,
    "panel-ready": ready,
    "panel-streaming": streaming,
    "panel-masks": masks,
    "panel-compare": compare,
    "panel-error": error,
    "panel-narrow": narrow,
    "panel-dark": dark,  # last: JupyterLab remembers its theme
}
HOSTED = {"panel-streaming", "panel-error"}
LOW = {"panel-compare": ".nbvlm-strip"}  # what is at the top of the picture, where it is not the cell


def take(browser: Browser, jupyter: Jupyter, service: Loopback, name: str) -> bytes:
    """Bring a fresh panel into a state and return its picture."""
    hosted = {"NVIDIA_API_KEY": "nvapi-none", "NBVLM_BASE_URL": service.url}
    jupyter.environment(hosted if name in HOSTED else {})
    page = browser.new_page(viewport=WIDE, reduced_motion="reduce")
    page.set_default_timeout(PATIENCE)
    sheet = Sheet(page, jupyter)
    sheet.open_lab(jupyter.fresh(notebook(jupyter), "panel.ipynb")).run_all()
    page.keyboard.press("Control+b")  # closes the file browser
    STATES[name](PanelPage(sheet, service))
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.evaluate(SCROLL, LOW.get(name))
    page.wait_for_timeout(500)  # what fades in or out by itself has done so
    picture: bytes = page.screenshot()
    page.close()
    return picture


def notebook(jupyter: Jupyter) -> Path:
    """Write a notebook of one cell."""
    path = jupyter.home / "panel.ipynb"
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": CELL}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    whole = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}
    path.write_text(json.dumps(whole), "utf-8")
    return path


# The cell above the panel stays in sight, unless something below is what matters.
SCROLL = """(selector) => {
  const panel = document.querySelector(".nbvlm-panel");
  const top = selector ? panel.querySelector(selector) : panel.closest(".jp-Cell");
  const scroller = panel.closest(".jp-WindowedPanel-outer");
  scroller.scrollTop += top.getBoundingClientRect().top - scroller.getBoundingClientRect().top - 8;
}"""


def compressed(picture: bytes) -> bytes:
    """Write a PNG again, with a palette where it is too large otherwise."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for kind in (image, image.quantize(256, dither=Image.Dither.NONE)):
        buffer = io.BytesIO()
        kind.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST:
            break
    return buffer.getvalue()


def main(folder: str = str(ROOT / "docs" / "images"), *states: str) -> None:
    """Take all pictures, or those of some states."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("There is no Chromium here (Debian: apt-get install chromium).")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in STATES if not states or name.removeprefix("panel-") in states]
    with (
        tempfile.TemporaryDirectory() as home,
        Jupyter(Path(home, "jupyter")).running() as jupyter,
        Loopback() as service,
        launched(chromium) as browser,
    ):
        for name in wanted:
            service.replies.clear()
            data = compressed(take(browser, jupyter, service, name))
            (target / f"{name}.png").write_bytes(data)
            print(f"{target / name}.png ({len(data) / 1000:.0f} kB)")


if __name__ == "__main__":
    main(*sys.argv[1:])
