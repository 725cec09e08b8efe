"""Connections for httpx: cut from any thread, bounded in time, never used again after surplus bytes."""

from __future__ import annotations

import math
import re
import ssl
import time
import weakref
from concurrent.futures import Future, wait
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpcore

from nbvlm._background import start_thread
from nbvlm.client.policies import GRACE
from nbvlm.client.request_info import CURRENT, RequestInfo

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = ["AsyncBackend", "Backend"]

STEP_S = 0.1
"""Seconds after which a wait for a connection looks for a stop."""


_REQUEST = re.compile(rb"[A-Z]+ ")
_CHUNKED = re.compile(
    rb"HTTP/1\.1 2[^\r\n]*\r\n(?:[^\r\n]+\r\n)*?transfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE
)


class _LastByte:
    """Holds back the last byte of each piece of an answer, and so notices surplus bytes.

    A parser asks for more until the answer is complete. If it does not ask for the byte that was held back,
    the answer ended before it.
    """

    __slots__ = ("_before", "_first", "_may_end", "_watching", "held")

    def __init__(self) -> None:
        self.held = b""
        self._before = b""
        self._watching = self._first = self._may_end = False

    def sent(self, buffer: bytes, stream: Any) -> None:
        """Note a request: an answer is going to begin. What precedes HTTP, such as SOCKS, is left alone.

        Bytes that are there before a further request belong to no answer. The pool looks for them too, but
        another thread may have ended an answer since it looked.
        """
        if not _REQUEST.match(buffer):
            return
        if self._watching and stream.get_extra_info("is_readable"):
            raise httpcore.ConnectError("The connection holds surplus bytes, or was closed.")
        self._watching = self._first = True

    def take(self) -> bytes:
        """Return the byte that was held back, b"" without one."""
        held, self.held = self.held, b""
        return held

    def hold(self, data: bytes) -> bytes:
        """Return a piece without its last byte, if the answer may end in it."""
        if not self._watching:
            return data
        if self._first:
            self._first, self._before = False, b""
            self._may_end = _CHUNKED.match(data) is None
        if not self._may_end:
            # The last chunk has the size 0. Before it, a piece is handed out whole: an answer that comes
            # token by token would else cost two reads a token.
            self._may_end = b"\r\n0" in self._before + data
            self._before = data[-2:]
        if not self._may_end or len(data) < 2:
            return data
        self.held = data[-1:]
        return data[:-1]


class Connection(httpcore.NetworkStream):
    """A blocking connection: each read has the time that its request has left."""

    def __init__(self, inner: httpcore.NetworkStream, layers: int = 0) -> None:
        self._inner = inner
        self._layers = layers
        # Reading from the socket itself saves a tenth of the cost of a token; not with TLS within TLS.
        self._socket: socket.socket | None = inner.get_extra_info("socket") if layers < 2 else None
        self._last = _LastByte()
        self._late = False
        self._seconds_left: Callable[[], float] | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes."""
        if self._last.held:
            return self._last.take()
        if self._seconds_left is not None:
            timeout = self._in_time(self._seconds_left())
        if self._socket is None:
            return self._last.hold(self._inner.read(max_bytes, timeout))
        try:
            self._socket.settimeout(timeout)
            return self._last.hold(self._socket.recv(max_bytes))
        except TimeoutError as error:
            raise httpcore.ReadTimeout from error
        except OSError as error:
            raise httpcore.ReadError from error

    def _in_time(self, left: float) -> float:
        """Return the time left; once it is over, only bytes that are there already are read, once."""
        if left <= GRACE and self._late:
            raise httpcore.ReadTimeout
        self._late = left <= GRACE
        return left

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes."""
        if (info := CURRENT.get()) is not None:
            self._seconds_left = info.seconds_left
            if info.hold is not None:
                info.hold(self)
        self._last.sent(buffer, self)
        # A view: the part that the socket did not take is not copied.
        self._inner.write(memoryview(buffer), timeout)  # type: ignore[arg-type]

    def close(self) -> None:
        """Close it."""
        self._inner.close()

    def start_tls(self, *args: Any, **options: Any) -> Connection:
        """Return the encrypted connection."""
        info = CURRENT.get()
        found = self._inner.get_extra_info("socket")
        if info is None or info.hold is None or found is None:
            return Connection(self._inner.start_tls(*args, **options), self._layers + 1)
        if isinstance(found, ssl.SSLSocket):  # of a proxy: TLS within it leaves it where it is
            info.hold(self)
            return Connection(self._inner.start_tls(*args, **options), self._layers + 1)
        # The handshake takes the socket away; a second handle can still be shut down.
        with found.dup() as second:
            info.hold(SimpleNamespace(get_extra_info=lambda _: second))
            return Connection(self._inner.start_tls(*args, **options), self._layers + 1)

    def get_extra_info(self, info: str) -> Any:
        """Return a fact of httpcore's; surplus bytes make a connection readable, and so it is closed."""
        return (info == "is_readable" and bool(self._last.held)) or self._inner.get_extra_info(info)


class Backend(httpcore.NetworkBackend):
    """Opens blocking connections, and can close all of them."""

    def __init__(self) -> None:
        self._opened: weakref.WeakSet[httpcore.NetworkStream] = weakref.WeakSet()
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any
    ) -> Connection:
        """Look a host up and connect; a stop ends the wait, and the time limit holds for both together."""
        found: Future[httpcore.NetworkStream] = Future()

        def connect() -> None:
            try:
                found.set_result(self._inner.connect_tcp(host, port, timeout, *args, **options))
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                found.set_exception(error)

        # The system's calls cannot be interrupted, so they are left to a thread that may end later.
        start_thread(connect, "nbvlm-connect")
        info = CURRENT.get() or RequestInfo()
        ends = time.monotonic() + (timeout if timeout is not None else math.inf)
        try:
            while not wait([found], STEP_S).done and time.monotonic() < ends:
                if info.hold is not None:
                    info.hold(None)  # raises after a stop
        finally:
            if not found.done():
                found.add_done_callback(_close)
        if not found.done():
            raise httpcore.ConnectTimeout
        opened = found.result()
        self._opened.add(opened)
        return Connection(opened)

    def close_inherited(self) -> None:
        """Close this process's copies of the sockets; the other process keeps its own."""
        for opened in list(self._opened):
            opened.close()


def _close(found: Future[httpcore.NetworkStream]) -> None:
    if found.exception() is None:
        found.result().close()


class _AsyncConnection(httpcore.AsyncNetworkStream):
    """As `Connection`, awaited; the driver keeps the time."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._last = _LastByte()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        return self._last.take() or self._last.hold(await self._inner.read(max_bytes, timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - likewise
        self._last.sent(buffer, self)
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> _AsyncConnection:
        try:
            return _AsyncConnection(await self._inner.start_tls(*args, **options))
        except BaseException:
            await self._inner.aclose()  # httpcore leaves it open after a cancellation.
            raise

    def get_extra_info(self, info: str) -> Any:
        return (info == "is_readable" and bool(self._last.held)) or self._inner.get_extra_info(info)


class AsyncBackend(httpcore.AnyIOBackend):
    """Opens awaited connections."""

    async def connect_tcp(self, *args: Any, **options: Any) -> _AsyncConnection:
        """Connect."""
        return _AsyncConnection(await super().connect_tcp(*args, **options))
