"""The blocking transport: sockets, kept for the next request, cut from any thread.

httpx's own pool looks through all its connections for every request and reads each chunk through two general
libraries: with 64 requests at once it serves a tenth of what it serves with 16, and an answer of many small
chunks costs four times as much. Hence a transport of our own for what this package needs, HTTP/1.1 with one
request at a time on a connection. Where the environment names a proxy, httpx's transport does the work.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from functools import partial
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
    import ssl
    from collections.abc import Callable, Iterator

    from nbvlm.client.network import Origin

__all__ = ["Line", "Pools"]

READ = 65_536


class Line:
    """A connection."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    @classmethod
    def open(cls, origin: Origin, seconds: float | None) -> Line:
        """Connect, TLS included.

        Raises
        ------
        httpx.ConnectTimeout, httpx.ConnectError
            If it does not come about.
        """
        try:
            connected = socket.create_connection((origin.host, origin.port), seconds)
        except TimeoutError:
            failure: httpx.TransportError = httpx.ConnectTimeout("")
        except OSError as error:
            failure = httpx.ConnectError(words(error))
        else:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return cls(connected if origin.scheme == "http" else _secured(connected, origin.host))
        raise failure

    def is_fresh(self) -> bool:
        """Whether the other side has neither closed the idle connection nor said anything on it."""
        return not is_readable(self._socket.fileno())

    def send(self, head: bytes, request: httpx.Request) -> None:
        """Send a request.

        Raises
        ------
        httpx.WriteTimeout, httpx.WriteError
            If it cannot be sent.
        """
        self._socket.settimeout(limit(request, "write"))
        try:
            for piece in _joined(head, request.stream):
                self._socket.sendall(piece)
        except TimeoutError:
            failure: httpx.TransportError = httpx.WriteTimeout("")
        except OSError as error:
            failure = httpx.WriteError(words(error))
        else:
            return
        raise failure

    def read(self, seconds: float | None) -> bytes:
        """Return the next bytes, `b""` at the end.

        Raises
        ------
        httpx.ReadTimeout, httpx.ReadError
            If none come.
        """
        try:
            self._socket.settimeout(seconds)
            return self._socket.recv(READ)
        except TimeoutError:
            failure: httpx.TransportError = httpx.ReadTimeout("")
        except OSError as error:
            failure = httpx.ReadError(words(error))
        raise failure

    def abort(self) -> None:
        """Cut the connection: a read that waits in another thread ends at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.close()


def _secured(connected: socket.socket, host: str) -> ssl.SSLSocket:
    try:
        return tls().wrap_socket(connected, server_hostname=host)
    except TimeoutError:
        failure: httpx.TransportError = httpx.ConnectTimeout("")
    except OSError as error:
        failure = httpx.ConnectError(words(error))
    connected.close()
    raise failure


def _joined(head: bytes, stream: Any) -> Iterator[bytes]:
    """Yield head and body, the head together with the first piece: one packet, one system call."""
    for piece in stream:
        yield head + piece if head else piece
        head = b""
    if head:
        yield head


class _Body(httpx.SyncByteStream):
    """The body of an answer; gives the connection back when it has been read to its end."""

    def __init__(
        self,
        line: Line,
        answer: Answer,
        first: bytes,
        seconds: Callable[[], float | None],
        done: Callable[[Line, bool], None],
    ) -> None:
        self._line, self._answer, self._first, self._seconds, self._done = line, answer, first, seconds, done
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        answer, piece = self._answer, self._first
        try:
            while True:
                if piece:
                    yield piece
                if answer.complete:
                    break
                piece = _take(self._line, answer, self._seconds())
        finally:
            self.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._done(self._line, self._answer.complete and self._answer.reusable)


def _take(line: Line, answer: Answer, seconds: float | None) -> bytes:
    """Read once, and return what of the body came."""
    data = line.read(seconds)
    try:
        if data:
            return answer.feed(data)
        answer.end()
    except ProtocolError as error:
        message = str(error)
    else:
        return b""
    raise httpx.RemoteProtocolError(message)


class Pools(httpx.BaseTransport):
    """Blocking transport for any number of threads.

    A request's extension `"patience"`, a function that returns seconds, is asked for the limit of each read;
    `"hold"` is called with the `Line` on which it travels.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: Idle[Line] = Idle()
        self._proxied: dict[str, httpx.HTTPTransport] = {}
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, its body unread."""
        origin = origin_of(request.url)
        if (proxy := proxy_for(origin)) is not None:
            return self._through(proxy).handle_request(request)
        head = head_of(request)
        line = self._line(origin, request)
        try:
            return self._exchange(origin, line, head, request)
        except BaseException:
            line.close()
            raise

    def _exchange(self, origin: Origin, line: Line, head: bytes, request: httpx.Request) -> httpx.Response:
        if (hold := request.extensions.get("hold")) is not None:
            hold(line)
        # A server may refuse a body before it has come whole, and close: what it said is read then.
        with contextlib.suppress(httpx.WriteError):
            line.send(head, request)
        answer = Answer(request.method)
        seconds = read_limit(request)
        first = b""
        while not answer.status:
            first = _take(line, answer, seconds())
        body = _Body(line, answer, first, seconds, partial(self._release, origin))
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=body,
            extensions={"http_version": b"HTTP/1.1", "network_stream": line},
        )

    def _line(self, origin: Origin, request: httpx.Request) -> Line:
        with self._lock:
            line, stale = self._idle.take(origin)
        for old in stale:
            old.close()
        return line or Line.open(origin, limit(request, "connect"))

    def _release(self, origin: Origin, line: Line, again: bool) -> None:
        surplus: Line | None = line
        if again:
            with self._lock:
                surplus = line if self._closed else self._idle.give(origin, line)
        if surplus is not None:
            surplus.close()

    def _through(self, proxy: str) -> httpx.HTTPTransport:
        with self._lock:
            if proxy not in self._proxied:
                self._proxied[proxy] = httpx.HTTPTransport(verify=tls(), proxy=proxy)
            return self._proxied[proxy]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._closed = True
            lines, proxied = self._idle.clear(), list(self._proxied.values())
            self._proxied = {}
        for line in lines:
            line.close()
        for transport in proxied:
            transport.close()
