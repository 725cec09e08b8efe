"""Connections that are kept, cut and shared: the promises that httpx and aiohttp do not make alone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import httpcore
import httpx
import pytest
from support.loopback import MODEL, Loopback, Reply, answer, stream
from support.sides import KEY, LARGE, SCENE, AsyncSide, SyncSide

import nbvlm
from nbvlm.client import transports
from nbvlm.client.connections import Backend
from nbvlm.client.policies import Retry, Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Open = Callable[..., Any]

KINDS = ("sync", "aiohttp", "httpx")


@pytest.fixture(params=KINDS)
def open_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a client of each kind of transport; each tries once."""
    if request.param == "httpx":
        monkeypatch.setattr(transports, "_is_installed", lambda name: name != "aiohttp")
    opened = []

    def open_one(url: str, **options: Any) -> Any:
        side = SyncSide if request.param == "sync" else AsyncSide
        opened.append(side("nvidia", base_url=url, api_key=KEY, retry=Retry.never(), **options))
        return opened[-1]

    yield open_one
    for side in opened:
        side.close()


class Script:
    """A server that runs a function for each request: `answer(connection, body, number of the request)`."""

    def __init__(
        self, respond: Callable[[socket.socket, bytes, int], object], host: str = "127.0.0.1"
    ) -> None:
        self.respond = respond
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.listener.getsockname()[1]}"
        self.connections = self.requests = 0
        self.open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        for connection in (self.listener, *self.open):
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as file:
                # One without a request is somebody else's: a page that looks for a server that had this port.
                for count in itertools.count():
                    if (head := self._head(file)) is None:
                        return
                    self.connections += not count
                    self.requests += 1
                    body = file.read(int(head.get("content-length", 0)))
                    self.respond(connection, body, self.requests)
        except (OSError, ValueError):
            return

    def _head(self, file: Any) -> dict[str, str] | None:
        lines = []
        while (line := file.readline()) not in (b"\r\n", b""):
            lines.append(line.decode())
        pairs = (line.partition(":") for line in lines[1:])
        return {name.lower(): value.strip() for name, _, value in pairs} if lines else None


def whole(text: str) -> bytes:
    body = answer(text).body
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


def chunked(text: str, *, cut: int = 0) -> bytes:
    body = answer(text).body
    pieces = (body[:cut], body[cut:]) if cut else (body,)
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        + b"0\r\n\r\n"
    )


# Surplus bytes.


