"""The alphabet of the protocol: what a flow yields, what it receives, and one request with its retries.

A flow is a generator without any input or output of its own. It yields

- an `httpx.Request` and receives an `httpx.Response` whose body has not been read,
- a list of events, which are handed to the consumer, and receives the next bytes of the open response's body
  (`b""` at its end, and where none is open),
- `Tell`, events to hand over without reading on,
- `Pause`, seconds to sleep,
- `Work`, a function to run where it blocks nobody, and receives what it returns.

What goes wrong on the way is thrown into the flow at the same place. One response is open at a time: the next
request closes it.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from nbvlm import statuses
from nbvlm.errors import Error, TransportError
from nbvlm.events import Event, Status
from nbvlm.redact import redact
from nbvlm.retry import Retry, retry_after

if TYPE_CHECKING:
    from pathlib import Path

    from nbvlm.settings import Settings
    from nbvlm.timeouts import Watch

__all__ = ["Context", "Flow", "Pause", "Step", "Tell", "Upload", "Work", "call", "read", "request"]

T = TypeVar("T")
PIECE = 1024 * 1024
"""Bytes that an upload hands to the socket at once."""
LARGEST_BODY = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Tell:
    """Hand events to the consumer and go on."""

    events: list[Event]


@dataclass(frozen=True, slots=True)
class Pause:
    """Sleep."""

    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Work:
    """Run a function that takes its time, away from any event loop."""

    function: Callable[[], Any]


Step = httpx.Request | list[Event] | Tell | Pause | Work
Flow = Generator[Step, Any, T]


@dataclass(slots=True, repr=False)
class Context:
    """What the flows of one exchange share.

    Attributes
    ----------
    settings
        Of the client.
    watch
        The clock.
    temporary
        Ids of assets that the client must still delete, this exchange's and others'.
    progress
        Called with each `Status`, at once; None for nobody.
    asset
        Id of the asset that this exchange must delete, or None.
    bytes_sent
        Bodies so far.
    notices
        For the result.
    """

    settings: Settings
    watch: Watch
    temporary: set[str] = field(default_factory=set)
    progress: Callable[[Status], None] | None = None
    asset: str | None = None
    bytes_sent: int = 0
    notices: list[str] = field(default_factory=list)

    def tell(self, kind: str, done: int | None = None, total: int | None = None, **more: float) -> Tell:
        """Return the step that tells a status, and call `progress`."""
        status = Status(kind, more.get("seconds", self.watch.elapsed()), done, total)
        if self.progress is not None:
            self.progress(status)
        return Tell([status])


class Upload(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that is sent in pieces, from memory or from disk, again from the start for each try.

    Parameters
    ----------
    source
        Bytes, or the path of a file.
    each
        Called with the number of bytes sent after each piece; may raise to stop.
    """

    def __init__(self, source: bytes | Path, each: Callable[[int], None] | None = None) -> None:
        self._source = source
        self._each = each
        self.length = len(source) if isinstance(source, bytes) else source.stat().st_size

    def __iter__(self) -> Iterator[bytes]:
        done = 0
        for piece in self._pieces():
            yield piece
            done += len(piece)
            if self._each is not None:
                self._each(done)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def _pieces(self) -> Iterator[Any]:
        if isinstance(self._source, bytes):
            view = memoryview(self._source)
            yield from (view[start : start + PIECE] for start in range(0, len(view), PIECE))
            return
        with self._source.open("rb", buffering=0) as file:
            while piece := file.read(PIECE):
                yield piece


def request(
    context: Context,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | Upload | None = None,
    key: bool = True,
) -> httpx.Request:
    """Return a request with our `User-Agent`, its time limits and, unless `key` is False, the key."""
    target = httpx.URL(url)
    fields = {"host": target.netloc.decode("ascii"), "accept": "*/*", "accept-encoding": "identity"}
    fields |= {"connection": "keep-alive", "user-agent": _agent()}
    secret = context.settings.key() if key else None
    if secret is not None:
        fields["authorization"] = f"Bearer {secret.reveal()}"
    stream: httpx.SyncByteStream | httpx.ByteStream = httpx.ByteStream(b"")
    if body is not None:
        stream = body if isinstance(body, Upload) else httpx.ByteStream(body)
        fields["content-length"] = str(body.length if isinstance(body, Upload) else len(body))
    left = context.watch.left()
    connect = min(context.settings.timeouts.connect, left)
    limits = {"connect": connect, "read": left, "write": left, "pool": None}
    return httpx.Request(
        method,
        target,
        headers=fields | dict(headers or {}),
        stream=stream,
        extensions={"timeout": limits, "patience": context.watch.left},
    )


