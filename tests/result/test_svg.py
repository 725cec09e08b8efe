"""A result as SVG: well-formed, in the picture's own coordinates, nothing but text from outside."""

from __future__ import annotations

import base64
import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from support import made_results as made

from nbvlm.grounding.detections import Detections
from nbvlm.images.picture import Picture

SVG = "{http://www.w3.org/2000/svg}"


def parsed(result) -> ElementTree.Element:
    return ElementTree.fromstring(result.to_svg())


def test_boxes_masks_and_labels_are_shapes_in_pixels_of_the_picture() -> None:
    root = parsed(made.result(notices=()))
    assert root.get("viewBox") == "0 0 200 120"
    assert root.findtext(f"{SVG}title").startswith("2 cats")
    boxes = {
        tuple(float(rect.get(name)) for name in ("x", "y", "width", "height"))
        for rect in root.iter(f"{SVG}rect")
    }
    assert boxes == {(10.25, 40.5, 49.75, 49.5), (150, 20, 50, 40), (80, 70, 50, 40)}
    assert [path.get("d") for path in root.iter(f"{SVG}path")] == ["M15 45L50 45L50 80L15 80Z"]
    assert [text.text for text in root.iter(f"{SVG}text")] == ["cat", "cat", "dog"]


def test_the_picture_is_inside() -> None:
    (image,) = parsed(made.result(made.photo((2400, 1200)))).iter(f"{SVG}image")
    mime, _, packed = image.get("href").partition(";base64,")
    assert mime in ("data:image/jpeg", "data:image/png")
    with Image.open(io.BytesIO(base64.b64decode(packed))) as inside:
        assert inside.size == (1600, 800)
    assert (image.get("width"), image.get("height")) == ("2400", "1200")


@pytest.mark.parametrize(
    "label", ["<script>alert(1)</script>", '" onload="x', "a & b", "a\x00b\x1b", "\ud800", "猫"]
)
def test_labels_from_strangers_are_text(label: str) -> None:
    found = Detections(np.array([[1.0, 2, 30, 40]]), (label,), (200, 120))
    root = parsed(made.result(detections=found, prompt=f"detect {label}"))
    assert {element.tag for element in root.iter()} <= {
        f"{SVG}{name}" for name in ("svg", "title", "metadata", "image", "g", "rect", "text")
    }
    assert next(root.iter(f"{SVG}text")).text


def test_a_result_without_its_pictures_bytes_still_has_its_shapes() -> None:
    plain = Picture.reference("0" * 64, "image/png", 200, 120)
    root = parsed(made.result(plain, notices=()))
    assert len(list(root.iter(f"{SVG}text"))) == 3
    assert not list(root.iter(f"{SVG}image"))


def test_it_is_saved_by_its_ending(tmp_path) -> None:
    result = made.result()
    assert result.save(tmp_path / "pets.svg").read_text("utf-8") == result.to_svg()
