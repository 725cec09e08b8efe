"""Pictures from the web, with caps, and never from a private network by accident.

A host name is resolved here and the connection made to the very address that was checked, so a name that
changes its address between the two (DNS rebinding) gains nothing; every redirect is checked anew. Error texts
name the host and the file only: user names, passwords and signed queries stay out of them.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
import urllib.request
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from nbvlm.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

__all__ = ["MAX_BYTES", "MAX_REDIRECTS", "MAX_SECONDS", "fetch"]

MAX_BYTES = 64 * 1024 * 1024
MAX_SECONDS = 60.0
MAX_REDIRECTS = 5

_UNTYPED = ("", "application/octet-stream", "binary/octet-stream")


def fetch(
    url: str, *, allow_private: bool = False, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS
) -> tuple[bytes, str | None]:
    """Fetch a picture's bytes.

    Parameters
    ----------
    url
        An http(s) address; a user name and password in it go to that host alone.
    allow_private
        Whether addresses of this machine and its private network may be asked.
    max_bytes, max_seconds
        Caps on the body and on the whole exchange.

    Returns
    -------
    tuple
        The bytes, and the file name in the address or None.

    Raises
    ------
    ImageError
        If the address leads to a private network, to nothing, to no picture, or past a cap.
    """
    import httpx

    deadline = time.monotonic() + max_seconds
    target = _parsed(url)
    credentials = _credentials(target)
    with _silence(), httpx.Client(timeout=min(max_seconds, 15.0), headers=_headers()) as client:
        for _ in range(MAX_REDIRECTS + 1):
            request = _request(client, target, allow_private, credentials)
            try:
                data, onward = _exchange(client, request, target, max_bytes, deadline)
            except httpx.TimeoutException:
                raise _slow(target, max_seconds) from None
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise _unreachable(target, error) from None
            if onward is None:
                return data, _name(target)
            if onward.host != target.host:
                credentials = None
            target = onward
    raise ImageError(
        f"{_shown(target)} redirects more than {MAX_REDIRECTS} times.", hint="Check the address."
    )


def _headers() -> dict[str, str]:
    from nbvlm import __version__

    return {"User-Agent": f"nbvlm/{__version__}", "Accept": "image/*", "Accept-Encoding": "identity"}


def _parsed(url: str) -> httpx.URL:
    import httpx

    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise ImageError("The picture's address is no valid URL.", hint="Copy it again, whole.") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise ImageError("The picture's address is no http(s) URL.", hint="Copy it again, whole.")
    return target


def _credentials(target: httpx.URL) -> tuple[str, str] | None:
    return (target.username, target.password) if target.userinfo else None


def _request(
    client: httpx.Client, target: httpx.URL, allow_private: bool, credentials: tuple[str, str] | None
) -> httpx.Request:
    """Address the request to a checked address, while Host and TLS keep the name."""
    import httpx

    address = _address(target, allow_private)
    bare = target.copy_with(username=None, password=None, fragment=None)
    pinned = bare if address is None else bare.copy_with(host=address)
    request = client.build_request(
        "GET",
        pinned,
        headers={"Host": bare.netloc.decode("ascii")},
        extensions={"sni_hostname": bare.raw_host.decode("ascii")},
    )
    return next(httpx.BasicAuth(*credentials).auth_flow(request)) if credentials else request


def _address(target: httpx.URL, allow_private: bool) -> str | None:
    """Resolve and check the host; None where only a proxy can resolve it."""
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(target.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        if _proxied(target):
            return None
        raise ImageError(f"No host {target.host!r} is known.", hint=_CHECK) from None
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and any(_is_private(address) for address in addresses):
        raise ImageError(
            f"{_shown(target)} leads to a private network, which is refused.",
            hint="If you trust the address: Picture.load(url, allow_private=True).",
        )
    return None if _proxied(target) else addresses[0]


def _is_private(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = [ip]
    if isinstance(ip, ipaddress.IPv6Address):
        # IPv4 in IPv6's clothes: mapped, 6to4, NAT64.
        inner += [found for found in (ip.ipv4_mapped, ip.sixtofour) if found]
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        inner = inner[1:] if len(inner) > 1 else inner
    return any(not one.is_global or one.is_multicast for one in inner)


def _proxied(target: httpx.URL) -> bool:
    proxies = urllib.request.getproxies()
    found = target.scheme in proxies or "all" in proxies
    return bool(found and not urllib.request.proxy_bypass(target.host))


def _exchange(
    client: httpx.Client, request: httpx.Request, target: httpx.URL, max_bytes: int, deadline: float
) -> tuple[bytes, httpx.URL | None]:
    response = client.send(request, stream=True)
    try:
        if response.is_redirect and "location" in response.headers:
            return b"", _parsed(str(target.join(response.headers["location"])))
        _check(response, target, max_bytes)
        return _body(response, target, max_bytes, deadline), None
    finally:
        response.close()


def _check(response: httpx.Response, target: httpx.URL, max_bytes: int) -> None:
    if response.status_code != 200:
        raise ImageError(
            f"{_shown(target)} answered {response.status_code} {response.reason_phrase}".rstrip() + ".",
            status=response.status_code,
            hint="Open the address in a browser, or download the picture and pass its path.",
        )
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (kind.startswith("image/") or kind in _UNTYPED):
        raise ImageError(
            f"{_shown(target)} is {kind}, not a picture.",
            hint="Pass the address of the picture itself, not its page.",
        )
    if int(response.headers.get("content-length") or 0) > max_bytes:
        raise _too_large(target, max_bytes)


def _body(response: httpx.Response, target: httpx.URL, max_bytes: int, deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes(65_536):
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(target, max_bytes)
        if time.monotonic() > deadline:
            raise ImageError(f"{_shown(target)} takes too long to arrive.", hint=_BY_HAND)
    return bytes(body)


_CHECK = "Check the address and the network."
_BY_HAND = "Download the picture and pass its path."


def _name(target: httpx.URL) -> str | None:
    return PurePosixPath(unquote(target.path)).name or None


def _shown(target: httpx.URL) -> str:
    """Host and file name; never the user, the query, or folders, which may be secrets."""
    name = _name(target)
    return f"{target.scheme}://{target.host}{f'/…/{name}' if name else ''}"


def _too_large(target: httpx.URL, max_bytes: int) -> ImageError:
    return ImageError(f"{_shown(target)} is larger than {max_bytes // 2**20} MiB.", hint=_BY_HAND)


def _slow(target: httpx.URL, max_seconds: float) -> ImageError:
    return ImageError(f"{_shown(target)} did not answer within {max_seconds:g} s.", hint=_BY_HAND)


def _unreachable(target: httpx.URL, error: Exception) -> ImageError:
    reason = "TLS failed" if "CERTIFICATE" in str(error).upper() else type(error).__name__
    return ImageError(f"{_shown(target)} cannot be reached ({reason}).", hint=_CHECK)


_FETCHING: ContextVar[bool] = ContextVar("nbvlm_fetching", default=False)
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy")


def _is_foreign(_record: logging.LogRecord) -> bool:
    return not _FETCHING.get()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep httpx and httpcore from logging this exchange: its address may be signed."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_foreign)  # the same filter again is no second one
    token = _FETCHING.set(True)
    try:
        yield
    finally:
        _FETCHING.reset(token)
