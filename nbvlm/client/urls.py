"""Which addresses are safe to send a key or a picture to."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, urlsplit

from nbvlm.client.secrets import Secret

__all__ = ["is_loopback", "is_safe", "signed"]


def is_safe(url: str, *, allow_http: bool = False) -> bool:
    """Return whether an address is https or on this machine, so that no one on the way can read along."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = parts.scheme == "http" and (allow_http or is_loopback(parts.hostname or ""))
    return parts.scheme == "https" or plain


def signed(url: str, *, allow_http: bool = False) -> Secret | None:
    """Return an address that carries its own permission, hidden; None if it is not safe to go to."""
    whole = quote(url, safe="!#$%&'()*+,/:;=?@[]~")
    return Secret(whole) if is_safe(whole, allow_http=allow_http) else None


def is_loopback(host: str) -> bool:
    """Return whether a host name or address stays on this machine.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost.example.org")
    (True, False)
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
