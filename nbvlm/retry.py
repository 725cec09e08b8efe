"""When a failed request is tried again.

>>> Retry().wait(1, elapsed=0, jitter=1.0)
0.5
>>> Retry(attempts=1).wait(1, elapsed=0) is None
True
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from nbvlm.errors import ParameterError

__all__ = ["Retry", "retry_after"]


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
            raise ParameterError("A retry policy has no negative times and no factor below 1.")

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
        return _until(value, now or datetime.now(UTC))
    return max(seconds, 0.0) if seconds == seconds else None


def _until(value: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)
