"""Bodies of requests: read within limits of size and time, and with room in memory for each caller."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from nbvlm.demo.service.messages import RETRY_AFTER, Refusal, problem
from nbvlm.demo.service.service import too_large

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nbvlm.demo.service.asgi import Receive
    from nbvlm.demo.service.limits import Limits
    from nbvlm.demo.service.messages import Request

__all__ = ["Bodies", "Disconnected", "body_size", "read_body"]


class Disconnected(Exception):
    """The caller closed the connection."""


class Bodies:
    """Memory for bodies: who finds no room waits for it, before anything of the body is read."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def room(self, caller: str, size: int) -> AsyncIterator[None]:
        """Reserve room for a caller's body; refuse it if none becomes free in time."""
        try:
            if not self._fits(caller, size):
                async with asyncio.timeout(self._limits.pause_s), self._changed:
                    await self._changed.wait_for(lambda: self._fits(caller, size))
            self._held[caller] += size
        except TimeoutError:
            detail = "The service is busy with other requests of this size; try again soon"
            raise Refusal(problem(503, detail=detail).plus(RETRY_AFTER)) from None
        try:
            yield
        finally:
            self._held[caller] -= size
            if not self._held[caller]:
                del self._held[caller]
            async with self._changed:
                self._changed.notify_all()

    def _fits(self, caller: str, size: int) -> bool:
        limits = self._limits
        return (
            self._held[caller] + size <= limits.bodies_of_caller
            and self._held.total() + size <= limits.bodies
        )


def body_size(head: Request, room: int) -> int:
    """Return the bytes of a body as its head declares them; without a declaration, the most allowed."""
    length = head.length
    return room if "transfer-encoding" in head.headers or length is None else length


async def read_body(head: Request, receive: Receive, room: int, limits: Limits) -> bytes:
    """Read a body of at most `room` bytes, in time.

    Raises
    ------
    Refusal
        If it is larger, or does not come in time.
    Disconnected
        If the caller closes the connection.
    """
    body, more = bytearray(), True
    try:
        async with asyncio.timeout(limits.body_s):
            while more:
                async with asyncio.timeout(limits.pause_s):
                    message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > room:
                    raise Refusal(too_large(head, room))
    except TimeoutError:
        detail = f"The body was not complete after {limits.body_s:g} seconds, or came with long pauses"
        raise Refusal(problem(408, detail=detail)) from None
    return bytes(body)
