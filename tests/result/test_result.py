"""Results as values: frozen, comparable, and the same again after pickle and JSON."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import made_results as made

import nbvlm
from nbvlm.grounding.detections import Detections
from nbvlm.images.picture import Picture
from nbvlm.result import Result, Usage
from nbvlm.result.serialization import from_dict


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
    "text",
    [
        *("", "{", "[]", "null", '{"format": "nbvlm-result/9"}', '{"format": "nbvlm-result/1"}', '"x"'),
        *("[" * 100_000, '{"a":' * 100_000, "1" * 5000, b"\xff\xfe\xff", '{"format": NaN}'),
        *(None, {}, 3),
    ],
)
def test_what_is_no_saved_result_is_refused(text: str) -> None:
    with pytest.raises(nbvlm.ParameterError, match=r"saved result|not JSON|must be text") as caught:
        Result.from_json(text)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 300


def test_a_byte_order_mark_of_an_editor_is_no_harm() -> None:
    text = made.result().to_json()
    for marked in ("\ufeff" + text, b"\xef\xbb\xbf" + text.encode()):
        assert Result.from_json(marked).to_json() == text


def changed(path: str, value: object) -> dict:
    """A saved result with another value in one place."""
    data = json.loads(made.result().to_json())
    *names, last = (int(name) if name.isdigit() else name for name in path.split("."))
    place = data
    for name in names:
        place = place[name]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return data


MISSING = object()
DEEP: list = []
for _ in range(3000):
    DEEP = [DEEP]
WRONG = [None, True, "1", [], {}, [[1]], DEEP, 10**400, -1, math.nan, math.inf, MISSING]
FIELDS = (
    *("sent.width", "sent.bytes", "timing.total_s", "timing.bytes_sent", "picture.width", "picture.height"),
    *("picture.sha256", "picture.mime", "route", "has_locations", "parameters", "usage", "sent", "timing"),
    *("problems", "problems.0.position", "notices", "detections.size", "detections.items", "created"),
    *("detections.items.0", "detections.items.0.box", "detections.items.0.label", "detections.items.0.mask"),
    *("detections.items.0.mask.size", "detections.items.0.mask.counts", "text", "prompt", "model"),
)
RIGHT = {
    *(("has_locations", True), ("created", "1"), ("detections.items.0.label", "1"), ("text", "1")),
    *(("prompt", "1"), ("model", "1")),
}


@pytest.mark.parametrize("path", FIELDS)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(path: str) -> None:
    for value in WRONG:
        if isinstance(value, str | bool) and (path, value) in RIGHT:
            continue
        if (path, value) in [("usage", None), ("detections.items.0.mask", None), ("parameters", {})]:
            continue
        if value is MISSING and path == "detections.items.0":
            continue
        if value == [] and path in ("problems", "notices", "detections.items"):
            continue
        data = changed(path, value)
        with pytest.raises(nbvlm.ParameterError) as caught:
            from_dict(Result, data)
        named = re.sub(r"\.(\d+)", r"[\1]", path)
        said = str(caught.value).replace("[...]", "[0]")
        assert all(name in said for name in named.rpartition(".")[::2]), (value, said)
        assert len(said) < 400


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("parameters", {"temperature": "0.2"}),
        ("parameters", {"temperature": True}),
        ("parameters", {"temperature=print(1), top_p": 0.2}),
        ("parameters", {"top_p\n": 0.2}),
        ("detections.items.0.box", [0, 0, 1, 1e300]),
        ("detections.items.0.codes", list(range(15))),
        ("detections.items.0.codes", [-1] * 16),
        ("detections.size", [10**9, 10**9]),
        ("detections.items.0.mask", {"size": [1 << 20, 1 << 20], "counts": "1"}),
        ("detections.items.0.mask.counts", "1"),
        ("detections.items.0.mask.counts", "o" * 1_000_000),
        ("detections.items.0.mask.counts", [10**12]),
        ("detections.items.0.mask.counts", [0, 10**12, -(10**12)]),
        ("detections.items.0.mask.counts", "\x00"),
    ],
)
def test_a_value_outside_its_range_is_refused_by_the_name_of_its_field(path: str, value: object) -> None:
    with pytest.raises(nbvlm.ParameterError, match=path.split(".")[0]):
        Result.from_json(json.dumps(changed(path, value)))


def test_a_few_bytes_do_not_become_gigabytes() -> None:
    side = 13_000
    data = changed("picture", {"name": None, "mime": "image/png", "width": side, "height": side})
    data["picture"]["sha256"] = "0" * 64
    mask = {"size": [side, side], "counts": [0, side * side]}
    item = {"label": "cat", "box": [0, 0, side, side], "codes": None, "mask": mask}
    data["detections"] = {"size": [side, side], "codebook": None, "items": [item] * 200}
    tracemalloc.start()
    try:
        result = Result.from_json(json.dumps(data))
        assert "left out" in result.to_html()
        assert result.to_dict()["detections"]["items"][0]["mask"] is None
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert result.detections[0].mask_crop.pixels.all()


def test_folders_of_a_name_stay_behind() -> None:
    data = changed("picture.name", "/etc/passwd")
    assert from_dict(Result, data).picture.name == "passwd"


def test_plain_data_is_read_back_too() -> None:
    assert from_dict(Result, made.result().to_dict()) == made.result()


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


def test_points_numbers_and_readings_survive_json() -> None:
    text = (
        '[{"bbox_2d": [100, 200, 300, 400], "label": "a"}, {"point_2d": [500, 600], "label": "b"},'
        '{"polygon": [[100, 100], [300, 100], [300, 300]], "label": "c"}]'
    )
    given = made.result()
    found = nbvlm.parse(text, given.detections.size, model="qwen3-vl")
    whole = dataclasses.replace(given, detections=found, asked="locate a")
    again = Result.from_json(whole.to_json(), picture=whole.picture)
    assert again.detections == found
    assert (again.detections.points, again.detections.raw) == (found.points, found.raw)
    assert again.detections.readings == found.readings
    assert (again.asked, again.prompt) == ("locate a", given.prompt)
    annotations = whole.to_coco()["annotations"]
    assert [annotation.get("keypoints") for annotation in annotations] == [None, [*found[1].point, 2], None]
    swapped = again.detections.reproject(order="yxyx")
    assert swapped[0].box == found.reproject(order="yxyx")[0].box
    old = json.loads(whole.to_json())
    del old["asked"]
    for item in old["detections"]["items"]:
        for name in ("point", "raw", "reading"):
            item.pop(name, None)
    before = Result.from_json(json.dumps(old), picture=whole.picture)
    assert before.asked == given.prompt
    assert before.detections.raw == (None, None, None)
