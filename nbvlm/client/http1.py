r"""HTTP/1.1 as a client needs it: a request as bytes, a response from bytes; no input or output of its own.

Only what `nbvlm.client.pools` uses: one request at a time on a connection, answers framed by
length, by chunks or by the connection's end (RFC 9112, sections 4 to 7). Reading a chunk costs a seventh of
what a general library needs for it, and an answer that comes token by token is little else than chunks.

>>> answer = Answer("GET")
>>> answer.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel")
b'hel'
>>> answer.feed(b"lo\r\n0\r\n\r\n"), answer.complete, answer.reusable
(b'lo', True, True)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Answer", "ProtocolError", "request_head"]

Headers = list[tuple[bytes, bytes]]

LARGEST_HEAD = 128 * 1024
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\x00-\x08\x0a-\x1f]*)?")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00\r\n]*?)[ \t]*")
_END = re.compile(rb"\r?\n\r?\n")
_FIRST_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_NEXT_SIZE = re.compile(rb"\r\n([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_SIZE_SO_FAR = re.compile(rb"(?:\r|(?:\r\n)?(?:[0-9A-Fa-f]{1,15}[ \t]*(?:;[^\r\n]*)?\r?)?)")
_TRAILERS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\x00\r\n]*\r\n)*\r\n")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_VALUE = re.compile(rb"[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?|")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LONGEST_SIZE = 4096


class ProtocolError(ValueError):
    """The other side does not speak HTTP/1.1; or what should be sent is not HTTP/1.1."""


def request_head(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the first lines of a request.

    Raises
    ------
    ProtocolError
        If a part holds a line break or another character that cannot be sent. The message does not repeat
        it, since a header may hold a key.
    """
    if not _NAME.fullmatch(method.encode()) or not _TARGET.fullmatch(target):
        raise ProtocolError("the method or the address holds characters that cannot be sent")
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target)]
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ProtocolError(f"the header {name!r} holds characters that cannot be sent")
        lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join((*lines, b"", b""))


