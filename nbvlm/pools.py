"""Connections: several small pools side by side, one TLS context for all clients.

httpcore's pool looks through all its connections for every request, so that one pool with hundreds of them
spends its time looking. Here a pool takes few requests at once, and the next pool is opened when they are
busy. Driving httpcore itself, below httpx's clients, also gives a limit for each read that follows the phase
of the answer, and a way to cut a connection from another thread.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
import urllib.request
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from nbvlm.settings import is_loopback

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

__all__ = ["AsyncPools", "Pools", "tls"]

WIDTH = 8
"""Requests at once that one pool takes before the next is used."""
KEPT_ALIVE = 60.0


@functools.cache
def tls() -> ssl.SSLContext:
    """Return the one TLS context of the process; making one takes 25 ms."""
    return httpx.create_ssl_context()


def _proxy(host: str, scheme: str) -> str | None:
    """Return the proxy that the environment wants for a host; none for this machine."""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(scheme) or proxies.get("all")
    return found if found is None or "://" in found else f"http://{found}"


def _translated(error: Exception) -> Exception:
    """Httpx's errors have the names of httpcore's."""
    kind = getattr(httpx, type(error).__name__, httpx.TransportError)
    translated: Exception = kind(str(error))
    translated.__cause__ = error.__cause__
    return translated


_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


def _core(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


class Line(httpcore.NetworkStream):
    """A connection whose reads follow the present limit, and which another thread can cut."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self.patience: Callable[[], float] | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        patience = self.patience
        return self._inner.read(max_bytes, timeout if patience is None else patience())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # A view: the stream below takes what was sent off the front, which would copy the rest each time.
        self._inner.write(memoryview(buffer), timeout)  # type: ignore[arg-type]

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Line:
        return Line(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def abort(self) -> None:
        """Cut the connection: a read that waits in another thread ends at once."""
        with contextlib.suppress(OSError):
            self._inner.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class _Backend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(self, *args: Any, **kwargs: Any) -> Line:
        return Line(self._inner.connect_tcp(*args, **kwargs))


class _Pool:
    """A pool and how many requests it serves at the moment."""

    __slots__ = ("busy", "core")

    def __init__(self, core: Any) -> None:
        self.core = core
        self.busy = 0


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response, done: Callable[[], None]) -> None:
        self._response = response
        self._done: Callable[[], None] | None = done

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.stream  # type: ignore[misc]
        except _ERRORS as error:
            failure = _translated(error)
        else:
            return
        raise failure

    def close(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            try:
                self._response.close()
            finally:
                done()


class Pools(httpx.BaseTransport):
    """Blocking transport for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[tuple[str, str | None], list[_Pool]] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, its body unread."""
        pool = self._choose(request.url)
        try:
            response = pool.core.handle_request(_core(request))
        except _ERRORS as error:
            self._release(pool, None)
            failure = _translated(error)
        except BaseException:
            self._release(pool, None)
            raise
        else:
            return self._answer(pool, request, response)
        raise failure

    def _answer(self, pool: _Pool, request: httpx.Request, response: httpcore.Response) -> httpx.Response:
        line = response.extensions.get("network_stream")
        if isinstance(line, Line):
            line.patience = request.extensions.get("patience")
        body = _Body(response, lambda: self._release(pool, line))
        return httpx.Response(
            response.status, headers=response.headers, stream=body, extensions=response.extensions
        )

    def _choose(self, url: httpx.URL) -> _Pool:
        key = (url.scheme, _proxy(url.host, url.scheme))
        with self._lock:
            group = self._groups.setdefault(key, [])
            pool = next((pool for pool in group if pool.busy < WIDTH), None)
            if pool is None:
                pool = _Pool(_open(httpcore.ConnectionPool, httpcore.HTTPProxy, key, _Backend()))
                group.append(pool)
            pool.busy += 1
            return pool

    def _release(self, pool: _Pool, line: Any) -> None:
        if isinstance(line, Line):
            line.patience = None
        with self._lock:
            pool.busy -= 1

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            groups, self._groups = self._groups, {}
        for pool in _all(groups):
            pool.core.close()


def _all(groups: dict[tuple[str, str | None], list[_Pool]]) -> Iterable[_Pool]:
    return (pool for group in groups.values() for pool in group)


def _open(direct: Any, proxied: Any, key: tuple[str, str | None], backend: Any) -> Any:
    scheme, proxy = key
    options: dict[str, Any] = {
        "max_connections": None,
        "max_keepalive_connections": WIDTH,
        "keepalive_expiry": KEPT_ALIVE,
        "network_backend": backend,
        "ssl_context": tls() if scheme == "https" else None,
    }
    if proxy is None:
        return direct(**options)
    found = httpx.Proxy(proxy)
    return proxied(proxy_url=str(found.url), proxy_auth=found.raw_auth, **options)


class AsyncLine(httpcore.AsyncNetworkStream):
    """As `Line`, awaiting."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self.patience: Callable[[], float] | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the interface
        patience = self.patience
        return await self._inner.read(max_bytes, timeout if patience is None else patience())

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - likewise
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - likewise
    ) -> AsyncLine:
        return AsyncLine(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    def __init__(self) -> None:
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> AsyncLine:
        return AsyncLine(await self._inner.connect_tcp(*args, **kwargs))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response, done: Callable[[], None]) -> None:
        self._response = response
        self._done: Callable[[], None] | None = done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.stream:  # type: ignore[union-attr]
                yield piece
        except _ERRORS as error:
            failure = _translated(error)
        else:
            return
        raise failure

    async def aclose(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            try:
                await self._response.aclose()
            finally:
                done()


class AsyncPools(httpx.AsyncBaseTransport):
    """Awaiting transport for many tasks."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str | None], list[_Pool]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, its body unread."""
        pool = self._choose(request.url)
        try:
            response = await pool.core.handle_async_request(_core(request))
        except _ERRORS as error:
            self._release(pool, None)
            failure = _translated(error)
        except BaseException:
            self._release(pool, None)
            raise
        else:
            return self._answer(pool, request, response)
        raise failure

    def _answer(self, pool: _Pool, request: httpx.Request, response: httpcore.Response) -> httpx.Response:
        line = response.extensions.get("network_stream")
        if isinstance(line, AsyncLine):
            line.patience = request.extensions.get("patience")
        body = _AsyncBody(response, lambda: self._release(pool, line))
        return httpx.Response(
            response.status, headers=response.headers, stream=body, extensions=response.extensions
        )

    def _choose(self, url: httpx.URL) -> _Pool:
        key = (url.scheme, _proxy(url.host, url.scheme))
        group = self._groups.setdefault(key, [])
        pool = next((pool for pool in group if pool.busy < WIDTH), None)
        if pool is None:
            pool = _Pool(_open(httpcore.AsyncConnectionPool, httpcore.AsyncHTTPProxy, key, _AsyncBackend()))
            group.append(pool)
        pool.busy += 1
        return pool

    @staticmethod
    def _release(pool: _Pool, line: Any) -> None:
        if isinstance(line, AsyncLine):
            line.patience = None
        pool.busy -= 1

    async def aclose(self) -> None:
        """Close all connections."""
        groups, self._groups = self._groups, {}
        for pool in _all(groups):
            await pool.core.aclose()
