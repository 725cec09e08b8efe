"""Fair turns: of the jobs that wait, one of each caller is taken in turn; and so are the bodies to read."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OneEach", "Turns"]

_REST_MOST_S = 0.5


class _Job(Protocol):
    def expired(self) -> bool:
        """Whether it is not wanted any more."""


T = TypeVar("T", bound=_Job)


class Turns(Generic[T]):
    """Waiting jobs by caller; the lock is the owner's."""

    def __init__(self) -> None:
        self._jobs: dict[str, deque[T]] = {}  # the first caller is the next one

    def waiting(self, caller: str | None = None) -> int:
        """Count the waiting jobs, of one caller or of all; those that are not wanted any more are dropped."""
        callers = list(self._jobs) if caller is None else [caller]
        for name in callers:
            kept = deque(job for job in self._jobs.get(name, ()) if not job.expired())
            if kept:
                self._jobs[name] = kept
            else:
                self._jobs.pop(name, None)
        return sum(len(self._jobs.get(name, ())) for name in callers)

    def add(self, caller: str, job: T) -> None:
        """Append a job to those of its caller."""
        self._jobs.setdefault(caller, deque()).append(job)

    def next(self, allowed: Callable[[T], bool]) -> T | None:
        """Take the first job that is allowed, one a caller; its caller goes behind all others."""
        for caller, jobs in self._jobs.items():
            if allowed(jobs[0]):
                job = jobs.popleft()
                del self._jobs[caller]
                if jobs:
                    self._jobs[caller] = jobs
                return job
        return None


@dataclass(slots=True)
class _Caller:
    turn: threading.Lock = field(default_factory=threading.Lock)
    threads: int = 0  # that are inside or wait
    rests_until: float = 0.0


class OneEach:
    """Lets one thread of each caller work at a time, so that a caller with many takes little from others.

    The next thread of the same caller comes in after `rest` times the processor time that the one before
    used, at most `_REST_MOST_S`: one that reads a large body keeps the interpreter to itself, which the
    threads that compute answers need.
    """

    def __init__(self, rest: float = 0.0) -> None:
        self._rest = rest
        self._lock = threading.Lock()
        self._callers: dict[str, _Caller] = {}

    def __len__(self) -> int:
        """Count the threads that are inside or wait."""
        with self._lock:
            return sum(caller.threads for caller in self._callers.values())

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Wait until no other thread of the caller is inside."""
        with self._lock:
            caller = self._callers.setdefault(name, _Caller())
            caller.threads += 1
        try:
            with caller.turn:
                time.sleep(max(caller.rests_until - time.monotonic(), 0.0))
                began = time.thread_time()
                try:
                    yield
                finally:
                    rest = min(self._rest * (time.thread_time() - began), _REST_MOST_S)
                    caller.rests_until = time.monotonic() + rest
        finally:
            with self._lock:
                caller.threads -= 1
                if not caller.threads:
                    del self._callers[name]
