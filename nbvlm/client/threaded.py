"""A blocking transport for an `AsyncClient`, in threads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Threaded"]


class Threaded(httpx.AsyncBaseTransport):
    """Lets a blocking transport answer an `AsyncClient`; each step runs in a thread.

    Parameters
    ----------
    inner
        The blocking transport.
    """

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, its body unread."""
        response = await asyncio.to_thread(self._inner.handle_request, request)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: Any = iter(self._response.stream)  # type: ignore[arg-type]
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece

    async def aclose(self) -> None:
        await asyncio.to_thread(self._response.close)
