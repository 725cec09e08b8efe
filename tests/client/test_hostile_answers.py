"""Answers that break the rules of HTTP or of the protocol: bounded, in clear words, and asked once."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import tracemalloc
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.loopback import Loopback, Reply, answer, problem, stream
from support.sides import KEY, LARGE, QUICK, SCENE

import nbvlm
from nbvlm.client import Retry, Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Open = Callable[..., Any]

JSON = {"content-type": "application/json"}


@contextmanager
def answering(wire: bytes, *, then: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """Serve the same bytes, whatever is asked, and close; yield the origin and the requests so far.

    With `then`, these follow when the first have been read.
    """
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                head, _, body = received(connection).partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
                while len(body) < length:
                    body += connection.recv(1 << 16)
                seen.append(head)
                connection.sendall(wire)
                if then:
                    go_on.wait(10)
                    connection.sendall(then)

    go_on = threading.Event()
    answering.go_on = go_on  # type: ignore[attr-defined]
    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        go_on.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def received(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(1 << 16)
    return data


def after_text(event: object, _: object) -> None:
    if isinstance(event, nbvlm.TextDelta):
        answering.go_on.set()  # type: ignore[attr-defined]


# Bounds


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_a_trickle_of_blanks_does_not_put_off_a_time_limit(
    open_side: Open, server: Loopback, kind: str
) -> None:
    pieces: list[bytes | float] = [b" ", 0.02] * 2_000
    server.replies.append(Reply(headers={"content-type": kind}, pieces=pieces))
    side = open_side(timeout=Timeouts(first_token=0.4, total=0.5))
    with pytest.raises(nbvlm.TimeoutError):
        side.ask(SCENE, "caption en")


def test_blanks_count_as_a_part_of_an_answer(side: Any, server: Loopback) -> None:
    server.replies.append(Reply(headers=JSON, pieces=[b" " * (1 << 20)] * 17))
    with pytest.raises(nbvlm.TransportError, match="larger than 16 MB"):
        side.ask(SCENE, "caption en")


def test_the_first_piece_of_an_answer_counts_too(side: Any, server: Loopback) -> None:
    body = gzip.compress(b'{"choices": "' + b"x" * (17 << 20) + b'"}')
    server.replies.append(Reply(headers=JSON | {"content-encoding": "gzip"}, body=body))
    with pytest.raises(nbvlm.TransportError, match="larger than 16 MB"):
        side.ask(SCENE, "caption en")


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("status", [200, 422])
def test_an_answer_that_grows_when_unpacked_is_refused_before_it_is_in_memory(
    side: Any, server: Loopback, kind: str, status: int
) -> None:
    packer = zlib.compressobj(wbits=31)
    body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    server.replies.append(
        Reply(status, headers={"content-type": kind, "content-encoding": "gzip"}, body=body)
    )
    tracemalloc.start()
    try:
        with pytest.raises(nbvlm.Error):
            side.ask(SCENE, "caption en")
        assert tracemalloc.get_traced_memory()[1] < 80 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("coding", ["br", "gzip, br", "zstd", "x" * 200])
def test_an_answer_packed_as_was_not_asked_for_says_so(
    side: Any, server: Loopback, kind: str, coding: str
) -> None:
    server.replies.append(Reply(headers={"content-type": kind, "content-encoding": coding}, body=b"packed"))
    with pytest.raises(nbvlm.TransportError, match=r"compressed as .*, which was not requested"):
        side.ask(SCENE, "caption en")


@pytest.mark.parametrize("wbits", [31, 15, -15])
@pytest.mark.parametrize("size", [7, 1 << 20])
def test_packed_events_are_read_as_they_come(side: Any, server: Loopback, wbits: int, size: int) -> None:
    packer = zlib.compressobj(wbits=wbits)
    whole = b"".join(piece for piece in stream("a red", " car").pieces if isinstance(piece, bytes))
    packed = packer.compress(whole) + packer.flush()
    coding = "gzip" if wbits == 31 else "deflate"
    pieces: list[Any] = [packed[start : start + size] for start in range(0, len(packed), size)]
    headers = {"content-type": "text/event-stream", "content-encoding": coding}
    server.replies.append(Reply(headers=headers, pieces=pieces))
    assert side.stream(SCENE, "caption en").result.text == "a red car"


@pytest.mark.parametrize("blanks", [[b" \r\n"], [b"\n", b"  ", b"\t"], [b"\xef\xbb\xbf", b" "]])
def test_blanks_before_an_answer_are_passed_over(side: Any, server: Loopback, blanks: list[bytes]) -> None:
    server.replies += [
        Reply(headers=JSON, pieces=[*blanks, answer("a cat").body]),
        Reply(headers=JSON, pieces=[*blanks, *stream("a", " dog").pieces]),
    ]
    assert side.ask(SCENE, "caption en").text == "a cat"
    assert side.stream(SCENE, "caption en").result.text == "a dog"


@pytest.mark.parametrize(
    "value", ["Mon, 01 Jan 2024 00:00:00 +99999999999999", "inf", "1e999", "-inf", "nan", "soon", ""]
)
def test_a_wait_that_cannot_be_read_is_none(open_side: Open, server: Loopback, value: str) -> None:
    server.replies.append(problem(429, "slower", retry_after=value))
    with pytest.raises(nbvlm.RateLimitError) as caught:
        open_side(retry=Retry.never()).ask(SCENE, "caption en")
    assert caught.value.retry_after is None
    assert "asks to wait" not in str(caught.value)


# What is not HTTP


HEAD = b"HTTP/1.1 200 OK\r\nset-cookie: session=COOKIE-OF-A-PROXY\r\n"


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 2zz OK\r\n\r\n",
        HEAD + b"content-length: x\r\n\r\n",
        HEAD + b"bad\0header: 1\r\n\r\n",
        HEAD + b"set-cookie: session=COOKIE-OF-A-PROXY\0\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\nset-cookie: session=COOKIE-OF-A-PROXY\r\n\r\n",
    ],
)
def test_an_answer_that_cannot_be_read_is_asked_for_once_and_not_quoted(open_side: Open, wire: bytes) -> None:
    with answering(wire) as (origin, seen):
        with pytest.raises(
            nbvlm.TransportError, match=r"127\.0\.0\.1:\d+ sent an answer that is not"
        ) as caught:
            open_side(base_url=origin).ask(SCENE, "caption en")
        assert len(seen) == 1
    assert "COOKIE" not in str(caught.value)


def test_a_head_that_is_cut_is_a_broken_connection_and_not_quoted(open_side: Open) -> None:
    with answering(HEAD + b"content-le") as (origin, seen):
        with pytest.raises(nbvlm.TransportError, match=r"server closed the connection") as caught:
            open_side(base_url=origin).ask(SCENE, "caption en")
        assert len(seen) == QUICK.connection_attempts
    assert "COOKIE" not in str(caught.value)


@pytest.mark.parametrize("damage", [b"zz\r\nfoo\r\n", b"2\r\nabcdefgh\r\n"])
def test_a_damaged_chunk_ends_an_answer_at_once(open_side: Open, damage: bytes) -> None:
    piece = b'data: {"choices":[{"index":0,"delta":{"content":"a ca"}}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    with answering(head + b"%x\r\n%s\r\n" % (len(piece), piece), then=damage) as (origin, _):
        with pytest.raises(nbvlm.TruncatedStream) as caught:
            open_side(base_url=origin).stream(SCENE, "caption en", each=after_text)
        assert caught.value.text == "a ca"


# The storage of large results, and of pictures


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 500])
def test_a_storage_that_refuses_says_nothing_of_key_and_model(
    open_side: Open, server: Loopback, status: int
) -> None:
    address = f"{server.url}/storage/account-77/x?X-Amz-Signature=topsecret"
    server.replies.append(Reply(302, {"location": address}))
    server.storage_replies += [Reply(status, {}, b"<Error><Code>X</Code></Error>")] * 9
    with pytest.raises(nbvlm.Error) as caught:
        open_side().ask(SCENE, "caption en")
    text = str(caught.value)
    assert not any(word in text for word in ("key", "retired", "another model", "topsecret", "account-77"))
    assert caught.value.gone is None
    assert sum(seen.method == "GET" for seen in server.seen) == 1


def test_a_picture_too_large_for_the_storage_is_sent_another_way(open_side: Open, server: Loopback) -> None:
    server.storage_replies += [Reply(413, {}, b"")] * 9
    with pytest.raises(nbvlm.AssetError, match=r'too large for the asset service .*route="inline"'):
        open_side().ask(LARGE, "caption en", route="asset")


# Connections


def test_polls_go_over_one_connection(side: Any, server: Loopback) -> None:
    waiting = Reply(202, {"nvcf-reqid": "11111111-2222-3333-4444-555555555555"})
    server.replies.append(waiting)
    server.poll_replies += [waiting, answer("at last")]
    assert side.ask(SCENE, "caption en").text == "at last"
    assert server.connections == 1


def test_a_202_without_an_end_holds_no_poll_up(open_side: Open, server: Loopback) -> None:
    name = {"nvcf-reqid": "11111111-2222-3333-4444-555555555555"}
    server.replies.append(Reply(202, name, pieces=[b"{}"], hold=True))
    server.poll_replies.append(answer("at last", wait=1.0))  # longer than the end of a response may take
    assert open_side().ask(SCENE, "caption en").text == "at last"


def test_a_stream_of_a_closed_client_opens_no_connection(open_side: Open, server: Loopback) -> None:
    side = open_side()
    stream = side.client.stream(SCENE, "caption en")
    side.call("aclose") if side.name == "async" else side.close()
    with pytest.raises(nbvlm.Error, match="closed before the question was sent"):
        side.events(stream)
    assert server.connections == 0


# Transports of the caller


def test_a_cancelled_question_frees_the_connection_of_a_blocking_client(server: Loopback) -> None:
    server.replies.append(answer("too late", wait=0.3))

    async def run() -> str:
        with httpx.Client(limits=httpx.Limits(max_connections=1)) as own:
            client = nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY, transport=own)
            task = asyncio.create_task(client.ask(SCENE, "caption en"))
            while not server.seen:  # noqa: ASYNC110 - the server runs in another thread
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return (await client.ask(SCENE, "caption en")).text

    assert asyncio.run(run()) == "a red car"


def test_an_empty_piece_does_not_end_a_body(open_side: Open) -> None:
    body = answer("a cat").body

    def pieces() -> Iterator[bytes]:
        yield from (body[:20], b"", b"", body[20:])

    own = httpx.MockTransport(lambda _: httpx.Response(200, headers=JSON, content=pieces()))
    client = httpx.Client(transport=own)  # which an AsyncClient runs in threads
    assert open_side(transport=client).ask(SCENE, "caption en").text == "a cat"


def test_a_body_of_the_callers_own_is_closed(open_side: Open) -> None:
    closed = []

    class Body(httpx.ByteStream):
        def close(self) -> None:
            closed.append("sync")

        async def aclose(self) -> None:
            closed.append("async")

    own = httpx.MockTransport(lambda _: httpx.Response(200, headers=JSON, stream=Body(answer("a cat").body)))
    side = open_side(transport=own)
    assert side.ask(SCENE, "caption en").text == "a cat"
    assert closed == [side.name]
