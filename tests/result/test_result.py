"""Results as values: frozen, comparable, and the same again after pickle and JSON."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import made_results as made

import nbvlm
from nbvlm.grounding.detections import Detections
from nbvlm.images.picture import Picture
from nbvlm.result import Result, Usage


def test_results_with_equal_facts_are_equal() -> None:
    assert made.result() == made.result()
    assert hash(made.result()) == hash(made.result())
    assert made.result() != made.result(text="another")


def test_a_result_cannot_be_changed() -> None:
    result = made.result()
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.text = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        result.parameters["top_p"] = 1  # type: ignore[index]


def test_the_parameters_are_a_copy() -> None:
    given_parameters = {"temperature": 0.2}
    result = made.result(parameters=given_parameters)
    given_parameters["temperature"] = 0.9
    assert result.parameters == {"temperature": 0.2}


@pytest.mark.parametrize("again", [lambda r: pickle.loads(pickle.dumps(r)), copy.copy, copy.deepcopy])
def test_copies_are_equal_with_masks_and_parameters(again) -> None:
    result = made.result()
    twin = again(result)
    assert twin == result
    assert np.array_equal(twin.detections.masks[0], result.detections.masks[0])
    with pytest.raises(TypeError):
        twin.parameters["top_p"] = 1


def test_dataclasses_replace_works() -> None:
    assert dataclasses.replace(made.result(), text="x").text == "x"


def test_repr_is_one_short_line_without_bytes() -> None:
    text = repr(made.result())
    assert "2 cats; 1 dog" in text
    assert "nbvlm/demo" in text
    assert len(text) < 200
    assert "\n" not in repr(
        made.result(detections=Detections.empty((200, 120)), text="a\nb", has_locations=False)
    )


def test_json_round_trip_is_exact() -> None:
    result = made.result()
    again = Result.from_json(result.to_json(), picture=result.picture)
    assert again == result
    assert again.detections.xyxy.tolist() == result.detections.xyxy.tolist()
    assert np.array_equal(again.detections.masks[0], result.detections.masks[0])
    assert again.detections.masks[1] is None
    assert again.to_json() == result.to_json()


def test_json_has_no_picture_but_its_hash() -> None:
    result = made.result(made.photo((640, 480)))
    data = json.loads(result.to_json())
    assert data["picture"]["sha256"] == result.picture.sha256
    assert len(result.to_json()) < 4000


def test_json_keeps_masks_as_coco_run_lengths() -> None:
    mask = json.loads(made.result().to_json())["detections"]["items"][0]["mask"]
    assert mask["size"] == [120, 200]
    assert isinstance(mask["counts"], str)


def test_json_keeps_codes() -> None:
    codes = tuple(range(16))
    detections = Detections([[0, 0, 9, 9]], ("a",), (200, 120), codes=(codes,))
    again = Result.from_json(made.result(detections=detections).to_json())
    assert again.detections.codes == (codes,)
    assert again.detections.masks[0] is None


def test_codes_whose_codebook_cannot_be_had_keep_its_name(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("NBVLM_CACHE", str(tmp_path))
    detections = Detections([[0, 0, 9, 9]], ("a",), (200, 120), codes=(tuple(range(16)),), codebook="vae-oid")
    result = made.result(detections=detections)
    again = Result.from_json(result.to_json())
    assert again.detections.codebook == "vae-oid"
    assert again.detections == detections


def test_without_its_picture_a_result_knows_it_by_hash() -> None:
    result = made.result()
    again = Result.from_json(result.to_json())
    assert again == result
    assert again.picture.name == "pets.png"
    with pytest.raises(nbvlm.ImageError, match=r"Picture\.load"):
        again.annotate()


def test_another_picture_is_refused() -> None:
    other = Picture.load(made.image(color=(1, 2, 3)), name="other.png")
    with pytest.raises(nbvlm.ImageError, match=r"SHA-256 differs.*pets\.png"):
        Result.from_json(made.result().to_json(), picture=other)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": "nbvlm-result/9"}', '{"format": "nbvlm-result/1"}', '"x"']
)
def test_what_is_no_saved_result_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"saved result|not JSON"):
        Result.from_json(text)


def test_damaged_run_lengths_are_refused() -> None:
    data = made.result().to_dict()
    data["detections"]["items"][0]["mask"]["counts"] = "1"
    with pytest.raises(ValueError, match="must fill"):
        Result.from_json(json.dumps(data))


def test_a_mask_that_would_fill_the_memory_is_refused() -> None:
    data = made.result().to_dict()
    data["detections"]["items"][0]["mask"]["size"] = [1 << 20, 1 << 20]
    with pytest.raises(ValueError, match="must have 1 to"):
        Result.from_json(json.dumps(data))


def test_labels_stay_readable_in_json() -> None:
    detections = Detections([[0, 0, 9, 9]], ("猫",), (200, 120))
    assert "猫" in made.result(detections=detections).to_json()


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.characters(), max_size=40),
    label=st.text(max_size=12),
    box=st.tuples(*[st.floats(-1e6, 1e6, width=64) for _ in range(4)]),
    usage=st.one_of(st.none(), st.builds(Usage, st.none() | st.integers(0, 9), st.integers(0, 9), st.none())),
)
def test_any_text_label_and_box_survive_json(text: str, label: str, box, usage: Usage | None) -> None:
    detections = Detections([box], (label,), (200, 120))
    result = made.result(text=text, detections=detections, usage=usage)
    again = Result.from_json(result.to_json())
    assert again == result
    assert again.text == text


def test_a_lone_surrogate_survives_json_and_its_file(tmp_path) -> None:
    result = made.result(text="broken \ud83d text")
    path = result.save(tmp_path / "broken.json")
    assert Result.from_json(path.read_bytes()) == result
