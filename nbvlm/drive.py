"""Two short drivers: they do what a flow asks for, one blocking, one awaiting."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbvlm.recent import Exchange, Recent, shown_path
from nbvlm.statuses import request_id
from nbvlm.steps import Pause, Tell, Work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

    from nbvlm.events import Event
    from nbvlm.steps import Flow

__all__ = ["AsyncDriver", "Driver", "Left"]


class Left(BaseException):
    """Thrown into a flow whose consumer went away."""


class _Open:
    """The one response that is open, and the note that will be kept of it."""

    __slots__ = ("began", "method", "path", "recent", "response", "time")

    def __init__(self, recent: Recent) -> None:
        self.recent = recent
        self.response: httpx.Response | None = None

    def begin(self, request: httpx.Request) -> None:
        signed = "authorization" not in request.headers and request.url.query
        self.method, self.path = request.method, "(signed)" if signed else shown_path(request.url.path)
        self.time, self.began = datetime.now(UTC), time.perf_counter()

    def note(self, response: httpx.Response | None) -> None:
        took = (time.perf_counter() - self.began) * 1000
        status = response.status_code if response is not None else None
        name = request_id(response.headers) if response is not None else None
        self.recent.add(Exchange(self.time, self.method, self.path, status, took, name))


class Driver:
    """Drives a flow with a blocking transport.

    Parameters
    ----------
    flow
        What to drive.
    transport
        Sends requests.
    recent
        Where exchanges are noted.

    Attributes
    ----------
    result
        What the flow returned.
    """

    def __init__(self, flow: Flow[Any], transport: httpx.BaseTransport, recent: Recent) -> None:
        self._flow = flow
        self._transport = transport
        self._open = _Open(recent)
        self._pieces: Iterator[bytes] = iter(())
        self._cancelled = threading.Event()
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
                    if type(step) is list:
                        if step:
                            yield step
                        value = self._next()
                    elif type(step) is Tell:
                        if step.events:
                            yield step.events
                    else:
                        value = self._perform(step)
                except GeneratorExit:
                    error = Left()
                except BaseException as raised:  # noqa: BLE001 - the flow decides
                    error = Left() if self._cancelled.is_set() else raised.with_traceback(None)
        except StopIteration as stop:
            self.result = stop.value
        except Left:
            pass
        finally:
            self._close()

    def cancel(self) -> None:
        """Stop from any thread: the connection is cut, and a running `run` ends."""
        self._cancelled.set()
        if (response := self._open.response) is not None:
            abort = getattr(response.extensions.get("network_stream"), "abort", None)
            if abort is not None:
                abort()

    def _next(self) -> bytes:
        if self._cancelled.is_set():
            raise Left
        return next(self._pieces, b"")

    def _perform(self, step: Any) -> Any:
        if isinstance(step, Pause):
            self._cancelled.wait(step.seconds)
            return None
        if isinstance(step, Work):
            return step.function()
        self._close()
        self._open.begin(step)
        try:
            response = self._transport.handle_request(step)
        except BaseException:
            self._open.note(None)
            raise
        self._open.response = response
        response.request = step
        plain = "content-encoding" not in response.headers
        self._pieces = iter(response.stream) if plain else response.iter_bytes()  # type: ignore[arg-type]
        return response

    def _close(self) -> None:
        response, self._open.response = self._open.response, None
        self._pieces = iter(())
        if response is not None:
            self._open.note(response)
            response.close()


class AsyncDriver:
    """Drives a flow with an awaiting transport; parameters as `Driver`."""

    def __init__(self, flow: Flow[Any], transport: httpx.AsyncBaseTransport, recent: Recent) -> None:
        self._flow = flow
        self._transport = transport
        self._open = _Open(recent)
        self._pieces: AsyncIterator[bytes] = _nothing()
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
                    if type(step) is list:
                        if step:
                            yield step
                        value = await anext(self._pieces, b"")
                    elif type(step) is Tell:
                        if step.events:
                            yield step.events
                    else:
                        value = await self._perform(step)
                except (GeneratorExit, asyncio.CancelledError) as raised:
                    await self._wind_down(raised)
                    raise
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
            step = self._flow.throw(Left() if isinstance(cause, GeneratorExit) else cause)
        except BaseException:  # noqa: BLE001 - nothing was left to do
            return
        rest = asyncio.ensure_future(self._finish(step))
        _WINDING_DOWN.add(rest)
        rest.add_done_callback(_WINDING_DOWN.discard)
        await asyncio.shield(rest)

    async def _finish(self, step: Any) -> None:
        while True:
            value: Any = None
            error: BaseException | None = None
            try:
                if type(step) is list:
                    value = await anext(self._pieces, b"")
                elif type(step) is not Tell:
                    value = await self._perform(step)
            except BaseException as raised:  # noqa: BLE001 - the flow decides
                error = raised.with_traceback(None)
            try:
                step = self._flow.send(value) if error is None else self._flow.throw(error)
            except BaseException:  # noqa: BLE001 - the end, by the error that began it
                await self._close()
                return

    async def _perform(self, step: Any) -> Any:
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, Work):
            return await asyncio.to_thread(step.function)
        await self._close()
        self._open.begin(step)
        try:
            response = await self._transport.handle_async_request(step)
        except BaseException:
            self._open.note(None)
            raise
        self._open.response = response
        response.request = step
        plain = "content-encoding" not in response.headers
        self._pieces = aiter(response.stream) if plain else response.aiter_bytes()  # type: ignore[arg-type]
        return response

    async def _close(self) -> None:
        response, self._open.response = self._open.response, None
        self._pieces = _nothing()
        if response is not None:
            self._open.note(response)
            await response.aclose()


_WINDING_DOWN: set[asyncio.Future[None]] = set()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""  # pragma: no cover
