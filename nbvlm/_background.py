"""One private event loop on one daemon thread: everything that a panel waits for, waits here.

Kernels run widget callbacks on different threads and loops, depending on their version, so a task must never
be made on the loop that happens to be running. A `Task` is made from any thread, runs on this loop, and
`Task.cancel` is `task.cancel()` on it.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Task"]

T = TypeVar("T")

LAST_SECONDS = 2.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_owner = 0  # process id: a fork inherits the loop object, but not its thread


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop, _owner
    with _lock:
        if _loop is None or _loop.is_closed() or _owner != os.getpid():
            _loop, _owner = asyncio.new_event_loop(), os.getpid()
            thread = threading.Thread(target=_serve, args=(_loop,), name="nbvlm-panel", daemon=True)
            thread.start()
            atexit.register(_shut_down, _loop, thread, os.getpid())
        return _loop


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _shut_down(loop: asyncio.AbstractEventLoop, thread: threading.Thread, owner: int) -> None:
    # An answer cut off by the end of the process still gets the moment it needs to delete its asset.
    if owner != os.getpid() or loop.is_closed():
        return
    ending = asyncio.run_coroutine_threadsafe(_cancel_all(), loop)
    concurrent.futures.wait([ending], timeout=LAST_SECONDS)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LAST_SECONDS)


class Task(Generic[T]):
    """A coroutine that runs on the package's loop thread.

    Parameters
    ----------
    coroutine
        Starts at once; whatever it raises is kept for `wait`.

    Examples
    --------
    >>> import asyncio
    >>> Task(asyncio.sleep(0, "done")).wait(timeout=5)
    'done'
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._task: asyncio.Task[T] | None = None
        self._unwanted = False
        self._loop = _running_loop()
        self._loop.call_soon_threadsafe(self._begin, coroutine)

    def _begin(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._task = self._loop.create_task(coroutine)
        self._task.add_done_callback(self._end)
        if self._unwanted:
            self._task.cancel()

    def _end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._outcome.cancel()
        elif error := task.exception():
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(task.result())

    def _cancel(self) -> None:
        self._unwanted = True
        if self._task is not None:
            self._task.cancel()

    def cancel(self) -> None:
        """Cancel the task, from any thread; returns at once and may be called again."""
        if not self._outcome.done():
            self._loop.call_soon_threadsafe(self._cancel)

    @property
    def done(self) -> bool:
        """Whether the task has ended, its clean-up included."""
        return self._outcome.done()

    def wait(self, timeout: float | None = None) -> T:
        """Block until the task has ended; return what it returned.

        Parameters
        ----------
        timeout
            Seconds; None waits for ever.

        Raises
        ------
        TimeoutError
            It has not ended in time; it goes on.
        concurrent.futures.CancelledError
            It was cancelled.
        BaseException
            What the coroutine raised.
        """
        return self._outcome.result(timeout)
