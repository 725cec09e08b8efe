"""The entries of a journal as its file has them: found in whole and in damaged lines, and checked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec

from nbvlm.result import FORMAT, SavedResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["Head", "head", "lines", "looks_like_one", "sound"]

_START = re.compile(rb'\{"key": ?"[0-9a-f]{32}"')
"""How an entry begins; inside a JSON text its quotes would be escaped."""
_STUB = b'{"key":'
_LONGEST = 1 << 26  # bytes of a line; a longer one is read in pieces, and they are damaged entries


class _Failed(msgspec.Struct):
    kind: str
    message: str
    hint: str | None
    status: int | None
    request_id: str | None


class Head(msgspec.Struct):
    """The part of an entry that says whose it is; the rest is passed over."""

    key: str
    source: str
    index: int
    copy: int
    prompt: str | None
    error: _Failed | None
    format: str = ""  # of an answer

    @property
    def failure(self) -> tuple[str, int | None] | None:
        """Kind and status of the error; None for an answer."""
        return (self.error.kind, self.error.status) if self.error is not None else None


_HEADS, _ANSWERS = msgspec.json.Decoder(Head), msgspec.json.Decoder(SavedResult)


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file."""
    return iter(lambda: file.readline(_LONGEST), b"")


def looks_like_one(line: bytes) -> bool:
    """Return whether a line has the beginning of an entry, perhaps a damaged one."""
    return _START.search(line) is not None or line[: len(_STUB)] == _STUB[: len(line)]


def sound(line: bytes) -> Iterator[tuple[int, bytes, Head]]:
    """Yield the entries of a line with their places: behind a half entry, or the zeros of a crash, too."""
    starts = [found.start() for found in _START.finditer(line)]
    for start, end in zip(starts, [*starts[1:], len(line)], strict=False):
        part = line[start:end].rstrip(b"\0\r\n \t")
        if (found := head(part)) is not None:
            yield start, part, found


def head(entry: bytes) -> Head | None:
    """Return the head of an entry whose every part is sound, else None."""
    try:
        entry.decode()  # msgspec does not look into members that it passes over
        found = _HEADS.decode(entry)
        whole = found.error is not None or _fits(found, _ANSWERS.decode(entry))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _by_json(entry)
    return found if whole else None


def _by_json(entry: bytes) -> Head | None:
    """Read what msgspec does not: lone surrogates, and numbers beyond 64 bits."""
    try:
        data = json.loads(entry)
        found = msgspec.convert(data, Head)
        whole = found.error is not None or _fits(found, msgspec.convert(data, SavedResult))
    except (ValueError, RecursionError):
        return None
    return found if whole else None


def _fits(found: Head, answer: SavedResult) -> bool:
    size = (answer.picture.width, answer.picture.height)
    return found.format == FORMAT and answer.detections.size == size
