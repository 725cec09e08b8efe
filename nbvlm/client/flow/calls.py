"""One request with its retries, and the body of its answer, as flows.

See `nbvlm.client.flow.steps` for what a flow yields and receives.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from nbvlm._environment import proxy_for
from nbvlm._version import __version__
from nbvlm.client import error_responses
from nbvlm.client.flow.steps import PIECE, READ, Context, Flow, Sleep, Upload
from nbvlm.client.policies import GRACE
from nbvlm.client.request_info import CLOSED, NOT_HTTP, RequestInfo
from nbvlm.client.secrets import redact
from nbvlm.client.transports import own_transport
from nbvlm.endpoints import GATEWAY, SERVICES, named
from nbvlm.errors import Error, TimeoutError, TransportError  # noqa: A004 - the public name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.client.policies import Retry

__all__ = ["LARGEST_BODY", "LARGEST_REFUSAL", "call", "check_size", "read", "read_on", "request"]

STATUS_HEADER = "nbvlm-status"
"""Header by which a client says that it reads the gateway's events about queue and quota."""
LARGEST_BODY = 16 * 1024 * 1024
"""Bytes of an answer that is read as a whole."""
LARGEST_REFUSAL = 64 * 1024
"""Bytes of the body of a refusal that are read."""


def request(
    context: Context,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | Upload | None = None,
    key: bool = True,
    question: tuple[Any, ...] | None = None,
) -> httpx.Request:
    """Return a request with our `User-Agent`, its time limits and, unless `key` is False, the key.

    `question` is picture, model, prompt and parameters, for a transport that records.
    """
    # A signed address is not kept.
    target = _url(url) if key else httpx.URL(url)
    fields = {"host": target.netloc.decode("ascii"), "accept": "*/*", "accept-encoding": "identity"}
    fields |= {"user-agent": _AGENT, **(headers or {})}
    secret = context.settings.key() if key else None
    if secret is not None:
        fields["authorization"] = f"Bearer {secret.reveal()}"
    if context.settings.endpoint.name == GATEWAY.name and key:
        fields[STATUS_HEADER] = "1"
    if isinstance(body, bytes) and len(body) > PIECE:
        body = Upload(body)
    size = body.length if isinstance(body, Upload) else len(body or b"")
    if body is not None:
        fields["content-length"] = str(size)
    left = context.deadline.left()
    connect = min(context.settings.timeouts.connect, left)
    limits = {"connect": connect, "read": left, "write": left, "pool": None}
    return httpx.Request(
        method,
        target,
        headers=fields,
        stream=body if isinstance(body, Upload) else httpx.ByteStream(body or b""),
        extensions={
            "timeout": limits,
            "nbvlm": RequestInfo(
                context.settings.endpoint.name,
                question,
                size,
                key,
                context.deadline.left,
                own_transport(context.settings),
            ),
        },
    )


_AGENT = f"nbvlm/{__version__} httpx/{httpx.__version__}"
_url = functools.lru_cache(maxsize=64)(httpx.URL)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a try failed, and whether another may follow."""

    error: Error
    again: bool = False
    connection: bool = False


def call(
    context: Context,
    build: Callable[[], httpx.Request],
    *,
    allowed: frozenset[int] = frozenset(),
    asset: bool = False,
    what: str = "request",
    retry: Retry | None = None,
) -> Flow[httpx.Response]:
    """Send a request, again and again as the policy allows, and return a response that is not a refusal."""
    policy = retry or context.settings.retry
    began = context.deadline.elapsed()
    attempt, failed = 1, 0
    while True:
        outcome = yield from _attempt(context, build, policy, allowed, asset=asset, what=what)
        if not isinstance(outcome, _Failure):
            return outcome
        error, elapsed = outcome.error, context.deadline.elapsed() - began
        failed += error.status == 500
        if failed > 1:
            raise error_responses.failing(error)
        pause = policy.wait(attempt, elapsed=elapsed, asked=error.retry_after, connection=outcome.connection)
        if not outcome.again or pause is None or pause >= context.deadline.left():
            raise error
        context.notices.append(f"Tried again: {error.message}")
        yield context.status("retry", attempt, policy.attempts, seconds=pause)
        yield Sleep(pause)
        attempt += 1


def _attempt(
    context: Context,
    build: Callable[[], httpx.Request],
    policy: Retry,
    allowed: frozenset[int],
    *,
    asset: bool,
    what: str,
) -> Flow[httpx.Response | _Failure]:
    requests = [build()]  # A traceback shows variables, and a request its signed address.
    url = requests[0].url
    origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
    del url
    size = RequestInfo.of(requests[0]).size
    try:
        response: httpx.Response = yield requests.pop()
    except httpx.RequestError as cause:
        return _unreachable(context, cause, origin)
    context.bytes_sent += size
    status = response.status_code
    if status < 400 or status in allowed:
        return response
    body = yield from _error_body(context)
    service = named(context.settings.endpoint.service)
    error = error_responses.error_of(
        status,
        response.headers,
        body,
        asset=asset,
        what=what,
        service=service,
        who=context.settings.who,
        keyed=context.settings.api_key is not None,
    )
    # A service that accepts a request and fails is asked once more: some containers recover, some do not.
    once_more = status == 500 and what == "request" and not asset and service is SERVICES["nvidia"]
    return _Failure(error, again=error.gone is None and (status in policy.statuses or once_more))


def _error_body(context: Context) -> Flow[bytes]:
    """Read the body of a refusal as far as it comes, within bounds of size and time."""
    body = b""
    with contextlib.suppress(TransportError, TimeoutError):
        while len(body) < LARGEST_REFUSAL and (piece := (yield from read_on(context))):
            body += piece
            context.deadline.check()
    return body[:LARGEST_REFUSAL]


def read(context: Context, begun: bytes = b"") -> Flow[bytes]:
    """Read the open response's body to its end, and return it with what was read of it before."""
    parts, size = [begun], len(begun)
    check_size(context, size)
    while piece := (yield from read_on(context)):
        parts.append(piece)
        size += len(piece)
        check_size(context, size)
    return b"".join(parts)


