"""The answers of a history: each with its number, the pinned ones marked, within bounds of memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbvlm.images import Picture
    from nbvlm.result import Result

__all__ = ["MEMORY", "MOST", "HistoryEntry", "HistoryStore"]

#: The most answers that are kept where memory is limited, and the most bytes of their pictures.
MOST, MEMORY = 200, 256 * 2**20


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An answer in the history."""

    number: int  # from 1; a deleted one's is not given again
    result: Result
    pieces: int | None = None  # that it came in; None if they were not counted
    pinned: bool = False  # compared with the others, and dropped last where memory runs short


class HistoryStore:
    """The answers of one history, the oldest first; methods may be called from any thread.

    Where it is `limited`, the oldest that are not pinned are dropped once there are too many or too heavy.

    Examples
    --------
    >>> store = HistoryStore()
    >>> store.entries, store.results
    ((), [])
    """

    def __init__(self, *, limited: bool = False) -> None:
        self._limited = limited
        self._lock = threading.RLock()
        self._entries: tuple[HistoryEntry, ...] = ()
        self._removed: tuple[HistoryEntry, ...] = ()
        self._count = 0

    @property
    def entries(self) -> tuple[HistoryEntry, ...]:
        """All entries."""
        return self._entries

    @property
    def results(self) -> list[Result]:
        """The answers alone."""
        return [one.result for one in self._entries]

    @property
    def pinned(self) -> tuple[HistoryEntry, ...]:
        """The pinned entries."""
        return tuple(one for one in self._entries if one.pinned)

    @property
    def removed(self) -> tuple[HistoryEntry, ...]:
        """The entries that were deleted or cleared last, which `undo` brings back."""
        return self._removed

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, result: Result, pieces: int | None = None) -> HistoryEntry:
        """Add an answer."""
        with self._lock:
            entry = self._numbered(result, pieces)
            self._entries = self._trimmed((*self._entries, entry))
            if self._limited and _weight([*self._entries, *self._removed]) > MEMORY:
                self._removed = ()
            return entry

    def put(self, results: Sequence[Result]) -> list[HistoryEntry]:
        """Hold these answers and no others; return the entries of those that are new."""
        with self._lock:
            known, entries, new = [*self._entries, *self._removed], [], []
            for result in results:
                entry = next((one for one in known if one.result is result), None)
                if entry is None:
                    entry = self._numbered(result)
                    new.append(entry)
                else:
                    known.remove(entry)
                entries.append(entry)
            self._entries = self._trimmed(tuple(entries))
            self._removed = tuple(one for one in self._removed if one in known)
            return new

    def _numbered(self, result: Result, pieces: int | None = None) -> HistoryEntry:
        self._count += 1
        return HistoryEntry(self._count, result, pieces)

    def _trimmed(self, entries: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
        return _trimmed(entries) if self._limited and entries else entries

    def find(self, number: int) -> HistoryEntry:
        """Return the entry with a number; an error if the history does not hold it any more."""
        for one in self._entries:
            if one.number == number:
                return one
        raise Error(f"The history does not hold answer {number} any more.", hint="Ask again.")

    def number_of(self, result: Result | None) -> int | None:
        """Return the number of a result, or None if it is not in the history."""
        return next((one.number for one in self._entries if one.result is result), None)

    def pin(self, number: int, pinned: bool = True) -> None:
        """Pin an answer, or unpin it."""
        with self._lock:
            self._change(number, pinned=pinned)

    def put_pinned(self, results: Sequence[Result]) -> None:
        """Pin these answers and no others."""
        with self._lock:
            for one in self._entries:
                pinned = any(one.result is result for result in results)
                if pinned != one.pinned:
                    self._change(one.number, pinned=pinned)

    def replace(self, number: int, result: Result) -> None:
        """Put another form of an answer in its place."""
        with self._lock:
            self._change(number, result=result)

    def _change(self, number: int, **values: Any) -> None:
        entry = self.find(number)
        changed = replace(entry, **values)
        self._entries = tuple(changed if one is entry else one for one in self._entries)

    def delete(self, number: int) -> None:
        """Drop an answer; a number that is gone already is ignored."""
        self._keep(lambda one: one.number != number)

    def clear(self) -> None:
        """Drop all answers that are not pinned."""
        self._keep(lambda one: one.pinned)

    def _keep(self, is_kept: Callable[[HistoryEntry], bool]) -> None:
        with self._lock:
            removed = tuple(one for one in self._entries if not is_kept(one))
            if removed:
                self._entries, self._removed = tuple(filter(is_kept, self._entries)), removed

    def undo(self) -> None:
        """Bring back what was deleted or cleared last, in its old place; again, nothing happens."""
        with self._lock:
            entries = tuple(sorted((*self._entries, *self._removed), key=lambda one: one.number))
            self._removed = ()
            if entries:
                self._entries = self._trimmed(entries)


def _trimmed(entries: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
    newest, rest = entries[-1], list(entries[:-1])
    while rest and (len(rest) >= MOST or _weight([*rest, newest]) > MEMORY):
        rest.remove(next((one for one in rest if not one.pinned), rest[0]))
    return (*rest, newest)


def _weight(entries: list[HistoryEntry]) -> int:
    """Bytes of the pictures; one that is still in its file counts as 0."""
    pictures: dict[int, Picture] = {id(one.result.picture): one.result.picture for one in entries}
    return sum((picture.nbytes or 0) for picture in pictures.values() if picture.path is None)
