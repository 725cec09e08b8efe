"""Why a connection failed, in a few words."""

from __future__ import annotations

import os
import re
import socket
import ssl
from typing import TypeVar

import httpx

__all__ = ["plain", "reason"]

E = TypeVar("E", bound=httpx.TransportError)


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