class Answer:
    """A response, read as it comes.

    Parameters
    ----------
    method
        Of the request: an answer to HEAD has no body.

    Attributes
    ----------
    status
        0 until the head is complete.
    headers
        Names as they came, and values.
    complete
        True when the body has ended.
    reusable
        True if another request may follow on the connection.
    """

    __slots__ = ("_body", "_buffer", "_method", "complete", "headers", "reusable", "status")

    def __init__(self, method: str) -> None:
        self._method = method
        self._buffer = b""
        self._body: _Length | _Chunks | _Rest | None = None
        self.status = 0
        self.headers: Headers = []
        self.complete = False
        self.reusable = False

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the connection and return the part of the body in them.

        Raises
        ------
        ProtocolError
            If they are no HTTP/1.1.
        """
        if self._body is None:
            data = self._read_head(data)
            if self._body is None:
                return b""
        found = self._body.feed(data)
        if self._body.complete:
            self.complete = True
            if self._body.surplus:
                self.reusable = False
        return found

    def end(self) -> None:
        """Take the end of the connection.

        Raises
        ------
        ProtocolError
            If the answer was not complete.
        """
        self.reusable = False
        if isinstance(self._body, _Rest):
            self.complete = True
        elif not self.complete:
            early = self.status == 0 and not self._buffer
            raise ProtocolError(
                "the server closed the connection " + ("without an answer" if early else "before the end")
            )

    def _read_head(self, data: bytes) -> bytes:
        """Read heads until one is final; return what follows it."""
        text = self._buffer + data
        while (end := _END.search(text)) is not None:
            status, headers, version = _head(text[: end.start()])
            text = text[end.end() :]
            if status == 101:
                raise ProtocolError("the server wants to speak something else")
            if status < 200:
                continue
            self._buffer = b""
            self._start(status, headers, version)
            return text
        if len(text) > LARGEST_HEAD:
            raise ProtocolError("the head of the answer is too large")
        if text[:7] != b"HTTP/1."[: len(text)]:
            raise ProtocolError("the answer is no HTTP/1.1")
        self._buffer = text
        return b""

    def _start(self, status: int, headers: Headers, version: int) -> None:
        self.status, self.headers = status, headers
        tokens = {token.lower() for token in _all(headers, b"connection")}
        self.reusable = b"close" not in tokens and (version == 1 or b"keep-alive" in tokens)
        chunked, length = _framing(_all(headers, b"transfer-encoding"), _all(headers, b"content-length"))
        if self._method == "HEAD" or status in (204, 304):
            self._body = _Length(0)
        elif chunked:
            self._body = _Chunks()
            # Two framings at once: chunks count, and the connection is not trusted with another request.
            self.reusable = self.reusable and length is None
        elif length is not None:
            self._body = _Length(length)
        else:
            self._body, self.reusable = _Rest(), False


def _head(text: bytes) -> tuple[int, Headers, int]:
    *others, last = text.split(b"\n")
    lines = [*(line.removesuffix(b"\r") for line in others), last]
    found = _STATUS.fullmatch(lines[0])
    if found is None:
        raise ProtocolError("the answer is no HTTP/1.1")
    fields = [_FIELD.fullmatch(line) for line in _unfolded(lines[1:])]
    if None in fields:
        raise ProtocolError("the answer has a header that is none")
    return int(found[2]), [(field[1], field[2]) for field in fields if field], int(found[1])


def _unfolded(lines: list[bytes]) -> list[bytes]:
    """Join lines that begin with a blank to the line before, an old way of writing long headers."""
    whole: list[bytes] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and whole:
            whole[-1] += b" " + line.strip(b" \t")
        else:
            whole.append(line)
    return whole


def _all(headers: Headers, wanted: bytes) -> list[bytes]:
    """Return all values of a header, split at commas."""
    values = [value for name, value in headers if name.lower() == wanted]
    return [part.strip() for value in values for part in value.split(b",")]


def _framing(codings: list[bytes], lengths: list[bytes]) -> tuple[bool, int | None]:
    """Return whether the body comes in chunks, and its length where one is given."""
    if codings and [coding.lower() for coding in codings] != [b"chunked"]:
        raise ProtocolError("the answer has an unknown transfer encoding")
    if not lengths:
        return bool(codings), None
    if len(set(lengths)) != 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise ProtocolError("the answer has an unreadable length")
    return bool(codings), int(lengths[0])


class _Length:
    """A body of known length."""

    __slots__ = ("complete", "left", "surplus")

    def __init__(self, length: int) -> None:
        self.left = length
        self.complete = length == 0
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        self.surplus = len(data) > self.left
        found = data[: self.left]
        self.left -= len(found)
        self.complete = self.left == 0
        return found


class _Rest:
    """A body that ends with the connection."""

    __slots__ = ("complete", "surplus")

    def __init__(self) -> None:
        self.complete = False
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        return data


class _Chunks:
    """A body in chunks; several that came together are returned together."""

    __slots__ = ("_buffer", "_left", "_size", "complete", "surplus")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        self._size: re.Pattern[bytes] | None = _FIRST_SIZE
        self.complete = False
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        text = self._buffer + data if self._buffer else data
        found: list[bytes] = []
        at = 0
        while self._size is not None:
            if self._left:
                piece = text[at : at + self._left]
                found.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
            size = self._size.match(text, at)
            if size is None:
                _check_size(text[at:])
                break
            at = size.end()
            self._left = int(size[1], 16)
            self._size = _NEXT_SIZE if self._left else None
        self._buffer = text[at:]
        if self._size is None:
            self._end()
        return found[0] if len(found) == 1 else b"".join(found)

    def _end(self) -> None:
        """Pass over what may follow the last chunk."""
        trailers = _TRAILERS.match(self._buffer)
        if trailers is not None:
            self.complete = True
            self.surplus = trailers.end() < len(self._buffer)
        elif b"\r\n\r\n" in self._buffer or len(self._buffer) > LARGEST_HEAD:
            raise ProtocolError("the answer ends with trailers that are none")


def _check_size(text: bytes) -> None:
    """Raise if this cannot become the line that gives a chunk's size."""
    if len(text) > _LONGEST_SIZE or not _SIZE_SO_FAR.fullmatch(text):
        raise ProtocolError("the answer has a chunk without a readable size")