def check_size(context: Context, size: int) -> None:
    """Raise where this much of an answer is too much, or came too late."""
    context.deadline.check()
    if size > LARGEST_BODY:
        raise TransportError(f"The answer is larger than {LARGEST_BODY >> 20} MB.")


def read_on(context: Context) -> Flow[bytes]:
    """Return the next bytes of the open response's body, b"" at its end."""
    try:
        return (yield READ)  # type: ignore[no-any-return]
    except httpx.RequestError as cause:
        failure: Error = TransportError(
            f"The connection broke in the middle of an answer{_because(cause)}.", hint="Ask again."
        )
        if isinstance(cause, httpx.TimeoutException):
            failure = context.deadline.error()
        elif isinstance(cause, httpx.DecodingError):
            failure = TransportError(str(cause), hint="Ask again.")
    raise failure


def _unreachable(context: Context, cause: httpx.RequestError, origin: str) -> _Failure:
    """Say why nothing was reached; `origin` has no path and query, which may be a permission."""
    if isinstance(cause, httpx.ConnectTimeout):
        # A shorter limit of the whole question may be over, too.
        phase = "connect" if context.deadline.left() > GRACE else None
        return _Failure(context.deadline.error(phase), again=True, connection=True)
    if isinstance(cause, httpx.TimeoutException):
        return _Failure(context.deadline.error())
    because = _because(cause)
    if isinstance(cause, httpx.RemoteProtocolError) and NOT_HTTP in because:
        # The server may have done the work: asking again could be paid twice.
        sentence = f"{origin.partition('://')[2]} sent an answer that is not HTTP/1.1."
        hint = "Check base_url: something else may be listening there."
        return _Failure(TransportError(sentence, hint=hint))
    if isinstance(cause, httpx.ProxyError) and str(cause).startswith("407"):
        return _Failure(error_responses.error_of(407, {}, b""))
    if isinstance(cause, (httpx.LocalProtocolError, httpx.UnsupportedProtocol)):
        return _Failure(TransportError(f"The request could not be sent{because}.", hint="Check base_url."))
    url = httpx.URL(origin)
    proxy = _proxy(context, url)
    if "certificate verify failed" in because:
        between = ", or the proxy in between," if proxy else ""
        message = f"{url.host}{between} could not prove its identity{because}."
        return _Failure(TransportError(message, hint=_certificates()))
    service = named(context.settings.endpoint.service)
    if service is not None and service.local:
        message, hint = f"{service.title} does not respond at {origin}{because}.", service.advice
    elif proxy is None:
        message = f"No connection to {origin.partition('://')[2]}{because}."
        hint = "Check the network and the address, then try again."
    else:
        message = f"No connection to {url.host}{because} through the proxy {proxy}."
        hint = "Check the proxy: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names it, NO_PROXY makes exceptions."
    return _Failure(TransportError(message, hint=hint), again=True, connection=True)


def _proxy(context: Context, url: httpx.URL) -> str | None:
    """Return the host and port of the proxy in use, None without one, or where it is not known."""
    if context.settings.transport is not None:
        return None
    address = proxy_for(url.scheme, url.raw_host.decode("ascii"), url.port)
    return httpx.URL(address).netloc.decode("ascii") if address is not None else None


def _certificates() -> str:
    hint = "Behind a company's proxy, point SSL_CERT_FILE at its certificates"
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if path := os.environ.get(name):
            return f"{hint}; {name}={path} is in use, as it was when the process first read it."
    return f"{hint}."


def _because(cause: BaseException) -> str:
    text = redact(" ".join(_reason(cause).split()))
    return f" ({text.rstrip('.')})" if text else ""


def _reason(error: BaseException) -> str:
    """Return why a connection failed: the words of the system, without addresses and numbers."""
    if isinstance(error, (httpx.LocalProtocolError, ValueError)) and not isinstance(error, OSError):
        # The library's own words quote the value.
        return "the address or a header holds characters that cannot be sent"
    if isinstance(error, httpx.RemoteProtocolError):
        # httpcore says "disconnected", h11 "closed" or quotes what it could not read.
        return CLOSED if re.search("disconnected|closed|incomplete", str(error)) else NOT_HTTP
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            within = getattr(cause, "os_error", None) or cause  # aiohttp's
            return _words(getattr(within, "certificate_error", within))
        cause = cause.__cause__ or cause.__context__
    return str(error)


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    number = error.errno if not isinstance(error, socket.gaierror) else None
    if number is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        number = int(found[1])
    return os.strerror(number) if number else error.strerror or str(error) or type(error).__name__
