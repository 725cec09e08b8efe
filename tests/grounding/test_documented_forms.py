"""Every form that a family's authors document, and every key and damage on record, is read as it is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nbvlm
from nbvlm.grounding.dialects.svg import outline

FORMS = json.loads((Path(__file__).parents[1] / "data" / "documented_forms.json").read_text(encoding="utf-8"))
NEAR = 1.6  # pixels: scales of 999, 1000 and 1023 differ by less


def kind(one: nbvlm.Detection) -> str:
    if one.point is not None:
        return "point"
    return "box" if one.mask is None else "mask"


def read(form: dict[str, Any], step: int) -> list[tuple[str, str, tuple[float, ...]]]:
    text = form["text"]
    size = tuple(form.get("size", (1000, 1000)))
    parser = nbvlm.Parser(size, form.get("prompt"), model=form["model"])
    for at in range(0, len(text), step):
        parser.feed(text[at : at + step])
    parser.close()
    return [(one.label, kind(one), one.point or one.box) for one in parser.detections]


@pytest.mark.parametrize("form", FORMS, ids=[f"{form['model']}-{at}" for at, form in enumerate(FORMS)])
def test_a_documented_form_is_read(form: dict[str, Any]) -> None:
    found = read(form, len(form["text"]))
    assert [one[1] for one in found] == [kind for _, kind, _ in form["found"]]
    for (label, _, place), (wanted, _, numbers) in zip(found, form["found"], strict=True):
        assert wanted in (None, label)
        assert place == pytest.approx(numbers, abs=NEAR)
    assert read(form, 1) == read(form, 5) == found


def test_the_path_of_a_mask_lies_in_its_box() -> None:
    circle = "M0.5,0C.776 0 1 .224 1 .5S.776 1 .5 1 0 .776 0 .5 .224 0 .5 0z"
    box = '{"x_min": 0.1, "y_min": 0.2, "x_max": 0.5, "y_max": 0.9}'
    (one,) = nbvlm.parse(f'{{"path": "{circle}", "bbox": {box}}}', (1000, 1000), model="moondream3")
    assert one.mask is not None
    assert one.mask.sum() == pytest.approx(3.14 / 4 * 400 * 700, rel=0.01)
    (other,) = nbvlm.parse(f'{{"path": "M 0 0 nonsense", "bbox": {box}}}', (1000, 1000), model="moondream3")
    assert (other.box, other.mask) == (one.box, None)


@pytest.mark.parametrize(
    ("path", "corners"),
    [
        ("M 0 0 H 1 V 1 h -1 z", (0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0)),
        ("m0 0l1 0 0 1z m 5 5 l 9 0 0 9 -9 0 z", (5.0, 5.0, 14.0, 5.0, 14.0, 14.0, 5.0, 14.0)),
        ("M 0 0 L 1 1", None),
        ("L 0 0 1 1 2 2", None),
        ("M 1 2 3", None),
        ("", None),
    ],
)
def test_the_largest_part_of_a_path_is_its_outline(path: str, corners: tuple[float, ...] | None) -> None:
    assert outline(path) == corners
