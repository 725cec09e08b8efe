"""The last exchanges of a client, without secrets."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbvlm.exchange.redact import redact

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["KEPT", "Exchange", "Recent"]

KEPT = 100


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP exchange.

    Attributes
    ----------
    time
        When the request was sent, UTC.
    method, path
        Of the request; no query, and no path for signed uploads, which holds an account id.
    status
        Of the response, None where none came.
    milliseconds
        From the request to the end of the response.
    request_id
        The service's id, or None.
    """

    time: datetime
    method: str
    path: str
    status: int | None
    milliseconds: float
    request_id: str | None

    def __str__(self) -> str:
        status = self.status if self.status is not None else "failed"
        return f"{self.time:%H:%M:%S} {self.method} {self.path} {status} {self.milliseconds:.0f} ms"


class Recent:
    """Keeps the last `KEPT` exchanges."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: deque[Exchange] = deque(maxlen=KEPT)

    def add(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        self._kept.append(exchange)

    def all(self) -> tuple[Exchange, ...]:
        """Return what is kept, oldest first."""
        return tuple(self._kept)


def shown_path(path: str) -> str:
    """Return a path fit to be shown: no query, no secret."""
    shown: str = redact(path.partition("?")[0])
    return shown
