"""The service on a socket: an ASGI application and a uvicorn that runs it."""

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
    import uvicorn
    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

    from nbvlm.demo.service.service import Service

__all__ = ["application", "listen", "origin", "server"]

_LAST_PORT = 65_535
_PATIENCE = 4  # a body this many times too large is still read to its end, so that its sender sees the reply


class _Handler:
    """The one ASGI endpoint: every path and method is the service's to judge."""

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
        """Read the request, but keep no more of its body than there is room for; None when it broke off."""
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


def application(service: Service) -> Starlette:
    """Return the service as an ASGI application.

    Raises
    ------
    Error
        When Starlette is not installed.
    """
    require("starlette.applications", extra="serve", purpose="The local service")
    from starlette.applications import Starlette
    from starlette.routing import Mount

    return Starlette(routes=[Mount("/", app=_Handler(service))])


def listen(host: str, port: int) -> socket.socket:
    """Open the socket to serve on, so that its port is known and a taken one is told before anything starts.

    Parameters
    ----------
    host
        Address or name of this machine.
    port
        0 takes a free one.

    Raises
    ------
    Error
        When the address cannot be had.
    """
    if not 0 <= port <= _LAST_PORT:
        raise _unreachable(host, port, f"ports are 0 to {_LAST_PORT}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        family, kind, protocol, _, address = found[0]
        return _bound(family, kind, protocol, address)
    except OSError as error:
        raise _unreachable(host, port, error.strerror or str(error)) from error


def _bound(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    """Bind a socket that names its protocol: asyncio turns Nagle's algorithm off for no other."""
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
    """Return scheme, host and port that a client on this machine reaches the socket at."""
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def server(service: Service) -> uvicorn.Server:
    """Return a uvicorn server, to be run with `run(sockets=[listener])`; it logs no requests.

    Raises
    ------
    Error
        When uvicorn or Starlette is not installed.
    """
    uvicorn = require("uvicorn", extra="serve", purpose="The local service")
    settings: dict[str, Any] = {"access_log": False, "log_level": "warning", "server_header": False}
    config = uvicorn.Config(
        application(service), lifespan="off", ws="none", timeout_graceful_shutdown=2, **settings
    )
    return uvicorn.Server(config)
