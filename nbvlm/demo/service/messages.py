"""Requests, replies and refusals as values of the service, without an HTTP library.

>>> from nbvlm.demo.service.messages import problem
>>> reply = problem(404, detail="failed to find asset")
>>> reply.status, reply.header("content-type")
(404, 'application/problem+json')
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "RETRY_AFTER",
    "Connection",
    "Refusal",
    "Reply",
    "Request",
    "as_event",
    "as_json",
    "nvcf_headers",
    "problem",
    "server_error",
    "text",
    "xml",
]

RETRY_AFTER = ("retry-after", "2")
"""Header of a refusal that is over soon."""

# Python 3.13 gave these two new names; the hosted service keeps the old ones.
TITLES = {413: "Request Entity Too Large", 422: "Unprocessable Entity"}


class Connection:
    """Stops the work for a request when its connection closes.

    The service registers callbacks with `on_close`, the transport calls `close`, in any threads and order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: list[Callable[[], None]] = []
        self._closed = False

    def on_close(self, stop: Callable[[], None]) -> None:
        """Call `stop` when the connection closes; at once when it is closed already."""
        with self._lock:
            if not self._closed:
                self._stops.append(stop)
                return
        stop()

    def release(self) -> None:
        """Let the work continue when the connection closes."""
        with self._lock:
            self._stops.clear()

    def close(self) -> None:
        """Close the connection and stop its work."""
        with self._lock:
            self._closed = True
            stops, self._stops = self._stops, []
        for stop in stops:
            stop()


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    target: str  # path and query, percent-encoded as sent
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # lower case, repeated ones joined
    body: bytes = field(default=b"", repr=False)
    oversize: bool = False  # the body was longer than `Service.room` allows and was not kept
    connection: Connection = field(default_factory=Connection, repr=False)
    peer: str = ""  # network address of the caller; empty in this process
    caller: str = ""  # who asks, as `Service.admit` finds
    pace: float | None = None  # tokens a second that a caller in this process asks for

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The part after the question mark; empty without one."""
        return self.target.partition("?")[2]

    def header(self, name: str, default: str = "") -> str:
        """Value of the header of this lower-case name, stripped."""
        return self.headers.get(name, default).strip()

    @property
    def content_type(self) -> str:
        """The declared kind of the body in lower case, without parameters; empty without one."""
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether the body is declared as JSON: a web page may send any other kind without asking first."""
        return self.content_type == "application/json" or self.content_type.endswith("+json")

    @property
    def length(self) -> int | None:
        """The declared bytes of the body, 0 without a declaration; None where it is not a number."""
        length = self.header("content-length", "0")
        return int(length) if length.isdecimal() else None

    @property
    def host_name(self) -> str:
        """The `Host` header without its port, in lower case."""
        host = self.header("host").lower()
        return host.rpartition("]")[0].lstrip("[") or host.partition(":")[0]

    @property
    def is_foreign(self) -> bool:
        """Whether a web page of another site sends it, as far as its browser says so."""
        origin, site = self.header("origin"), self.header("sec-fetch-site", "none").lower()
        try:
            other = bool(origin) and urlsplit(origin).netloc.lower() != self.header("host").lower()
        except ValueError:
            other = True
        return other or site not in ("none", "same-origin")

    @property
    def is_openai(self) -> bool:
        """Whether the client reads answers and refusals in OpenAI's form."""
        return self.path.startswith(("/v1/chat/", "/v1/models"))


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response; a body that is an iterator is a stream whose parts are sent as they come."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterator[bytes] = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """Value of the first header of this lower-case name, or None."""
        return next((value for key, value in self.headers if key == name), None)

    def plus(self, *headers: tuple[str, str]) -> Reply:
        """Return the same reply with more headers."""
        return replace(self, headers=(*self.headers, *headers))


class Refusal(Exception):
    """Raised where a fault is found; carries the reply that refuses the request."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def as_event(value: Any) -> bytes:
    """Write a JSON value as a server-sent event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n\n"


def nvcf_headers(id_: str, status: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that NVIDIA's functions add to a response."""
    return ("nvcf-reqid", id_), ("nvcf-status", status), ("access-control-expose-headers", "nvcf-reqid")


def as_json(value: Any, status: int = 200, content_type: str = "application/json") -> Reply:
    """Reply with a JSON value."""
    body = json.dumps(value, separators=(",", ":")).encode("ascii")
    return Reply(status, (("content-type", content_type),), body)


def problem(status: int, *, detail: str | None = None, **more: Any) -> Reply:
    """Reply with problem details (RFC 9457), in the member order of the hosted service: `type` first."""
    title = TITLES.get(status) or HTTPStatus(status).phrase
    value = {"type": more.pop("type", None), "title": title, "status": status}
    value |= {"detail": detail, **more}
    kept = {name: member for name, member in value.items() if member is not None}
    return as_json(kept, status, "application/problem+json")


def server_error() -> Reply:
    """Reply with status 500, in the words of the hosted service."""
    return as_json({"message": "Internal server error", "type": "internal_server_error", "code": 500}, 500)


def text(status: int, body: str, *headers: tuple[str, str]) -> Reply:
    """Reply with plain text."""
    return Reply(status, (("content-type", "text/plain; charset=utf-8"), *headers), body.encode())


def xml(status: int, code: str, message: str) -> Reply:
    """Reply with an error document as an S3 bucket sends it."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return Reply(status, (("content-type", "application/xml"),), body.encode())
