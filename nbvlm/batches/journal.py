"""The journal of a run: JSON lines, appended as pictures finish, and never changed.

A line is written in one piece as soon as its picture is finished, so a process that is killed leaves whole
lines and at most one half of a line, at the end. That half is ignored, and the next entry starts a new line.
A line that is damaged later costs this line only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._files import expanded
from nbvlm.batches import entries, rows
from nbvlm.errors import Error, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from nbvlm.batches.rows import Position

__all__ = ["Journal", "NullJournal", "lines"]

_FAR = 1 << 40
_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
"""A file system that has no locks says one of these: the journal is written all the same."""
_LOCKED = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


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
        """Do nothing, since no file is open."""


class Journal(NullJournal):
    """A journal in a file, created if missing, which one run at a time can write."""

    def __init__(self, path: str | os.PathLike[str], folder: str = "") -> None:
        self.path = _path(path, folder)
        self._known: dict[str, tuple[int, int]] = {}
        self._places: set[int] = set()
        self._file = _opened(self.path)
        with contextlib.ExitStack() as failed:
            failed.callback(os.close, self._file)
            _lock(self._file, self.path)
            self._reader = failed.enter_context(_reading(self.path))
            self._end, self._broken = self._scan()
            failed.pop_all()

    def __contains__(self, key: object) -> bool:
        return key in self._known

    def read(self, key: str) -> bytes:
        """Return the line with the answer to this question."""
        start, length = self._known[key]
        try:
            self._reader.seek(start)
            line = self._reader.read(length)
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if (head := entries.head(line)) is None or head.key != key:
            raise self._changed()
        return line

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
        error = data["error"]
        failure = (error["kind"], error["status"]) if error is not None else None
        self._learn(data["key"], place, failure, start, len(line))
        return line

    def close(self) -> None:
        """Let others write the journal; a second call does nothing."""
        file, self._file = self._file, -1
        if file >= 0:
            self._reader.close()
            try:
                os.close(file)
            except OSError as error:  # a network's file system may report a full disk as late as here
                raise self._unwritten(error) from None

    def _append(self, line: bytes) -> int:
        """Write a line at the end of the file, after a half one on a fresh line; return where it starts."""
        whole = b"\n" + line if self._broken else line
        try:
            own = os.fstat(self._file)
            if own.st_size < self._end or not os.path.samestat(own, self.path.stat()):
                raise self._changed()
            written = 0
            while written < len(whole):
                written += os.write(self._file, whole[written:])
            # Behind the lines of another run, where the file system has no locks.
            self._end = os.lseek(self._file, 0, os.SEEK_CUR)
        except FileNotFoundError:
            raise self._changed() from None
        except OSError as error:
            self._end, self._broken = os.fstat(self._file).st_size, True
            raise self._unwritten(error) from None
        self._broken = False
        return self._end - len(line)

    def _scan(self) -> tuple[int, bool]:
        """Read the finished rows; return the size of the file, and whether it ends within a line."""
        at, ours, foreign, line = 0, False, False, b"\n"
        try:
            for line in entries.lines(self._reader):
                ours = ours or entries.looks_like_one(line)
                foreign = foreign or _written(line)
                for start, part, head in entries.sound(line):
                    place = rows.Position(head.index, head.source, head.copy)
                    self._learn(head.key, place, head.failure, at + start, len(part))
                at += len(line)
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if foreign and not ours:
            raise _no_journal(self.path, ", and is left as it is")
        return at, not line.endswith(b"\n")

    def _learn(
        self, key: str, place: Position, failure: tuple[str, int | None] | None, at: int, length: int
    ) -> None:
        if failure is None or rows.is_final(*failure):
            self._known[key] = (at, length)
            self._places.add(hash((key, place.source, place.copy)))

    def _unwritten(self, error: OSError) -> Error:
        return Error(
            f"The journal {str(self.path)!r} cannot be written: {error.strerror}.",
            hint="It holds the finished rows; make room, then run the same again.",
        )

    def _changed(self) -> Error:
        return Error(
            f"The journal {str(self.path)!r} was replaced, shortened or deleted by another program.",
            hint="Put the file back, or take another one, then run the same again.",
        )


def lines(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the whole lines of a journal, also while it is written."""
    file = _path(path)
    if not file.exists():
        raise Error(f"The journal {os.fspath(path)!r} does not exist.", hint=f"This runs in {Path.cwd()}.")
    ours = foreign = False
    try:
        with _reading(file) as opened:
            for line in entries.lines(opened):
                ours = ours or entries.looks_like_one(line)
                foreign = foreign or _written(line)
                for _, part, _head in entries.sound(line):
                    yield part
    except OSError as error:
        raise _unreadable(file, error) from None
    if foreign and not ours:
        raise _no_journal(file)


def _written(line: bytes) -> bool:
    """Return whether a line holds anything; a crash can leave zeros."""
    return bool(line.strip(b"\0\r\n \t"))


def _no_journal(path: Path, left: str = "") -> Error:
    return Error(
        f"{str(path)!r} is not the journal of a batch{left}.",
        hint='Give the name of another file: journal="run.jsonl".',
    )


def _path(path: str | os.PathLike[str], folder: str = "") -> Path:
    """Check a path and make it absolute, so that a change of the folder during the run does not matter."""
    try:
        absolute = Path(folder, expanded(path)).absolute()
    except (TypeError, ValueError):
        raise _no_path(path) from None
    try:
        kind = absolute.stat().st_mode
    except FileNotFoundError:
        return absolute
    except OSError as error:
        raise _unreadable(absolute, error) from None
    except ValueError:
        raise _no_path(path) from None
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a device, a pipe or a socket"
        raise Error(
            f"The journal {str(absolute)!r} is {what}, not a file.",
            hint='Name a file: journal="run.jsonl"; journal=None writes no journal.',
        )
    return absolute


def _no_path(path: object) -> ParameterError:
    message = f"journal must be the path of a file, got {path!r}."
    return ParameterError(message, hint="journal=None writes no journal.")


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        raise _unreadable(path, error) from None


def _reading(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> Error:
    return Error(
        f"The journal {str(path)!r} cannot be opened: {error.strerror}.",
        hint="Give a file in a folder that exists and may be written, or journal=None to write no journal.",
    )


def _lock(file: int, path: Path) -> None:
    """Take the file for this run; the lock ends with the process, however that ends."""
    # On the journal's own descriptor: no second file lies beside it, and it is locked as long as it is open.
    try:
        _take(file)
    except OSError as error:
        if error.errno in _LOCKED:
            raise Error(
                f"The journal {str(path)!r} is being written by another run.",
                hint="Wait until that run has ended, or give this one another journal.",
            ) from None
        if error.errno not in _WITHOUT_LOCKS:
            raise Error(
                f"The file system does not lock the journal {str(path)!r}: {error.strerror}.",
                hint="Give the journal a place on a local disk.",
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
