"""Saved results: the ending decides, and a file is whole or not there."""

from __future__ import annotations

import json
import os
import stat

import numpy as np
import pytest
from PIL import Image
from support import made_results as made

from nbvlm.errors import Error
from nbvlm.grounding.detections import Detections
from nbvlm.result import Result, files


@pytest.mark.parametrize(
    ("ending", "kind"), [(".png", "PNG"), (".jpg", "JPEG"), (".JPEG", "JPEG"), (".webp", "WEBP")]
)
def test_pictures_are_annotated_and_of_full_size(ending: str, kind: str, tmp_path) -> None:
    result = made.result()
    path = result.save(tmp_path / f"pets{ending}")
    with Image.open(path) as saved:
        assert (saved.format, saved.size) == (kind, (200, 120))
        off = np.abs(np.asarray(saved.convert("RGB")).astype(int) - np.asarray(result.annotate()).astype(int))
    assert off.mean() < (0.01 if kind == "PNG" else 4)


def test_style_options_reach_the_picture(tmp_path) -> None:
    with Image.open(made.result().save(tmp_path / "big.png", scale=2)) as saved:
        assert saved.size == (400, 240)
    with pytest.raises(TypeError, match=r"scale.*\.json"):
        made.result().save(tmp_path / "a.json", scale=2)


def test_json_html_and_csv_are_saved(tmp_path) -> None:
    result = made.result()
    assert Result.from_json(result.save(tmp_path / "a.json").read_text("utf-8")) == result
    assert result.save(str(tmp_path / "a.html")).read_text("utf-8").startswith("<!DOCTYPE html>")
    assert result.save(tmp_path / "a.csv").read_text("utf-8").startswith("label,x0")


@pytest.mark.parametrize("name", ["a.gif", "a", "a.", "a.png.exe", "png"])
def test_another_ending_names_those_that_exist(name: str, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"\.png, \.jpg, \.jpeg, \.webp, \.json, \.html, \.csv"):
        made.result().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path) -> None:
    with pytest.raises(Error, match="none' does not exist"):
        made.result().save(tmp_path / "none" / "a.png")


@pytest.mark.parametrize("name", ["folder.json", "x" * 300 + ".json", "a\0.json", "file.txt/a.json"])
def test_a_file_that_cannot_be_written_is_named(name: str, tmp_path) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file.txt").write_text("a")
    with pytest.raises(Error, match=r"(cannot be written|does not exist)") as failed:
        made.result().save(tmp_path / name)
    assert failed.value.hint
    assert str(tmp_path) in failed.value.message


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch) -> None:
    path = made.result().save(tmp_path / "a.json")
    before = path.read_bytes()

    def broken(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(files.Path, "replace", broken)
    with pytest.raises(Error, match=r"a\.json' cannot be written: disk full"):
        made.result(text="new").save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_saved_file_has_the_usual_permissions(tmp_path) -> None:
    mask = os.umask(0o022)
    os.umask(mask)
    path = made.result().save(tmp_path / "a.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_picture_too_long_for_its_format_says_so(tmp_path) -> None:
    result = made.result(made.image((20_000, 2)), detections=Detections.empty((20_000, 2)))
    with pytest.raises(ValueError, match=r"16,383.*\.png"):
        result.save(tmp_path / "a.webp")


def test_a_page_without_its_picture_still_has_table_and_answer(tmp_path) -> None:
    again = Result.from_json(made.result().to_json())
    page = again.save(tmp_path / "a.html").read_text("utf-8")
    assert "<table>" in page
    assert "&lt;loc0345&gt;" in page
    assert json.loads(again.save(tmp_path / "a.json").read_text("utf-8"))["picture"]["name"] == "pets.png"
