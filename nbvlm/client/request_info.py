"""Between the client and a transport: facts about a request, and why it failed."""

from __future__ import annotations

import contextlib
import contextvars
import os
import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CURRENT", "RequestInfo", "cut", "plain", "reason"]

E = TypeVar("E", bound=httpx.TransportError)


@dataclass(slots=True, repr=False)
class RequestInfo:
    """The facts about a request that its transport may need; `RequestInfo.of(request)` returns them."""

    endpoint: str | None = None
    question: tuple[Any, ...] | None = None  # picture, model, prompt and parameters
    with_key: bool = True  # False where the address itself is the permission, so that no key may go along
    seconds_left: Callable[[], float] | None = None  # until the nearest time limit
    hold: Callable[[Any], None] | None = None  # called with the connection at once; `cut` ends it

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


def reason(error: BaseException) -> str:
    """Return why a connection failed: the words of the system, without addresses and numbers."""
    if isinstance(error, (httpx.LocalProtocolError, ValueError)) and not isinstance(error, OSError):
        # The library's own words quote the value.
        return "the address or a header holds characters that cannot be sent"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            within: BaseException = getattr(cause, "os_error", None) or cause  # aiohttp's
            return _words(getattr(within, "certificate_error", within))
        cause = cause.__cause__ or cause.__context__
    return str(error)


def plain(error: E) -> E:
    """Return the same error without the frames behind it: they hold the key."""
    return type(error)(reason(error))


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.CertificateError):
        return f"certificate verify failed: {error}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if not isinstance(error, OSError):
        return str(error)
    number = error.errno if not isinstance(error, socket.gaierror) else None
    if number is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        number = int(found[1])
    return os.strerror(number) if number else error.strerror or str(error) or type(error).__name__
