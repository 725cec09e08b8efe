"""Fair turns by student: the student with fewer questions asked comes first, however many wait.

Rounds are counted (start-time fair queueing): a question belongs to the round after the last one of its
student, or to the present round if that is later. So a student whose question is being answered loses
no turn to one who has many waiting.

>>> class Job:
...     def __init__(self, caller): self.caller = caller
...     def expired(self): return False
>>> turns = Turns()
>>> for caller in "aaab": turns.add(Job(caller))
>>> [turns.next(lambda job: True).caller for _ in range(4)]
['a', 'b', 'a', 'a']
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Turns"]

_KNOWN = 1000  # students whose last round is kept


class _Job(Protocol):
    caller: str

    def expired(self) -> bool:
        """Whether its turn is not wanted any more."""


T = TypeVar("T", bound=_Job)


class Turns(Generic[T]):
    """Waiting questions by student."""

    def __init__(self) -> None:
        self._jobs: dict[str, deque[tuple[int, T]]] = {}
        self._next_round: dict[str, int] = {}
        self._round = 0
        self._numbers = itertools.count()

    def waiting(self, caller: str | None = None) -> int:
        """Count the waiting questions, of one student or of all; those that expired are dropped."""
        callers = list(self._jobs) if caller is None else [caller]
        for name in callers:
            kept = deque(entry for entry in self._jobs.get(name, ()) if not entry[1].expired())
            if kept:
                self._jobs[name] = kept
            else:
                self._jobs.pop(name, None)
        return sum(len(self._jobs.get(name, ())) for name in callers)

    def add(self, job: T) -> None:
        """Append a question to those of its student."""
        self._jobs.setdefault(job.caller, deque()).append((next(self._numbers), job))

    def next(self, allowed: Callable[[T], bool]) -> T | None:
        """Take the question whose turn it is, of those that are allowed."""
        heads = [(self._turn(caller), jobs[0]) for caller, jobs in self._jobs.items() if allowed(jobs[0][1])]
        if not heads:
            return None
        round_, (_, job) = min(heads, key=lambda head: (head[0], head[1][0]))
        jobs = self._jobs[job.caller]
        jobs.popleft()
        if not jobs:
            del self._jobs[job.caller]
        self._round = max(self._round, round_)
        self._next_round[job.caller] = round_ + 1
        if len(self._next_round) > _KNOWN:
            later = {caller: turn for caller, turn in self._next_round.items() if turn > self._round}
            self._next_round = later
        return job

    def order(self) -> list[T]:
        """Return the waiting questions in the order of their turns, if none comes or goes."""
        self.waiting()
        turns = [
            (self._turn(caller) + place, number, job)
            for caller, jobs in self._jobs.items()
            for place, (number, job) in enumerate(jobs)
        ]
        return [job for _, _, job in sorted(turns, key=lambda turn: turn[:2])]

    def _turn(self, caller: str) -> int:
        """Return the round of a student's next question."""
        return max(self._round, self._next_round.get(caller, 0))
