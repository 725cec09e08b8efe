"""Answers in the wild: errors beside text, other types, foreign events, damaged and empty bodies."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import pickle
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from support.loopback import Loopback, Reply, answer, delta, problem, stream
from support.sides import KEY, SCENE

import nbvlm

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Any]

ERROR = {"code": 502, "message": "Provider disconnected"}


def whole(message: dict[str, Any], reason: str | None = "stop", **more: Any) -> Reply:
    """A JSON answer with this message."""
    body = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": reason}]} | more
    return Reply(headers={"content-type": "application/json"}, body=json.dumps(body).encode())


# Errors in a chunk, or in an answer, that holds text too.

FAILED = {
    "beside the choices": {"error": ERROR, **delta("", "error")},
    "beside text": {"error": ERROR, **delta(" car")},
    "in the choice": {"choices": [{"delta": {"content": " car"}, "error": ERROR}]},
    "a reason": delta("", "error"),
    "a text": {"error": "Provider disconnected"},
    "a detail": {"detail": "Provider disconnected"},
    "by its type": {"type": "error", "message": "Provider disconnected"},
    "a problem": {"type": "urn:x", "title": "Provider disconnected", "status": 502},
    "an event": b'event: error\ndata: {"reason": "Provider disconnected"}\n\n',
    "words": b"event: error\ndata: Provider disconnected\n\n",
}


@pytest.mark.parametrize("failed", FAILED.values(), ids=FAILED)
@pytest.mark.parametrize("after", [[], [delta(" car", "stop")]], ids=["at the end", "with more behind it"])
def test_an_error_in_a_chunk_fails_the_stream(side: Any, server: Loopback, failed: Any, after: Any) -> None:
    server.replies.append(stream("a red", failed, *after))
    kept: list[Any] = []
    with pytest.raises(nbvlm.ServerError):
        side.stream(SCENE, "caption en", each=lambda event, stream: kept.append(stream))
    assert kept[-1].text == "a red"
    server.replies.append(stream("a red", failed, *after))
    with pytest.raises(nbvlm.ServerError):
        side.ask(SCENE, "caption en")


@pytest.mark.parametrize(
    ("reason", "more"),
    [("error", {}), ("stop", {"error": ERROR}), (None, {"error": "Provider disconnected"})],
)
def test_an_error_in_a_whole_answer_fails_it(side: Any, server: Loopback, reason: Any, more: Any) -> None:
    server.replies.extend([whole({"content": "half an answer"}, reason, **more)] * 2)
    for ask in (side.ask, side.stream):
        with pytest.raises(nbvlm.ServerError):
            ask(SCENE, "caption en")


def test_an_error_in_an_answer_is_an_error_of_its_row(server: Loopback, tmp_path: Any) -> None:
    server.replies.extend([whole({"content": "half"}, "error"), answer("a red car")])
    with nbvlm.Client("nvidia", base_url=server.url, api_key=KEY) as client:
        journal = tmp_path / "journal.jsonl"
        options: dict[str, Any] = {"client": client, "journal": journal, "progress": False}
        rows = [row for _ in range(2) for row in nbvlm.ibatch([SCENE], "caption en", **options)]
    assert [(row.text, row.kind) for row in rows] == [(None, "ServerError"), ("a red car", None)]


# Events of other kinds.


@pytest.mark.parametrize(
    "foreign",
    [
        b'event: ping\ndata: {"type": "ping"}\n\n',
        b"event: ping\ndata: 123\n\n",
        b"data: null\n\n",
        b'data: {"type": "status", "message": "warming up"}\n\n',
        b'event: tool.progress\ndata: {"tool": "x"}\n\n',
        b'data: {"id": "1", "choices": null}\n\n',
        b'data: {"id": "1", "x_stats": {}}\n\n',
        b"data: [1, 2]\n\n",
    ],
)
def test_foreign_events_are_passed_over(side: Any, server: Loopback, foreign: bytes) -> None:
    server.replies.append(stream(foreign, "a red", foreign, delta(" car", "stop"), foreign, done=False))
    assert side.stream(SCENE, "caption en").result.text == "a red car"


@pytest.mark.parametrize("done", [b"data: [DONE] \n\n", b"data:  [DONE]\n\n", b"data: [DONE]\t\n\n"])
def test_done_may_have_blanks(side: Any, server: Loopback, done: bytes) -> None:
    server.replies.append(stream("a red car", done, delta(" and more"), done=False))
    assert side.stream(SCENE, "caption en").result.text == "a red car"


# The type of an answer is what it looks like.


@pytest.mark.parametrize(
    "kind",
    [
        "Text/Event-Stream; charset=UTF-8",
        "text/plain; charset=utf-8",
        "application/octet-stream",
        "application/json",
        None,
    ],
)
@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf", b"\r\n\r\n", b": ping\n\n"])
def test_a_stream_is_read_under_any_type(side: Any, server: Loopback, kind: str | None, begin: bytes) -> None:
    reply = stream(*filter(None, [begin]), "a red", delta(" car", "stop"))
    reply.headers = {"content-type": kind} if kind else {}
    server.replies.extend([reply] * 2)
    assert side.stream(SCENE, "caption en").result.text == "a red car"
    assert side.ask(SCENE, "caption en").text == "a red car"


def test_a_json_error_with_status_200_is_an_error(side: Any, server: Loopback) -> None:
    body = json.dumps({"error": {"message": "no such model", "code": 404}}).encode()
    for kind in ("application/json", "text/event-stream", "text/plain"):
        server.replies.append(Reply(headers={"content-type": kind}, body=body))
        with pytest.raises(nbvlm.NotFoundError, match="no such model"):
            side.stream(SCENE, "caption en")


# Damaged bodies.


def archived(method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("x.response", answer("a red car").body)
    return file.getvalue()


def test_a_damaged_archive_is_an_error_of_ours(side: Any, server: Loopback) -> None:
    good = archived()
    damaged = [good[:at] + good[at + 1 :] for at in range(4, len(good), 7)]
    damaged += [good[:at] + bytes([good[at] ^ 255]) + good[at + 1 :] for at in range(4, len(good), 7)]
    bzip2 = archived(zipfile.ZIP_BZIP2)
    damaged += [good[:4] + good[6:], good[:60], bzip2[:45] + bytes([bzip2[45] ^ 255]) + bzip2[46:]]
    for body in damaged:
        server.replies.append(Reply(headers={"content-type": "application/zip"}, body=body))
        try:
            assert side.ask(SCENE, "caption en").text == "a red car"
        except nbvlm.Error:
            continue


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", b"abcd"),
        ("gzip", gzip.compress(b"data: x" * 99)[:20] + b"\xff" * 40),
        ("deflate", zlib.compress(b"data: x")[:4] + b"\xff" * 9),
        ("br", b"abcd"),
        ("unknown", bz2.compress(b"x")),
    ],
)
def test_a_damaged_compressed_body_is_an_error_without_the_request(
    side: Any, server: Loopback, kind: str, encoding: str, packed: bytes
) -> None:
    headers = {"content-type": kind, "content-encoding": encoding}
    server.replies.extend([Reply(headers=headers, body=packed)] * 2)
    for ask in (side.ask, side.stream):
        with pytest.raises(nbvlm.Error) as caught:
            ask(SCENE, "caption en")
        assert KEY.encode() not in pickle.dumps(caught.value)
        assert caught.value.__context__ is caught.value.__cause__ is None


def test_a_compressed_refusal_that_is_damaged_keeps_its_status(side: Any, server: Loopback) -> None:
    server.replies.append(Reply(422, headers={"content-encoding": "gzip"}, body=b"abcd"))
    with pytest.raises(nbvlm.RequestRejected):
        side.ask(SCENE, "caption en")


# Empty answers.


@pytest.mark.parametrize(
    ("message", "reason", "words"),
    [
        ({"content": None, "refusal": "I cannot help."}, "stop", "refused to answer: I cannot help."),
        ({"content": None}, "stop", "The answer is empty."),
        ({"content": ""}, "content_filter", "content filter"),
        ({"content": " "}, "length", "cut at max_tokens"),
    ],
)
def test_an_empty_answer_says_why(
    side: Any, server: Loopback, message: dict[str, Any], reason: str, words: str
) -> None:
    server.replies.append(whole(message, reason))
    assert any(words in notice for notice in side.ask(SCENE, "caption en").notices)
    chunk = {"choices": [{"delta": message, "finish_reason": None}]}
    server.replies.append(stream(chunk, delta("", reason)))
    assert any(words in notice for notice in side.stream(SCENE, "caption en").result.notices)


def test_an_answer_with_text_has_no_such_notice(side: Any, server: Loopback) -> None:
    server.replies.append(whole({"content": "a red car", "reasoning": "long thought", "refusal": None}))
    assert side.ask(SCENE, "caption en").notices == ()


# Halves of characters.


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ([r"a \ud83d", r"\ude00 b"], "a \N{GRINNING FACE} b"),
        ([r"a \ud83d", r"\ude00", r"\ud83d", r"\ude00"], "a \N{GRINNING FACE}\N{GRINNING FACE}"),
        ([r"a \ud83d", " b"], r"a \ud83d b"),
        ([r"a \ude00", r"\ud83d"], r"a \ude00\ud83d"),
        ([r"\ud83d\ud83d", r"\ude00"], "\\ud83d\N{GRINNING FACE}"),
        ([r"<loc0001>\ud83d", "<loc0002><loc0003><loc0004> cat"], None),
    ],
)
def test_halves_of_a_character_are_joined_or_escaped(
    side: Any, server: Loopback, chunks: list[str], text: str | None
) -> None:
    form = 'data: {"id": "\\ud83d", "choices": [{"delta": {"content": "%s"}}]}\n\n'
    server.replies.append(stream(*((form % chunk).encode() for chunk in chunks)))
    stopped = side.stream(SCENE, "caption en")
    assert text in (None, stopped.result.text)
    assert stopped.text == stopped.result.text
    stopped.result.to_json().encode()


def test_halves_of_a_character_in_thinking_are_joined_too(side: Any, server: Loopback) -> None:
    form = 'data: {"choices": [{"delta": {"reasoning_content": "%s"}}]}\n\n'
    thoughts = [(form % half).encode() for half in (r"a \ud83d", r"\ude00 b", r" \ud83d")]
    server.replies.append(stream(*thoughts, "a red car"))
    result = side.stream(SCENE, "caption en").result
    assert (result.text, result.reasoning) == ("a red car", "a \N{GRINNING FACE} b \\ud83d")


def test_a_half_in_an_error_is_escaped(side: Any, server: Loopback) -> None:
    body = rb'{"detail": "half \ud83d", "requestId": "\ud83d", "\ud83d": ["\ud83d"]}'
    server.replies.append(Reply(422, body=body))
    with pytest.raises(nbvlm.RequestRejected) as caught:
        side.ask(SCENE, "caption en")
    error = caught.value
    json.dumps([str(error), error.detail, error.request_id], ensure_ascii=False).encode()


# What a server says is bounded, printable and without the key.


def test_a_request_id_is_clean(side: Any, server: Loopback) -> None:
    def echo(seen: Any) -> Reply:
        key = seen.headers["authorization"].split()[1]
        return problem(401, "no", nvcf_reqid=f"{key}{'A' * 5000}")

    server.replies.append(echo)
    with pytest.raises(nbvlm.AuthenticationError) as caught:
        side.ask(SCENE, "caption en")
    assert KEY not in f"{caught.value} {side.client.requests}"
    assert len(str(caught.value)) < 1000
    assert len(side.client.requests[-1].request_id) <= 128
    server.replies.append(stream({**delta("a", "stop"), "id": f"\x1b[2J{KEY}"}))
    server.replies[-1].headers.pop("nvcf-reqid")
    assert side.stream(SCENE, "caption en").result.request_id == "\\x1b[2J***"


@pytest.mark.parametrize(
    "body",
    [
        b'{"detail":' * 900 + b"1" + b"}" * 900,
        b'{"detail":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"error":' * 450 + b'{"a":1}' + b"}" * 450,
        b"[" * 100_000,
        b'{"detail": "' + b"[" * 15_000 + b'"}',
    ],
    ids=["details", "lists", "errors", "brackets", "a repr"],
)
def test_nesting_is_bounded(side: Any, server: Loopback, body: bytes) -> None:
    server.replies.append(Reply(400, body=body))
    with pytest.raises(nbvlm.RequestRejected) as caught:
        side.ask(SCENE, "caption en")
    pickle.dumps(caught.value)
    server.replies.append(stream(b"event: error\ndata: " + body + b"\n\n"))
    with pytest.raises(nbvlm.Error):
        side.stream(SCENE, "caption en")


def test_words_of_a_server_are_printable(side: Any, server: Loopback) -> None:
    server.replies.append(problem(400, "\x1b[2J\x07 no\r\n\nno"))
    with pytest.raises(nbvlm.RequestRejected) as caught:
        side.ask(SCENE, "caption en")
    assert str(caught.value).isprintable()
