"""HTTP/1.1 by our own reader, and by h11 beside it: the same bytes, the same answer or the same refusal."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbvlm.client import http1
from nbvlm.client.http1 import Answer, ProtocolError, request_head

Read = tuple[int, list[tuple[bytes, bytes]], bytes, bool]


def ours(wire: bytes, places: tuple[int, ...] = (), method: str = "GET") -> Read:
    """Status, headers, body, whether the connection may be used again; it ends after `wire`."""
    answer = Answer(method)
    body = b""
    for piece in pieces(wire, places):
        body += answer.feed(piece)
        if answer.complete:
            break
    reusable = answer.reusable
    if not answer.complete:
        answer.end()
    headers = [(name.lower(), value) for name, value in answer.headers]
    return answer.status, without_framing(headers), body, reusable


def without_framing(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """h11 rewrites the two headers that frame a body."""
    return [header for header in headers if header[0] not in (b"transfer-encoding", b"content-length")]


def theirs(wire: bytes, method: str = "GET") -> Read:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(wire)
    connection.receive_data(b"")
    status, headers, body = 0, [], b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            status, headers = event.status_code, list(event.headers)
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            framed = len(without_framing(headers)) < len(headers) or status in (204, 304)
            again = framed and connection.their_state is h11.DONE and not connection.trailing_data[0]
            return status, without_framing(headers), body, again
        assert not isinstance(event, h11.ConnectionClosed)


def pieces(wire: bytes, places: tuple[int, ...]) -> list[bytes]:
    ends = [*sorted(place % (len(wire) + 1) for place in places), len(wire)]
    return [wire[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True) if end > start]


GOOD = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"
        b"5;a=b\r\nhello\r\n00A \r\n0123456789\r\n0\r\nx: y\r\n\r\n"
    ),
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 404 \r\ncontent-length: 2\r\n\r\nno",
    b"HTTP/1.1 200\r\ncontent-length: 2, 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\nx: y\ncontent-length: 2\n\nok",
    b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nempty:\r\nlatin: \xe9\r\ncontent-length: 2\r\n\r\nok",
]
BAD = [
    b"",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nna me: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n",
    b"HTTP/2 200 OK\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
]


@pytest.mark.parametrize("wire", GOOD)
def test_good_answers_are_read_as_h11_reads_them(wire: bytes) -> None:
    assert ours(wire) == theirs(wire)


@pytest.mark.parametrize("wire", GOOD)
def test_an_answer_to_head_has_no_body(wire: bytes) -> None:
    head = wire.split(b"\r\n\r\n" if b"\r\n\r\n" in wire else b"\n\n")[0] + b"\r\n\r\n"
    if b"\r\nHTTP" not in wire:
        assert ours(head, method="HEAD")[:3] == theirs(head, method="HEAD")[:3]


@pytest.mark.parametrize("wire", BAD)
def test_bad_answers_are_refused_as_h11_refuses_them(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        ours(wire)
    with pytest.raises((h11.RemoteProtocolError, AssertionError)):
        theirs(wire)


@pytest.mark.parametrize("wire", GOOD)
@given(places=st.lists(st.integers(0, 200), max_size=6))
def test_where_an_answer_is_cut_makes_no_difference(wire: bytes, places: list[int]) -> None:
    assert ours(wire, tuple(places)) == ours(wire)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good answer with a few bytes changed."""
    wire = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(wire) - 1))
        if draw(st.integers(0, 4)):
            wire[place] = draw(st.sampled_from(list(b"\r\n\t :;,0159aAfFxg\x00\x7f\xff")))
        else:
            del wire[place]
    return bytes(wire)


@given(mutated())
@example(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello0\r\n0\r\n\r\n")
def test_what_we_accept_h11_accepts_with_the_same_meaning(wire: bytes) -> None:
    try:
        found = ours(wire)
    except ProtocolError:
        return
    assert found == theirs(wire)


def test_bytes_behind_the_answer_end_the_connection() -> None:
    for wire in (GOOD[0], GOOD[2], GOOD[7]):
        assert ours(wire)[3] is True
        assert ours(wire + b"HTTP/1.1 200 OK\r\n\r\n")[3] is False


def test_two_framings_at_once_end_the_connection() -> None:
    wire = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    assert ours(wire)[2:] == (b"ok", False)


def test_an_endless_head_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "LARGEST_HEAD", 1000)
    answer = Answer("GET")
    answer.feed(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(ProtocolError, match="too large"):
        feed_often(answer, b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n")


def feed_often(answer: Answer, piece: bytes) -> None:
    for _ in range(100):
        answer.feed(piece)


def test_a_request_is_written_as_h11_reads_it() -> None:
    head = request_head("POST", b"/v1/x?y=z", [(b"host", b"example.org"), (b"content-length", b"2")])
    server = h11.Connection(h11.SERVER)
    server.receive_data(head + b"ok")
    event = server.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (b"POST", b"/v1/x?y=z")
    assert list(event.headers) == [(b"host", b"example.org"), (b"content-length", b"2")]


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("GET ", b"/", (b"host", b"x")),
        ("GET", b"/a b", (b"host", b"x")),
        ("GET", b"/a\r\nx: y", (b"host", b"x")),
        ("GET", b"/", (b"ho st", b"x")),
        ("GET", b"/", (b"authorization", b"Bearer secret\r\nx: y")),
        ("GET", b"/", (b"authorization", b"Bearer secret\x00")),
        ("GET", b"/", (b"authorization", b" Bearer secret")),
    ],
)
def test_a_request_that_cannot_be_written_is_refused_without_its_values(
    method: str, target: bytes, header: tuple[bytes, bytes]
) -> None:
    with pytest.raises(ProtocolError) as caught:
        request_head(method, target, [header])
    assert "secret" not in str(caught.value)
