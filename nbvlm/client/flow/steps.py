"""The alphabet of the protocol: what a flow yields and what it receives.

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

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from nbvlm.client.flow.events import Event, Status
from nbvlm.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

    from nbvlm.client.policies import Watch
    from nbvlm.client.settings import Settings

__all__ = ["Context", "Flow", "Pause", "Step", "Tell", "Upload", "Work"]

T = TypeVar("T")
PIECE = 256 * 1024
"""Bytes that an upload hands to the socket at once."""


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
        left = self.length
        with self._source.open("rb", buffering=0) as file:
            while left and (piece := file.read(min(left, PIECE))):
                left -= len(piece)
                yield piece
        if left:
            raise ImageError(f"{self._source.name!r} became shorter while it was sent.", hint="Try again.")
