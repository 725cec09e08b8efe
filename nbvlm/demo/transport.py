"""An httpx transport to the service in this process: the same bytes, without a socket.

>>> import httpx
>>> from nbvlm.demo.transport import DemoTransport
>>> with httpx.Client(transport=DemoTransport()) as client:
...     client.get("http://demo.nbvlm.localhost/nowhere").status_code
404
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from nbvlm.demo.service.execution import AsyncExchange, Exchange
from nbvlm.demo.service.messages import Reply, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from nbvlm.demo.service.service import Service

__all__ = ["DemoTransport"]

_LATE = "The model in this process did not answer within the read timeout."


@functools.cache
def _shared() -> Service:
    from nbvlm.demo.service.service import Service

    return Service()


class DemoTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers from the embedded model; for `httpx.Client` and `httpx.AsyncClient` alike.

    The work runs in a thread: an event loop is never blocked, each token is sent as soon as it is computed,
    and closing a response early stops the computation at the next token.

    Parameters
    ----------
    service
        Answers the requests; by default one service that all transports of the process share.
    pace
        Most tokens a second of an answer; by default as fast as they are computed.
    """

    def __init__(self, service: Service | None = None, *, pace: float | None = None) -> None:
        self._service, self._pace = service, pace

    def __repr__(self) -> str:
        return "DemoTransport()"

    @property
    def service(self) -> Service:
        """The service that answers the requests."""
        return self._service or _shared()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of an `httpx.Client`."""
        head, body = self._begun(request)
        for part in request.stream:  # type: ignore[union-attr]
            body.add(part)
        exchange = Exchange(self.service, body.of(head), _read_timeout(request))
        with _answered(exchange, request):
            return _response(exchange.head(), _Stream(exchange, request))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of an `httpx.AsyncClient`."""
        head, body = self._begun(request)
        async for part in request.stream:  # type: ignore[union-attr]
            body.add(part)
        exchange = AsyncExchange(self.service, body.of(head), _read_timeout(request))
        with _answered(exchange, request):
            return _response(await exchange.head(), _AsyncStream(exchange, request))

    def _begun(self, request: httpx.Request) -> tuple[Request, _Body]:
        """Return a request without its body, and what collects that."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        head = Request(request.method, request.url.raw_path.decode("ascii"), headers, pace=self._pace)
        return head, _Body(self.service.room(head))


@contextmanager
def _answered(exchange: Exchange | AsyncExchange, request: httpx.Request) -> Iterator[None]:
    """End the work after any failure to read the answer; say that it is late as httpx does."""
    try:
        yield
    except TimeoutError:
        exchange.close()
        raise httpx.ReadTimeout(_LATE, request=request) from None
    except BaseException:
        exchange.close()
        raise


class _Stream(httpx.SyncByteStream):
    def __init__(self, exchange: Exchange, request: httpx.Request) -> None:
        self._exchange, self._request = exchange, request

    def __iter__(self) -> Iterator[bytes]:
        with _answered(self._exchange, self._request):
            yield from self._exchange

    def close(self) -> None:
        self._exchange.close()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, exchange: AsyncExchange, request: httpx.Request) -> None:
        self._exchange, self._request = exchange, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _answered(self._exchange, self._request):
            async for part in self._exchange:
                yield part

    async def aclose(self) -> None:
        self._exchange.close()


def _read_timeout(request: httpx.Request) -> float | None:
    seconds: float | None = request.extensions.get("timeout", {}).get("read")
    return seconds


class _Body:
    """Collects a body of at most `room` bytes; a longer one is counted, not kept."""

    def __init__(self, room: int) -> None:
        self._room, self._size = room, 0
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self.oversize:
            self._parts.clear()
        else:
            self._parts.append(part)

    @property
    def oversize(self) -> bool:
        return self._size > self._room

    def of(self, head: Request) -> Request:
        """Return the request with this body."""
        # A body that came in one part is not copied.
        return replace(head, body=b"".join(self._parts), oversize=self.oversize)


def _response(reply: Reply, stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> httpx.Response:
    return httpx.Response(reply.status, headers=list(reply.headers), stream=stream)
