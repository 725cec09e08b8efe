"""Each student's usage and quota: questions a minute and a day, tokens a day."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.gateway.config import Quota
    from nbvlm.gateway.people import Person
    from nbvlm.gateway.store import Store

__all__ = ["Quotas", "Refused", "midnight"]

MINUTE = 60.0


class Refused(Exception):
    """A question that is not taken; the message is for the student, `retry_after` in seconds."""

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


def midnight(now: float, days: int = 0) -> float:
    """Return the beginning of the day of a time, or of another day, local time."""
    day = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return (day + timedelta(days=days)).timestamp()


@dataclass(slots=True)
class _Used:
    minute: deque[float] = field(default_factory=deque)
    questions: int = 0
    tokens: int = 0


class Quotas:
    """Counts of today, in memory; the store has them too, and they are read from it at the start."""

    def __init__(self, store: Store, limits: Quota, clock: Callable[[], float] = time.time) -> None:
        self._limits, self._clock = limits, clock
        began = midnight(clock())
        self._ends = midnight(began, 1)
        self._used: defaultdict[int, _Used] = defaultdict(_Used)
        rows = store.read(
            "SELECT student, started, COALESCE(prompt_tokens, 0) + COALESCE(completion_tokens, 0) "
            "FROM usage WHERE started >= ? ORDER BY started",
            (began,),
        )
        for student, started, tokens in rows:
            used = self._used[student]
            used.questions += 1
            used.tokens += tokens
            if started > clock() - MINUTE:
                used.minute.append(started)

    def take(self, person: Person) -> float:
        """Count one question of a student; return its time.

        Raises
        ------
        Refused
            If a quota is used up.
        """
        now = self._clock()
        used = self._of(person, now)
        limits = self._limits
        if limits.per_minute and len(used.minute) >= limits.per_minute:
            wait = max(used.minute[0] + MINUTE - now, 1.0)
            raise Refused(429, f"You asked {limits.per_minute} questions within a minute", wait)
        most = self._most(person, now)
        if most and used.questions >= most:
            raise Refused(402, f"You have used your {most} questions of today")
        tokens = self._most_tokens(person, now)
        if tokens and used.tokens >= tokens:
            raise Refused(402, f"You have used your {tokens:,} tokens of today")
        used.minute.append(now)
        used.questions += 1
        return now

    def add_tokens(self, person: Person, count: int) -> None:
        """Count the tokens of an answer."""
        self._of(person, self._clock()).tokens += count

    def left(self, person: Person) -> tuple[int, int] | None:
        """Return how many questions of today are left, and how many were allowed; None without a limit."""
        now = self._clock()
        most = self._most(person, now)
        return (max(most - self._of(person, now).questions, 0), most) if most else None

    def used(self, person: Person) -> tuple[int, int]:
        """Return questions and tokens of today."""
        used = self._of(person, self._clock())
        return used.questions, used.tokens

    def _most(self, person: Person, now: float) -> int:
        limit = self._limits.per_day
        return limit + person.extra_day if limit and person.extra_until > now else limit

    def _most_tokens(self, person: Person, now: float) -> int:
        limit = self._limits.tokens_per_day
        return limit + person.extra_tokens if limit and person.extra_until > now else limit

    def _of(self, person: Person, now: float) -> _Used:
        if now >= self._ends:
            self._ends = midnight(now, 1)
            self._used.clear()
        used = self._used[person.id]
        while used.minute and used.minute[0] <= now - MINUTE:
            used.minute.popleft()
        return used