def _agent() -> str:
    import nbvlm

    return f"nbvlm/{nbvlm.__version__} httpx/{httpx.__version__}"


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a try failed, and whether another may follow."""

    error: Error
    again: bool = False
    connection: bool = False
    asked: float | None = None


def call(
    context: Context,
    build: Callable[[], httpx.Request],
    *,
    allowed: frozenset[int] = frozenset(),
    asset: bool = False,
    what: str = "request",
    retry: Retry | None = None,
) -> Flow[httpx.Response]:
    """Send a request, again and again as the policy allows, and return a response that is no refusal.

    Parameters
    ----------
    build
        Makes the request anew for each try.
    allowed
        Statuses of 400 and above that are an answer, not a failure.
    asset
        Whether the asset service is asked, for the kind of error.
    what
        What is sent, for the sentence.
    retry
        Policy, by default the client's.

    Raises
    ------
    Error
        The failure of the last try.
    """
    policy = retry or context.settings.retry
    began = context.watch.elapsed()
    attempt = 0
    while True:
        attempt += 1
        outcome = yield from _attempt(context, build, policy, allowed, asset=asset, what=what)
        if not isinstance(outcome, _Failure):
            return outcome
        pause = _pause(context, policy, outcome, attempt, began)
        if pause is None:
            raise outcome.error
        yield context.tell("retry", attempt, policy.attempts, seconds=pause)
        yield Pause(pause)


def _pause(context: Context, policy: Retry, failure: _Failure, attempt: int, began: float) -> float | None:
    if not failure.again:
        return None
    elapsed = context.watch.elapsed() - began
    pause = policy.wait(attempt, elapsed=elapsed, asked=failure.asked, connection=failure.connection)
    return pause if pause is not None and pause < context.watch.left() else None


def _attempt(
    context: Context,
    build: Callable[[], httpx.Request],
    policy: Retry,
    allowed: frozenset[int],
    *,
    asset: bool,
    what: str,
) -> Flow[httpx.Response | _Failure]:
    sent = build()
    try:
        response: httpx.Response = yield sent
    except httpx.TransportError as cause:
        return _unreachable(context, cause, sent.url.host)
    context.bytes_sent += int(sent.headers.get("content-length", 0))
    status = response.status_code
    if status < 400 or status in allowed:
        return response
    body = yield from _error_body()
    error = statuses.error_of(status, response.headers, body, asset=asset, what=what)
    asked = retry_after(response.headers.get("retry-after"))
    return _Failure(error, again=status in policy.statuses, asked=asked)


def _error_body() -> Flow[bytes]:
    """Read the body of a refusal; what of it is missing is missing."""
    parts: list[bytes] = []
    try:
        while (piece := (yield [])) and len(parts) < 1000:
            parts.append(piece)
    except httpx.TransportError:
        pass
    return b"".join(parts)


def read(context: Context) -> Flow[bytes]:
    """Read the open response's body to its end.

    Raises
    ------
    TimeoutError, TransportError
        If it does not come, or is larger than `LARGEST_BODY`.
    """
    parts: list[bytes] = []
    size = 0
    failure: Error | None = None
    try:
        while piece := (yield []):
            parts.append(piece)
            size += len(piece)
            context.watch.check()
            if size > LARGEST_BODY:
                raise TransportError(f"The answer is larger than {LARGEST_BODY >> 20} MB.")
    except httpx.TransportError as cause:
        failure = broken(context, cause)
    if failure is not None:
        raise failure
    return b"".join(parts)


def broken(context: Context, cause: httpx.TransportError) -> Error:
    """Return the error for a response that broke off."""
    if isinstance(cause, httpx.TimeoutException):
        return context.watch.error()
    return TransportError(
        f"The connection broke in the middle of an answer{_because(cause)}.", hint="Ask again."
    )


def _unreachable(context: Context, cause: httpx.TransportError, host: str) -> _Failure:
    if isinstance(cause, httpx.ConnectTimeout):
        return _Failure(context.watch.error("connect"), again=True, connection=True)
    if isinstance(cause, httpx.TimeoutException):
        return _Failure(context.watch.error())
    if isinstance(cause, (httpx.LocalProtocolError, httpx.UnsupportedProtocol)):
        return _Failure(
            TransportError(f"The request could not be sent{_because(cause)}.", hint="Check base_url.")
        )
    if _is_certificate(cause):
        error = TransportError(
            f"{host} could not prove who it is{_because(cause)}.",
            hint="Behind a company's proxy, point SSL_CERT_FILE at its certificates.",
        )
        return _Failure(error)
    error = TransportError(
        f"No connection to {host}{_because(cause)}.",
        hint="Check the network and the address, then try again.",
    )
    return _Failure(error, again=True, connection=True)


def _is_certificate(cause: BaseException) -> bool:
    seen: BaseException | None = cause
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return "CERTIFICATE_VERIFY_FAILED" in str(cause)


def _because(cause: BaseException) -> str:
    text = redact(" ".join(str(cause).split()))
    return f" ({text.rstrip('.')})" if text else ""
