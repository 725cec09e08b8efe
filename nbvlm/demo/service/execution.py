"""Run each request in its own thread, so that no event loop is blocked and deadlines hold."""

from __future__ import annotations

import asyncio
import queue
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from nbvlm._background import start_thread
from nbvlm.demo.service.messages import Reply, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from nbvlm.demo.service.service import Service

__all__ = ["AsyncExchange", "Exchange"]

Produced = Reply | bytes | Exception | None  # the head first, then the parts of the body; None is the end


def _produce(service: Service, request: Request, deliver: Callable[[Produced], None]) -> None:
    try:
        reply = service.handle(request)
        deliver(replace(reply, body=b""))
        for part in (reply.body,) if isinstance(reply.body, bytes) else reply.body:
            deliver(part)
    except Exception as error:  # noqa: BLE001 - raised again where the reply is read
        deliver(error)
    finally:
        deliver(None)


def _start(service: Service, request: Request, deliver: Callable[[Produced], None]) -> None:
    start_thread(lambda: _produce(service, request, deliver), "nbvlm-demo-exchange")


class Exchange:
    """A request and its reply, for synchronous callers.

    Each part that takes longer than `timeout_s` raises `TimeoutError`; None waits for ever.
    """

    def __init__(self, service: Service, request: Request, timeout_s: float | None = None) -> None:
        self._connection, self._timeout_s = request.connection, timeout_s
        self._items: queue.SimpleQueue[Produced] = queue.SimpleQueue()
        _start(service, request, self._items.put)

    def _next(self) -> Any:
        try:
            return _raised(self._items.get(timeout=self._timeout_s))
        except queue.Empty:
            raise TimeoutError from None

    def head(self) -> Reply:
        """Wait for status and headers."""
        return cast("Reply", self._next())

    def __iter__(self) -> Iterator[bytes]:
        """Yield the parts of the body as they come."""
        while (part := self._next()) is not None:
            yield part

    def close(self) -> None:
        """Stop the work, if it is not done."""
        self._connection.close()


class AsyncExchange:
    """The same for callers in an event loop."""

    def __init__(self, service: Service, request: Request, timeout_s: float | None = None) -> None:
        self._connection, self._timeout_s = request.connection, timeout_s
        self._items: asyncio.Queue[Produced] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        _start(service, request, self._deliver)

    def _deliver(self, item: Produced) -> None:
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:  # the loop is closed: the reply has no reader any more
            self._connection.close()

    async def _next(self) -> Any:
        return _raised(await asyncio.wait_for(self._items.get(), self._timeout_s))

    async def head(self) -> Reply:
        """Wait for status and headers."""
        return cast("Reply", await self._next())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the parts of the body as they come."""
        while (part := await self._next()) is not None:
            yield part

    def close(self) -> None:
        """Stop the work, if it is not done."""
        self._connection.close()


def _raised(item: Produced) -> Reply | bytes | None:
    if isinstance(item, Exception):
        raise item
    return item
