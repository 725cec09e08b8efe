"""What has been answered: every result with its number, the pinned ones marked, within bounds of memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nbvlm.errors import Error

if TYPE_CHECKING:
    from nbvlm.images import Picture
    from nbvlm.result import Result

__all__ = ["MEMORY", "MOST", "History", "Kept"]

#: Results that are kept, and bytes of the pictures that they hold, at most.
MOST, MEMORY = 200, 256 * 2**20


@dataclass(frozen=True, slots=True)
class Kept:
    """A result that is kept.

    Attributes
    ----------
    number
        Counts the runs of a panel, from 1; a deleted one's is not given again.
    result
        The answer.
    pieces
        Pieces that it came in, or None where nobody counted.
    pinned
        Whether it is compared, and left out last where memory runs short.
    """

    number: int
    result: Result
    pieces: int | None = None
    pinned: bool = False


class History:
    """The results of one panel, the oldest first; methods may be called from any thread.

    Examples
    --------
    >>> history = History()
    >>> history.kept, history.results
    ((), [])
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._kept: tuple[Kept, ...] = ()
        self._count = 0

    @property
    def kept(self) -> tuple[Kept, ...]:
        """All that is kept."""
        return self._kept

    @property
    def results(self) -> list[Result]:
        """The answers alone."""
        return [one.result for one in self._kept]

    @property
    def pinned(self) -> tuple[Kept, ...]:
        """What is pinned."""
        return tuple(one for one in self._kept if one.pinned)

    @property
    def newest(self) -> int | None:
        """The number of the newest."""
        return self._kept[-1].number if self._kept else None

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, result: Result, pieces: int | None = None) -> Kept:
        """Keep one more; the oldest that are not pinned go where there are too many or too heavy."""
        with self._lock:
            self._count += 1
            one = Kept(self._count, result, pieces)
            self._kept = _trimmed((*self._kept, one))
            return one

    def find(self, number: int) -> Kept:
        """Return what has a number.

        Raises
        ------
        Error
            It is not kept any more.
        """
        for one in self._kept:
            if one.number == number:
                return one
        raise Error(f"Answer {number} is not kept any more.", hint="Ask again.")

    def number_of(self, result: Result | None) -> int | None:
        """Return the number of a result, or None if it is not kept."""
        return next((one.number for one in self._kept if one.result is result), None)

    def pin(self, number: int, pinned: bool = True) -> None:
        """Pin a result, or loosen it."""
        with self._lock:
            wanted = self.find(number)
            self._kept = tuple(replace(one, pinned=pinned) if one is wanted else one for one in self._kept)

    def delete(self, number: int) -> None:
        """Keep a result no longer; one that is gone already is nothing to complain of."""
        with self._lock:
            self._kept = tuple(one for one in self._kept if one.number != number)

    def clear(self) -> None:
        """Keep only what is pinned."""
        with self._lock:
            self._kept = self.pinned


def _trimmed(kept: tuple[Kept, ...]) -> tuple[Kept, ...]:
    newest, rest = kept[-1], list(kept[:-1])
    while rest and (len(rest) >= MOST or _weight([*rest, newest]) > MEMORY):
        rest.remove(next((one for one in rest if not one.pinned), rest[0]))
    return (*rest, newest)


def _weight(kept: list[Kept]) -> int:
    """Bytes of the pictures; one that is still in its file weighs nothing here."""
    pictures: dict[int, Picture] = {id(one.result.picture): one.result.picture for one in kept}
    return sum((picture.nbytes or 0) for picture in pictures.values() if picture.path is None)
