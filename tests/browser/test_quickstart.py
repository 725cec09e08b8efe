"""The quick-start in JupyterLab without a key, as a person uses it."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from nbvlm.demo import scenes
from nbvlm.demo.gallery import GALLERY

if TYPE_CHECKING:
    from pathlib import Path

    from browser.conftest import Opened
    from browser.hosts import Sheet


@pytest.fixture
def lab(opened: Opened) -> Sheet:
    """The quick-start with all cells run."""
    return opened.again()


def test_the_quick_start_works_without_a_key(lab: Sheet) -> None:
    expect(lab.find(".nbvlm-badge")).to_be_visible()
    expect(lab.find(".nbvlm-chosen")).to_contain_text(f"{GALLERY[0].name}.png")
    expect(lab.find(".nbvlm-chosen")).to_contain_text("{} × {} px".format(*GALLERY[0].picture().size))
    expect(lab.find(".nbvlm-thumb[aria-checked=true]")).to_have_count(1)
    assert (lab.answer, lab.find(".nbvlm-error").is_visible()) == ("", False)
    lab.watch()
    lab.press("run")
    lab.wait("done")
    texts = list(dict.fromkeys(view["text"] for view in lab.seen))
    assert len(texts) > 2
    assert all(after.startswith(before) for before, after in pairwise(texts))
    assert lab.find(".nbvlm-viewer svg rect").count() == lab.answer.count(" ; ") + 1
    expect(lab.find(".nbvlm-status")).to_contain_text(
        re.compile(r"Inline · \d+ kB sent · ≈ \d+ tokens · first token \d+ ms · total ")
    )
    assert lab.outside == []
    assert lab.errors == []


def test_a_png_from_disk_is_uploaded_and_asked_about(lab: Sheet, tmp_path: Path) -> None:
    scene = scenes.sample(1003)
    scene.picture.save(tmp_path / "my scene.png")
    with lab.page.expect_file_chooser() as chooser:
        lab.press("upload")
    chooser.value.set_files(tmp_path / "my scene.png")
    expect(lab.find(".nbvlm-chosen")).to_contain_text("my scene.png")
    width, height = scene.picture.size
    expect(lab.find(".nbvlm-chosen")).to_contain_text(f"{width} × {height} px")
    assert len(lab.ask("caption en")) > 10
    lab.ask(f"detect {scene.things[0].kind}")
    assert lab.find(".nbvlm-viewer svg rect").count() >= 1


def test_pictures_can_be_dropped_and_pasted(lab: Sheet) -> None:
    make = """async ([kind, name]) => {
      const canvas = new OffscreenCanvas(64, 48);
      canvas.getContext("2d").fillRect(0, 0, 20, 20);
      const file = new File([await canvas.convertToBlob()], name, {type: "image/png"});
      const data = new DataTransfer();
      data.items.add(file);
      const init = {bubbles: true, cancelable: true};
      const event = kind === "drop"
        ? new DragEvent("drop", {...init, dataTransfer: data})
        : new ClipboardEvent("paste", {...init, clipboardData: data});
      document.querySelector(".nbvlm-answer").dispatchEvent(event);
    }"""
    for kind in ("drop", "paste"):
        lab.page.evaluate(make, [kind, f"{kind}.png"])
        expect(lab.find(".nbvlm-chosen-name")).to_have_text(f"{kind}.png")
        expect(lab.find(".nbvlm-chosen-detail")).to_contain_text("64 × 48 px")
