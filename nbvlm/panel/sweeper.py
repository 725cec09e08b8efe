"""A sweep at work: asks cell after cell at the endpoint's pace, and can be stopped at any moment."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from nbvlm._background import Job
from nbvlm.client.client import AsyncClient
from nbvlm.errors import AuthenticationError, Error, NotFoundError, QuotaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.client.client import Settings
    from nbvlm.panel.sweep import Cell, Sweep
    from nbvlm.result.result import Result

__all__ = ["Pace", "Sweeper"]

AT_ONCE = 3  # answers under way at a time where a service has a published pace
#: What will not be otherwise for the next cell.
FINAL = (AuthenticationError, QuotaError, NotFoundError)


class Pace:
    """Spaces out requests, so that no minute holds more than allowed.

    Parameters
    ----------
    per_minute
        The most requests in a minute; None for no limit.

    Examples
    --------
    >>> Pace(40).seconds, Pace(None).seconds
    (1.5, 0.0)
    """

    def __init__(self, per_minute: int | None) -> None:
        self.seconds = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next request's turn."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._next - clock()))
        self._next = clock() + self.seconds


class Sweeper:
    """Runs one sweep at a time, on the package's loop.

    Parameters
    ----------
    on_change
        Called on the loop thread with the index of a cell that is begun or done, or with None when the sweep
        has ended or was stopped.

    Attributes
    ----------
    sweep
        The last one, as far as it has come; None before the first.
    state
        "idle", "running", "done", "stopped" (by a person), or "failed" (the next cells would fail as well).
    busy
        Indices of the cells that are asked at the moment.
    """

    def __init__(self, on_change: Callable[[int | None], None]) -> None:
        self._on_change = on_change
        self._lock = threading.RLock()
        self._job: Job[Sweep] | None = None
        self.sweep: Sweep | None = None
        self.state = "idle"
        self.busy: set[int] = set()

    def start(self, sweep: Sweep, settings: Settings, per_minute: int | None) -> Job[Sweep]:
        """Ask what a sweep lays out.

        Parameters
        ----------
        sweep
            None of its cells done.
        settings
            How to open the client that asks.
        per_minute
            The endpoint's pace; None for none, then one cell is asked after the other.

        Raises
        ------
        Error
            Another sweep is under way.
        """
        with self._lock:
            if self.state == "running":
                raise Error("A sweep is under way.", hint="Wait for its end, or stop it.")
            self.sweep, self.state, self.busy = sweep, "running", set()
            self._on_change(None)
            self._job = Job(self._run(sweep, settings, per_minute))
            return self._job

    def stop(self) -> None:
        """Ask no more; what is there stays."""
        with self._lock:
            if self._job is not None:
                self._end("stopped")
                self._job.cancel()

    def _end(self, state: str) -> None:
        with self._lock:
            if self.state == "running":
                self.state, self.busy = state, set()
                self._on_change(None)

    async def _run(self, plan: Sweep, settings: Settings, per_minute: int | None) -> Sweep:
        try:
            async with AsyncClient.from_settings(settings) as client:
                await self._all(client, plan, Pace(per_minute), AT_ONCE if per_minute else 1)
        finally:
            self._end("done")
        return self.sweep or plan

    async def _all(self, client: AsyncClient, plan: Sweep, pace: Pace, at_once: int) -> None:
        slots = asyncio.Semaphore(at_once)
        # The first answer of every cell comes before the second of any.
        order = sorted(range(len(plan)), key=lambda index: plan[index].repeat)
        async with asyncio.TaskGroup() as group:
            for index in order:
                await slots.acquire()
                await pace.turn()
                if self.state != "running":
                    break
                group.create_task(self._one(client, plan, index, slots))

    async def _one(self, client: AsyncClient, plan: Sweep, index: int, slots: asyncio.Semaphore) -> None:
        self._begin(index)
        try:
            self._put(index, result=await _ask(client, plan, plan[index]))
        except Error as error:
            self._put(index, error=bare(error))
            if isinstance(error, FINAL):
                self._end("failed")
        except Exception as error:  # noqa: BLE001 - a cell tells it, and the others go on
            self._put(index, error=Error(f"Something unexpected happened ({type(error).__name__})."))
        finally:
            slots.release()

    def _begin(self, index: int) -> None:
        with self._lock:
            self.busy.add(index)
            self._on_change(index)

    def _put(self, index: int, **outcome: Any) -> None:
        with self._lock:
            if self.state == "running" and self.sweep is not None:
                self.sweep = self.sweep.put(index, **outcome)
                self.busy.discard(index)
                self._on_change(index)


async def _ask(client: AsyncClient, sweep: Sweep, cell: Cell) -> Result:
    options: dict[str, Any] = dict(sweep.parameters)
    if cell.temperature is not None:
        options["temperature"] = cell.temperature
    return await client.ask(sweep.picture, cell.prompt, route=sweep.route, **options)


def bare(error: Error) -> Error:
    """Take off what an error holds of the work it came from; a sweep keeps it for long."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
