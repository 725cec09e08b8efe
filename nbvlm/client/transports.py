"""What carries requests: httpx's own transport for `Client`, aiohttp or httpx's for `AsyncClient`.

A transport of the caller's own, an `httpx.Client` or an `httpx.AsyncClient` can take their place.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

import httpx

from nbvlm._environment import proxy_for, tls
from nbvlm.client.request_info import CURRENT, RequestInfo
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from nbvlm.client.connections import Backend
    from nbvlm.client.settings import Settings

__all__ = ["AsyncTransport", "Given", "Transport", "awaiting", "blocking", "own_transport"]

Given = httpx.BaseTransport | httpx.AsyncBaseTransport | httpx.Client | httpx.AsyncClient

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=60.0)
AT_ONCE = 16
"""Connections of an `AsyncClient` without aiohttp: httpx's pool looks through all for each request."""


def blocking(settings: Settings) -> httpx.BaseTransport:
    """Return a blocking transport: the caller's own, or a new one."""
    given = settings.transport
    if given is None:
        return _embedded(settings) if settings.in_process else Transport()
    if isinstance(given, httpx.BaseTransport):
        return given
    if isinstance(given, httpx.Client):
        return _OwnClient(given)
    raise TypeError("This transport only serves an AsyncClient; pass an httpx.BaseTransport or httpx.Client.")


def awaiting(settings: Settings) -> httpx.AsyncBaseTransport:
    """Return an awaited transport: the caller's own, or a new one."""
    given = settings.transport
    if given is None:
        return _embedded(settings) if settings.in_process else AsyncTransport()
    if isinstance(given, httpx.AsyncBaseTransport):
        return given
    return (
        _OwnClient(given) if isinstance(given, httpx.AsyncClient) else _ThreadedTransport(blocking(settings))
    )


def own_transport(settings: Settings) -> Callable[[], Any] | None:
    """Return what opens a transport to a model in this process; None where the model is elsewhere."""
    return functools.partial(_embedded, settings) if settings.local is not None else None


def _embedded(settings: Settings) -> Any:
    if settings.local is not None:
        from nbvlm.local import LocalTransport

        key = settings.api_key
        return LocalTransport(settings.local, lambda: key.reveal() if key is not None else None)
    from nbvlm.demo import DemoTransport

    return DemoTransport(pace=settings.pace)


# Certificates and proxies: `nbvlm._environment` reads and checks them.


@functools.cache
def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


Route = tuple[bool, str | None]
"""Whether TLS is needed, and the proxy."""


def _route(url: httpx.URL) -> Route:
    return url.scheme == "https", proxy_for(url.scheme, url.raw_host.decode("ascii"), url.port)


def _options(route: Route) -> dict[str, Any]:
    secure, address = route
    # A proxy reached over TLS needs certificates too.
    context = tls() if address is not None and address.startswith("https:") else None
    proxy = httpx.Proxy(address, ssl_context=context) if address is not None else None
    # Without TLS there is nothing to verify, and the context is not made.
    return {"verify": tls() if secure else False, "proxy": proxy}


def _closed() -> Error:
    return Error("The client was closed before the question was sent.", hint="Open another client.")


# Blocking.

_OPEN: weakref.WeakSet[Transport | AsyncTransport] = weakref.WeakSet()
_INHERITED: list[Any] = []


class Transport(httpx.BaseTransport):
    """Sends requests of any number of threads over httpx's transport, one for each proxy in use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._carriers: dict[Route, tuple[httpx.HTTPTransport, Backend]] = {}
        self._is_closed = False
        _OPEN.add(self)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, its body unread."""
        carrier = self._carrier(_route(request.url))
        mark = CURRENT.set(RequestInfo.of(request))
        try:
            return carrier.handle_request(request)
        finally:
            CURRENT.reset(mark)

    def _carrier(self, route: Route) -> httpx.HTTPTransport:
        from nbvlm.client.connections import Backend

        with self._lock:
            if self._is_closed:
                raise _closed()
            if route not in self._carriers:
                transport, backend = httpx.HTTPTransport(limits=LIMITS, **_options(route)), Backend()
                # httpx hands its pool no backend; test_transports.py notices if that name changes.
                transport._pool._network_backend = backend  # noqa: SLF001
                self._carriers[route] = transport, backend
            return self._carriers[route][0]

    def after_fork(self) -> None:
        """Forget the connections of the parent process."""
        for _, backend in self._carriers.values():
            backend.close_inherited()
        self._lock, self._carriers = threading.Lock(), {}

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._is_closed = True
            carriers, self._carriers = self._carriers, {}
        for transport, _ in carriers.values():
            transport.close()


# Awaited.


