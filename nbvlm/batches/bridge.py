"""An event loop in a thread, for callers that cannot or need not wait with `await`.

A notebook's own loop is running while a cell is, so `asyncio.run` is refused there; and a run must go on
while its rows are looked at.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

__all__ = ["Bridge"]

T = TypeVar("T")
STEP = 1.0
"""Seconds after which a waiting caller looks up, so that Ctrl-C is seen on every system."""


class Bridge(Generic[T]):
    """Walks an asynchronous iterator in a thread of its own.

    Parameters
    ----------
    source
        Makes the iterator, in the thread's loop.
    ahead
        How many values may wait for the caller; None for any number.
    """

    def __init__(self, source: Callable[[], AsyncIterator[T]], ahead: int | None = None) -> None:
        self._source = source
        self._ahead = ahead
        self._values: deque[T] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._ended = False
        self._unwanted = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="nbvlm-batch", daemon=True)

    def __iter__(self) -> Iterator[T]:
        """Yield the values; leaving early, and Ctrl-C, stop the iterator and wait until it has wound down."""
        self._thread.start()
        try:
            while self._wait():
                yield self._values.popleft()
                self._call(self._make_room)
        finally:
            self.stop()
            self._thread.join()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Stop the iterator, from any thread; what it has yielded is still handed out."""
        self._unwanted = True
        self._call(self._cancel)

    def _wait(self) -> bool:
        with self._changed:
            while not self._values and not self._ended:
                self._changed.wait(STEP)
            return bool(self._values)

    def _call(self, function: Callable[[], Any]) -> None:
        with self._changed:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _make_room(self) -> None:
        if self._room is not None and len(self._values) < (self._ahead or 1):
            self._room.set()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                with self._changed:
                    self._loop = runner.get_loop()
                try:
                    runner.run(self._walk())
                finally:
                    with self._changed:
                        self._loop = None
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again where the values are taken
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    async def _walk(self) -> None:
        self._task, self._room = asyncio.current_task(), asyncio.Event()
        if self._unwanted:
            return
        values = self._source()
        try:
            async for value in values:
                await self._hand_over(value)
        finally:
            await values.aclose()  # type: ignore[attr-defined]

    async def _hand_over(self, value: T) -> None:
        with self._changed:
            self._values.append(value)
            self._changed.notify_all()
        while self._ahead is not None and len(self._values) >= self._ahead and self._room is not None:
            self._room.clear()
            if len(self._values) >= self._ahead:
                await self._room.wait()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread of its own and return what it returns."""

    async def once() -> AsyncIterator[T]:
        yield await coroutine

    (value,) = Bridge(once)
    return value
