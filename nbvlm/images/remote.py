"""Pictures from the web, with caps, and never from a private network by accident.

A host name is resolved here and the connection made to the very address that was checked, so a name that
changes its address between the two (DNS rebinding) gains nothing; every redirect is checked too. Error texts
name the host and the file only: user names, passwords and signed queries stay out of them, and of the logs.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import ipaddress
import logging
import re
import socket
import zlib
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from nbvlm._background import Task, shared_loop
from nbvlm._environment import proxy_for, tls
from nbvlm._text import shorten, visible
from nbvlm.errors import ImageError, TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

__all__ = ["MAX_BYTES", "MAX_REDIRECTS", "MAX_SECONDS", "fetch", "stream"]

MAX_BYTES = 64 * 1024 * 1024
MAX_SECONDS = 60.0
MAX_REDIRECTS = 5
MAX_ADDRESSES = 4  # of one host, tried in turn until one takes the connection

_PIECE = 256 * 1024
_PATIENCE = 15.0  # seconds without a byte
_UNTYPED = ("", "application/octet-stream", "binary/octet-stream")
_CHECK = "Check the address and the network."
_BY_HAND = "Download the picture and pass its path."


@dataclass(frozen=True, slots=True)
class _Limits:
    allow_private: bool
    max_bytes: int


def fetch(
    url: str, *, allow_private: bool = False, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS
) -> tuple[bytes, str | None]:
    """Fetch a picture's bytes, and the file name in its address.

    A user name and password in the address go to its host alone. `max_bytes` is for the body, `max_seconds`
    for the whole exchange: names are looked up, connections made and redirects followed in that time, however
    slowly a server sends.

    Raises
    ------
    ImageError
        If the address leads to a private network (unless `allow_private`), to nothing, to something else, or
        past a cap; `status` holds the HTTP status if the server responded.
    """
    target = _parsed(url)
    # A blocking read knows a limit for each read only, and cannot be cancelled; so an event loop does it.
    task = Task(_fetched(target, _Limits(allow_private, max_bytes), max_seconds), shared_loop("nbvlm-fetch"))
    try:
        found = task.wait()
    except concurrent.futures.CancelledError:
        raise ImageError(f"Fetching {_shown(target)} was stopped.") from None
    except BaseException:
        task.cancel()  # Ctrl-C
        raise
    if isinstance(found, ImageError):
        raise found
    return found


async def _fetched(
    first: httpx.URL, limits: _Limits, max_seconds: float
) -> tuple[bytes, str | None] | ImageError:
    """Fetch; an error is returned, so that no frame of this loop is in its traceback."""
    limit = asyncio.timeout(max_seconds)
    try:
        async with limit:
            with _silence():
                return await _followed(first, limits)
    except ImageError as error:
        return error.with_traceback(None)
    except TimeoutError:
        if not limit.expired():
            raise
        message = f"{_shown(first)} did not arrive within {max_seconds:g} s."
        return ImageError(message, hint=_BY_HAND)


async def _followed(first: httpx.URL, limits: _Limits) -> tuple[bytes, str | None]:
    target = first
    for _ in range(MAX_REDIRECTS + 1):
        origin = (target.scheme, target.host, target.port)
        same = origin == (first.scheme, first.host, first.port)
        data, onward = await _hop(target, _credentials(first) if same else None, limits)
        if onward is None:
            return data, _name(target)
        target = onward
    raise ImageError(f"{_shown(first)} redirects more than {MAX_REDIRECTS} times.", hint="Check the address.")


@contextmanager
def stream(url: str) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Open a file that the package itself names: its HTTP status, and its bytes in pieces.

    Raises
    ------
    TransportError
        If the server cannot be reached, or the connection breaks.
    """
    import httpx

    headers, timeout = _headers() | {"Accept": "*/*"}, httpx.Timeout(30.0, connect=10.0)
    try:
        # The environment is read here: httpx raises errors of many kinds for variables that make no sense.
        proxy = _proxy(httpx.URL(url))
        with (
            httpx.Client(
                headers=headers, timeout=timeout, proxy=proxy, verify=tls(), trust_env=False
            ) as client,
            client.stream("GET", url, follow_redirects=True) as response,
        ):
            yield response.status_code, response.iter_bytes(_PIECE)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        raise TransportError(f"{reason}.", hint=_CHECK) from error


