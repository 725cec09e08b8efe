"""The steps of the protocol: what a flow yields, and what it receives for each.

A flow is a generator without any input or output of its own. It yields

- an `httpx.Request` and receives an `httpx.Response` whose body has not been read,
- `READ` and receives the next bytes of the open response's body, `b""` at its end,
- `Emit`, events for the consumer,
- `Sleep`, seconds to wait,
- `RunInThread`, a function that takes its time, and receives its result.

An error on the way is thrown into the flow at the same place. One response is open at a time: the next
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

    from nbvlm.client.policies import Deadline
    from nbvlm.client.settings import Settings

__all__ = ["PIECE", "READ", "Context", "Emit", "Flow", "Read", "RunInThread", "Sleep", "Step", "Upload"]

T = TypeVar("T")
PIECE = 256 * 1024
"""Bytes that an upload hands to the socket at once."""


class Read:
    """Read on."""


READ = Read()  # the only one


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand events to the consumer."""

    events: list[Event]


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class RunInThread:
    """Run a function away from the event loop."""

    function: Callable[[], Any]


Step = httpx.Request | Read | Emit | Sleep | RunInThread
Flow = Generator[Step, Any, T]


@dataclass(slots=True, repr=False)
class Context:
    """The state that the flows of one exchange share."""

    settings: Settings
    deadline: Deadline
    temporary: set[str] = field(default_factory=set)  # assets to delete, this exchange's and others'
    progress: Callable[[Status], None] | None = None
    asset: str | None = None  # the one that this exchange must delete
    bytes_sent: int = 0
    notices: list[str] = field(default_factory=list)
    model: str | None = None  # that answers, where the service names it

    def status(
        self,
        kind: str,
        done: int | None = None,
        total: int | None = None,
        *,
        seconds: float | None = None,
        files: int | None = None,
    ) -> Emit:
        """Call `progress` with a status, and return the step that emits it."""
        status = Status(kind, self.deadline.elapsed() if seconds is None else seconds, done, total, files)
        if self.progress is not None:
            self.progress(status)
        return Emit([status])


class Upload(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that is sent in pieces, from memory or from disk, again from the start for each try."""

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
            raise ImageError(
                f"{self._source.name!r} became shorter while it was being sent.", hint="Try again."
            )
