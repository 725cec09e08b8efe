"""The client's facts about a request, for the transport that carries it."""

from __future__ import annotations

import contextlib
import contextvars
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

__all__ = ["CURRENT", "RequestInfo", "cut"]


@dataclass(slots=True, repr=False)
class RequestInfo:
    """The facts about a request that its transport may need; `RequestInfo.of(request)` returns them."""

    endpoint: str | None = None
    question: tuple[Any, ...] | None = None
    with_key: bool = True
    seconds_left: Callable[[], float] | None = None
    hold: Callable[[Any], None] | None = None

    @classmethod
    def of(cls, request: httpx.Request) -> Self:
        """Return the facts that a client attached to a request, or empty ones."""
        found: Self | None = request.extensions.get("nbvlm")
        return found if found is not None else cls()


CURRENT: contextvars.ContextVar[RequestInfo | None] = contextvars.ContextVar("nbvlm_request", default=None)
"""The request that a blocking transport is sending; a connection asks for it when it is written to."""


def cut(connection: Any) -> None:
    """Shut a connection down from any thread: a read that waits in another thread ends at once."""
    if (abort := getattr(connection, "abort", None)) is not None:
        abort()
    elif (get := getattr(connection, "get_extra_info", None)) is not None:
        with contextlib.suppress(OSError):
            if (found := get("socket")) is not None:
                found.shutdown(socket.SHUT_RDWR)
