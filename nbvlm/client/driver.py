"""Two drivers that take the steps of a flow, one blocking, one awaited."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from nbvlm._background import Interruption, in_thread
from nbvlm.client import unpacking
from nbvlm.client.error_responses import request_id
from nbvlm.client.flow.steps import READ, Emit, RunInThread, Sleep
from nbvlm.client.request_info import RequestInfo
from nbvlm.client.secrets import redact

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

    from nbvlm.client.flow.events import Event
    from nbvlm.client.flow.steps import Flow

__all__ = ["AsyncDriver", "Driver", "Exchange", "StreamClosed"]

T = TypeVar("T")
_LOGGER = logging.getLogger("nbvlm")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP exchange."""

    time: datetime  # when the request was sent, UTC
    method: str
    path: str  # without a query; "(signed)" for signed uploads, whose path holds an account id
    status: int | None  # None where no response came
    milliseconds: float  # from the request to the end of the response
    request_id: str | None  # the service's

    def __str__(self) -> str:
        status = self.status if self.status is not None else "failed"
        return f"{self.time:%H:%M:%S} {self.method} {self.path} {status} {self.milliseconds:.0f} ms"


class StreamClosed(BaseException):
    """Thrown into a flow whose consumer has left."""


class _Driver:
    """The state of both drivers; `result` is None before the end of the flow and after a stop."""

    def __init__(self, flow: Flow[Any], transport: Any, log: deque[Exchange]) -> None:
        self._flow = flow
        self._transport = transport
        self._log = log
        self._begun: tuple[datetime, str, str, float] | None = None
        self._response: httpx.Response | None = None
        self.result: Any = None

    def _begin(self, request: httpx.Request) -> None:
        is_signed = not RequestInfo.of(request).with_key and request.url.query
        path = "(signed)" if is_signed else request.url.path
        self._begun = datetime.now(UTC), request.method, path, time.perf_counter()

    def _opened(self, request: httpx.Request, response: httpx.Response) -> str | None:
        """Keep a response, and return how its body is packed; None where it is not."""
        response.request = request
        self._response = response
        coding = response.headers.get("content-encoding", "").strip().lower()
        return None if coding in ("", "identity") else coding

    def _ended(self) -> httpx.Response | None:
        """Log the open exchange, and return the response that is still to be closed."""
        response, self._response = self._response, None
        begun, self._begun = self._begun, None
        if begun is not None:
            sent, method, path, since = begun
            took = (time.perf_counter() - since) * 1000
            status = None if response is None else response.status_code
            id_ = None if response is None else request_id(response.headers)
            # Redacted at the end: it delays no answer.
            exchange = Exchange(sent, method, redact(path), status, took, id_)
            self._log.append(exchange)
            _LOGGER.debug("%s", exchange)
        return response


class Driver(_Driver):
    """Drives a flow with a blocking transport."""

    def __init__(self, flow: Flow[Any], transport: httpx.BaseTransport, log: deque[Exchange]) -> None:
        super().__init__(flow, transport, log)
        self._pieces: Iterator[bytes] = iter(())
        self._cancelled = threading.Event()
        self._interruption = Interruption()
        self._leaving = False
        self._connection: Any = None

    def run(self) -> Iterator[list[Event]]:
        """Yield batches of events until the flow returns; leaving early winds it down."""
        step: Any
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
                step = None  # A request holds a key or a signed address: no traceback shows it.
        except StopIteration as stop:
            self.result = stop.value
        except StreamClosed:
            pass
        finally:
            self._close()

    def finish(self) -> Any:
        """Take all steps, and return the result."""
        for _ in self.run():
            pass
        return self.result

    def cancel(self) -> None:
        """Stop, from any thread: the connection is cut, and a running `run` ends."""
        self._cancelled.set()
        self._interruption.begin()
        _cut(self._connection)

    def _as_seen_by_flow(self, raised: BaseException) -> BaseException:
        # Frames below hold the key in their variables; no traceback may lead there.
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
            return self._interruption.run(step.function)
        if isinstance(step, Sleep):
            (time.sleep if self._leaving else self._cancelled.wait)(step.seconds)
        if self._stopped():
            raise StreamClosed
        return None if isinstance(step, Sleep) else self._send(step)

    def _send(self, request: httpx.Request) -> httpx.Response:
        self._close()
        self._begin(request)
        RequestInfo.of(request).hold = self._hold
        response: httpx.Response = self._transport.handle_request(request)
        if self._connection is None:  # A transport of the caller's own does not call `hold`.
            self._connection = response.extensions.get("network_stream")
        coding = self._opened(request, response)
        pieces: Iterator[bytes] = iter(response.stream)  # type: ignore[arg-type]
        self._pieces = pieces if coding is None else unpacking.blocking(coding, pieces)
        return response

    def _hold(self, connection: Any) -> None:
        self._connection = connection
        if self._stopped():
            raise StreamClosed

    def _close(self) -> None:
        self._pieces, self._connection = iter(()), None
        if (response := self._ended()) is not None:
            response.close()


