"""The awaiting transport: as `nbvlm.client.pools`, on an event loop's own transports."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import httpx

from nbvlm.client.http1 import Answer, ProtocolError
from nbvlm.client.network import (
    Idle,
    head_of,
    is_readable,
    limit,
    origin_of,
    proxy_for,
    read_limit,
    tls,
    words,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from nbvlm.client.network import Origin

__all__ = ["AsyncLine", "AsyncPools"]

MOST = 1024 * 1024
"""Bytes that may wait to be read before the other side is asked to pause."""


class AsyncLine(asyncio.Protocol):
    """A connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._arrived: list[bytes] = []
        self._size = 0
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[bool] | None = None
        self._writer: asyncio.Future[bool] | None = None
        self._full = False

    @classmethod
    async def open(cls, origin: Origin, seconds: float | None) -> AsyncLine:
        """Connect, TLS included; errors as `nbvlm.client.pools.Line.open`."""
        loop = asyncio.get_running_loop()
        context = tls() if origin.scheme == "https" else None
        try:
            async with asyncio.timeout(seconds):
                _, line = await loop.create_connection(cls, origin.host, origin.port, ssl=context)
        except TimeoutError:
            failure: httpx.TransportError = httpx.ConnectTimeout("")
        except OSError as error:
            failure = httpx.ConnectError(words(error))
        else:
            return line
        raise failure

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._arrived.append(data)
        self._size += len(data)
        if self._size > MOST:
            self._transport.pause_reading()
        _settle(self._reader, True)

    def eof_received(self) -> bool:
        """Called by the loop."""
        self._ended = True
        _settle(self._reader, True)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._ended, self._error = True, exc
        _settle(self._reader, True)
        _settle(self._writer, True)

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._full = True

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._full = False
        _settle(self._writer, True)

    def is_fresh(self) -> bool:
        """Whether the other side has neither closed the idle connection nor said anything on it."""
        if self._ended or self._arrived or self._transport.is_closing():
            return False
        # The loop may not have run since the other side closed.
        return not is_readable(self._transport.get_extra_info("socket").fileno())

    async def send(self, head: bytes, request: httpx.Request) -> None:
        """Send a request; errors as `nbvlm.client.pools.Line.send`."""
        seconds = limit(request, "write")
        async for piece in request.stream:  # type: ignore[union-attr]
            # The head goes with the first piece: one packet, one system call.
            self._write(head + piece if head else piece)
            head = b""
            if self._full:
                self._writer = self._loop.create_future()
                if not await _within(self._writer, seconds):
                    raise httpx.WriteTimeout("")
        if head:
            self._write(head)

    def _write(self, piece: bytes) -> None:
        if self._ended:
            raise httpx.WriteError("the connection was closed")
        self._transport.write(piece)

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, `b""` at the end; errors as `nbvlm.client.pools.Line.read`."""
        if not self._arrived and not self._ended:
            self._reader = self._loop.create_future()
            if not await _within(self._reader, seconds):
                raise httpx.ReadTimeout("")
        if not self._arrived:
            if self._error is not None:
                raise httpx.ReadError(
                    words(self._error) if isinstance(self._error, OSError) else str(self._error)
                )
            return b""
        data = self._arrived[0] if len(self._arrived) == 1 else b"".join(self._arrived)
        self._arrived = []
        if self._size > MOST and not self._ended:
            self._transport.resume_reading()
        self._size = 0
        return data

    def close(self) -> None:
        """Close the connection at once."""
        with contextlib.suppress(RuntimeError):  # The loop that it belongs to may be closed.
            self._transport.abort()


def _settle(waiter: asyncio.Future[bool] | None, came: bool) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(came)


async def _within(waiter: asyncio.Future[bool], seconds: float | None) -> bool:
    """Wait; return False if it took too long. One timer, no task."""
    if seconds is None:
        return await waiter
    loop = waiter.get_loop()
    timer = loop.call_later(seconds, _settle, waiter, False)
    try:
        return await waiter
    finally:
        timer.cancel()


class _AsyncBody(httpx.AsyncByteStream):
    """The body of an answer; gives the connection back when it has been read to its end."""

    def __init__(
        self,
        line: AsyncLine,
        answer: Answer,
        first: bytes,
        seconds: Callable[[], float | None],
        done: Callable[[AsyncLine, bool], None],
    ) -> None:
        self._line, self._answer, self._first, self._seconds, self._done = line, answer, first, seconds, done
        self._open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        answer, piece = self._answer, self._first
        try:
            while True:
                if piece:
                    yield piece
                if answer.complete:
                    break
                piece = await _take(self._line, answer, self._seconds())
        finally:
            self._end()

    async def aclose(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._done(self._line, self._answer.complete and self._answer.reusable)


async def _take(line: AsyncLine, answer: Answer, seconds: float | None) -> bytes:
    data = await line.read(seconds)
    try:
        if data:
            return answer.feed(data)
        answer.end()
    except ProtocolError as error:
        message = str(error)
    else:
        return b""
    raise httpx.RemoteProtocolError(message)


class AsyncPools(httpx.AsyncBaseTransport):
    """Awaiting transport for any number of tasks; extensions as `nbvlm.client.pools.Pools`.

    Connections belong to the event loop that opened them: used from another loop, as by a second
    `asyncio.run`, it drops them and opens new ones.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: Idle[AsyncLine] = Idle()
        self._proxied: dict[str, httpx.AsyncHTTPTransport] = {}
        self._closed = False
        self._end: AsyncGenerator[None] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, its body unread."""
        await self._settle()
        origin = origin_of(request.url)
        if (proxy := proxy_for(origin)) is not None:
            return await self._through(proxy).handle_async_request(request)
        head = head_of(request)
        line = await self._line(origin, request)
        try:
            return await self._exchange(origin, line, head, request)
        except BaseException:
            line.close()
            raise

    async def _exchange(
        self, origin: Origin, line: AsyncLine, head: bytes, request: httpx.Request
    ) -> httpx.Response:
        # A server may refuse a body before it has come whole, and close: what it said is read then.
        with contextlib.suppress(httpx.WriteError):
            await line.send(head, request)
        answer = Answer(request.method)
        seconds = read_limit(request)
        first = b""
        while not answer.status:
            first = await _take(line, answer, seconds())
        body = _AsyncBody(
            line, answer, first, seconds, lambda line, again: self._release(origin, line, again)
        )
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=body,
            extensions={"http_version": b"HTTP/1.1", "network_stream": line},
        )

    async def _line(self, origin: Origin, request: httpx.Request) -> AsyncLine:
        line, stale = self._idle.take(origin)
        for old in stale:
            old.close()
        return line or await AsyncLine.open(origin, limit(request, "connect"))

    def _release(self, origin: Origin, line: AsyncLine, again: bool) -> None:
        surplus: AsyncLine | None = line
        if again and not self._closed and line.is_fresh():
            surplus = self._idle.give(origin, line)
        if surplus is not None:
            surplus.close()

    async def _settle(self) -> None:
        """Drop what belongs to another event loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._drop()
            self._proxied = {}
            self._loop = loop
            self._end = self._with_loop()
            await anext(self._end)

    async def _with_loop(self) -> AsyncGenerator[None]:
        """Close idle connections with the loop: its last act is to close the generators that it began."""
        try:
            yield
        finally:
            self._drop()

    def _drop(self) -> None:
        for line in self._idle.clear():
            line.close()

    def _through(self, proxy: str) -> httpx.AsyncHTTPTransport:
        if proxy not in self._proxied:
            self._proxied[proxy] = httpx.AsyncHTTPTransport(verify=tls(), proxy=proxy)
        return self._proxied[proxy]

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        self._drop()
        if self._end is not None and self._loop is asyncio.get_running_loop():
            await self._end.aclose()
        proxied, self._proxied = self._proxied, {}
        for transport in proxied.values():
            await transport.aclose()