class AsyncTransport(httpx.AsyncBaseTransport):
    """Sends requests of any number of tasks over aiohttp where it is installed, else over httpx's transport.

    Connections belong to the event loop that opened them, so each loop has its own.
    """

    def __init__(self) -> None:
        self._loops: dict[asyncio.AbstractEventLoop, tuple[dict[Route, Any], AsyncGenerator[None]]] = {}
        self._is_closed = False
        _OPEN.add(self)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, its body unread."""
        if self._is_closed:
            raise _closed()
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            self._drop()
            carriers: dict[Route, Any] = {}
            self._loops[loop] = carriers, _closing_with_loop(carriers)
            await anext(self._loops[loop][1])
        carriers = self._loops[loop][0]
        route = _route(request.url)
        if route not in carriers:
            carriers[route] = _carrier(route)
        return await carriers[route].handle_async_request(request)  # type: ignore[no-any-return]

    def _drop(self) -> None:
        """Close the connections of loops that have ended."""
        for loop in [loop for loop in self._loops if loop.is_closed()]:
            for carrier in self._loops.pop(loop)[0].values():
                carrier.drop()

    __del__ = _drop

    def after_fork(self) -> None:
        """Leave the connections of the parent process alone; its event loops go on there."""
        _INHERITED.append(self._loops)
        self._loops = {}

    async def aclose(self) -> None:
        """Close all connections, those of other loops a moment later."""
        self._is_closed = True
        self._drop()
        loops, self._loops = self._loops, {}
        if (own := loops.pop(asyncio.get_running_loop(), None)) is not None:
            await own[1].aclose()


async def _closing_with_loop(carriers: dict[Route, Any]) -> AsyncGenerator[None]:
    """Close connections when their loop ends, or when nothing refers to this generator any more.

    A loop closes the generators that were begun on it, in both cases.
    """
    try:
        yield
    finally:
        while carriers:
            await carriers.popitem()[1].aclose()


def _carrier(route: Route) -> Any:
    options = _options(route)
    proxy = options["proxy"]
    if _is_installed("aiohttp") and (proxy is None or not proxy.url.scheme.startswith("socks")):
        with contextlib.suppress(ImportError):  # httpx takes its place where it is broken.
            from nbvlm.client.aiohttp_transport import AiohttpTransport

            return AiohttpTransport(options["verify"] or None, proxy)
    return _QueuedTransport(options)


class _QueuedTransport(httpx.AsyncHTTPTransport):
    """httpx's awaited transport with few connections; requests beyond them wait in the order they came."""

    def __init__(self, options: dict[str, Any]) -> None:
        from nbvlm.client.connections import AsyncBackend

        super().__init__(limits=LIMITS, **options)
        self._pool._network_backend = AsyncBackend()  # noqa: SLF001 - as above
        self._places = asyncio.Semaphore(AT_ONCE)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._places.acquire()
        try:
            await self._close_strays()
            response = await super().handle_async_request(request)
        except BaseException:
            self._places.release()
            raise
        response.stream = _QueuedBody(response.stream, self._places)
        return response

    async def _close_strays(self) -> None:
        """Close connections of requests that were cancelled.

        httpx's pool keeps those that had not begun an answer, and counts them, until no more can be opened.
        """
        pool = self._pool
        used = [request.connection for request in pool._requests]  # noqa: SLF001 - as above
        strays = [one for one in pool._connections if one not in used and not one.is_idle()]  # noqa: SLF001 - likewise
        for stray in strays:
            pool._connections.remove(stray)  # noqa: SLF001 - likewise
        for stray in strays:
            await stray.aclose()

    def drop(self) -> None:
        """Nothing is left to close where the loop has ended."""


class _QueuedBody(httpx.AsyncByteStream):
    def __init__(self, stream: Any, places: asyncio.Semaphore) -> None:
        self._stream, self._places, self._open = stream, places, True

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            try:
                await self._stream.aclose()
            finally:
                self._places.release()


# The caller's own.


class _OwnClient(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Sends requests through the caller's `httpx.Client` or `httpx.AsyncClient`, which the caller closes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def handle_request(self, request: httpx.Request) -> Any:
        # The credentials of that client are kept away from addresses that carry their own permission.
        auth = {} if RequestInfo.of(request).with_key else {"auth": None}
        return self._client.send(request, stream=True, follow_redirects=False, **auth)

    handle_async_request = handle_request  # what an `httpx.AsyncClient` returns is awaited


class _ThreadedTransport(httpx.AsyncBaseTransport):
    """Lets a blocking transport answer an `AsyncClient`; each step runs in a thread."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        late: list[httpx.Response] = []
        is_cancelled = threading.Event()

        def send() -> httpx.Response:
            late.append(response := self._inner.handle_request(request))
            if is_cancelled.is_set():  # nothing reads it, and the caller's pool counts its connection
                response.close()
            return response

        try:
            response = await asyncio.to_thread(send)
        except asyncio.CancelledError:
            is_cancelled.set()
            for one in late:
                one.close()
            raise
        response.stream = _ThreadedBody(response.stream)
        return response

    async def aclose(self) -> None:
        await asyncio.to_thread(self._inner.close)


class _ThreadedBody(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self._stream)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece

    async def aclose(self) -> None:
        await asyncio.to_thread(self._stream.close)


def _after_fork() -> None:
    for transport in list(_OPEN):
        transport.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
