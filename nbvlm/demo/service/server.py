"""Serve on a socket: an ASGI application, run by uvicorn."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbvlm._optional import require
from nbvlm.demo.service.execution import AsyncExchange
from nbvlm.demo.service.messages import Reply, Request
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    import uvicorn

    from nbvlm.demo.service.service import Service

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

__all__ = ["listen", "origin", "server"]

_LAST_PORT = 65_535
_PATIENCE = 4  # a body up to so many times too large is read to its end, so that its sender sees the reply


class _Application:
    """The service as an ASGI application: it answers every path and method."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await self._request(scope, receive)
        if request is None:
            return
        exchange = AsyncExchange(self._service, request)
        watch = asyncio.create_task(_watch(receive, exchange))
        try:
            await _send(await exchange.head(), exchange, send)
        finally:
            exchange.close()
            watch.cancel()

    async def _request(self, scope: Scope, receive: Receive) -> Request | None:
        """Read the request, with at most the allowed size of its body; None when the caller disconnects."""
        head = _head(scope)
        room = self._service.room(head)
        body, size, more = bytearray(), 0, True
        while more and size <= room * _PATIENCE:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            body += part if size <= room else b""
        return replace(head, oversize=True) if size > room else replace(head, body=bytes(body))


def _head(scope: Scope) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    target = scope["raw_path"].decode("latin-1")
    if scope["query_string"]:
        target += "?" + scope["query_string"].decode("latin-1")
    return Request(scope["method"], target, headers)


async def _watch(receive: Receive, exchange: AsyncExchange) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.close()


async def _send(head: Reply, parts: AsyncExchange, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers]
    await send({"type": "http.response.start", "status": head.status, "headers": headers})
    async for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


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
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _unreachable(host: str, port: int, reason: str) -> Error:
    return Error(f"Cannot listen on {host} port {port}: {reason}.", hint="Choose another --port.")


def origin(listener: socket.socket) -> str:
    """Return scheme, host and port for clients on this machine."""
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def server(service: Service) -> uvicorn.Server:
    """Return a uvicorn server, which logs no requests; run it with `run(sockets=[listener])`.

    Raises
    ------
    Error
        When uvicorn is not installed.
    """
    uvicorn = require("uvicorn", extra="serve", purpose="The local service")
    settings: dict[str, Any] = {"access_log": False, "log_level": "warning", "server_header": False}
    config = uvicorn.Config(
        _Application(service), lifespan="off", ws="none", timeout_graceful_shutdown=2, **settings
    )
    return uvicorn.Server(config)
