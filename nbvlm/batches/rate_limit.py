"""The limits of a service: requests a minute for all workers of a run, and requests at once.

`RateLimiter` is a token bucket of one token: requests are spread evenly, so that no minute holds more than
its share. A refusal for too many requests (429) stops everyone for a while and lowers the rate; answers raise
it again. `ConcurrencyLimiter` lets fewer requests run at once after a 503, and more again as answers come.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from nbvlm.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["ConcurrencyLimiter", "RateLimiter", "SharedRateLimiter", "rate_of"]

SLACK = 0.02
"""Seconds that a late waker may catch up on."""
FIRST, LONGEST = 0.5, 60.0
LOWER, RAISE = 0.7, 1.03
HELD_S = 0.25
"""Seconds that a process keeps the semaphore while others wait."""
ENOUGH = 10
"""Answers from which the limiter estimates the service's rate."""


def rate_of(rate: float | None) -> float | None:
    """Return a rate that was checked; None stands for infinity."""
    if rate is None or rate == float("inf"):
        return None
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not rate > 0:
        raise ParameterError(
            f"rate must be a positive number of requests a minute, got {rate!r}.",
            hint='float("inf") stands for no limit.',
        )
    return float(rate)


class RateLimiter:
    """Limits requests to `rate` a minute; without a rate, all may be sent at once."""

    def __init__(
        self,
        rate: float | None,
        *,
        first: float = FIRST,
        clock: Callable[[], float] = time.monotonic,
        report: Callable[[float], None] | None = None,
    ) -> None:
        self._report = report  # called with the seconds of a pause, so that other processes pause too
        self._most = self._rate = rate
        self._first = self._backoff = first
        self._clock = clock
        self._next = self._slowed = float("-inf")
        self._answers: deque[float] = deque(maxlen=64)
        self._answered = True
        self._free: float | None = None
        self._turn = asyncio.Lock()
        self.waiting = 0

    @property
    def rate(self) -> float | None:
        """Requests a minute at present; None for no limit."""
        return self._rate

    async def take(self) -> None:
        """Wait until the next request may be sent."""
        self.waiting += 1
        try:
            async with self._turn:
                while (wait := self._next - self._clock()) > 0:  # noqa: ASYNC110 - a refusal may prolong it
                    await asyncio.sleep(wait)
                self._give()
        finally:
            self.waiting -= 1

    def _give(self) -> None:
        now = self._clock()
        if self._rate is not None:
            late = now - self._next <= SLACK  # at most a late wake-up
            self._next = (self._next if late else now) + 60 / self._rate

    async def close(self) -> None:
        """Do nothing: other processes do not wait for this one."""

    async def refused(self, age: float, asked: float | None = None) -> None:
        """Slow down after a 429 to a request sent `age` seconds ago; `asked` is its `Retry-After`."""
        now = self._clock()
        if now - age >= self._slowed:  # the others that were under way then are refused for the same reason
            self._slowed = now
            self._backoff, pause = min(self._backoff * 2, LONGEST), self._backoff
            self._next = max(self._next, now + pause)
            self._lower(now)
            if self._report is not None:
                self._report(max(pause, asked or 0.0))
        self._next = max(self._next, now + (asked or 0.0))

    def pause(self, seconds: float) -> None:
        """Slow down after a refusal that another process reports."""
        now = self._clock()
        self._slowed = max(self._slowed, now)
        self._next = max(self._next, now + seconds)
        self._lower(now)

    def _lower(self, now: float) -> None:
        """Lower the rate, unless it was lowered since the last answer; without one, by the answers lately."""
        if self._rate is None and len(self._answers) >= ENOUGH:
            self._rate = len(self._answers) / max(now - self._answers[0], 0.1) * 60
            self._free = 4 * self._rate
        if self._rate is not None and self._answered:
            self._rate, self._answered = max(self._rate * LOWER, 0.5), False

    async def answered(self) -> None:
        """Take an answer as a sign that more may be asked."""
        self._answers.append(self._clock())
        self._answered = True
        self._backoff = max(self._backoff / 2, self._first)
        if self._rate is None or self._rate == self._most:
            return
        self._rate *= RAISE
        if self._most is not None:
            self._rate = min(self._rate, self._most)
        elif self._free is not None and self._rate > self._free:
            self._rate = None


class SharedRateLimiter(RateLimiter):
    """A rate limiter for several processes: the one that holds a `distributed.Semaphore` may send.

    It is held for a moment, so that a process with many requests does not ask for it for each, and after
    a 429 until requests may be sent again.
    """

    def __init__(self, rate: float, semaphore: Any, *, first: float = FIRST) -> None:
        super().__init__(rate, first=first)
        self._semaphore = semaphore
        self._own = asyncio.Lock()
        self._wanted = 0
        self._held_until: float | None = None
        self._acquiring: asyncio.Task[None] | None = None
        self._releasing: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """Wait until the next request may be sent."""
        self._wanted += 1
        try:
            async with self._own:
                if self._held_until is not None and self._clock() > self._held_until:
                    await self._hand_on()
                await self._hold()
                await super().take()
        finally:
            self._wanted -= 1
            self._release_soon()

    async def refused(self, age: float, asked: float | None = None) -> None:
        """Slow down after a 429, and keep the others from sending meanwhile."""
        await super().refused(age, asked)
        async with self._own:
            await self._hold()
        self._release_soon()

    async def close(self) -> None:
        """Let the others send."""
        for task in (self._acquiring, self._releasing):
            if task is not None:
                task.cancel()
        if self._held_until is not None:
            await asyncio.to_thread(self._semaphore.release)

    async def _hold(self) -> None:
        if self._held_until is None:
            if self._acquiring is None:
                self._acquiring = asyncio.create_task(self._acquire())
            await asyncio.shield(self._acquiring)

    async def _acquire(self) -> None:
        while not await asyncio.to_thread(self._semaphore.acquire, 1):
            pass
        self._held_until, self._acquiring = self._clock() + HELD_S, None
        self._release_soon()  # the one that wanted it may have been cancelled

    async def _hand_on(self) -> None:
        while (wait := self._next - self._clock()) > 0:  # noqa: ASYNC110 - a refusal may prolong it
            await asyncio.sleep(wait)
        self._held_until = None
        await asyncio.to_thread(self._semaphore.release)

    def _release_soon(self) -> None:
        if not self._wanted and (self._releasing is None or self._releasing.done()):
            self._releasing = asyncio.create_task(self._release())

    async def _release(self) -> None:
        async with self._own:
            if not self._wanted and self._held_until is not None:
                await self._hand_on()


class ConcurrencyLimiter:
    """Lets so many requests run at once: fewer after a 503, more as answers come."""

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = self.limit = most
        self._clock = clock
        self._busy = self._good = 0
        self._lowered = float("-inf")
        self._queue: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        while self._busy >= self.limit:
            turn = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()
                raise
        self._busy += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._busy -= 1
        self._wake()

    def refused(self, age: float) -> None:
        """Halve the limit, once for all requests that were under way at the time."""
        now = self._clock()
        if now - age >= self._lowered:
            self._lowered = now
            self.limit, self._good = max(self.limit // 2, 1), 0

    def answered(self) -> None:
        """Allow one more after as many answers as may run at once."""
        self._good += 1
        if self.limit < self._most and self._good >= self.limit:
            self.limit, self._good = self.limit + 1, 0
            self._wake()

    def _wake(self) -> None:
        free = self.limit - self._busy
        while free > 0 and self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
