"""Two drivers that take the steps of a flow, one blocking, one awaited."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from nbvlm.client.error_responses import request_id
from nbvlm.client.flow.steps import READ, Emit, RunInThread, Sleep
from nbvlm.client.request_info import RequestInfo, cut
from nbvlm.client.secrets import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from nbvlm.client.flow.events import Event
    from nbvlm.client.flow.steps import Flow

__all__ = ["KEPT", "AsyncDriver", "Driver", "Exchange", "RequestLog", "StreamClosed"]

KEPT = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP exchange."""

    time: datetime
    method: str
    path: str
    status: int | None
    milliseconds: float
    request_id: str | None

    def __str__(self) -> str:
        status = self.status if self.status is not None else "failed"
        return f"{self.time:%H:%M:%S} {self.method} {self.path} {status} {self.milliseconds:.0f} ms"


class RequestLog:
    """Keeps the last `KEPT` exchanges."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: deque[Exchange] = deque(maxlen=KEPT)

    def add(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        self._kept.append(exchange)

    def all(self) -> tuple[Exchange, ...]:
        """Return the exchanges, oldest first."""
        return tuple(self._kept)


def shown_path(path: str) -> str:
    """Return a path fit to be shown: no query, no secret."""
    shown: str = redact(path.partition("?")[0])
    return shown


_LOGGER = logging.getLogger("nbvlm")


class StreamClosed(BaseException):
    """Thrown into a flow whose consumer has left."""


class _OpenRequest:
    """A request under way, and the entry that is kept of it."""

    __slots__ = ("_began", "_log", "_method", "_path", "_time")

    def __init__(self, log: RequestLog, request: httpx.Request) -> None:
        signed = "authorization" not in request.headers and request.url.query
        self._log = log
        self._method, self._path = request.method, "(signed)" if signed else shown_path(request.url.path)
        self._time, self._began = datetime.now(UTC), time.perf_counter()

    def end(self, response: httpx.Response | None) -> None:
        took = (time.perf_counter() - self._began) * 1000
        status = response.status_code if response is not None else None
        name = request_id(response.headers) if response is not None else None
        exchange = Exchange(self._time, self._method, self._path, status, took, name)
        self._log.add(exchange)
        _LOGGER.debug("%s", exchange)


class Driver:
    """Drives a flow with a blocking transport."""

    def __init__(self, flow: Flow[Any], transport: httpx.BaseTransport, log: RequestLog) -> None:
        self._flow = flow
        self._transport = transport
        self._log = log
        self._open_request: _OpenRequest | None = None
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._cancelled = threading.Event()
        self._leaving = False
        self._connection: Any = None
        self.result: Any = None

    def run(self) -> Iterator[list[Event]]:
        """Yield batches of events until the flow returns; leaving early winds it down."""
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                step = self._flow.send(value) if error is None else self._flow.throw(error)
                value, error = None, None
                try:
                    if step is READ:
                        value = self._next()
                    elif type(step) is Emit:
                        yield step.events
                    else:
                        value = self._perform(step)
                except BaseException as raised:  # noqa: BLE001 - the flow decides
                    error = self._as_seen_by_flow(raised)
        except StopIteration as stop:
            self.result = stop.value
        except StreamClosed:
            pass
        finally:
            self._close()

    def cancel(self) -> None:
        """Stop, from any thread: the connection is cut, and a running `run` ends."""
        self._cancelled.set()
        cut(self._connection)

    def _as_seen_by_flow(self, raised: BaseException) -> BaseException:
        # Frames below hold the key in their variables; no traceback shall lead there.
        if isinstance(raised, GeneratorExit) or self._stopped():
            self._leaving = True
            self._close()
            return StreamClosed()
        return raised.with_traceback(None)

    def _stopped(self) -> bool:
        return self._cancelled.is_set() and not self._leaving

    def _next(self) -> bytes:
        if self._stopped():
            raise StreamClosed
        for piece in self._pieces:
            if piece:
                return piece
        return b""

    def _perform(self, step: Any) -> Any:
        if isinstance(step, RunInThread):
            return step.function()
        if isinstance(step, Sleep):
            (time.sleep if self._leaving else self._cancelled.wait)(step.seconds)
        if self._stopped():
            raise StreamClosed
        return None if isinstance(step, Sleep) else self._send(step)

    def _send(self, request: httpx.Request) -> httpx.Response:
        self._close()
        self._open_request = _OpenRequest(self._log, request)
        RequestInfo.of(request).hold = self._hold
        response = self._transport.handle_request(request)
        if self._connection is None:  # A transport of the caller's own does not call `hold`.
            self._connection = response.extensions.get("network_stream")
        response.request = request
        self._response = response
        plain = "content-encoding" not in response.headers
        self._pieces = iter(response.stream) if plain else response.iter_bytes()  # type: ignore[arg-type]
        return response

    def _hold(self, connection: Any) -> None:
        self._connection = connection
        if self._stopped():
            raise StreamClosed

    def _close(self) -> None:
        response, self._response, self._connection = self._response, None, None
        open_request, self._open_request = self._open_request, None
        self._pieces = iter(())
        if open_request is not None:
            open_request.end(response)
        if response is not None:
            response.close()


class AsyncDriver:
    """Drives a flow with an awaiting transport; parameters as `Driver`."""

    def __init__(self, flow: Flow[Any], transport: httpx.AsyncBaseTransport, log: RequestLog) -> None:
        self._flow = flow
        self._transport = transport
        self._log = log
        self._open_request: _OpenRequest | None = None
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] = _nothing()
        self._seconds_left: Callable[[], float | None] = lambda: None
        self.result: Any = None

    async def run(self) -> AsyncIterator[list[Event]]:
        """Yield batches of events until the flow returns; leaving early or a cancellation winds it down."""
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                step = self._flow.send(value) if error is None else self._flow.throw(error)
                value, error = None, None
                try:
                    if step is READ:
                        value = await self._next()
                    elif type(step) is Emit:
                        yield step.events
                    else:
                        value = await self._perform(step)
                except (GeneratorExit, asyncio.CancelledError) as raised:
                    await self._wind_down(raised)
                    raise raised.with_traceback(None)  # noqa: B904 - as above: no frame with a key
                except BaseException as raised:  # noqa: BLE001 - the flow decides
                    error = raised.with_traceback(None)
        except StopIteration as stop:
            self.result = stop.value
        finally:
            await self._close()

    async def _wind_down(self, cause: BaseException) -> None:
        """Cut the connection at once, then let the flow delete what it uploaded, shielded."""
        await self._close()
        try:
            step = self._flow.throw(StreamClosed() if isinstance(cause, GeneratorExit) else cause)
        except BaseException:  # noqa: BLE001 - the flow had nothing left to do
            return
        rest = asyncio.ensure_future(self._finish(step))
        _WINDING_DOWN.add(rest)
        rest.add_done_callback(_WINDING_DOWN.discard)
        await asyncio.shield(rest)

    async def _finish(self, step: Any) -> None:
        """Take the steps that a flow still has after a stop; its deadline bounds them."""
        while True:
            value: Any = None
            error: BaseException | None = None
            try:
                if step is READ:
                    value = await self._next()
                elif type(step) is not Emit:
                    value = await self._perform(step)
            except BaseException as raised:  # noqa: BLE001 - the flow decides
                error = raised.with_traceback(None)
            try:
                step = self._flow.send(value) if error is None else self._flow.throw(error)
            except BaseException:  # noqa: BLE001 - the end, by the error that began it
                await self._close()
                return

    async def _next(self) -> bytes:
        return await self._in_time(self._piece())

    async def _piece(self) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        return b""

    async def _in_time(self, awaited: Awaitable[T]) -> T:
        """Bound what is awaited by the time that the request has left, whatever the transport does."""
        limit = asyncio.timeout(self._seconds_left())
        try:
            async with limit:
                return await awaited
        except TimeoutError:
            if not limit.expired():
                raise
        raise httpx.ReadTimeout("")

    async def _perform(self, step: Any) -> Any:
        if isinstance(step, Sleep):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, RunInThread):
            return await asyncio.to_thread(step.function)
        return await self._send(step)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        await self._close()
        self._open_request = _OpenRequest(self._log, request)
        self._seconds_left = RequestInfo.of(request).seconds_left or self._seconds_left
        response = await self._in_time(self._transport.handle_async_request(request))
        response.request = request
        self._response = response
        plain = "content-encoding" not in response.headers
        self._pieces = aiter(response.stream) if plain else response.aiter_bytes()  # type: ignore[arg-type]
        return response

    async def _close(self) -> None:
        response, self._response = self._response, None
        open_request, self._open_request = self._open_request, None
        self._pieces = _nothing()
        if open_request is not None:
            open_request.end(response)
        if response is not None:
            await response.aclose()


_WINDING_DOWN: set[asyncio.Future[None]] = set()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
