"""What connects a worker's part in a run with the scheduler: calls, leave to ask, finished rows."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from nbvlm.batches import rows
from nbvlm.batches.halves import LEAVE, joined
from nbvlm.batches.journal import NullJournal
from nbvlm.batches.rate_limit import RateLimiter
from nbvlm.client import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PATIENCE", "Ended", "Leave", "Outbox", "Wire"]

PATIENCE = 30.0
"""Seconds for an answer of the scheduler that is not to be waited for."""


class Ended(Exception):
    """Nobody waits for this run any more."""


class Wire:
    """Calls to the scheduler, from the station's loop and from other threads.

    Parameters
    ----------
    run
        Name of the run.
    worker
        The `distributed.Worker` of this process.
    """

    def __init__(self, run: str, worker: Any) -> None:
        self.run = run
        self.address: str = worker.address
        self._scheduler, self._loop = worker.scheduler, worker.loop.asyncio_loop
        self._handlers = worker.stream_handlers

    def on_leave(self, function: Callable[[str], None]) -> None:
        """Call a function, in a thread of its own, with the name of each run that ends."""

        def told(run: str) -> None:
            threading.Thread(target=function, args=(run,), name="nbvlm-leave", daemon=True).start()

        self._handlers[LEAVE] = told

    async def call(self, name: str, **told: Any) -> Any:
        """Call a handler of the office, and wait for its answer."""
        return await asyncio.wrap_future(self._begun(name, told))

    def ask(self, name: str, **told: Any) -> Any:
        """Call a handler of the office from a thread without a loop."""
        return self._begun(name, told).result(PATIENCE)

    def _begun(self, name: str, told: dict[str, Any]) -> Any:
        call = getattr(self._scheduler, f"nbvlm_{name}")
        return asyncio.run_coroutine_threadsafe(call(run=self.run, **told), self._loop)

    def secret(self, name: str) -> Secret | None:
        """Return a key that was registered with the scheduler."""
        pad = self._other("half", name=name)
        return Secret(joined(pad, self._other("half", name=name, pad=pad))) if pad is not None else None

    def _other(self, handler: str, **told: Any) -> Any:
        call = getattr(self._scheduler, f"nbvlm_{handler}")
        return asyncio.run_coroutine_threadsafe(call(**told), self._loop).result(PATIENCE)


class Leave(RateLimiter):
    """A pace that is kept on the scheduler, for all workers.

    Parameters
    ----------
    wire
        To the scheduler.
    begin
        What begins the run there where it is not known, as after the scheduler was started anew; or None.
    """

    def __init__(self, wire: Wire, begin: dict[str, Any] | None = None) -> None:
        super().__init__(None)
        self._wire, self._begin = wire, begin

    async def take(self) -> None:
        """Wait for leave to send one request."""
        while not await self._wire.call("take"):
            if self._begin is None or not await self._wire.call("begin", **self._begin):
                raise Ended

    async def refused(self, age: float, asked: float | None = None) -> None:
        """Slow everyone down."""
        await self._wire.call("refused", age=age, asked=asked)

    async def answered(self) -> None:
        """Say nothing: finished rows are told anyway."""


class Outbox(NullJournal):
    """Takes finished rows and posts them, those of a moment together.

    Parameters
    ----------
    wire
        To the scheduler.
    doubtful
        Whether some of the questions may be answered already.
    """

    def __init__(self, wire: Wire, *, doubtful: bool) -> None:
        self._wire = wire
        self._doubtful = doubtful
        self._answers: dict[str, bool] = {}
        self._waiting: list[tuple[str, bytes, bool]] = []
        self._full = asyncio.Event()

    def __contains__(self, key: object) -> bool:
        """Ask the scheduler whether a question is answered, once for each."""
        if not self._doubtful or not isinstance(key, str):
            return False
        if key not in self._answers:
            self._answers[key] = bool(self._wire.ask("known", keys=[key]))
        return self._answers[key]

    def add(self, data: dict[str, Any], place: rows.Position) -> bytes:
        """Take a finished picture."""
        line = super().add(data, place)
        error = data["error"]
        self._waiting.append((data["key"], line, error is None or error["kind"] in rows.FINAL))
        self._full.set()
        return line

    async def post_all(self) -> None:
        """Post rows as they come, until cancelled."""
        while True:
            await self._full.wait()
            await self.flush()

    async def flush(self) -> None:
        """Post what is there."""
        self._full.clear()
        lines, self._waiting = self._waiting, []
        if lines and not await self._wire.call("post", lines=lines):
            raise Ended
