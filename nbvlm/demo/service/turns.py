"""Fair turns: of the jobs that wait, one of each caller is taken in turn."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.demo.service.jobs import GenerationJob

__all__ = ["Turns"]


class Turns:
    """Waiting jobs by caller; the lock is the owner's."""

    def __init__(self) -> None:
        self._jobs: dict[str, deque[GenerationJob]] = {}  # the first caller is the next one

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

    def add(self, caller: str, job: GenerationJob) -> None:
        """Append a job to those of its caller."""
        self._jobs.setdefault(caller, deque()).append(job)

    def next(self, allowed: Callable[[GenerationJob], bool]) -> GenerationJob | None:
        """Take the first job that is allowed, one a caller; its caller goes behind all others."""
        for caller, jobs in self._jobs.items():
            if allowed(jobs[0]):
                job = jobs.popleft()
                del self._jobs[caller]
                if jobs:
                    self._jobs[caller] = jobs
                return job
        return None
