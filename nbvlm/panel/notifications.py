"""Callbacks of a panel's user: called in the order of the changes, outside of locks and the package's loop.

A callback may take its time, ask the panel again and wait for the answer, or raise: the answer under way goes
on, and so do the other callbacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from nbvlm._background import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Notifications", "StateLock"]

_LOGGER = logging.getLogger("nbvlm")


class Notifications:
    """Calls that wait for their turn; one thread at a time makes them.

    Examples
    --------
    >>> notifications, done = Notifications(), []
    >>> with notifications.at_once():
    ...     notifications.add(done.append, "changed")
    >>> done
    ['changed']
    """

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        self._turn = threading.RLock()  # a callback that changes the panel makes the calls that follow
        self._local = threading.local()
        self._scheduled = False

    def add(self, call: Callable[..., Any], *args: Any) -> None:
        """Add a call, made on this thread inside of `at_once`, else soon on another one."""
        added = _Call(call, args)
        self._waiting.append(added)
        if getattr(self._local, "at_once", False):
            self._local.last = added
        else:
            self._schedule()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Make the calls that are added inside on this thread, at the end; those that follow are left."""
        if getattr(self._local, "at_once", False):
            yield
            return
        self._local.at_once, self._local.last = True, None
        try:
            yield
        finally:
            self._local.at_once, last = False, self._local.last
            if last is not None:
                self._deliver(last)

    def flush(self) -> None:
        """Wait until the calls that were added before have been made."""
        done = threading.Event()
        with self.at_once():
            self.add(done.set)
        done.wait()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            Task(asyncio.to_thread(self._deliver_all))

    def _deliver_all(self) -> None:
        self._scheduled = False
        self._deliver(None)

    def _deliver(self, last: _Call | None) -> None:
        """Make the calls up to `last`, or all, unless another thread is making them."""

        def due() -> bool:
            return bool(self._waiting) and (last is None or not last.taken)

        while due() and self._turn.acquire(blocking=False):
            try:
                while due():
                    self._waiting.popleft().make()
            finally:
                self._turn.release()
        # Another thread that found the turn taken has left its calls: they may be slow, and are not ours.
        if last is not None and self._waiting:
            self._schedule()


class _Call:
    """A call of a user's function; `taken` once a thread makes it."""

    __slots__ = ("_args", "_function", "taken")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._function, self._args = function, args
        self.taken = False

    def make(self) -> None:
        self.taken = True
        try:
            self._function(*self._args)
        except Exception:
            _LOGGER.exception("A callback of a panel failed.")


class StateLock:
    """A lock that a thread may take again, and that reports the end of a change.

    `on_change` is called, still under the lock, when a thread releases it for the last time.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._on_change = on_change

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1

    def __exit__(self, *raised: object) -> None:
        self._depth -= 1
        try:
            if not self._depth:
                self._on_change()
        finally:
            self._lock.release()
