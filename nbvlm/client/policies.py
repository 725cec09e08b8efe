"""Named limits for every stretch of an exchange, and the deadline that keeps them.

>>> Timeouts(between_tokens=5).between_tokens
5
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from nbvlm.errors import ParameterError, TimeoutError  # noqa: A004 - the public name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GRACE", "Deadline", "Retry", "Timeouts", "retry_after"]


GRACE = 0.05
"""Seconds that a read may take after its limit, so that bytes which are there already are not missed."""


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
    "connect": "No connection was established",
    "upload": "The upload of the picture did not end",
    "first_token": "No answer began",
    "between_tokens": "No further piece of the answer came",
    "total": "The exchange did not end",
    "cleanup": "The uploaded picture could not be deleted",
}


class Deadline:
    """The clock of one exchange."""

    __slots__ = ("_clock", "ends", "phase", "started", "timeouts", "until")

    def __init__(self, timeouts: Timeouts, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeouts = timeouts
        self._clock = clock
        self.started = clock()
        self.ends = self.started + timeouts.total
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
            self.ends = max(self.ends, self.until)

    def touch(self) -> None:
        """Begin the wait for the next piece of the answer; raise if the total is behind us."""
        now = self._clock()
        if now > self.ends:
            raise self.error("total")
        self.until = now + self.timeouts.between_tokens
        self.phase = "between_tokens"

    def hurry(self, seconds: float) -> None:
        """Allow no more than this from now on."""
        self.until = min(self.until, self._clock() + seconds)

    def left(self) -> float:
        """Seconds until the nearest limit, at least `GRACE`."""
        return max(min(self.ends, self.until) - self._clock(), GRACE)

    def check(self) -> None:
        """Raise if a limit is behind us."""
        if self._clock() > min(self.until, self.ends):
            raise self.error()

    def error(self, phase: str | None = None) -> TimeoutError:
        """Return the error for a phase, by default the present one or the total."""
        if phase is None:
            phase = "total" if self.ends <= self.until else self.phase
        limit = getattr(self.timeouts, phase)
        return TimeoutError(
            f"{_NAMES[phase]} within {limit:g} s.",
            hint=f"Try again, or allow more with timeout=nbvlm.client.Timeouts({phase}=…).",
        )


@dataclass(frozen=True, slots=True)
class Retry:
    """A policy: which failures are tried again, how often, and after which pause.

    Only failures before the first byte of an answer are ever tried again.

    Attributes
    ----------
    attempts
        Tries in all, the first included; 1 means never again.
    connection_attempts
        The same where no connection came about or it broke.
    total
        Seconds from the first try after which no new try begins.
    first, factor, longest
        Pause before the second try in seconds, growth from try to try, and its bound. Each pause is
        shortened at random by up to a half, so that many clients do not return together.
    retry_after_cap
        Longest `Retry-After` in seconds that is waited for; a longer one fails at once.
    statuses
        Status codes that are tried again.

    Examples
    --------
    >>> Retry(attempts=8, total=120).wait(3, elapsed=5, jitter=1.0)
    2.0
    """

    attempts: int = 5
    connection_attempts: int = 3
    total: float = 60.0
    first: float = 0.5
    factor: float = 2.0
    longest: float = 16.0
    retry_after_cap: float = 60.0
    statuses: frozenset[int] = frozenset({429, 502, 503, 504})

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.connection_attempts < 1:
            raise ParameterError(
                "A retry policy needs at least one attempt.", hint="Retry(attempts=1) never repeats."
            )
        if min(self.total, self.first, self.longest, self.retry_after_cap) < 0 or self.factor < 1:
            raise ParameterError("A retry policy must have no negative times, and a factor of at least 1.")

    @classmethod
    def of(cls, value: Retry | None) -> Retry:
        """Return `value`, or the default for None; anything else raises `ParameterError`."""
        if value is not None and not isinstance(value, cls):
            hint = "Pass nbvlm.client.Retry(attempts=3), or Retry.never()."
            raise ParameterError(f"retry must be a Retry, got {type(value).__name__}.", hint=hint)
        return value or cls()

    @classmethod
    def never(cls) -> Retry:
        """Return the policy that tries once."""
        return cls(attempts=1, connection_attempts=1)

    def wait(
        self,
        attempt: int,
        *,
        elapsed: float,
        asked: float | None = None,
        connection: bool = False,
        jitter: float | None = None,
    ) -> float | None:
        """Return the pause before the next try in seconds, or None to give up.

        Parameters
        ----------
        attempt
            Tries made so far, from 1.
        elapsed
            Seconds since the first try began.
        asked
            What the service's `Retry-After` says, in seconds.
        connection
            True where the connection failed, not the service.
        jitter
            Share of the pause in [0.5, 1]; drawn when missing.
        """
        if attempt >= (self.connection_attempts if connection else self.attempts):
            return None
        if asked is not None and asked > self.retry_after_cap:
            return None
        share = jitter if jitter is not None else random.uniform(0.5, 1.0)
        pause = min(self.first * self.factor ** (attempt - 1), self.longest) * share
        pause = max(pause, asked or 0.0)
        return pause if elapsed + pause <= self.total else None


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Read a `Retry-After` header: seconds or an HTTP date; None where there is none to read.

    Examples
    --------
    >>> retry_after("10800")
    10800.0
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            seconds = (moment - (now or datetime.now(UTC))).total_seconds()
        except (TypeError, ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
