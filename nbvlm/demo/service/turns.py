"""Fair turns: of the jobs that wait, one of each caller is taken in turn; and so are the bodies to read."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OneEach", "Turns"]


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

    def order(self) -> list[T]:
        """Return the waiting jobs in the order of their turns, if none comes or goes."""
        self.waiting()
        rounds: Any = zip_longest(*self._jobs.values())
        return [job for job in chain.from_iterable(rounds) if job is not None]


class OneEach:
    """Lets one thread of each caller work at a time, so that a caller with many takes little from others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callers: dict[str, tuple[threading.Lock, int]] = {}  # and how many of its threads want it

    def __len__(self) -> int:
        """Count the threads that are inside or wait."""
        with self._lock:
            return sum(threads for _, threads in self._callers.values())

    @contextmanager
    def of(self, caller: str) -> Iterator[None]:
        """Wait until no other thread of the caller is inside."""
        with self._lock:
            turn, threads = self._callers.get(caller, (threading.Lock(), 0))
            self._callers[caller] = (turn, threads + 1)
        try:
            with turn:
                yield
        finally:
            with self._lock:
                threads = self._callers[caller][1] - 1
                if threads:
                    self._callers[caller] = (turn, threads)
                else:
                    del self._callers[caller]
