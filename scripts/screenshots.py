"""The pictures of README and docs: the panel in a real JupyterLab, answered by the embedded model.

Usage: screenshots.py [FOLDER]. Writes PNG files of at most 200 kB each to FOLDER (docs/images).
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser.hosts import Jupyter, Sheet, launched  # noqa: E402 - found by the line before

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"
WIDE, NARROW = {"width": 1280, "height": 880}, {"width": 480, "height": 1180}
MOST = 200_000
PROMPT = "detect car ; tree"


def ready(sheet: Sheet) -> None:
    """Leave the panel as it opens."""


def answered(sheet: Sheet) -> None:
    """Ask for boxes."""
    sheet.ask(PROMPT)


def dark(sheet: Sheet) -> None:
    """Ask for boxes in the dark theme."""
    sheet.page.click('.lm-MenuBar-itemLabel:text-is("Settings")')
    sheet.page.hover('li.lm-Menu-item:has-text("Theme")')
    sheet.page.click('li.lm-Menu-item:has-text("JupyterLab Dark") >> nth=0')
    sheet.page.wait_for_selector('body[data-jp-theme-light="false"]', state="attached")
    answered(sheet)


def narrow(sheet: Sheet) -> None:
    """Ask for boxes in a window as wide as a telephone."""
    sheet.page.set_viewport_size(NARROW)
    answered(sheet)


STATES: dict[str, Callable[[Sheet], None]] = {
    "panel": answered,
    "panel-ready": ready,
    "panel-narrow": narrow,
    "panel-dark": dark,  # last: JupyterLab remembers its theme
}


def take(browser: Browser, jupyter: Jupyter, state: Callable[[Sheet], None]) -> bytes:
    """Bring a fresh quick-start into a state and return its picture."""
    page = browser.new_page(viewport=WIDE, reduced_motion="reduce")
    sheet = Sheet(page, jupyter)
    sheet.open_lab(jupyter.fresh(NOTEBOOK, "quickstart.ipynb")).run_all()
    page.keyboard.press("Control+b")  # closes the file browser
    state(sheet)
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.evaluate(SCROLL)
    page.wait_for_timeout(500)  # what fades in or out by itself has done so
    picture: bytes = page.screenshot()
    page.close()
    return picture


# The cell above the panel stays in sight.
SCROLL = """() => {
  const cell = document.querySelector(".nbvlm-panel").closest(".jp-Cell");
  const scroller = cell.closest(".jp-WindowedPanel-outer");
  scroller.scrollTop += cell.getBoundingClientRect().top - scroller.getBoundingClientRect().top - 8;
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


def main(folder: str = str(ROOT / "docs" / "images")) -> None:
    """Take all pictures."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("There is no Chromium here (Debian: apt-get install chromium).")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        Jupyter(Path(home, "jupyter")).running() as jupyter,
        launched(chromium) as browser,
    ):
        for name, state in STATES.items():
            data = compressed(take(browser, jupyter, state))
            (target / f"{name}.png").write_bytes(data)
            print(f"{target / name}.png ({len(data) / 1000:.0f} kB)")


if __name__ == "__main__":
    main(*sys.argv[1:])
