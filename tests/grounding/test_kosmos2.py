"""Grounded phrases, which kosmos-2 sends beside its text, are detections."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.loopback import Loopback, Reply
from support.sides import KEY, SCENE

import nbvlm
from nbvlm.client.flow.events import DetectionFound
from nbvlm.grounding.dialects import kosmos2

if TYPE_CHECKING:
    from pathlib import Path

SNOWMAN = {"phrase": "a  snowman", "substring": [12, 21], "bboxes": [[0.25, 0.5, 0.75, 1]]}
FIRES = {"phrase": "a fire", "substring": [41, 47], "bboxes": [[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5]]}


SERVED = dataclasses.replace(
    nbvlm.endpoints.get("nvidia"), name="own", model="microsoft/kosmos-2", path="/v1/vlm/microsoft/kosmos-2"
)


def grounded(*found: Any) -> Reply:
    message = {"role": "assistant", "content": "An image of a snowman by a fire.", "entities": list(found)}
    value = {"id": "k", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return Reply(headers={"content-type": "application/json"}, body=json.dumps(value).encode())


@pytest.fixture
def kosmos(open_side: Any, server: Loopback) -> Any:
    """A client of a service that answers as kosmos-2 did at NVIDIA, which no longer has it."""
    server.model = "/v1/vlm/microsoft/kosmos-2"
    return open_side(SERVED)


def test_each_box_of_a_phrase_is_a_detection(kosmos: Any, server: Loopback) -> None:
    server.replies.append(grounded(SNOWMAN, FIRES))
    result = kosmos.ask(SCENE, "describe")
    assert result.detections.labels == ("a snowman", "a fire", "a fire")
    assert result.detections.xyxy.tolist() == [[100, 150, 300, 300], [0, 0, 200, 150], [200, 0, 400, 150]]
    assert result.has_locations
    assert nbvlm.Result.from_json(result.to_json(), picture=SCENE) == result


def test_a_stream_tells_them_too(kosmos: Any, server: Loopback) -> None:
    server.replies.append(grounded(SNOWMAN))
    stream = kosmos.stream(SCENE, "describe")
    found = [event.detection.label for event in kosmos.events(stream) if isinstance(event, DetectionFound)]
    assert found == ["a snowman"]
    assert list(stream.result.detections.labels) == found


def test_an_answer_without_them_tells_of_no_places(kosmos: Any, server: Loopback) -> None:
    server.replies.append(grounded())
    result = kosmos.ask(SCENE, "describe")
    assert (len(result.detections), result.has_locations) == (0, False)


@pytest.mark.parametrize(
    ("box", "kind", "kept"),
    [
        ([0.1, 0.2, 0.3], "locations", False),
        ([0.1, 0.2, 0.3, None], "locations", False),
        ([0.1, 0.2, 0.3, 10**400], "locations", False),
        ("box", "locations", False),
        ([0.1, 0.2, 0.3, 1.5], "range", True),
        ([0.5, 0.2, 0.3, 0.4], "swapped", True),
        ([0.5, 0.2, 0.5, 0.4], "empty", True),
    ],
)
def test_what_is_no_box_is_reported_and_its_neighbours_stay(box: Any, kind: str, kept: bool) -> None:
    found, problems = kosmos2.read([SNOWMAN | {"bboxes": [box, [0, 0, 1, 1]]}], (400, 300))
    assert [(problem.kind, problem.position) for problem in problems] == [(kind, 12)]
    assert len(found) == 1 + kept
    assert found[-1].box == (0, 0, 400, 300)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
PARTS = {"phrase": ANYTHING, "substring": ANYTHING, "bboxes": ANYTHING | st.lists(st.lists(ANYTHING))}


@given(ANYTHING | st.lists(st.fixed_dictionaries(PARTS)))
def test_nothing_raises(value: Any) -> None:
    found, _ = kosmos2.read(value, (40, 30))
    assert all(math.isfinite(corner) for one in found for corner in one.box)


def test_a_recording_plays_them_again(server: Loopback, tmp_path: Path) -> None:
    server.model = "/v1/vlm/microsoft/kosmos-2"
    server.replies.append(grounded(SNOWMAN))
    path = tmp_path / "class.json"
    options = {"transport": nbvlm.record(path), "base_url": server.url, "api_key": KEY}
    with nbvlm.Client(SERVED, **options) as client:
        first = client.ask(SCENE, "describe")
    with nbvlm.Client(SERVED, transport=nbvlm.replay(path, speed=math.inf)) as client:
        assert client.ask(SCENE, "describe").detections == first.detections
    assert first.detections.labels == ("a snowman",)
