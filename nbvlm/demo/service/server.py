"""Serve on a socket: an ASGI application, run by uvicorn."""

from __future__ import annotations

import asyncio
import functools
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm.demo.service.asgi import request_head, send_head, send_part, send_whole
from nbvlm.demo.service.bodies import Bodies, Disconnected, body_size, read_body
from nbvlm.demo.service.execution import AsyncExchange
from nbvlm.demo.service.messages import Refusal, Reply
from nbvlm.demo.service.service import sized
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Collection

    import uvicorn

    from nbvlm.demo.service.asgi import Receive, Scope, Send
    from nbvlm.demo.service.limits import Limits
    from nbvlm.demo.service.service import Service

__all__ = ["asgi_server", "hosts", "listen", "origin", "server"]

_LAST_PORT = 65_535
_BACKLOG = 100  # connections that are taken on at a time; below a peer's limit, see `connections`
_QUEUE = 1024  # that the system accepts meanwhile: one that it drops is tried again after a second
_VANISHED_S = 30  # until a caller who does not react at all is given up


class _Application:
    """The service as an ASGI application: it answers every path and method."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._bodies = Bodies(service.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            head = self._service.admit(request_head(scope))
            async with self._bodies.room(head.caller, body_size(head, self._service.room(head))):
                body = await read_body(head, receive, self._service.room(head), self._service.limits)
                exchange = AsyncExchange(self._service, replace(head, body=body))
                watch = asyncio.create_task(_watch(receive, exchange))
                try:
                    reply = await exchange.head()
                except BaseException:
                    exchange.close()
                    watch.cancel()
                    raise
        except Refusal as refused:
            await send_whole(sized(refused.reply), send)
            return
        except Disconnected:
            return
        try:
            await _send(reply, exchange, send)
        finally:
            exchange.close()
            watch.cancel()


async def _watch(receive: Receive, exchange: AsyncExchange) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.close()


async def _send(head: Reply, parts: AsyncExchange, send: Send) -> None:
    await send_head(head, send)
    async for part in parts:
        await send_part(part, send)
    await send_part(b"", send, more=False)


def listen(host: str, port: int) -> socket.socket:
    """Open the socket to serve on; a port in use is an error before the server starts.

    Parameters
    ----------
    host
        Address or name of this machine.
    port
        0 selects a free one.

    Raises
    ------
    Error
        When the address cannot be used.
    """
    if not 0 <= port <= _LAST_PORT:
        raise _unreachable(host, port, f"a port must be 0 to {_LAST_PORT}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        family, kind, protocol, _, address = found[0]
        return _bound(family, kind, protocol, address)
    except OSError as error:
        raise _unreachable(host, port, error.strerror or str(error)) from error


def _bound(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    """Bind a socket with an explicit protocol, without which asyncio leaves Nagle's algorithm on."""
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _notice_the_vanished(listener)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _notice_the_vanished(listener: socket.socket) -> None:
    """Let the system close connections of computers that were switched off; accepted sockets inherit it."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", _VANISHED_S), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):  # not on every system
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _unreachable(host: str, port: int, reason: str) -> Error:
    return Error(f"Cannot listen on {host} port {port}: {reason}.", hint="Choose another --port.")


def origin(listener: socket.socket) -> str:
    """Return scheme, host and port for clients on this machine."""
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def hosts(listener: socket.socket, *more: str) -> Collection[str] | None:
    """Return the names that requests may use for a service; None for any, where a network reaches it.

    A service for this computer alone answers to its own names only, so a web page whose name points at it
    (DNS rebinding) cannot use it.

    Parameters
    ----------
    listener
        From `listen`.
    more
        Further names; with any, a service in the network has names too.
    """
    address = listener.getsockname()[0]
    if not (address.startswith("127.") or address == "::1" or more):
        return None
    return {"localhost", "127.0.0.1", "::1", address, *(name.lower() for name in more)}


def server(service: Service) -> uvicorn.Server:
    """Return a uvicorn server, which logs no requests; run it with `run(sockets=[listener])`.

    Raises
    ------
    Error
        When uvicorn is not installed.
    """
    return asgi_server(_Application(service), service.limits)


def asgi_server(
    application: Any,
    limits: Limits,
    *,
    extra: str = "serve",
    purpose: str = "The local service",
    graceful_s: int = 2,
    **options: Any,
) -> uvicorn.Server:
    """Return a uvicorn server of any ASGI application, with the limits of connections that uvicorn lacks.

    Parameters
    ----------
    application
        The application.
    limits
        Limits of its connections and heads.
    extra, purpose
        What to install, and for what, where uvicorn is missing.
    graceful_s
        Seconds that answers under way may take after the end was asked for.
    options
        Further settings of uvicorn, such as certificates.

    Raises
    ------
    Error
        When uvicorn is not installed.
    """
    uvicorn = require("uvicorn", extra=extra, purpose=purpose)
    from nbvlm.demo.service.connections import LimitedProtocol

    limits = _fitting(limits)
    config = uvicorn.Config(
        application,
        http=functools.partial(LimitedProtocol, limits),
        ws="none",
        h11_max_incomplete_event_size=limits.head,
        limit_concurrency=2 * (limits.connections + _BACKLOG),  # it counts closed ones for a moment
        backlog=_BACKLOG,
        timeout_graceful_shutdown=graceful_s,
        proxy_headers=False,  # a caller could make up an address
        access_log=False,
        log_level="error",  # a warning for each bad request would fill the terminal
        server_header=False,
        **{"lifespan": "off"} | options,
    )

    class Server(uvicorn.Server):  # type: ignore[misc,name-defined]
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            for listener in sockets or ():  # asyncio knows one number for both
                listener.listen(_QUEUE)

    return Server(config)


def _fitting(limits: Limits) -> Limits:
    """Return limits that need at most half of the files that this process may open."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return limits
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most == resource.RLIM_INFINITY or most // 2 >= limits.connections:
        return limits
    of_peer = min(limits.connections_of_peer, most // 4)
    return replace(limits, connections=most // 2, connections_of_peer=of_peer)