class AsyncDriver(_Driver):
    """Drives a flow with an awaited transport."""

    def __init__(self, flow: Flow[Any], transport: httpx.AsyncBaseTransport, log: deque[Exchange]) -> None:
        super().__init__(flow, transport, log)
        self._pieces: AsyncIterator[bytes] = _nothing()
        self._whole: bytes | None = None  # what is left of a body that came with its head
        self._seconds_left: Callable[[], float | None] = lambda: None

    async def run(self, error: BaseException | None = None) -> AsyncIterator[list[Event]]:
        """Yield batches of events until the flow returns; leaving early or a cancellation winds it down.

        With an `error`, the flow goes on from there.
        """
        step: Any
        value: Any = None
        try:
            while True:
                step = self._flow.send(value) if error is None else self._flow.throw(error)
                value, error = None, None
                try:
                    if type(step) is Emit:
                        yield step.events
                    else:
                        value = await self._perform(step)
                except (GeneratorExit, asyncio.CancelledError) as raised:
                    step = None
                    await self._wind_down(raised)
                    raise raised.with_traceback(None)  # noqa: B904 - as above: no frame with a key
                except BaseException as raised:  # noqa: BLE001 - the flow decides
                    error = raised.with_traceback(None)
                step = None  # as above
        except StopIteration as stop:
            self.result = stop.value
        finally:
            await self._close()

    async def finish(self, error: BaseException | None = None) -> Any:
        """Take all steps, and return the result."""
        async for _ in self.run(error):
            pass
        return self.result

    async def _wind_down(self, cause: BaseException) -> None:
        """Cut the connection at once, then let the flow delete what it uploaded, shielded."""
        await self._close()
        error = StreamClosed() if isinstance(cause, GeneratorExit) else cause

        async def wind_down() -> None:
            with contextlib.suppress(BaseException):  # It ends by the error that began it.
                await self.finish(error)

        await _to_its_end(wind_down())  # The flow's deadline bounds it.

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
        if step is READ:
            if self._whole is not None:
                piece, self._whole = self._whole, b""
                return piece
            return await self._in_time(self._piece())
        if isinstance(step, Sleep):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, RunInThread):
            return await in_thread(step.function)
        return await self._send(step)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        await self._close()
        self._begin(request)
        self._seconds_left = RequestInfo.of(request).seconds_left or self._seconds_left
        response: httpx.Response = await self._in_time(self._transport.handle_async_request(request))
        coding = self._opened(request, response)
        if coding is None and type(response.stream) is httpx.ByteStream:
            # Nothing is left to read, nor to close.
            self._whole = b"".join(response.stream)
        else:
            pieces: AsyncIterator[bytes] = aiter(response.stream)  # type: ignore[arg-type]
            self._pieces = pieces if coding is None else unpacking.awaited(coding, pieces)
        return response

    async def _close(self) -> None:
        self._pieces = _nothing()
        response, is_whole = self._ended(), self._whole is not None
        self._whole = None
        if response is not None and not is_whole:
            await _to_its_end(response.aclose())  # half closed, the pool would count it as in use for ever


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for something that goes on where the wait is cancelled."""
    task = asyncio.ensure_future(work)
    _WINDING_DOWN.add(task)
    task.add_done_callback(_WINDING_DOWN.discard)
    await asyncio.shield(task)


def _cut(connection: Any) -> None:
    """Shut a connection down from any thread: a read that waits in another thread ends at once."""
    if (abort := getattr(connection, "abort", None)) is not None:
        abort()
    elif (get := getattr(connection, "get_extra_info", None)) is not None:
        with contextlib.suppress(OSError):
            if (found := get("socket")) is not None:
                found.shutdown(socket.SHUT_RDWR)


_WINDING_DOWN: set[asyncio.Future[None]] = set()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
