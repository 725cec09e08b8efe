"""httpx requests over aiohttp, whose cost per request does not grow with the number of open connections."""

from __future__ import annotations

import contextlib
import select
import weakref
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from aiohttp.streams import EMPTY_PAYLOAD
from yarl import URL

from nbvlm.client.request_info import CLOSED, NOT_HTTP, RequestInfo
from nbvlm.errors import Error

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

__all__ = ["AiohttpTransport"]

KEPT_ALIVE = 60.0
"""Seconds that an idle connection is kept for the next request."""
_LARGEST_HEADER = 64 * 1024


class _DamagedBody(aiohttp.ClientPayloadError):
    """A body whose chunks are not chunks."""


class _StaleConnection(Exception):
    """An idle connection was closed, or spoken on, by the other side; nothing has been sent on it."""


_USED: weakref.WeakSet[Any] = weakref.WeakSet()
"""Connections that have carried a request; on a new one, TLS may have left something to read."""


class _Request(aiohttp.ClientRequest):
    """Goes out on a fresh connection only: aiohttp takes late surplus bytes for the next answer."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        protocol = conn.protocol
        if protocol in _USED and (protocol.should_close or _is_readable(conn.transport)):
            conn.close()
            raise _StaleConnection
        _USED.add(protocol)
        _notice_surplus(protocol)
        return await super().send(conn)


def _notice_surplus(protocol: Any) -> None:
    """Hold back the last byte of what arrives: if the answer is complete without it, it is surplus.

    An answer in chunks is not complete before a line that begins with 0 has come.
    """
    before = protocol._payload  # noqa: SLF001 - test_connections.py notices if it changes
    feed = type(protocol).data_received
    may_end = False

    def body() -> Any:
        """Return the body that is being received, None before it begins."""
        payload = protocol._payload  # noqa: SLF001
        return None if payload in (before, EMPTY_PAYLOAD) else payload

    def feed_checked(data: bytes) -> None:
        feed(protocol, data)
        payload = body()
        # Without this aiohttp waits for the rest of a body that it cannot read.
        if protocol.exception() is not None and payload is not None and payload.exception() is None:
            payload.set_exception(_DamagedBody())

    def data_received(data: bytes) -> None:
        nonlocal may_end
        may_end = may_end or data.startswith(b"0") or b"\n0" in data
        if not may_end and getattr(body(), "_http_chunk_splits", None) is not None:  # it comes in chunks
            feed_checked(data)
            return
        if len(data) > 1:
            feed_checked(data[:-1])
            payload = body()
            if payload is not None and payload.is_eof():
                protocol.force_close()
                return
        feed_checked(data[-1:])

    protocol.data_received = data_received


def _is_readable(transport: Any) -> bool:
    """Return whether there is something to read that the loop has not seen yet, the end included."""
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is None or found.fileno() < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([found.fileno()], [], [], 0)[0])
    poll = select.poll()
    poll.register(found.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends requests of one event loop through a session of aiohttp."""

    def __init__(self, context: ssl.SSLContext | None, proxy: httpx.Proxy | None) -> None:
        self._proxy: dict[str, Any] = {}
        if proxy is not None:
            login = b64encode(":".join(proxy.auth).encode()).decode() if proxy.auth else ""
            headers = {"authorization": f"Basic {login}"} if login else None
            self._proxy = {"proxy": str(proxy.url), "proxy_headers": headers}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=KEPT_ALIVE, ssl=context if context is not None else True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_Request,
            auto_decompress=False,
            max_line_size=_LARGEST_HEADER,
            max_field_size=_LARGEST_HEADER,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, its body unread."""
        limits = request.extensions.get("timeout", {})
        # A driver bounds each read by the time that its question has left: one clock a read is enough.
        read = None if RequestInfo.of(request).seconds_left is not None else limits.get("read")
        timeout = aiohttp.ClientTimeout(total=None, connect=limits.get("connect"), sock_read=read)
        is_whole = isinstance(request.stream, httpx.ByteStream)
        data = (b"".join(request.stream) or None) if is_whole else request.stream  # type: ignore[arg-type]
        while True:
            try:
                response = await self._session.request(
                    request.method,
                    URL(str(request.url), encoded=True),  # byte by byte: it may be signed
                    # All that aiohttp would add is among them.
                    headers=[(name.decode(), value.decode()) for name, value in request.headers.raw],
                    data=data,
                    allow_redirects=False,
                    timeout=timeout,
                    **self._proxy,
                )
            except _StaleConnection:
                continue
            except _FAILURES as error:
                failure = _translated(error)
            else:
                break
            raise failure
        return httpx.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_at_hand(response) or _Body(response),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()

    def drop(self) -> None:
        """Forget all connections: their event loop is gone."""
        connector = self._session.connector
        self._session.detach()
        if connector is not None:
            # Without its loop nothing can be awaited, and the first step closes what there is to close.
            closing = connector.close().__await__()
            with contextlib.suppress(StopIteration, RuntimeError):
                next(closing)


def _at_hand(response: aiohttp.ClientResponse) -> httpx.ByteStream | None:
    """Return a body that came with its head, as a short answer does; None where more is to be read."""
    content = response.content
    if not content.is_eof() or content.exception() is not None:
        return None
    body = httpx.ByteStream(content.read_nowait())
    response.close()
    return body


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except _FAILURES as error:
            failure = _translated(error)
        else:
            return
        raise failure

    async def aclose(self) -> None:
        self._response.close()


_FAILURES = (aiohttp.ClientError, OSError, ValueError)
_KINDS: tuple[tuple[type[BaseException], type[httpx.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (TimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientProxyConnectionError, httpx.ProxyError),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError),
    (ValueError, httpx.LocalProtocolError),
)


def _translated(error: BaseException) -> Exception:
    """Return httpx's error for one of aiohttp's."""
    outer: BaseException | None = None
    cause: BaseException | None = error
    while cause is not None:
        is_failed_body = type(outer) is aiohttp.ClientConnectionError and isinstance(cause, Exception)
        if isinstance(cause, Error) or is_failed_body:
            # Raised by the body that was being sent, or by the progress callback of the caller.
            return cause.with_traceback(None)  # type: ignore[return-value]
        outer, cause = cause, cause.__cause__
    kind = next((kind for known, kind in _KINDS if isinstance(error, known)), httpx.ReadError)
    failure = kind(_words(error))
    failure.__cause__ = error  # The system's words are found there.
    return failure


def _words(error: BaseException) -> str:
    """Return what happened; aiohttp's own words quote the answer and the address."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"{error.status} {error.message}"
    if isinstance(error, (aiohttp.ClientResponseError, _DamagedBody)):
        return NOT_HTTP
    is_cut = isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError))
    return CLOSED if is_cut else str(error)
