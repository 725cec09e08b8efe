"""The protocol as a generator, driven by player: no socket, no clock, no thread."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from support.loopback import answer, sse
from support.sides import LARGE, SCENE

import nbvlm
from nbvlm import endpoints
from nbvlm.client.driver import StreamClosed
from nbvlm.client.flow import inference
from nbvlm.client.flow.events import DetectionFound, Status, TextDelta
from nbvlm.client.flow.steps import READ, Context, Emit, RunInThread, Sleep
from nbvlm.client.flow.validation import check_question
from nbvlm.client.policies import Deadline, Timeouts
from nbvlm.client.settings import resolve


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class FlowPlayer:
    """Plays the driver: answers requests from a list, and keeps what the flow wanted."""

    def __init__(self, image: Any, *, stream: bool = False, **options: Any) -> None:
        self.clock = Clock()
        self.settings = resolve("nvidia", api_key="nvapi-by-player", **options)
        self.context = Context(self.settings, Deadline(self.settings.timeouts, self.clock))
        question = check_question(endpoints.get("nvidia"), image, "detect cat", stream=stream)
        self.flow = inference.ask(question, self.context)
        self.requests: list[httpx.Request] = []
        self.statuses: list[Any] = []
        self.pauses: list[float] = []

    def play(self, *answers: Any, until: str = "") -> Any:
        """Drive to the end, or to a request of the method `until`.

        An answer is a response, an exception, or pieces of a body behind a response.
        """
        left, pieces, value = list(answers), [], None
        step = next(self.flow)
        try:
            while True:
                error, value = None, None
                if step is READ:
                    value = pieces.pop(0) if pieces else b""
                elif isinstance(step, Emit):
                    self.statuses += step.events
                elif isinstance(step, Sleep):
                    self.pauses.append(step.seconds)
                    self.clock.now += step.seconds
                elif isinstance(step, RunInThread):
                    value = step.function()
                else:
                    self.requests.append(step)
                    if step.method == until:
                        return None
                    given = left.pop(0)
                    response, *pieces = given if isinstance(given, tuple) else (given,)
                    error, value = (
                        (response, None) if isinstance(response, BaseException) else (None, response)
                    )
                step = self.flow.throw(error) if error is not None else self.flow.send(value)
        except StopIteration as end:
            assert not left
            return end.value

    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.host}{request.url.path}" for request in self.requests]


def head(status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


CREATED = json.dumps(
    {"assetId": "a-1", "uploadUrl": "https://storage.example/a-1?X-Amz-Signature=s"}
).encode()
ANSWER = (head(content_type="application/json", nvcf_reqid="r-1"), answer("a red car").body)


def test_the_way_of_a_small_picture() -> None:
    player = FlowPlayer(SCENE)
    result = player.play(ANSWER)
    assert player.paths() == ["POST ai.api.nvidia.com/v1/vlm/google/paligemma"]
    assert (result.text, result.request_id, result.route) == ("a red car", "r-1", "inline")


def test_the_way_of_a_large_picture() -> None:
    player = FlowPlayer(LARGE)
    result = player.play((head(), CREATED), head(), ANSWER, head(204))
    assert player.paths() == [
        "POST api.nvcf.nvidia.com/v2/nvcf/assets",
        "PUT storage.example/a-1",
        "POST ai.api.nvidia.com/v1/vlm/google/paligemma",
        "DELETE api.nvcf.nvidia.com/v2/nvcf/assets/a-1",
    ]
    assert ["authorization" in request.headers for request in player.requests] == [True, False, True, True]
    assert player.requests[1].headers["content-length"] == str(len(LARGE))
    assert player.context.temporary == set()
    assert result.timing.bytes_sent > len(LARGE)


def test_a_stream_is_handed_over_piece_by_piece() -> None:
    player = FlowPlayer(SCENE, stream=True)
    words = ["<loc0000><loc0000><loc0512><loc0512>", " cat", " ;", " b"]
    result = player.play((head(content_type="text/event-stream"), *sse(*words)))
    kinds = [type(event) for event in player.statuses]
    assert kinds == [Status, TextDelta, TextDelta, TextDelta, DetectionFound, TextDelta]
    assert result.text == "".join(words)


def test_pauses_follow_the_policy_and_the_clock() -> None:
    player = FlowPlayer(SCENE)
    player.play((head(503), b""), httpx.ConnectError("refused"), (head(429, retry_after="7"), b""), ANSWER)
    assert 0.25 <= player.pauses[0] <= 0.5
    assert 0.5 <= player.pauses[1] <= 1.0
    assert player.pauses[2] == 7.0


def test_no_try_begins_after_the_total() -> None:
    player = FlowPlayer(SCENE, timeout=Timeouts(total=1.0))
    with pytest.raises(nbvlm.RateLimitError):
        player.play((head(429, retry_after="2"), b""))
    assert player.pauses == []


def test_whatever_is_thrown_in_the_upload_is_deleted() -> None:
    for thrown in (KeyboardInterrupt(), StreamClosed(), MemoryError(), httpx.LocalProtocolError("x")):
        player = FlowPlayer(LARGE)
        with pytest.raises((KeyboardInterrupt, StreamClosed, MemoryError, nbvlm.Error)):
            player.play((head(), CREATED), head(), thrown, (head(404), b""))
        assert player.paths()[-1].startswith("DELETE")
        assert player.context.temporary == set()


def test_a_flow_that_nobody_drives_leaves_its_asset_to_the_client() -> None:
    player = FlowPlayer(LARGE)
    player.play((head(), CREATED), until="PUT")
    player.flow.close()
    assert player.context.temporary == {"a-1"}


def test_every_limit_is_named() -> None:
    clock = Clock()
    deadline = Deadline(Timeouts(), clock)
    for phase, seconds in (("upload", 300), ("first_token", 180), ("between_tokens", 60), ("cleanup", 5)):
        deadline.enter(phase)
        assert deadline.left() == seconds
        assert f"{phase}=…" in str(deadline.error())
    clock.now = 599.0
    deadline.enter("first_token")
    assert deadline.left() == 1.0
    clock.now = 601.0
    assert deadline.left() == 0.05
    with pytest.raises(nbvlm.TimeoutError, match="total=…"):
        deadline.check()


def test_a_deletion_has_its_time_even_after_the_total() -> None:
    clock = Clock()
    deadline = Deadline(Timeouts(), clock)
    clock.now = 700.0
    deadline.enter("cleanup")
    assert deadline.left() == 5.0


def test_polls_carry_no_body_and_end_with_a_large_result() -> None:
    player = FlowPlayer(SCENE)
    accepted = head(202, nvcf_reqid="r-1")
    elsewhere = head(302, location="https://storage.example/r-1?X-Amz-Signature=s")
    assert player.play(accepted, elsewhere, ANSWER).text == "a red car"
    assert player.paths()[1:] == ["GET ai.api.nvidia.com/v1/status/r-1", "GET storage.example/r-1"]
    assert "authorization" not in player.requests[2].headers
    assert "signature" not in repr(player.requests[2].headers).lower()
