"""The facts about a request that its transport may need."""

from __future__ import annotations

import contextvars
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

__all__ = ["CLOSED", "CURRENT", "NOT_HTTP", "RequestInfo"]

CLOSED = "the server closed the connection"
NOT_HTTP = "the answer is not HTTP/1.1"
"""What happened to a connection; the libraries' own words quote the answer."""


@dataclass(slots=True, repr=False)
class RequestInfo:
    """The facts about a request that its transport may need; `RequestInfo.of(request)` returns them."""

    endpoint: str | None = None
    question: tuple[Any, ...] | None = None  # picture, model, prompt and parameters
    size: int = 0  # bytes of the body
    with_key: bool = True  # False where the address itself is the permission, so that no key may go along
    seconds_left: Callable[[], float] | None = None  # until the nearest time limit
    own: Callable[[], Any] | None = None  # opens a transport to the model, where it is in this process
    hold: Callable[[Any], None] | None = None  # called with the connection at once; `cut` ends it

    @classmethod
    def of(cls, request: httpx.Request) -> Self:
        """Return the facts that a client attached to a request, or empty ones."""
        found: Self | None = request.extensions.get("nbvlm")
        return found if found is not None else cls()


CURRENT: contextvars.ContextVar[RequestInfo | None] = contextvars.ContextVar("nbvlm_request", default=None)
"""The request that a blocking transport is sending; a connection asks for it when it is written to."""
