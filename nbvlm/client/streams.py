"""An answer while it comes: context managers that iterate over events and remember them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from nbvlm.client.flow.events import Event, TextDelta
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from nbvlm.client.driver import AsyncDriver, Driver
    from nbvlm.result import Result

__all__ = ["AsyncStream", "Stream"]


class _Memory:
    """The memory of both kinds of stream."""

    def __init__(self, driver: Any, owner: object) -> None:
        self._driver = driver
        self._batches = driver.run()
        self._owner = owner  # A client that is still in use is not collected.
        self._events: list[Event] = []
        self._ready: deque[Event] = deque()
        self._finished = False
        self._cancelled = False
        self._result: Result | None = None
        self._error: BaseException | None = None

    @property
    def text(self) -> str:
        """The text so far: that of the events handed out."""
        return "".join(event.text for event in self._events if type(event) is TextDelta)

    @property
    def events(self) -> tuple[Event, ...]:
        """The events so far."""
        return tuple(self._events)

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self._finished

    @property
    def result(self) -> Result:
        """The result of a finished stream.

        Raises
        ------
        Error
            While the stream goes on, and after it was stopped; where it failed, its own error.
        """
        if self._result is not None:
            return self._result
        if isinstance(self._error, Error):
            raise self._error
        if self._cancelled:
            raise Error("The stream was stopped before its end.", hint="The text until then is in `.text`.")
        raise Error("The stream has not ended.", hint="Iterate over it to its end first.")

    def _is_over(self) -> bool:
        if self._finished and self._error is not None:
            raise self._error
        return self._finished

    def _take(self, batch: list[Event] | None) -> bool:
        """Keep the next events; None at the end."""
        if batch is None:
            self._finished, self._result = True, self._driver.result
            self._cancelled = self._result is None
            return False
        self._ready.extend(batch)
        return True

    def __repr__(self) -> str:
        state = "stopped" if self._cancelled else "finished" if self._finished else "open"
        return f"<{type(self).__name__} {state}, {len(self._events)} events>"


class Stream(_Memory):
    """A streamed answer; made by `Client.stream`.

    Iterating yields `TextDelta`, `DetectionFound` and `Status` events as they come; iterating again yields
    the same ones. Leaving the `with` block closes the connection at once.

    Examples
    --------
    >>> with client.stream("cat.jpg", "caption en") as stream:  # doctest: +SKIP
    ...     for event in stream:
    ...         ...
    >>> stream.result  # doctest: +SKIP
    """

    def __init__(self, driver: Driver, owner: object) -> None:
        super().__init__(driver, owner)
        self._inside = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        seen, events, ready = 0, self._events, self._ready
        try:
            while True:
                while seen < len(events):
                    yield events[seen]
                    seen += 1
                if ready:
                    events.append(ready.popleft())
                elif not self._advance():
                    return
        except GeneratorExit:
            raise
        except BaseException:
            # Ctrl-C between two events: a notebook keeps the traceback and with it all that is open.
            self.close()
            raise

    def cancel(self) -> None:
        """Stop; may be called from another thread than the one that iterates."""
        self.close()

    def close(self) -> None:
        """Stop if there is something to stop; called by leaving the `with` block."""
        if self._finished:
            return
        self._cancelled = True
        self._driver.cancel()
        # Where another thread is in it, cutting the connection ends its loop.
        if self._inside.acquire(blocking=False):
            try:
                self._batches.close()
                self._ready.clear()
                self._finished = True
            finally:
                self._inside.release()

    def _advance(self) -> bool:
        with self._inside:
            if self._is_over():
                return False
            try:
                batch = next(self._batches, None)
            except BaseException as error:
                self._error, self._finished = error, True
                raise
            return self._take(batch)


class AsyncStream(_Memory):
    """A streamed answer; made by `AsyncClient.stream`. The same names as `Stream`, awaited."""

    def __init__(self, driver: AsyncDriver, owner: object) -> None:
        super().__init__(driver, owner)
        self._reader: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        seen, events, ready = 0, self._events, self._ready
        while True:
            while seen < len(events):
                yield events[seen]
                seen += 1
            if ready:
                events.append(ready.popleft())
            elif not await self._advance():
                return

    async def cancel(self) -> None:
        """Stop; may be called from another task than the one that iterates, whose loop then ends."""
        await self.close()

    async def close(self) -> None:
        """Stop if there is something to stop; called by leaving the `async with` block."""
        if self._finished:
            return
        self._cancelled = True
        if self._reader is not None and self._reader is not asyncio.current_task():
            self._reader.cancel()
        else:
            self._finished = True
            self._ready.clear()
            await self._batches.aclose()

    async def _advance(self) -> bool:
        if self._is_over():
            return False
        self._reader = asyncio.current_task()
        try:
            batch = await anext(self._batches, None)
        except asyncio.CancelledError as error:
            return self._stopped(error)
        except BaseException as error:
            self._error, self._finished = error, True
            raise
        finally:
            self._reader = None
        return self._take(batch)

    def _stopped(self, error: asyncio.CancelledError) -> bool:
        """End the loop quietly where our own `cancel` stopped it; pass on every other cancellation."""
        ours, self._finished = self._cancelled, True
        self._cancelled = True
        task = asyncio.current_task()
        if not ours or task is None or task.uncancel() > 0:
            raise error
        return False
