"""A notice of a result is in every form in which the answer travels."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from support import made_results as made

if TYPE_CHECKING:
    from nbvlm import Result

NOTICE = 'A small model <answered>; "doubt" it.'
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def doubtful() -> Result:
    return made.result(notices=(NOTICE, "The answer was cut."), model="a/model", endpoint="demo")


def test_each_row_of_a_table_has_notices_model_and_endpoint(doubtful: Result) -> None:
    table = doubtful.to_dataframe()
    assert set(table["notices"]) == {f"{NOTICE} The answer was cut."}
    assert set(table["model"]) == {"a/model"}
    assert set(table["endpoint"]) == {"demo"}


def test_the_table_of_its_detections_has_them_too(doubtful: Result) -> None:
    assert doubtful.detections[:1].to_dataframe().equals(doubtful.to_dataframe()[:1])


def test_each_line_of_a_csv_has_them(doubtful: Result, tmp_path) -> None:
    text = doubtful.save(tmp_path / "answer.csv").read_text("utf-8")
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert lines
    assert {line["notices"] for line in lines} == {f"{NOTICE} The answer was cut."}
    assert {(line["model"], line["endpoint"]) for line in lines} == {("a/model", "demo")}


def test_a_coco_file_has_them_once_and_with_each_box(doubtful: Result) -> None:
    data = json.loads(json.dumps(doubtful.to_coco()))
    assert data["info"]["notices"] == [NOTICE, "The answer was cut."]
    assert (data["info"]["contributor"], data["info"]["endpoint"]) == ("a/model", "demo")
    assert all(entry["notices"] == data["info"]["notices"] for entry in data["annotations"])
    sure = made.result(notices=()).to_coco()
    assert not any("notices" in entry for entry in sure["annotations"])


def test_an_svg_shows_them_below_the_picture_and_holds_them_as_data(doubtful: Result) -> None:
    root = ElementTree.fromstring(doubtful.to_svg())
    height = doubtful.picture.height
    below = [element for element in root.iter(f"{SVG}text") if float(element.get("y", "0")) > height]
    assert " ".join(element.text or "" for element in below) == f"{NOTICE} The answer was cut."
    assert float(root.get("height", "0")) > max(float(element.get("y", "0")) for element in below)
    metadata = json.loads(root.find(f"{SVG}metadata").text)
    assert metadata == {"model": "a/model", "endpoint": "demo", "notices": list(doubtful.notices)}
    assert float(ElementTree.fromstring(made.result(notices=()).to_svg()).get("height")) == height


def test_words_for_people_and_screen_readers_hold_them(doubtful: Result) -> None:
    shown = doubtful._repr_mimebundle_()[0]
    assert NOTICE in repr(doubtful)
    assert NOTICE in shown["text/plain"]
    assert "A small model &lt;answered&gt;" in shown["text/html"]