@pytest.mark.parametrize("framed", [whole, chunked], ids=["length", "chunks"])
@pytest.mark.parametrize("surplus", [whole("wrong"), chunked("wrong"), b"HTTP/1.1 200 OK\r\n", b"x"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_a_connection_with_surplus_bytes_is_never_used_again(
    open_kind: Open, framed: Callable[[str], bytes], surplus: bytes, late: bool
) -> None:
    sent = threading.Event()

    def respond(connection: socket.socket, _body: bytes, number: int) -> None:
        if late:
            connection.sendall(framed(f"answer {number}"))
            time.sleep(0.02)
            connection.sendall(surplus)
        else:
            connection.sendall(framed(f"answer {number}") + surplus)
        sent.set()

    with Script(respond) as server:
        side = open_kind(server.url)
        for number in range(1, 5):
            sent.clear()
            assert side.ask(SCENE, "caption en").text == f"answer {number}"
            assert sent.wait(10)
        assert server.connections == 4


@pytest.mark.parametrize("cut", range(1, 12))
def test_surplus_is_noticed_wherever_the_end_of_the_chunks_is_cut(open_kind: Open, cut: int) -> None:
    def respond(connection: socket.socket, _body: bytes, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = chunked(f"answer {number}")
        for piece in (answer[:-cut], answer[-cut:] + b"HTTP/1.1 200 OK\r\n"):
            time.sleep(0.02)  # so that the pieces arrive apart
            connection.sendall(piece)

    with Script(respond) as server:
        side = open_kind(server.url)
        assert [side.ask(SCENE, "caption en").text for _ in range(2)] == ["answer 1", "answer 2"]
        assert server.connections == 2


def after_interim(text: str) -> bytes:
    return b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + whole(text)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("framed", [whole, chunked, after_interim])
def test_where_an_answer_is_cut_makes_no_difference(
    open_kind: Open, framed: Callable[[str], bytes], size: int
) -> None:
    def respond(connection: socket.socket, _body: bytes, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = framed(f"answer {number}")
        for start in range(0, len(wire), size):
            connection.sendall(wire[start : start + size])

    with Script(respond) as server:
        side = open_kind(server.url)
        assert [side.ask(SCENE, "caption en").text for _ in range(3)] == ["answer 1", "answer 2", "answer 3"]
        assert server.connections == 1


# Time limits, and stopping.

STRICT = Timeouts(connect=1, first_token=0.4, between_tokens=0.4, total=0.8)


@pytest.mark.parametrize(
    "begin", [b"", b"HTTP/1.1 200 OK\r\nx: "], ids=["interim answers", "a dripping head"]
)
def test_a_head_without_end_is_bounded(open_kind: Open, begin: bytes) -> None:
    stop = threading.Event()

    def respond(connection: socket.socket, _body: bytes, _number: int) -> None:
        connection.sendall(begin)
        while not stop.wait(0.01):
            connection.sendall(b"y" if begin else b"HTTP/1.1 100 Continue\r\n\r\n")

    with Script(respond) as server:
        side = open_kind(server.url, timeout=STRICT)
        began = time.monotonic()
        with pytest.raises(nbvlm.TimeoutError):
            side.ask(SCENE, "caption en")
        assert time.monotonic() - began < 3
        stop.set()


@pytest.mark.parametrize("status", ["200 OK", "500 Oops"])
@pytest.mark.parametrize(
    "piece", [b"data: {}\n\n", b": \n", b"word " * 8000], ids=["events", "comments", "words"]
)
def test_a_body_without_end_is_bounded(open_kind: Open, status: str, piece: bytes) -> None:
    """In time as in size, that of an answer and that of a refusal."""
    stop = threading.Event()
    sent = 0

    def respond(connection: socket.socket, _body: bytes, _number: int) -> None:
        nonlocal sent
        head = b"HTTP/1.1 %s\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.sendall(head % status.encode())
        while not stop.wait(0.01 if len(piece) < 100 else 0):
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            sent += len(piece)

    with Script(respond) as server:
        side = open_kind(server.url, timeout=STRICT)
        began = time.monotonic()
        with pytest.raises(nbvlm.Error):
            side.ask(SCENE, "caption en")
        assert time.monotonic() - began < 3
        assert status[0] == "2" or sent < 20_000_000
        stop.set()


def test_tokens_without_end_are_bounded(open_kind: Open) -> None:
    stop = threading.Event()
    token = b'data: {"choices": [{"delta": {"content": "word "}}]}\n\n'

    def respond(connection: socket.socket, _body: bytes, _number: int) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.sendall(head)
        while not stop.wait(0.01):
            connection.sendall(b"%x\r\n%s\r\n" % (len(token), token))

    with Script(respond) as server:
        side = open_kind(server.url, timeout=STRICT)
        began = time.monotonic()
        with pytest.raises(nbvlm.TimeoutError, match="did not end"):
            side.stream(SCENE, "caption en")
        assert time.monotonic() - began < 3
        stop.set()


def test_a_transport_of_ones_own_is_bounded_too() -> None:
    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(60)
            raise AssertionError

    side = AsyncSide("nvidia", api_key=KEY, transport=Slow(), timeout=STRICT, retry=Retry.never())
    with pytest.raises(nbvlm.TimeoutError):
        side.ask(SCENE, "caption en")
    side.close()


@pytest.mark.parametrize("own", [False, True], ids=["our transport", "a transport of one's own"])
@pytest.mark.parametrize("begun", [False, True], ids=["before the first byte", "after it"])
def test_stop_ends_a_blocked_read_on_a_used_connection(server: Loopback, own: bool, begun: bool) -> None:
    if own and not begun:
        pytest.skip("httpx shows the connection with the response")
    transport = httpx.HTTPTransport() if own else None
    with nbvlm.Client("nvidia", base_url=server.url, api_key=KEY, transport=transport) as client:
        client.ask(SCENE, "caption en")
        reply = stream("a red", done=False, hold=True) if begun else Reply(wait=60.0)
        server.replies.append(reply)
        with client.stream(SCENE, "caption en") as stopped:
            ended: list[float] = []

            def consume() -> None:
                list(stopped)
                ended.append(time.monotonic())

            reader = threading.Thread(target=consume)
            reader.start()
            assert server.wait_for(lambda: len(server.seen) == 2)
            while begun and not stopped.text:
                time.sleep(0.005)
            began = time.monotonic()
            stopped.cancel()
            reader.join(10)
        assert ended[0] - began < 0.5
        assert server.connections == 1


def silent(stack: contextlib.ExitStack, *, accepts: bool) -> int:
    """Return the port of a server that says nothing, or takes no more connections: its queue is full."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=9 if accepts else 0))
    for _ in range(0 if accepts else 4):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
    port: int = listener.getsockname()[1]
    return port


WAITS = ["connect", "TLS", "interim answers", "a dripping head", "a refusal"]


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("kind", KINDS)
def test_stop_takes_half_a_second_wherever_a_stream_waits(
    kind: str, wait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()
    pieces = {
        "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "a dripping head": (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        "a refusal": (b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    }

    def respond(connection: socket.socket, _body: bytes, _number: int) -> None:
        head, piece = pieces[wait]
        connection.sendall(head)
        while not ended.wait(0.01):
            connection.sendall(piece)
            begun.set()

    if kind == "httpx":
        monkeypatch.setattr(transports, "_is_installed", lambda name: name != "aiohttp")
    with contextlib.ExitStack() as stack:
        stack.callback(ended.set)
        if wait in pieces:
            url = stack.enter_context(Script(respond)).url
        else:
            scheme = "https" if wait == "TLS" else "http"
            url = f"{scheme}://127.0.0.1:{silent(stack, accepts=wait == 'TLS')}"
            begun.set()
        options: dict[str, Any] = {"base_url": url, "api_key": KEY, "retry": Retry.never()}
        took = stopped_after(kind, options, begun)
    assert took < 0.5


def stopped_after(kind: str, options: dict[str, Any], begun: threading.Event) -> float:
    """Stop a stream once its server has begun, and return the seconds until its loop has ended."""
    marks: list[float] = []
    if kind == "sync":
        with nbvlm.Client("nvidia", **options) as client, client.stream(SCENE, "caption en") as stream:

            def consume() -> None:
                list(stream)
                marks.append(time.monotonic())

            reader = threading.Thread(target=consume)
            reader.start()
            assert begun.wait(10)
            time.sleep(0.2)
            marks.append(time.monotonic())
            stream.cancel()
            reader.join(10)
        return marks[1] - marks[0]

    async def run() -> float:
        async with nbvlm.AsyncClient("nvidia", **options) as client:

            async def consume() -> None:
                async with client.stream(SCENE, "caption en") as stream:
                    async for _ in stream:
                        pass

            task = asyncio.create_task(consume())
            assert await asyncio.to_thread(begun.wait, 10)
            await asyncio.sleep(0.2)
            began = time.monotonic()
            task.cancel()
            await asyncio.wait([task])
            return time.monotonic() - began

    return asyncio.run(run())


# Uploads.


def test_an_early_refusal_of_an_upload_is_read(open_kind: Open) -> None:
    """The storage refuses after the first bytes, and throws the rest away until the client hangs up."""
    refusal = b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 23\r\n\r\n"
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    made = json.dumps({"assetId": "a-1", "uploadUrl": f"{url}/put"}).encode()

    def refuse() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(made), made))
            while b"PUT" not in connection.recv(65_536):
                pass
            connection.sendall(refusal + b'{"detail": "too large"}')
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 20):
                pass

    thread = threading.Thread(target=refuse, daemon=True)
    thread.start()
    side = open_kind(url, assets_url=url, timeout=Timeouts(cleanup=0.1))
    with pytest.raises(nbvlm.AssetError, match="too large"):
        side.call("assets.upload", LARGE + b"\0" * 8_000_000)
    listener.close()
    thread.join(10)


def test_a_signed_address_goes_out_as_it_came(open_kind: Open) -> None:
    targets = []
    path = "/put/a%2Fb%40c?X-Amz-Credential=AK%2F2026&X-Amz-Signature=a%2Bb%3D~%7E+c"

    def respond(connection: socket.socket, body: bytes, _number: int) -> None:
        made = json.dumps({"assetId": "a-1", "uploadUrl": server.url + path}).encode()
        made = made if body.startswith(b"{") else b"{}"
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(made), made))

    class Noting(Script):
        def _head(self, file: Any) -> dict[str, str] | None:
            targets.append(file.readline().decode().split(" ")[1:2])
            file = _Behind(file)
            return super()._head(file)

    with Noting(respond) as server:
        open_kind(server.url, assets_url=server.url).call("assets.upload", nbvlm.Picture.load(LARGE))
    assert [path] in targets


class _Behind:
    """The rest of a head whose first line has been read."""

    def __init__(self, file: Any) -> None:
        self.file, self.first = file, True

    def readline(self) -> bytes:
        if self.first:
            self.first = False
            return b"first line\r\n"
        return self.file.readline()


# Other processes.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_child_process_inherits_no_connection() -> None:
    def respond(connection: socket.socket, body: bytes, _number: int) -> None:
        prompt = json.loads(body)["messages"][0]["content"].split(" <img")[0]
        time.sleep(0.002)
        connection.sendall(whole(f"answer {prompt}"))

    with Script(respond) as server:
        client = nbvlm.Client("nvidia", base_url=server.url, api_key=KEY)
        client.ask(SCENE, "before")
        context = multiprocessing.get_context("fork")
        found = context.SimpleQueue()

        def child(name: int) -> None:
            prompts = [f"caption {name} {number}" for number in range(20)]
            found.put([client.ask(SCENE, prompt).text == f"answer {prompt}" for prompt in prompts])
            found.put(asyncio.run(awaited()))

        async def awaited() -> list[bool]:
            async with nbvlm.AsyncClient.from_settings(client.settings) as copy:
                return [(await copy.ask(SCENE, "awaited")).text == "answer awaited"]

        children = [context.Process(target=child, args=(name,)) for name in range(3)]
        for process in children:
            process.start()
        mine = [client.ask(SCENE, f"mine {number}").text for number in range(20)]
        answers = [found.get() for _ in range(6)]
        for process in children:
            process.join(20)
        client.close()
    assert mine == [f"answer mine {number}" for number in range(20)]
    assert all(all(each) for each in answers)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_a_child_process_deletes_no_upload_of_its_parent(server: Loopback, kind: str) -> None:
    client = getattr(nbvlm, kind)("nvidia", base_url=server.url, api_key=KEY)
    client._temporary.add("a-1")  # an upload on its way
    child = os.fork()
    if child == 0:
        client._end()  # as at the end of the process
        os._exit(0)
    os.waitpid(child, 0)
    assert server.deleted == []
    client._temporary.clear()


# Addresses.


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
def test_an_ipv6_address_is_asked(open_kind: Open) -> None:
    try:
        script = Script(lambda connection, _body, _number: connection.sendall(whole("a red car")), "::1")
    except OSError:
        pytest.skip("there is no IPv6 loopback here")
    with script as server:
        assert open_kind(server.url).ask(SCENE, "caption en").text == "a red car"


# A queue where aiohttp is missing.


def test_without_aiohttp_few_connections_serve_many_tasks_in_turn(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "_is_installed", lambda name: name != "aiohttp")
    monkeypatch.setattr(transports, "AT_ONCE", 4)
    ended: list[int] = []

    async def run() -> None:
        async with nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY) as client:

            async def one(number: int) -> None:
                assert (await client.ask(SCENE, "caption en")).text == "a red car"
                ended.append(number)

            await asyncio.gather(*(one(number) for number in range(40)))

    asyncio.run(run())
    assert server.connections <= 4
    assert all(abs(place - number) < 12 for place, number in enumerate(ended))
    assert [seen.path for seen in server.seen] == [MODEL] * 40


def test_surplus_bytes_are_noticed_where_the_pool_has_looked_too_early() -> None:
    # Another thread may end an answer between the pool's look at a connection and its choice.
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = Backend().connect_tcp("127.0.0.1", listener.getsockname()[1], timeout=5)
        theirs, _ = listener.accept()
        with theirs:
            stream.write(b"GET /1 HTTP/1.1\r\n\r\n")
            theirs.sendall(whole)
            assert stream.read(65_536, 5) + stream.read(65_536, 5) == whole
            stream.write(b"GET /2 HTTP/1.1\r\n\r\n")
            theirs.sendall(whole + b"HTTP/1.1 200 OK\r\n")
            assert stream.read(65_536, 5).startswith(whole)
            with pytest.raises(httpcore.ConnectError):
                stream.write(b"GET /3 HTTP/1.1\r\n\r\n")
        stream.close()


@pytest.mark.parametrize("kind", ["aiohttp", "httpx"])
def test_cancelled_questions_leave_no_connection_behind(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "httpx":
        monkeypatch.setattr(transports, "_is_installed", lambda name: name != "aiohttp")

    async def run() -> None:
        async with nbvlm.AsyncClient(
            "nvidia", base_url=server.url, api_key=KEY, retry=Retry.never()
        ) as client:
            for turns in range(120):  # cancelled at every point of a question
                task = asyncio.create_task(client.ask(SCENE, "caption en"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await client.ask(SCENE, "caption en")
            assert await asyncio.to_thread(server.wait_for, lambda: server.open <= 2)

    asyncio.run(run())
