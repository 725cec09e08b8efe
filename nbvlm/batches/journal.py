"""The journal of a run: JSON lines, appended as pictures finish, and never changed.

A line is written in one piece as soon as its picture is finished, so a process that is killed leaves whole
lines and at most one half of a line, at the end. That half is ignored, and the next line starts afresh.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nbvlm._files import expanded
from nbvlm.batches import rows
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbvlm.batches.rows import Position

__all__ = ["Journal", "NullJournal", "lines"]

_FAR = 1 << 40
_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""A file system that has no locks says one of these: the journal is written all the same."""


class _Failed(msgspec.Struct):
    kind: str


class _Head(msgspec.Struct):
    """The part of a line that says whose it is; the rest is passed over."""

    key: str
    source: str
    index: int
    copy: int = 0
    error: _Failed | None = None


_HEADS = msgspec.json.Decoder(_Head)


class NullJournal:
    """No journal: nothing is known beyond the run, and nothing is kept."""

    def __contains__(self, key: object) -> bool:
        return False

    def read(self, key: str) -> bytes:
        """Return the line with the answer to this question."""
        raise KeyError(key)

    def keys(self) -> list[str]:
        """Return the keys of all finished questions."""
        return []

    def stands(self, key: str, place: Position) -> bool:
        """Return whether this very picture has its line."""
        del key, place
        return False

    def add(self, data: dict[str, Any], place: Position) -> bytes:
        """Return the line of a finished picture."""
        del place
        return rows.encode(data)

    def close(self) -> None:
        """Do nothing: there is no file."""


class Journal(NullJournal):
    """A journal in a file, made where there is none, which one run at a time can write."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = expanded(path)
        self._known: dict[str, tuple[int, int]] = {}
        self._places: set[int] = set()
        self._file = _opened(self.path)
        try:
            _lock(self._file, self.path)
            self._end, self._broken = self._scan()
        except BaseException:
            os.close(self._file)
            raise

    def __contains__(self, key: object) -> bool:
        return key in self._known

    def read(self, key: str) -> bytes:
        """Return the line with the answer to this question."""
        start, length = self._known[key]
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(length)

    def keys(self) -> list[str]:
        """Return the keys of all finished questions."""
        return list(self._known)

    def stands(self, key: str, place: Position) -> bool:
        """Return whether this very picture has its line."""
        return hash((key, place.source, place.copy)) in self._places

    def add(self, data: dict[str, Any], place: Position) -> bytes:
        """Write a finished picture, unless it stands there already, and return its line."""
        line = rows.encode(data)
        if self.stands(data["key"], place):
            return line
        start = self._append(line)
        self._learn(msgspec.convert(data, _Head), start, len(line))
        return line

    def close(self) -> None:
        """Let others write the journal; a second call does nothing."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _append(self, line: bytes) -> int:
        """Write a line at the end of the file, after a half one on a fresh line; return where it starts."""
        whole = b"\n" + line if self._broken else line
        start = self._end + len(whole) - len(line)
        try:
            written = 0
            while written < len(whole):
                written += os.write(self._file, whole[written:])
        except OSError as error:
            self._end, self._broken = os.fstat(self._file).st_size, True
            raise Error(
                f"The journal {str(self.path)!r} cannot be written: {error.strerror}.",
                hint="What is finished is in it; make room, then run the same again.",
            ) from None
        self._end, self._broken = self._end + len(whole), False
        return start

    def _scan(self) -> tuple[int, bool]:
        """Learn what is done; return the size of the file, and whether it ends within a line."""
        at, found, line = 0, False, b"\n"
        with self.path.open("rb") as file:
            for line in file:
                head = _head(line)
                if head is not None:
                    found = True
                    self._learn(head, at, len(line))
                at += len(line)
        if at and not found and not line.startswith(b'{"key":'):
            raise Error(
                f"{str(self.path)!r} is not the journal of a batch, and is left as it is.",
                hint='Give the journal another name: journal="run.jsonl".',
            )
        return at, not line.endswith(b"\n")

    def _learn(self, head: _Head, at: int, length: int) -> None:
        if head.error is None or head.error.kind in rows.FINAL:
            self._known[head.key] = (at, length)
            self._places.add(hash((head.key, head.source, head.copy)))


def lines(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the whole lines of a journal, also while it is written."""
    file = expanded(path)
    if not file.is_file():
        raise Error(f"There is no journal {str(file)!r}.", hint=f"This runs in {Path.cwd()}.")
    with file.open("rb") as opened:
        for line in opened:
            if _head(line) is not None:
                yield line


def _head(line: bytes) -> _Head | None:
    try:
        return _HEADS.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        raise Error(
            f"The journal {str(path)!r} cannot be opened: {error.strerror}.",
            hint="Give a file in a folder that exists and may be written, or journal=None to keep none.",
        ) from None


def _lock(file: int, path: Path) -> None:
    """Take the file for this run; the lock ends with the process, however that ends."""
    # On the journal's own descriptor: no second file lies beside it, and it is locked as long as it is open.
    try:
        _take(file)
    except OSError as error:
        if error.errno in _WITHOUT_LOCKS:
            return
        raise Error(
            f"The journal {str(path)!r} is being written by another run.",
            hint="Wait until that has ended, or give this one a journal of its own.",
        ) from None


def _take(file: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: a byte far behind the end
        import msvcrt

        os.lseek(file, _FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
