"""The picture of the house shows the imports as they are."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
SCRIPT = ROOT / "scripts" / "draw_house.py"


@pytest.fixture(scope="module")
def house() -> Any:
    spec = importlib.util.spec_from_file_location("draw_house", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_picture_out_of_date_is_reported_and_drawn_again(
    house: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "house.svg"
    monkeypatch.setattr(house, "ROOT", tmp_path)
    monkeypatch.setattr(house, "PICTURE", old)
    monkeypatch.setattr(house, "drawn_house", lambda: "<svg/>")
    monkeypatch.setattr(sys, "argv", ["draw_house.py", "--check"])
    assert house.main() == 1
    assert "house.svg is out of date. Run: python scripts/draw_house.py" in capsys.readouterr().out
    assert not old.exists()
    monkeypatch.setattr(sys, "argv", ["draw_house.py"])
    assert house.main() == 0
    assert old.read_text() == "<svg/>"


def test_the_picture_has_every_room_and_says_what_it_shows() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "images" / "house.svg")
    texts = {"".join(node.itertext()) for node in picture.iter("{http://www.w3.org/2000/svg}text")}
    package = ROOT / "nbvlm"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert rooms - texts == set()
    title = picture.find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert "arrow" in (title.text or "")


def test_an_import_that_a_longer_way_implies_has_no_arrow(house: Any) -> None:
    found = {"panel": {"client", "result"}, "client": {"result"}, "result": set()}
    assert house.reduced(found) == {"panel": {"client"}, "client": {"result"}, "result": set()}


def test_layers_share_a_row_only_where_none_of_their_rooms_imports_another(house: Any) -> None:
    found: dict[str, set[str]] = {"panel": {"client"}, "cli": set(), "client": set()}
    assert house.joined([["panel"], ["cli"], ["client"]], found) == [["panel", "cli"], ["client"]]


def test_every_room_is_in_the_table_of_rooms() -> None:
    package = ROOT / "nbvlm"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert {room for room in rooms if not re.search(rf"^\| `{room}`", PAGE, flags=re.MULTILINE)} == set()


def test_the_files_and_folders_that_the_page_names_exist() -> None:
    named = re.findall(r"`((?:nbvlm|tests|docs|scripts|training)/[\w./*-]*)`", PAGE)
    assert len(named) > 30
    assert [name for name in named if not list(ROOT.glob(name.rstrip("/")))] == []


def test_the_names_to_change_are_in_their_files() -> None:
    named = re.findall(r"`(nbvlm/[\w./]+)`: ((?:`[^`]+`(?:, )?)+)", PAGE)
    assert len(named) >= 7
    for path, names in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert [name for name in re.findall(r"`([^`]+)`", names) if name not in text] == [], path
