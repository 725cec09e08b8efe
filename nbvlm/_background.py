"""The package's threads and event loops: all of them are started here.

Kernels run widget callbacks on different threads and loops, depending on their version, and a notebook's own
loop is running while a cell is. So nothing is awaited on the loop that happens to be running: a `Task` runs
on one loop that the package owns, and `iterate_in_thread` walks an iterator on its own loop.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import queue
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Generator

__all__ = [
    "BackgroundLoop",
    "Interruption",
    "Task",
    "in_thread",
    "iterate_in_thread",
    "run_in_thread",
    "shared_loop",
    "start_thread",
    "thread_pool",
]

T = TypeVar("T")

STEP_S = 1.0
"""Seconds after which a waiting caller looks up, so that Ctrl-C is seen on every system."""
LAST_S = 2.0
"""Seconds that tasks have for cleaning up at the end of the process."""


class BackgroundLoop:
    """An event loop on a daemon thread of this name."""

    def __init__(self, name: str = "nbvlm") -> None:
        self._loop = asyncio.new_event_loop()
        self._owner = os.getpid()  # a fork inherits the loop object, but not its thread
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the loop takes work in this process."""
        return not self._loop.is_closed() and self._owner == os.getpid()

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function on the loop, from any thread."""
        self._loop.call_soon_threadsafe(function, *args)

    def close(self, timeout: float | None = None) -> None:
        """Cancel all tasks, and wait until they have cleaned up, for so many seconds at most."""
        if self.alive:
            with contextlib.suppress(RuntimeError):  # it has just ended
                self.call(lambda: self._loop.create_task(self._wind_up()))
            self._thread.join(timeout)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        self._loop.stop()


_lock = threading.Lock()
_shared: dict[str, BackgroundLoop] = {}


def shared_loop(name: str = "nbvlm") -> BackgroundLoop:
    """Return the loop of this name that tasks share, started when it is first needed in this process."""
    with _lock:
        if name not in _shared or not _shared[name].alive:
            _shared[name] = BackgroundLoop(name)
            # An answer cut off by the end of the process still gets the moment it needs to delete its asset.
            atexit.register(_shared[name].close, LAST_S)
        return _shared[name]


class Interruption:
    """Cancels a function's waiting, from any thread: a `Task` that it waits for is cancelled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = False
        self._tasks: set[Task[Any]] = set()

    def run(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call the function in this thread."""
        mark = _INTERRUPTION.set(self)
        try:
            return function(*args, **options)
        finally:
            _INTERRUPTION.reset(mark)

    def begin(self) -> None:
        """Interrupt what `run` is waiting for now, or will wait for."""
        with self._lock:
            self._begun = True
            tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()

    @contextlib.contextmanager
    def _waiting(self, task: Task[Any]) -> Generator[None]:
        with self._lock:
            self._tasks.add(task)
            begun = self._begun
        try:
            if begun:
                task.cancel()
                with contextlib.suppress(Exception):
                    task._outcome.result()  # noqa: SLF001 - our own class; it cleans up
                raise concurrent.futures.CancelledError  # also where it ended before it was cancelled
            yield
        finally:
            with self._lock:
                self._tasks.discard(task)


_INTERRUPTION: ContextVar[Interruption | None] = ContextVar("nbvlm_interruption", default=None)


async def in_thread(function: Callable[..., T], *args: Any, **options: Any) -> T:
    """Call a function in a thread; a cancellation also interrupts its waiting there."""
    interruption = Interruption()
    try:
        return await asyncio.to_thread(interruption.run, function, *args, **options)
    except asyncio.CancelledError:
        interruption.begin()
        raise


class Task(Generic[T]):
    """A coroutine that runs on a background loop.

    Parameters
    ----------
    coroutine
        Starts at once; `wait` raises what it raises.
    loop
        Where it runs; by default on the loop that all tasks of the package share.

    Examples
    --------
    >>> import asyncio
    >>> Task(asyncio.sleep(0, "done")).wait(timeout=5)
    'done'
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], loop: BackgroundLoop | None = None) -> None:
        self._outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._task: asyncio.Task[T]
        self._loop = loop or shared_loop()
        self._loop.call(self._begin, coroutine)

    def _begin(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._task = asyncio.get_running_loop().create_task(coroutine)
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._outcome.cancel()
        elif error := task.exception():
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(task.result())

    def cancel(self) -> None:
        """Cancel the task, from any thread; returns at once and may be called again."""
        if not self._outcome.done():
            self._loop.call(lambda: self._task.cancel())

    @property
    def done(self) -> bool:
        """Whether the task has ended, its clean-up included."""
        return self._outcome.done()

    def wait(self, timeout: float | None = None) -> T:
        """Block until the task has ended; return its value.

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
            As the coroutine raised it.
        """
        interruption = _INTERRUPTION.get()
        with interruption._waiting(self) if interruption is not None else contextlib.nullcontext():  # noqa: SLF001
            return self._outcome.result(timeout)


class _End:
    """The end of an iterator, with the error that ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def iterate_in_thread(
    source: Callable[[], AsyncGenerator[T]],
    *,
    ahead: int | None = None,
    idle_s: float | None = None,
    stop: Callable[[], object] | None = None,
    patience_s: float | None = None,
) -> Generator[T | None]:
    """Walk an asynchronous iterator on its own loop, and yield its values here.

    Leaving early, and Ctrl-C, stop the iterator and wait until it has wound down.

    Parameters
    ----------
    source
        Makes the iterator, on that loop. It may block there: the loop serves nothing else.
    ahead
        How many values may wait here; None for any number.
    idle_s
        Seconds without a value after which None is yielded; by default never.
    stop
        Ends an iterator that blocks; called at every end.
    patience_s
        Seconds to wait for the winding down; None waits for ever.
    """
    values: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
    room = asyncio.Semaphore(ahead - 1) if ahead is not None else None
    # The shared loop would not do: this may be called on it, and would wait for itself.
    loop = BackgroundLoop("nbvlm-iterator")
    try:
        Task(_walk(source, values, room), loop)
        while True:
            try:
                value = values.get(timeout=STEP_S if idle_s is None else idle_s)
            except queue.Empty:
                if idle_s is not None:
                    yield None
                continue
            if isinstance(value, _End):
                break
            yield value
            if room is not None:
                loop.call(room.release)
    finally:
        if stop is not None:
            stop()
        loop.close(patience_s)
    if value.error is not None:
        raise value.error


async def _walk(
    source: Callable[[], AsyncGenerator[T]],
    values: queue.SimpleQueue[T | _End],
    room: asyncio.Semaphore | None,
) -> None:
    error: BaseException | None = None
    try:
        async with contextlib.aclosing(source()) as found:
            async for value in found:
                values.put(value)
                if room is not None:
                    await room.acquire()
    except BaseException as caught:  # noqa: BLE001 - raised again where the values are taken
        error = caught
    values.put(_End(error))


def run_in_thread(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on its own loop, and return its value; Ctrl-C cancels it and waits for that."""

    async def once() -> AsyncGenerator[T]:
        yield await coroutine

    (value,) = iterate_in_thread(once)
    return value  # type: ignore[return-value] # None comes only where it is asked for


def start_thread(function: Callable[[], None], name: str) -> None:
    """Call a function in a thread that does not keep Python from ending."""
    threading.Thread(target=function, name=name, daemon=True).start()


def thread_pool(size: int) -> concurrent.futures.ThreadPoolExecutor:
    """Return threads for work that blocks, apart from those of `asyncio.to_thread`."""
    return concurrent.futures.ThreadPoolExecutor(size, thread_name_prefix="nbvlm-pool")
