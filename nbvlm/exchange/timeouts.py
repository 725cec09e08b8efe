"""Named limits for every stretch of an exchange, and the watch that keeps them.

>>> Timeouts(between_tokens=5).between_tokens
5
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from nbvlm.errors import ParameterError, TimeoutError  # noqa: A004 - the public name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Timeouts", "Watch"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Longest waits, in seconds.

    Attributes
    ----------
    connect
        For a connection, TLS included.
    upload
        For the picture's way to the asset service.
    first_token
        From the sent request to the first piece of the answer, polls included.
    between_tokens
        Between two pieces of the answer.
    total
        For the whole exchange.
    poll
        What is sent as `NVCF-POLL-SECONDS`: so long the service holds a request open before it answers 202,
        1 to 300. Without the header its gateway would hold it for 300.
    cleanup
        For the deletion of an uploaded picture after a stop or an error.
    """

    connect: float = 10.0
    upload: float = 300.0
    first_token: float = 180.0
    between_tokens: float = 60.0
    total: float = 600.0
    poll: int = 60
    cleanup: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise ParameterError(
                    f"The timeout {field.name!r} must be a number of seconds above 0.",
                    hint="Timeouts() has sensible ones.",
                )
        if not isinstance(self.poll, int) or self.poll > 300:
            raise ParameterError("The timeout 'poll' must be a whole number from 1 to 300.")

    @classmethod
    def of(cls, value: Timeouts | float | None) -> Timeouts:
        """Return `value` as limits: None for the defaults, a number for a bound on all of them."""
        if value is None:
            return cls()
        if isinstance(value, Timeouts):
            return value
        bound = replace(cls(), total=value)
        names = ("connect", "upload", "first_token", "between_tokens")
        return replace(bound, **{name: min(getattr(bound, name), value) for name in names})


_NAMES = {
    "connect": "no connection came about",
    "upload": "the upload of the picture did not end",
    "first_token": "no answer began",
    "between_tokens": "no further piece of the answer came",
    "total": "the exchange did not end",
    "cleanup": "the uploaded picture could not be deleted",
}


class Watch:
    """The clock of one exchange.

    Parameters
    ----------
    timeouts
        The limits.
    clock
        Monotonic seconds.
    """

    __slots__ = ("_clock", "deadline", "phase", "started", "timeouts", "until")

    def __init__(self, timeouts: Timeouts, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeouts = timeouts
        self._clock = clock
        self.started = clock()
        self.deadline = self.started + timeouts.total
        self.phase = "connect"
        self.until = self.started + timeouts.connect

    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self.started

    def enter(self, phase: str) -> None:
        """Begin a phase, named as in `Timeouts`."""
        self.phase = phase
        self.until = self._clock() + getattr(self.timeouts, phase)
        if phase == "cleanup":
            self.deadline = max(self.deadline, self.until)

    def touch(self) -> None:
        """A piece of the answer came."""
        self.until = self._clock() + self.timeouts.between_tokens
        self.phase = "between_tokens"

    def hurry(self, seconds: float) -> None:
        """Allow no more than this from now on."""
        self.until = min(self.until, self._clock() + seconds)

    def left(self) -> float:
        """Seconds until the nearest limit; never so few that bytes which are already there are missed."""
        nearest = min(self.deadline, self.until)
        return max(nearest - self._clock(), 0.05)

    def passed(self) -> bool:
        """True when a limit is behind us."""
        return self._clock() > min(self.until, self.deadline)

    def check(self) -> None:
        """Raise if a limit is behind us.

        Raises
        ------
        TimeoutError
            Naming the limit.
        """
        if self.passed():
            raise self.error()

    def error(self, phase: str | None = None) -> TimeoutError:
        """Return the error for a phase, by default the present one or the total."""
        if phase is None:
            phase = "total" if self.deadline <= self.until else self.phase
        limit = getattr(self.timeouts, phase)
        return TimeoutError(
            f"In {limit:g} s {_NAMES[phase]}.",
            hint=f"Try again, or allow more with timeout=nbvlm.client.Timeouts({phase}=…).",
        )
