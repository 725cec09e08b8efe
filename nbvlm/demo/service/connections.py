"""Connections of uvicorn, with limits that it lacks: time for a head, connections of a peer, slow readers.

A connection that waits for its caller may be closed for a newer one, so that connections that send nothing
keep none out; a connection whose question is being answered is never closed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from nbvlm.demo.service.asgi import send_whole
from nbvlm.demo.service.messages import RETRY_AFTER, text
from nbvlm.demo.service.service import network

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from nbvlm.demo.service.asgi import Receive, Scope, Send
    from nbvlm.demo.service.limits import Limits

__all__ = ["LimitedProtocol"]

_UNREAD_MOST = 8 * 1024 * 1024  # bytes of a refused body that are read and dropped, so that the reply is seen
_FAREWELL_S = 1.0  # for the last bytes of a connection
_GRACE_S = 0.25  # until a connection that has sent nothing may be closed for another one of its peer
_TOO_MANY = (429, "This computer has too many open connections; use fewer at once")


class _HeadFirst:
    """A transport that sends the head of a response together with what follows at once.

    So a reader is not woken for a head alone, which on a busy computer delays the first token.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if not self._head and data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        head, self._head = self._head, b""
        self._transport.write(head + data if head else data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)


class LimitedProtocol(H11Protocol):  # type: ignore[misc]  # uvicorn is optional where types are checked
    """One connection."""

    def __init__(self, limits: Limits, **given: Any) -> None:
        super().__init__(**given)
        self.peer = ""
        self.waits_since = 0.0
        self._limits = limits
        self._unread = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Count the connection, and close another one beyond the limit."""
        super().connection_made(_HeadFirst(transport, self.loop))
        self.peer = network(self.client[0]) if self.client else ""
        self._await_head()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        for timer in (self._deadline, self._patience):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass on received data; drop the rest of a refused body, up to a limit."""
        if self.cycle is not None and self.cycle.response_complete and self.conn.their_state is h11.SEND_BODY:
            self._unread += len(data)
            if self._unread > _UNREAD_MOST:
                self.transport.abort()
                return
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._await_head()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Wait for a slow reader, not without end."""
        super().pause_writing()
        self._patience = self.loop.call_later(self._limits.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue to write."""
        if self._patience is not None:
            self._patience.cancel()
        super().resume_writing()

    @property
    def waits_for_caller(self) -> bool:
        """Whether the next move is the caller's: no request, or one whose body is incomplete."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def _await_head(self) -> None:
        self.waits_since = self.loop.time()
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(self._limits.head_s, self._check_head)

    def _check_head(self) -> None:
        if self.transport.is_closing():  # its last bytes were not taken
            self.transport.abort()
        elif self.cycle is None or self.cycle.response_complete:
            self.end(408, f"The head of the request was not complete after {self._limits.head_s:g} seconds")

    def _make_room(self) -> None:
        limits = self._limits
        if len(self.connections) <= min(limits.connections, limits.connections_of_peer):
            return  # the usual case, without a look at each: a flood of connections costs others little
        open_ = [connection for connection in self.connections if not connection.transport.is_closing()]
        if len(open_) > limits.connections:
            waiting = [connection for connection in open_ if connection.waits_for_caller]
            largest = Counter(connection.peer for connection in waiting).most_common(1)[0][0]
            _oldest(connection for connection in waiting if connection.peer == largest).end(*_TOO_MANY)
            return
        own = [connection for connection in open_ if connection.peer == self.peer]  # this one among them
        if len(own) > limits.connections_of_peer:
            oldest = _oldest(connection for connection in own if connection.waits_for_caller)
            if self.loop.time() - oldest.waits_since > _GRACE_S:
                oldest.end(*_TOO_MANY)
            else:
                self.app = _refuse

    def end(self, status: int, sentence: str) -> None:
        """Close the connection; with a reply, where a part of a head was received."""
        self._unset_keepalive_if_required()
        if self.conn.our_state is not h11.IDLE or not self.conn.trailing_data[0]:
            self.transport.abort()
            return
        headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close"), RETRY_AFTER]
        body = sentence.encode()
        for event in (
            h11.Response(status_code=status, headers=[*headers, ("content-length", str(len(body)))]),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event))
        self.transport.close()
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(_FAREWELL_S, self.transport.abort)


def _oldest(connections: Iterable[LimitedProtocol]) -> LimitedProtocol:
    return min(connections, key=lambda connection: connection.waits_since)


async def _refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer the request of a connection too many."""
    await send_whole(text(*_TOO_MANY, RETRY_AFTER, ("connection", "close")), send)
