"""The progress of a run: counted continuously, reported at intervals."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.batches.rows import Row

__all__ = ["Progress", "ProgressCounter"]

GAP = 0.2
"""Least seconds between two reports."""
LAST = 6
"""Answers that are shown."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    done, total
        Finished pictures, those of earlier runs included, and all; None where the total is not known.
    resumed
        Those that were in the journal already.
    errors
        Rows with an error.
    asking, waiting
        Questions under way, and those that wait for their turn.
    concurrency
        Questions that may be under way at once, at present.
    seconds
        Since the run began.
    per_minute
        Answers a minute, lately.
    left_s
        Seconds to the end at that pace; None where that is not known.
    last
        The last rows, newest last.
    state
        "running", "finished" or "stopped".
    """

    done: int
    total: int | None
    resumed: int
    errors: int
    asking: int
    waiting: int
    concurrency: int
    seconds: float
    per_minute: float
    left_s: float | None
    last: tuple[Row, ...]
    state: str


class ProgressCounter:
    """Counts, and reports at most five times a second."""

    def __init__(
        self, report: Callable[[Progress], None] | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._report = report
        self._clock = clock
        self._began = self._reported = clock()
        self._ends: deque[float] = deque(maxlen=256)
        self._last: deque[Row] = deque(maxlen=LAST)
        self.done = self.resumed = self.errors = self.asking = self.waiting = 0
        self.concurrency = 0
        self.total: int | None = None
        self.watched = report is not None

    def add(self, row: Row) -> None:
        """Count a finished picture."""
        self.done += 1
        self.errors += row.error is not None
        if row.resumed:
            self.resumed += 1
        else:
            self._ends.append(self._clock())
        self._last.append(row)
        self.report()

    def report(self, state: str = "running") -> None:
        """Report, unless that was done a moment ago; the end is always reported."""
        now = self._clock()
        if self._report is None or (state == "running" and now - self._reported < GAP):
            return
        self._reported = now
        self._report(self.progress(state))

    def progress(self, state: str = "running") -> Progress:
        """Return the present state."""
        now = self._clock()
        speed = self._speed(now)
        left = max(self.total - self.done, 0) if self.total is not None else None
        return Progress(
            done=self.done,
            total=self.total,
            resumed=self.resumed,
            errors=self.errors,
            asking=self.asking,
            waiting=self.waiting,
            concurrency=self.concurrency,
            seconds=now - self._began,
            per_minute=speed * 60,
            left_s=left / speed if left is not None and speed > 0 else None,
            last=tuple(self._last),
            state=state,
        )

    def _speed(self, now: float) -> float:
        """Answers a second over the last ones, or over the run while there are few."""
        if not self._ends:
            return 0.0
        since = self._ends[0] if len(self._ends) == self._ends.maxlen else self._began
        return len(self._ends) / max(now - since, 1e-3)
