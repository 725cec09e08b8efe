"""Settings of the environment for connections: proxies and certificates, checked before they are used."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import ssl
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from nbvlm._optional import require
from nbvlm.errors import Error, TransportError

__all__ = ["is_loopback", "proxy_for", "tls"]

_SCHEMES = ("http", "https", "socks5", "socks5h")


@functools.lru_cache(maxsize=256)
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


@functools.cache
def tls() -> ssl.SSLContext:
    """Return the one TLS context of the process: making one takes 25 ms, so it is made when first needed.

    Raises
    ------
    TransportError
        If a variable of the environment names certificates, or a log of keys, that cannot be used.
    """
    import certifi

    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        # A missing folder is not an error to ssl, which then trusts no certificate at all.
        if not file and folder and not Path(folder).is_dir():
            raise NotADirectoryError(folder)
        if folder and not file:
            context = ssl.create_default_context(capath=folder)
        else:
            context = ssl.create_default_context(cafile=file or certifi.where())
    except OSError as error:
        raise _unusable(file, folder, error) from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _unusable(file: str | None, folder: str | None, error: OSError) -> TransportError:
    log = os.environ.get("SSLKEYLOGFILE")
    if log and error.filename == log:
        name, fault = "SSLKEYLOGFILE", f"does not name a file that can be written: {log}"
    elif file:
        name, fault = "SSL_CERT_FILE", f"is not a readable file of certificates in PEM form: {file}"
    elif folder:
        name, fault = "SSL_CERT_DIR", f"is not a readable folder of certificates: {folder}"
    else:
        message = f"The certificates of the package certifi cannot be read: {error.strerror or error}."
        return TransportError(message, hint="Install it again: pip install --force-reinstall certifi")
    return TransportError(f"{name} {fault}.", hint=f"Correct {name}, or unset it.")


def proxy_for(scheme: str, host: str, port: int | None) -> str | None:
    """Return the address of the proxy that the environment wants for a host; None to connect directly.

    This machine is always reached directly.

    Raises
    ------
    TransportError
        If the proxy's address cannot be used; the message names the variable, and the proxy's password is
        not in it.
    """
    if is_loopback(host):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(scheme) or proxies.get("all") or ""
    if not found.strip() or _is_exempt(host, port or (443 if scheme == "https" else 80)):
        return None
    name = _variable(scheme, found)
    found = found.strip()
    address = found if "://" in found else f"http://{found}"
    _check(address, name)
    return address


def _is_exempt(host: str, port: int) -> bool:
    """Return whether NO_PROXY names a host; urllib reads names, this also networks and IPv6 in brackets."""
    if urllib.request.proxy_bypass(host if ":" in host else f"{host}:{port}"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for entry in (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(","):
        network, _, only = entry.strip().removeprefix("[").partition("]:")
        with contextlib.suppress(ValueError):
            if address in ipaddress.ip_network(network.rstrip("]"), strict=False) and only in ("", str(port)):
                return True
    return False


def _variable(scheme: str, value: str) -> str:
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return next((name for name in names if os.environ.get(name) == value), "the system's settings")


def _check(address: str, name: str) -> None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
        if "[" in address or host.replace(".", "").isdigit():
            ipaddress.ip_address(host.partition("%")[0])
    except (ValueError, UnicodeError):
        host = ""
    if not host or parts.scheme not in _SCHEMES or not address.isprintable() or " " in address:
        raise TransportError(
            f"The proxy in {name} is not an address that can be used.",
            hint=f"Set {name} to an address such as http://proxy.example.org:3128, or unset it. "
            f"It begins with {', '.join(f'{scheme}://' for scheme in _SCHEMES)}.",
        )
    if parts.scheme.startswith("socks"):
        try:
            require("socksio", purpose=f"The SOCKS proxy in {name}", extra="socks")
        except Error as error:
            raise TransportError(error.message, hint=error.hint) from None
