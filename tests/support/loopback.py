"""A hosted service in miniature on loopback: model, assets and storage, with faults to order.

It runs its own event loop in a thread. Requests for the model are answered from `server.replies` while
there are any, else with `server.text`. Everything that came is in `server.seen`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import uuid
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

MODEL = "/v1/vlm/google/paligemma"
ASSETS = "/v2/nvcf/assets"
PHRASES = {200: "OK", 202: "Accepted", 204: "No Content", 302: "Found", 404: "Not Found"}


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What to answer: a body, or pieces of one with pauses (floats, seconds) between them.

    `cut` closes the connection before the end; `hold` keeps the response open for ever after the last piece.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: list[bytes | float] | None = None
    cut: bool = False
    hold: bool = False
    wait: float = 0.0
    refuse: bool = False  # closes the connection without a word


def sse(*objects: Any, done: bool = True) -> list[bytes | float]:
    """Pieces of a stream: dicts become chunks, floats pauses, strings deltas, bytes stay."""
    pieces: list[bytes | float] = []
    for item in objects:
        if isinstance(item, (bytes, float)):
            pieces.append(item)
            continue
        pieces.append(b"data: %s\n\n" % json.dumps(delta(item) if isinstance(item, str) else item).encode())
    return [*pieces, b"data: [DONE]\n\n"] if done else pieces


def delta(text: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {
        "id": "c0ffee",
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
        ],
    }


def stream(*objects: Any, done: bool = True, **more: Any) -> Reply:
    headers = {"content-type": "text/event-stream", "nvcf-reqid": "11111111-2222-3333-4444-555555555555"}
    return Reply(headers=headers, pieces=sse(*objects, done=done), **more)


def answer(text: str, finish_reason: str = "stop", **more: Any) -> Reply:
    body = {
        "id": "c0ffee",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
        ],
        "usage": {"prompt_tokens": 265, "completion_tokens": 12, "total_tokens": 277},
    }
    headers = {"content-type": "application/json", "nvcf-reqid": "11111111-2222-3333-4444-555555555555"}
    return Reply(headers=headers, body=json.dumps(body).encode(), **more)


def problem(status: int, detail: Any = None, **headers: str) -> Reply:
    body = {"status": status, "title": "Title"} | ({"detail": detail} if detail is not None else {})
    kind = {"content-type": "application/problem+json"}
    return Reply(
        status,
        kind | {name.replace("_", "-"): value for name, value in headers.items()},
        json.dumps(body).encode(),
    )


class Loopback:
    """The server; a context manager.

    Attributes
    ----------
    model
        Path of the model.
    text
        What the model answers when nothing else is ordered.
    replies
        Ordered answers of the model, each a `Reply` or a function from `Seen` to one.
    asset_replies, storage_replies, delete_replies
        The same for creation, upload and deletion of assets.
    stored
        Assets that were filled: id to bytes.
    pages
        Further paths and what they answer, each a `Reply` or a function from `Seen` to one.
    seen
        All requests; `connections` counts sockets.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.as_new()
        self.connections = 0
        self.open = 0
        self.keep_bodies = True
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writers: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()

    def as_new(self) -> None:
        """Forget what was ordered and seen."""
        self.model = MODEL
        self.text = "a red car"
        self.result = answer(self.text).body
        self.replies: deque[Reply | Callable[[Seen], Reply]] = deque()
        self.poll_replies: deque[Reply] = deque()
        self.asset_replies: deque[Reply] = deque()
        self.storage_replies: deque[Reply] = deque()
        self.delete_replies: deque[Reply] = deque()
        self.pages: dict[str, Reply | Callable[[Seen], Reply]] = {}
        self.created: dict[str, tuple[str, str]] = {}
        self.stored: dict[str, bytes] = {}
        self.deleted: list[str] = []
        self.seen: list[Seen] = []

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        started = threading.Event()
        self._started = started
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [f"{seen.method} {seen.path}" for seen in self.seen]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 10) -> bool:
        """Wait until a condition on this server holds."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self.tls)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end(server))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        for _ in range(5):  # a connection that was just accepted gets its transport, so that it can be closed
            await asyncio.sleep(0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        self.open += 1
        try:
            await self._talk(reader, writer, self.connections)
        except asyncio.CancelledError:
            writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            await _closed(writer)
            self.open -= 1
            self._tasks.discard(task)
            self._notify()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ", 2)
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            body = await self._body(reader, headers)
            parts = urlsplit(target)
            seen = Seen(method, parts.path, parts.query, headers, body if self.keep_bodies else b"", number)
            self.seen.append(seen)
            reply = self._route(seen, body)
            self._notify()
            if reply.refuse:
                return
            watcher = asyncio.ensure_future(_gone(reader))
            try:
                if not await self._reply(writer, reply, watcher):
                    return
            finally:
                watcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watcher
            self._notify()

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            left = int(headers["content-length"])
            parts = []
            while left:
                part = await reader.read(min(left, 1 << 20))
                if not part:
                    raise asyncio.IncompleteReadError(b"", left)
                left -= len(part)
                if self.keep_bodies:
                    parts.append(part)
            return b"".join(parts)
        assert "transfer-encoding" not in headers, "a chunked request"
        return b""

    async def _reply(self, writer: asyncio.StreamWriter, reply: Reply, gone: asyncio.Future[None]) -> bool:
        if reply.wait and await _pause(reply.wait, gone):
            return False
        length = {} if reply.pieces is not None else {"content-length": str(len(reply.body))}
        chunked = {"transfer-encoding": "chunked"} if reply.pieces is not None else {}
        fields = {**length, **chunked, **reply.headers}
        phrase = PHRASES.get(reply.status, "Status")
        head = f"HTTP/1.1 {reply.status} {phrase}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields.items())
        writer.write(head.encode() + b"\r\n" + (reply.body if reply.pieces is None else b""))
        await writer.drain()
        for piece in reply.pieces or ():
            if isinstance(piece, float):
                if await _pause(piece, gone):
                    return False
                continue
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0)
        if reply.hold:
            await gone
            return False
        if reply.cut:
            return False
        if reply.pieces is not None:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _route(self, seen: Seen, body: bytes) -> Reply:
        if (page := self.pages.get(seen.path)) is not None:
            return page(seen) if callable(page) else page
        if seen.path.startswith(ASSETS):
            return self._assets(seen)
        if seen.path.startswith("/storage/"):
            return self._storage(seen, body)
        if seen.path.startswith("/v1/status/"):
            return self.poll_replies.popleft() if self.poll_replies else problem(404, "no such request")
        if seen.path == "/v1/models":
            return Reply(
                headers={"content-type": "application/json"},
                body=b'{"object":"list","data":[{"id":"m1"},{"id":"m2"}]}',
            )
        if seen.path in (self.model, "/v1/chat/completions") and seen.method == "POST":
            return self._model(seen)
        return Reply(404, {"content-type": "text/plain"}, b"404 page not found\n")

    def _model(self, seen: Seen) -> Reply:
        for name in filter(None, seen.headers.get("nvcf-input-asset-references", "").split(",")):
            if name not in self.stored:
                return problem(404, f"NotFound error: failed to find asset {name}")
        if self.replies:
            reply = self.replies.popleft()
            return reply(seen) if callable(reply) else reply
        if seen.headers["accept"] == "text/event-stream":
            words = self.text.split(" ")
            texts = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
            return stream(*texts, delta("", "stop"))
        return answer(self.text)

    def _assets(self, seen: Seen) -> Reply:
        if seen.method == "POST":
            if self.asset_replies:
                return self.asset_replies.popleft()
            wanted = seen.json
            name = str(uuid.uuid4())
            self.created[name] = (wanted["contentType"], wanted["description"])
            value = {
                "assetId": name,
                "uploadUrl": f"{self.url}/storage/account-77/{name}?X-Amz-Signature=topsecret",
                **wanted,
            }
            return _json(value)
        if seen.method == "GET":
            return _json({"assets": [{"assetId": name} for name in self.stored]})
        if self.delete_replies:
            return self.delete_replies.popleft()
        name = seen.path.rsplit("/", 1)[1]
        if self.stored.pop(name, None) is None:
            return problem(404, f"Asset '{name}' does not exist for account 'account-77'")
        self.deleted.append(name)
        return Reply(204, {}, b"")

    def _storage(self, seen: Seen, body: bytes) -> Reply:
        if self.storage_replies:
            return self.storage_replies.popleft()
        name = seen.path.rsplit("/", 1)[1]
        if seen.method == "GET":
            return Reply(headers={"content-type": "application/octet-stream"}, body=self.result)
        signed = (seen.headers.get("content-type"), seen.headers.get("x-amz-meta-nvcf-asset-description"))
        if "authorization" in seen.headers or parse_qs(seen.query).get("X-Amz-Signature") != ["topsecret"]:
            return _xml(400, "InvalidArgument", "Only one auth mechanism allowed")
        if signed != self.created[name]:
            return _xml(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        self.stored[name] = body
        return Reply(200, {"etag": '"0"'}, b"")


async def _gone(reader: asyncio.StreamReader) -> None:
    """Return when the other side has gone; the buffer is left alone, for the next request may be in it."""
    while not reader.at_eof() and reader.exception() is None:  # noqa: ASYNC110 - a reader has no event for it
        await asyncio.sleep(0.005)


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close, and return when the other side can know it."""
    writer.close()
    with contextlib.suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()


async def _pause(seconds: float, gone: asyncio.Future[None]) -> bool:
    await asyncio.wait([gone], timeout=seconds)
    return gone.done()


def _json(value: Any) -> Reply:
    return Reply(headers={"content-type": "application/json"}, body=json.dumps(value).encode())


def _xml(status: int, code: str, message: str) -> Reply:
    text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(status, {"content-type": "application/xml"}, text.encode())
