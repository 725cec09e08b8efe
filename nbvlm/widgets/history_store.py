"""The answers of a panel: each with its number, the pinned ones marked, within bounds of memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.images import Picture
    from nbvlm.result import Result

__all__ = ["MEMORY", "MOST", "HistoryEntry", "HistoryStore"]

#: The most answers that are kept, and the most bytes of their pictures.
MOST, MEMORY = 200, 256 * 2**20


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An answer in the history."""

    number: int  # from 1; a deleted one's is not given again
    result: Result
    pieces: int | None = None  # that it came in; None if they were not counted
    pinned: bool = False  # compared with the others, and dropped last where memory runs short


class HistoryStore:
    """The answers of one panel, the oldest first; methods may be called from any thread.

    Examples
    --------
    >>> store = HistoryStore()
    >>> store.entries, store.results
    ((), [])
    """

    def __init__(self) -> None:
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

    @property
    def newest(self) -> int | None:
        """The number of the newest entry."""
        return self._entries[-1].number if self._entries else None

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, result: Result, pieces: int | None = None) -> HistoryEntry:
        """Add an answer; the oldest that are not pinned are dropped where there are too many or too heavy."""
        with self._lock:
            self._count += 1
            entry = HistoryEntry(self._count, result, pieces)
            self._entries = _trimmed((*self._entries, entry))
            if _weight([*self._entries, *self._removed]) > MEMORY:
                self._removed = ()
            return entry

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
                self._entries = _trimmed(entries)


def _trimmed(entries: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
    newest, rest = entries[-1], list(entries[:-1])
    while rest and (len(rest) >= MOST or _weight([*rest, newest]) > MEMORY):
        rest.remove(next((one for one in rest if not one.pinned), rest[0]))
    return (*rest, newest)


def _weight(entries: list[HistoryEntry]) -> int:
    """Bytes of the pictures; one that is still in its file counts as 0."""
    pictures: dict[int, Picture] = {id(one.result.picture): one.result.picture for one in entries}
    return sum((picture.nbytes or 0) for picture in pictures.values() if picture.path is None)
