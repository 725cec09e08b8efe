"""`nbvlm collect`: the results of a class in one table."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import nbvlm
from nbvlm.cli import main
from nbvlm.demo.gallery import PHOTOS, SCENES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handed-in")
    (folder / "ada").mkdir()
    (folder / "emil").mkdir()
    with nbvlm.Client("demo") as client:
        client.ask(SCENES[0].picture(), "How many of the cats are blue?").save(folder / "ada" / "one.json")
        client.ask(PHOTOS[0].path, "detect cat").save(folder / "emil" / "two.json")
        client.ask(PHOTOS[0].path, "caption en").save(folder / "noor.json")
    with zipfile.ZipFile(folder / "kim.zip", "w") as archive:
        archive.write(folder / "ada" / "one.json", "deep/down/one.json")
        archive.writestr("__MACOSX/deep/._one.json", "noise")
        archive.writestr("notes.txt", "not asked for")
    return folder


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_folder_becomes_a_table_with_a_row_for_each_answer(handed_in, capsys):
    assert main.main(["collect", str(handed_in)]) == 0
    out, err = capsys.readouterr()
    found = {row["who"]: row for row in rows(out)}
    assert sorted(found) == ["ada", "emil", "kim", "noor"]
    assert found["ada"]["text"] == found["kim"]["text"] == "2"
    assert "ignores “blue”" in found["ada"]["notices"]
    assert (found["emil"]["found"], found["emil"]["labels"]) == ("1", "cat")
    assert found["emil"]["model"] == "nbvlm/demo-photos"
    assert "about one in six of its boxes is wrong" in found["emil"]["notices"]
    assert found["kim"]["file"] == "kim.zip/deep/down/one.json"
    assert err == "nbvlm collect: answers: 4; people: 4\n"


def test_boxes_become_rows_with_their_caveat(handed_in, tmp_path, capsys):
    target = tmp_path / "class.csv"
    assert main.main(["collect", str(handed_in), "--detections", "--out", str(target)]) == 0
    assert capsys.readouterr().out == ""
    (row,) = rows(target.read_text("utf-8-sig"))
    assert (row["who"], row["label"]) == ("emil", "cat")
    assert float(row["x1"]) > float(row["x0"])
    assert "small detector" in row["notices"]


def test_a_damaged_or_hostile_file_costs_that_file_with_a_reason(handed_in, tmp_path, capsys):
    good = (handed_in / "noor.json").read_bytes()
    (tmp_path / "cut.json").write_bytes(good[: len(good) // 2])
    (tmp_path / "deep.json").write_text("[" * 200_000)
    (tmp_path / "other.json").write_text('{"format": "something else"}')
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    (tmp_path / "formula.json").write_bytes(good.replace(b'"text": "', b'"text": "=HYPERLINK(1)"', 1))
    (tmp_path / "not.zip").write_bytes(b"PK\x03\x04 and nothing else")
    Image.new("RGB", (9, 9)).save(tmp_path / "picture.json", "PNG")
    (tmp_path / "link.json").symlink_to("/etc/hostname")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", b" " * (40 << 20))
        archive.writestr("../up.json", good)
    damaged = bytearray((tmp_path / "bomb.zip").read_bytes())
    damaged[200:260] = bytes(60)
    (tmp_path / "damaged.zip").write_bytes(damaged)
    (tmp_path / "noor.json").write_bytes(good)
    assert main.main(["collect", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert {row["who"] for row in rows(out)} >= {"noor", "bomb"}
    assert "\n=HYPERLINK" not in out
    assert ",=HYPERLINK" not in out
    for name in (
        "cut.json",
        "deep.json",
        "other.json",
        "binary.json",
        "picture.json",
        "not.zip",
        "bomb.zip/bomb.json",
    ):
        assert f"{name} is left out: " in err
    assert "larger than 32 MiB" in err
    assert "link.json" not in err
    assert "Traceback" not in err


def test_nothing_that_can_be_read_is_a_failure(tmp_path, capsys):
    assert main.main(["collect", str(tmp_path / "missing")]) == 1
    assert "missing is left out: it cannot be read (No such file or directory)" in capsys.readouterr().err


def test_a_table_that_cannot_be_written_is_named(handed_in, tmp_path, capsys):
    assert main.main(["collect", str(handed_in), "--out", str(tmp_path / "no" / "class.csv")]) == 1
    assert "class.csv cannot be written" in capsys.readouterr().err
