"""Errors: from every form of body, with what to do next, and without secrets."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.loopback import Loopback, Reply, delta, stream
from support.sides import SCENE

import nbvlm
from nbvlm.client import error_responses
from nbvlm.client.error_responses import error_of, parse_body

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Any]

NO_HEADERS = httpx.Headers()
ACCOUNT = "kLm3_secret-account"


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


BODIES = json.loads((Path(__file__).parents[1] / "data" / "error_bodies.json").read_text())["bodies"]


@pytest.mark.parametrize("captured", BODIES, ids=[item["words"] for item in BODIES])
def test_every_form_of_body_is_read(captured: dict[str, Any]) -> None:
    error = error_of(captured["status"], NO_HEADERS, captured["body"].encode())
    assert captured["words"] in error.message
    assert error.status == captured["status"]
    assert error.hint
    assert ACCOUNT not in f"{error} {error.detail} {error!r} {pickle.loads(pickle.dumps(error)).__dict__}"


@pytest.mark.parametrize("content", [b"", b"  \n", b"{}", b"[]", b"null", b'""', b"data:"])
def test_an_empty_body_leaves_a_whole_sentence(content: bytes) -> None:
    error = error_of(504, NO_HEADERS, content)
    assert error.message == "The service did not answer in time (504)."


def test_the_parsed_detail_is_kept() -> None:
    detail = [{"loc": ["body", "temperature"], "msg": "too high", "type": "less_than_equal"}]
    assert error_of(422, NO_HEADERS, body({"detail": detail})).detail == {"detail": detail}


def test_the_request_id_comes_from_header_or_body() -> None:
    assert error_of(500, httpx.Headers({"NVCF-REQID": "r-1"}), b"").request_id == "r-1"
    assert error_of(500, NO_HEADERS, b'{"requestId":"r-2"}').request_id == "r-2"
    assert "(request r-1)" in str(error_of(500, httpx.Headers({"nvcf-reqid": "r-1"}), b""))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, nbvlm.RequestRejected),
        (401, nbvlm.AuthenticationError),
        (402, nbvlm.QuotaError),
        (403, nbvlm.AuthenticationError),
        (404, nbvlm.NotFoundError),
        (405, nbvlm.RequestRejected),
        (410, nbvlm.NotFoundError),
        (412, nbvlm.RequestRejected),
        (413, nbvlm.RequestRejected),
        (422, nbvlm.RequestRejected),
        (429, nbvlm.RateLimitError),
        (500, nbvlm.ServerError),
        (599, nbvlm.ServerError),
        (304, nbvlm.TransportError),
    ],
)
def test_a_status_has_its_class(status: int, kind: type[nbvlm.Error]) -> None:
    assert type(error_of(status, NO_HEADERS, b"")) is kind


def test_the_asset_service_has_its_own_class() -> None:
    assert type(error_of(500, NO_HEADERS, b"", asset=True)) is nbvlm.AssetError
    assert type(error_of(401, NO_HEADERS, b"", asset=True)) is nbvlm.AuthenticationError
    assert type(error_of(429, NO_HEADERS, b"", asset=True)) is nbvlm.RateLimitError


@pytest.mark.parametrize("status", [404, 410])
def test_an_asset_service_that_is_gone_is_not_taken_for_the_model(status: int) -> None:
    error = error_of(status, NO_HEADERS, b'{"detail":"gone"}', asset=True)
    assert "asset service" in error.message
    assert "model" not in str(error)
    assert 'route="inline"' in str(error)


def test_a_long_message_is_cut() -> None:
    assert len(error_of(400, NO_HEADERS, b"x" * 100_000).message) < 700


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["detail", "error", "message", "msg", "loc", "title", "status", "code", "type", "requestId"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.integers(300, 599), JSON.map(lambda v: json.dumps(v).encode()) | st.binary(max_size=300))
def test_no_body_is_an_accident(status: int, content: bytes) -> None:
    for whole in (content, b"data:" + content, b"data: " + content):
        error = error_of(status, NO_HEADERS, whole)
        assert isinstance(error, nbvlm.Error)
        assert error.message
        pickle.dumps(error)


@given(JSON)
def test_no_object_in_a_stream_is_an_accident(value: Any) -> None:
    assert isinstance(error_responses.error_in_stream(value), nbvlm.Error)


@given(st.text(max_size=60))
def test_the_repr_of_a_python_list_is_read(message: str) -> None:
    detail = repr([{"type": "x", "loc": ("body", "messages", 0), "msg": message}])
    words = " ".join(f"messages.0: {message or 'x'}".split())
    assert " ".join(parse_body(body({"detail": detail}))[0].split()) == words


def test_a_hostile_repr_is_left_as_text() -> None:
    for detail in ("[" * 10_000, "__import__('os')", "[1," * 5_000, "{" * 3):
        assert parse_body(body({"detail": detail}))[0]


IN_STREAM = [
    (
        {"error": {"object": "error", "message": "out of memory", "type": "x"}},
        nbvlm.ServerError,
        "out of memory",
    ),
    ({"error": {"message": "slow down", "code": 429}}, nbvlm.RateLimitError, "slow down"),
    ({"error": "gone"}, nbvlm.ServerError, "gone"),
    ({"status": 422, "title": "x", "detail": "no"}, nbvlm.RequestRejected, "no"),
    ({"object": "error", "message": "no", "code": "400"}, nbvlm.RequestRejected, "no"),
    ({"error": {"message": "no", "code": "²"}}, nbvlm.ServerError, "no"),
    ({"error": {"message": "no", "code": "4" * 5000}}, nbvlm.ServerError, "no"),
]


@pytest.mark.parametrize(("value", "kind", "words"), IN_STREAM)
def test_an_error_inside_a_stream_is_raised(
    side: Any, server: Loopback, value: Any, kind: type[nbvlm.Error], words: str
) -> None:
    server.replies.append(stream("a red", value, " car"))
    texts: list[str] = []
    with pytest.raises(kind, match=words) as caught:
        side.stream(SCENE, "caption en", each=lambda event, s: texts.append(s.text) or None)
    assert texts[-1] == "a red"
    assert caught.value.request_id == "11111111-2222-3333-4444-555555555555"
    assert len(server.seen) == 1


def test_an_error_body_with_data_and_no_blank_inside_a_stream_is_raised(side: Any, server: Loopback) -> None:
    line = b'data:{"type":"urn:x","title":"Bad Request","status":400,"detail":"too long"}'
    server.replies.append(stream(line, done=False))
    with pytest.raises(nbvlm.RequestRejected, match="too long"):
        side.stream(SCENE, "caption en")


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b'{"error": {"message": "out of memory", "type": "x"}}', nbvlm.ServerError, "out of memory"),
        (
            b'{\n  "status": 429,\n  "title": "Too Many Requests"\n}\n',
            nbvlm.RateLimitError,
            "Too Many Requests",
        ),
        (b'{"detail": [{"loc": ["body", "x"], "msg": "too long"}]}', nbvlm.ServerError, "x: too long"),
        (b"upstream connect error", nbvlm.TruncatedStream, "after 0 characters: upstream connect error"),
    ],
    ids=["error", "problem", "validation", "text"],
)
@pytest.mark.parametrize("cut", [True, False], ids=["cut", "ended"])
def test_an_error_that_stands_bare_in_a_stream_is_told(
    side: Any, server: Loopback, body: bytes, kind: type[nbvlm.Error], words: str, cut: bool
) -> None:
    server.replies.append(stream(body[:9], body[9:], done=False, cut=cut))
    with pytest.raises(kind, match=words) as caught:
        side.stream(SCENE, "caption en")
    assert caught.value.request_id == "11111111-2222-3333-4444-555555555555"
    assert caught.value.detail


@pytest.mark.parametrize(
    "pieces",
    [
        ["a red", " car"],
        [],
        [b"data: {\"id\": \"x\", \"choi"],
        [{"choices": []}],
        [b": ping\n\n"],
    ],
    ids=["words", "nothing", "half an event", "no choice", "a comment"],
)  # fmt: skip
@pytest.mark.parametrize("cut", [True, False], ids=["cut", "ended"])
def test_an_end_without_done_and_reason_is_truncated(
    side: Any, server: Loopback, pieces: list[Any], cut: bool
) -> None:
    server.replies.append(stream(*pieces, done=False, cut=cut))
    with pytest.raises(nbvlm.TruncatedStream) as caught:
        side.stream(SCENE, "caption en")
    assert caught.value.text == "".join(piece for piece in pieces if isinstance(piece, str))
    assert caught.value.request_id == "11111111-2222-3333-4444-555555555555"
    assert len(server.seen) == 1


@pytest.mark.parametrize("reason", ["stop", "length"])
@pytest.mark.parametrize("cut", [True, False], ids=["cut", "ended"])
def test_a_reason_is_an_end_too(side: Any, server: Loopback, reason: str, cut: bool) -> None:
    server.replies.append(stream("a red", delta(" car", reason), done=False, cut=cut))
    result = side.stream(SCENE, "caption en").result
    assert (result.text, result.finish_reason) == ("a red car", reason)


def test_both_dialects_of_chunks_are_read(side: Any, server: Loopback) -> None:
    def chunk(**choice: Any) -> dict[str, Any]:
        return {
            "id": "chat-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }

    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    server.replies.append(
        stream(
            chunk(index=0, delta={"role": "assistant", "content": None}, logprobs=None, finish_reason=None),
            chunk(index=0, delta={"role": None, "content": "a"}, finish_reason=None),
            chunk(index=0, delta={"role": None, "content": " red\u2028car"}),
            chunk(index=0, delta={"role": None, "content": ""}, finish_reason="stop"),
            {"id": "chat-1", "choices": [], "usage": usage},
        )
    )
    result = side.stream(SCENE, "caption en").result
    assert (result.text, result.finish_reason) == ("a red\u2028car", "stop")
    assert (result.usage.prompt_tokens, result.usage.total_tokens) == (3, 5)


def test_odd_chunks_are_read_as_far_as_they_can_be(side: Any, server: Loopback) -> None:
    parts = {"choices": [{"delta": {"content": [{"type": "text", "text": "a"}, {"type": "x"}]}}]}
    number = {
        "id": 7,
        "choices": [{"index": "0", "delta": {"content": " red"}, "finish_reason": 3}],
        "usage": 4,
    }
    bad = b'data: {"choices":[{"delta":{"content":" c\xffr"}}]}\n\n'
    server.replies.append(stream(parts, number, bad, b"event: ping\ndata: hello\n\n", b"data:\n\n"))
    assert side.stream(SCENE, "caption en").text == "a red c\ufffdr"


def test_done_needs_no_blank_line_behind_it(side: Any, server: Loopback) -> None:
    server.replies.append(stream("a red", b"data: [DONE]", done=False))
    assert side.stream(SCENE, "caption en").result.text == "a red"


def test_the_error_of_a_stream_is_that_of_its_result(side: Any, server: Loopback) -> None:
    server.replies.append(stream("a red", done=False, cut=True))
    kept: list[Any] = []
    with pytest.raises(nbvlm.TruncatedStream):
        side.stream(SCENE, "caption en", each=lambda event, s: kept.append(s))
    with pytest.raises(nbvlm.TruncatedStream):
        _ = kept[-1].result
    with pytest.raises(nbvlm.TruncatedStream):
        side.events(kept[-1])


def test_a_body_that_breaks_off_is_an_error(side: Any, server: Loopback) -> None:
    server.replies.append(Reply(headers={"content-type": "application/json"}, pieces=[b'{"id": '], cut=True))
    with pytest.raises(nbvlm.TransportError, match="middle of an answer"):
        side.ask(SCENE, "caption en")
    assert len(server.seen) == 1


def test_an_empty_answer_is_truncated(side: Any, server: Loopback) -> None:
    server.replies.append(Reply())
    with pytest.raises(nbvlm.TruncatedStream, match="empty"):
        side.ask(SCENE, "caption en")


def test_a_stream_that_ends_without_any_part_of_an_answer_is_truncated(side: Any, server: Loopback) -> None:
    server.replies.append(stream())
    with pytest.raises(nbvlm.TruncatedStream, match="after 0 characters"):
        side.stream(SCENE, "caption en")
