"""Requests and replies as ASGI's dictionaries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from nbvlm.demo.service.messages import Reply, Request

__all__ = ["Receive", "Scope", "Send", "request_head", "send_head", "send_part", "send_whole"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def request_head(scope: Scope) -> Request:
    """Return a request without its body."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    target = scope["raw_path"].decode("latin-1")
    if scope["query_string"]:
        target += "?" + scope["query_string"].decode("latin-1")
    return Request(scope["method"], target, headers, peer=scope["client"][0] if scope["client"] else "")


async def send_head(reply: Reply, send: Send) -> None:
    """Send status and headers."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})


async def send_part(part: bytes, send: Send, *, more: bool = True) -> None:
    """Send a part of a body; the last one has no `more` behind it."""
    await send({"type": "http.response.body", "body": part, "more_body": more})


async def send_whole(reply: Reply, send: Send) -> None:
    """Send a reply whose body is complete."""
    await send_head(reply, send)
    await send_part(reply.body if isinstance(reply.body, bytes) else b"".join(reply.body), send, more=False)