def _proxy(target: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy of the environment for an address; raise TransportError where it cannot be used."""
    import httpx

    address = proxy_for(target.scheme, target.raw_host.decode("ascii"), target.port)
    if address is None:
        return None
    return httpx.Proxy(address, ssl_context=tls() if address.startswith("https:") else None)


def _headers() -> dict[str, str]:
    from nbvlm._version import __version__

    return {"User-Agent": f"nbvlm/{__version__}", "Accept": "image/*", "Accept-Encoding": "identity"}


def _parsed(url: str) -> httpx.URL:
    import httpx

    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise ImageError("The picture's address is not a valid URL.", hint="Copy it again, whole.") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise ImageError("The picture's address is not an http(s) URL.", hint="Copy it again, whole.")
    return target


def _credentials(target: httpx.URL) -> httpx.BasicAuth | None:
    import httpx

    return httpx.BasicAuth(target.username, target.password) if target.userinfo else None


async def _hop(
    target: httpx.URL, auth: httpx.BasicAuth | None, limits: _Limits
) -> tuple[bytes, httpx.URL | None]:
    """Ask one address: the body, or where to go on."""
    import httpx

    try:
        proxy = _proxy(target)
        # Plain HTTP verifies nothing, so the context, which takes time, is not made.
        verify = tls() if target.scheme == "https" else False
    except TransportError as error:
        message = f"{_shown(target)} cannot be reached. {error.message}"
        raise ImageError(message, hint=error.hint) from None
    addresses = await _addresses(target, proxy is not None, limits.allow_private)
    async with httpx.AsyncClient(
        headers=_headers(), timeout=_PATIENCE, proxy=proxy, verify=verify, trust_env=False
    ) as client:
        for address in addresses:
            request = _request(client, target, address)
            try:
                response = await client.send(request, stream=True, auth=auth, follow_redirects=False)
                try:
                    return await _read(response, target, limits)
                finally:
                    await response.aclose()
            except ImageError:
                raise
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if address == addresses[-1]:
                    raise _unreachable(target, error) from None
            except httpx.TimeoutException:
                message = f"{_shown(target)} sent nothing for {_PATIENCE:g} s."
                raise ImageError(message, hint=_BY_HAND) from None
            except zlib.error:
                raise ImageError(f"{_shown(target)} cannot be unpacked.", hint=_CHECK) from None
            except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
                raise _unreachable(target, error) from None
    raise _unreachable(target, None)


async def _addresses(target: httpx.URL, proxied: bool, allow_private: bool) -> list[str | None]:
    """Resolve and check the host; [None] where a proxy does the connecting."""
    port = target.port or (443 if target.scheme == "https" else 80)
    look = asyncio.get_running_loop().getaddrinfo
    try:
        found = await look(target.raw_host.decode("ascii"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        # Behind a proxy, names of the outside world often have no address inside.
        if proxied:
            return [None]
        raise ImageError(f"The host {target.host!r} is not known.", hint=_CHECK) from None
    addresses: list[str | None] = [str(entry[4][0]) for entry in found]
    if not allow_private and any(_is_private(str(address)) for address in addresses):
        error = ImageError(
            f"{_shown(target)} leads to a private network, which is refused.",
            hint="If you trust the address: ask(…, allow_private=True).",
        )
        error.private = True
        raise error
    return [None] if proxied else addresses[:MAX_ADDRESSES]


def _is_private(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in network for network in _INSIDE):
            return True
        # IPv4 inside IPv6 (mapped, 6to4, NAT64) is judged by the IPv4 address.
        ip = ip.ipv4_mapped or ip.sixtofour or _nat64(ip) or ip
    return not ip.is_global or ip.is_multicast


# Python's is_global, which differs between its releases, lets some of these pass.
_INSIDE = [
    ipaddress.IPv6Network(network)
    for network in (
        "::/96",  # IPv4-compatible, given up
        "::ffff:0:0:0/96",  # IPv4-translated, within a network
        "64:ff9b:1::/48",  # NAT64 within a network
        "2001::/32",  # Teredo, which leads to a machine behind a router
        "fec0::/10",  # site-local, given up
    )
]


def _nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    inside = ip in ipaddress.ip_network("64:ff9b::/96")
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if inside else None


def _request(client: httpx.AsyncClient, target: httpx.URL, address: str | None) -> httpx.Request:
    """Address the request to a checked address, while Host and TLS keep the name."""
    bare = target.copy_with(username=None, password=None, fragment=None)
    return client.build_request(
        "GET",
        bare if address is None else bare.copy_with(host=address),
        headers={"Host": bare.netloc.decode("ascii")},
        extensions={"sni_hostname": bare.raw_host.decode("ascii")},
    )


async def _read(
    response: httpx.Response, target: httpx.URL, limits: _Limits
) -> tuple[bytes, httpx.URL | None]:
    if response.is_redirect and "location" in response.headers:
        return b"", _parsed(str(target.join(response.headers["location"])))
    _check(response, target)
    if int(response.headers.get("content-length") or 0) > limits.max_bytes:
        raise _too_large(target, limits)
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", "deflate"):
        # Each decoder of httpx unpacks a whole piece at once, which some codings let grow a million times.
        message = f"{_shown(target)} is packed as {_short(coding)}, which was not asked for."
        raise ImageError(message, hint=_BY_HAND)
    unpack = zlib.decompressobj(wbits=47) if coding != "identity" else None
    body = bytearray()
    async for piece in response.aiter_raw():
        room = limits.max_bytes - len(body)
        body += unpack.decompress(piece, room + 1) if unpack is not None else piece
        if len(body) > limits.max_bytes:
            raise _too_large(target, limits)
    if unpack is not None and not unpack.eof:
        raise ImageError(f"{_shown(target)} ended before it was complete.", hint=_CHECK)
    return bytes(body), None


def _check(response: httpx.Response, target: httpx.URL) -> None:
    if response.status_code != 200:
        raise ImageError(
            f"{_shown(target)} answered {response.status_code} {_short(response.reason_phrase)}".rstrip()
            + ".",
            status=response.status_code,
            hint="Open the address in a browser, or download the picture and pass its path.",
        )
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (kind.startswith("image/") or kind in _UNTYPED):
        raise ImageError(
            f"{_shown(target)} is {_short(kind)}, not a picture.",
            hint="Pass the address of the picture itself, not of its page.",
        )


def _short(text: str) -> str:
    """Make a server's words safe to show."""
    return shorten(visible(text), 80)


def _name(target: httpx.URL) -> str | None:
    return PurePosixPath(unquote(target.path)).name or None


def _shown(target: httpx.URL) -> str:
    """Host and file name; never the user, the query, or folders, which may be secrets."""
    port = f":{target.port}" if target.port else ""
    name = _name(target) or ""
    folders = "…/" if target.path.count("/") > 1 else ""
    return f"{target.scheme}://{target.host}{port}/{folders}{name}"


def _too_large(target: httpx.URL, limits: _Limits) -> ImageError:
    return ImageError(f"{_shown(target)} is larger than {limits.max_bytes / 2**20:g} MiB.", hint=_BY_HAND)


def _unreachable(target: httpx.URL, error: Exception | None) -> ImageError:
    reason = "its certificate is refused" if "CERTIFICATE" in str(error).upper() else type(error).__name__
    return ImageError(f"{_shown(target)} cannot be reached ({reason}).", hint=_CHECK)


_FETCHING: ContextVar[bool] = ContextVar("nbvlm_fetching", default=False)
_LOGGERS = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)


def _is_foreign(_record: logging.LogRecord) -> bool:
    return not _FETCHING.get()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep httpx and httpcore from logging this exchange: its address may be signed."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_foreign)  # adding the same filter again has no effect
    token = _FETCHING.set(True)
    try:
        yield
    finally:
        _FETCHING.reset(token)
