"""What both transports share: addresses, proxies, the TLS context, a request's bytes, idle connections."""

from __future__ import annotations

import functools
import os
import re
import select
import socket
import ssl
import time
import urllib.request
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import httpx

from nbvlm.client.http1 import ProtocolError, request_head
from nbvlm.client.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Idle", "Origin", "head_of", "is_readable", "origin_of", "proxy_for", "read_limit", "tls", "words"]

KEPT_ALIVE = 60.0
"""Seconds that an idle connection is kept for the next request."""
KEPT = 512
"""Idle connections kept for one origin."""


class Origin(NamedTuple):
    """Where a connection leads."""

    scheme: str
    host: str
    port: int


@functools.cache
def tls() -> ssl.SSLContext:
    """Return the one TLS context of the process: making one takes 25 ms, so it is made when first needed."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def origin_of(url: httpx.URL) -> Origin:
    """Return scheme, host and port of an address."""
    return Origin(
        url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
    )


def proxy_for(origin: Origin) -> str | None:
    """Return the proxy that the environment wants for an origin; none for this machine."""
    if is_loopback(origin.host):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(origin.scheme) or proxies.get("all")
    if not found or urllib.request.proxy_bypass(origin.host):
        return None
    return found if "://" in found else f"http://{found}"


def head_of(request: httpx.Request) -> bytes:
    """Return the first lines of a request.

    Raises
    ------
    httpx.LocalProtocolError
        If it cannot be sent.
    """
    try:
        return request_head(request.method, request.url.raw_path, request.headers.raw)
    except ProtocolError as error:
        message = str(error)
    raise httpx.LocalProtocolError(message)


def read_limit(request: httpx.Request) -> Callable[[], float | None]:
    """Return what tells the limit of the next read: `patience`, which moves on, else the fixed one."""
    patience: Callable[[], float] | None = request.extensions.get("patience")
    if patience is not None:
        return patience
    fixed: float | None = limit(request, "read")
    return lambda: fixed


def limit(request: httpx.Request, name: str) -> float | None:
    """Return one of httpx's four limits of a request."""
    found: float | None = request.extensions.get("timeout", {}).get(name)
    return found


def is_readable(number: int) -> bool:
    """Return whether a socket has something to read, its end included; given by its file number."""
    if not hasattr(select, "poll"):
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


def words(error: OSError) -> str:
    """Say what an error of the system is, without addresses and numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    number = error.errno if not isinstance(error, socket.gaierror) else None
    if number is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        number = int(found[1])
    return os.strerror(number) if number else error.strerror or str(error) or type(error).__name__


class _Line(Protocol):
    def is_fresh(self) -> bool: ...


L = TypeVar("L", bound=_Line)


class Idle(Generic[L]):
    """Idle connections by origin, the last used on top: the cost of taking one does not grow with them."""

    def __init__(self) -> None:
        self._stacks: dict[Origin, list[tuple[float, L]]] = {}

    def take(self, origin: Origin) -> tuple[L | None, list[L]]:
        """Return a connection that still lives, or None, and those to be closed."""
        stack = self._stacks.get(origin, [])
        stale: list[L] = []
        while stack:
            since, line = stack.pop()
            if time.monotonic() - since < KEPT_ALIVE and line.is_fresh():
                return line, stale
            stale.append(line)
        return None, stale

    def give(self, origin: Origin, line: L) -> L | None:
        """Keep a connection; return the one that has to go for it, if any."""
        stack = self._stacks.setdefault(origin, [])
        stack.append((time.monotonic(), line))
        return stack.pop(0)[1] if len(stack) > KEPT else None

    def clear(self) -> Iterable[L]:
        """Forget all connections and return them."""
        stacks, self._stacks = self._stacks, {}
        return [line for stack in stacks.values() for _, line in stack]
