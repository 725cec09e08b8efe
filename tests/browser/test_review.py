"""A review of a batch's table: kept and corrected on the page, resumed, and written as one zip."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

import ipywidgets
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import expect

import nbvlm
from browser.parts import violations
from browser.wired import Wired
from nbvlm.widgets import Review

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

SIZE = (200, 100)
BOX = (20.0, 20.0, 80.0, 60.0)


@pytest.fixture
def wired(page: Page, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    yield Wired(page, monkeypatch)
    ipywidgets.Widget.close_all()


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """Four rows: two good ones, one with an error, one whose picture is gone."""
    for name in ("a", "c"):
        Image.linear_gradient("L").resize(SIZE).convert("RGB").save(tmp_path / f"{name}.png")
    found = nbvlm.Detections([BOX], ["cat"], SIZE)
    rows = [
        ("a.png", found, None, "The picture was shrunk."),
        ("b.png", None, "ServerError: The service failed.", None),
        ("gone.png", found, None, ""),
        ("c.png", found, None, ""),
    ]
    records = [
        {"source": source, "prompt": "detect cat", "detections": one, "error": error, "notices": notices}
        for source, one, error, notices in rows
    ]
    return pd.DataFrame(records)


def test_rows_are_kept_and_corrected_by_keyboard_and_written_as_one_zip(
    wired: Wired, table: pd.DataFrame, tmp_path: Path
) -> None:
    page = wired.page
    options = {"folder": tmp_path, "journal": tmp_path / "review.jsonl", "output": tmp_path / "done.zip"}
    review = Review(table, **options)
    wired.show(review)
    bar = page.locator(".nbvlm-review-part")
    expect(bar.locator(".nbvlm-review-place")).to_have_text("1 of 4")
    expect(bar.locator(".nbvlm-notes")).to_have_text("The picture was shrunk.")
    page.locator(".nbvlm-viewport").focus()
    wired.key("k")  # the row with the error and the one without a picture are skipped
    assert review.index == 3
    assert review.states == ("kept", "error", "error", "open")
    bar.locator("summary").click()
    expect(bar.locator("li")).to_contain_text(["Row 2, b.png: ServerError", "Row 3, gone.png"])
    page.locator(".nbvlm-viewport").focus()
    wired.key("n", "ArrowRight", "Enter")
    page.locator(".nbvlm-edit-label").fill("dog")
    wired.key("Enter")
    expect(bar.locator(".nbvlm-review-keep")).to_have_text("Keep corrected")
    wired.key("k")
    assert review.states == ("kept", "error", "error", "corrected")
    expect(bar.locator(".nbvlm-review-message")).to_have_text("All rows are reviewed.")
    page.evaluate("document.querySelector('.nbvlm-review').classList.add('nbvlm-panel')")
    assert violations(page) == []
    bar.locator(".nbvlm-review-save").click()
    wired.pump()
    expect(bar.locator(".nbvlm-review-message")).to_contain_text("2 of 4 pictures written to")
    with zipfile.ZipFile(tmp_path / "done.zip") as archive:
        coco = json.loads(archive.read("annotations.json"))
        assert sorted(archive.namelist()) == ["annotations.json", "images/a.png", "images/c.png"]
        assert Image.open(io.BytesIO(archive.read("images/a.png"))).size == SIZE
    assert [image["file_name"] for image in coco["images"]] == ["images/a.png", "images/c.png"]
    assert [one["name"] for one in coco["categories"]] == ["cat", "dog"]
    first, second = coco["annotations"]
    assert first["bbox"] == [20, 20, 60, 40]
    assert first["notices"] == coco["images"][0]["notices"] == ["The picture was shrunk."]
    assert (second["image_id"], second["category_id"]) == (2, 2)
    assert second["bbox"][0] > 20

    done = review.to_dataframe()[lambda frame: frame.review.isin(["kept", "corrected"])]
    outcome = nbvlm.evaluate(list(done.detections), list(done.corrected))
    assert (outcome.found, outcome.truth, outcome.matched) == (2, 2, 1)

    again = Review(table, **options)
    assert again.states == review.states
    assert again.index == 0
    assert again.to_dataframe().corrected[3] == review.to_dataframe().corrected[3]


def test_corrections_are_kept_when_a_row_is_left_and_can_be_taken_back(
    wired: Wired, table: pd.DataFrame, tmp_path: Path
) -> None:
    review = Review(table, folder=tmp_path)
    wired.show(review)
    review.viewer.relabel([0], "dog")
    wired.page.locator(".nbvlm-review-next").click()
    wired.pump()
    assert (review.index, review.states[0]) == (3, "corrected")
    wired.key("PageUp")
    assert review.index == 0
    assert review.viewer.detections.labels == ("dog",)
    wired.key("r")
    assert review.viewer.detections.labels == ("cat",)
    assert review.states[0] == "open"
    with pytest.raises(nbvlm.Error, match="No row is reviewed"):
        review.save(tmp_path / "empty.zip")
    with pytest.raises(nbvlm.ImageError, match="skipped"):
        review.go(1)
