"""The part of a run that lives on a worker: an event loop, one client with its connections, the asking.

All tasks of a run in one worker process share it, and with it the limit of questions under way.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nbvlm.batches import rows
from nbvlm.batches.crew import Asker, Crew
from nbvlm.batches.journal import Nowhere
from nbvlm.batches.office import joined
from nbvlm.batches.rows import Row
from nbvlm.batches.tally import Tally
from nbvlm.batches.templates import Prompt
from nbvlm.batches.throttle import Pace, Slots
from nbvlm.client import AsyncClient
from nbvlm.errors import AuthenticationError, Error
from nbvlm.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from nbvlm.batches.listing import Item
    from nbvlm.batches.plan import Plan
    from nbvlm.batches.reading import Read

__all__ = ["GIVEN", "Order", "Station", "Wire", "leave", "station", "work"]

PATIENCE = 30.0
"""Seconds for an answer of the scheduler that is not to be waited for."""


def _given(row: Mapping[str, Any]) -> str:
    return str(row["prompt"])


GIVEN = Prompt(_given)
"""The prompt was written where the table is."""


@dataclass(frozen=True, slots=True, repr=False)
class Order:
    """What a worker has to know of a run; it holds no key.

    Attributes
    ----------
    run
        Name of the run.
    plan
        What is asked.
    keyed
        Whether the client that began the run has a key.
    shared
        Whether leave for each request is asked for at the scheduler.
    """

    run: str
    plan: Plan
    keyed: bool
    shared: bool


class Ended(Exception):
    """Nobody waits for this run any more."""


class Wire:
    """Calls to the scheduler from the station's loop and from other threads."""

    def __init__(self, run: str) -> None:
        from distributed import get_worker

        worker = get_worker()
        self.run = run
        self._scheduler, self._loop = worker.scheduler, worker.loop.asyncio_loop

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


class Leave(Pace):
    """A pace that is kept on the scheduler, for all workers."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(None)
        self._wire = wire

    async def take(self) -> None:
        """Wait for leave to send one request."""
        if not await self._wire.call("take"):
            raise Ended

    async def refused(self, age: float, asked: float | None = None) -> None:
        """Slow everyone down."""
        await self._wire.call("refused", age=age, asked=asked)

    async def answered(self) -> None:
        """Say nothing: finished rows are told anyway."""


class Outbox(Nowhere):
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

    def add(self, data: dict[str, Any], place: rows.Place) -> bytes:
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


class Hand(Crew):
    """A crew that leaves out what is answered, for the client has the journal."""

    seen: list[tuple[int, str]]

    def _copied(self, found: Read, data: dict[str, Any] | None = None) -> Row:
        if data is not None:
            return super()._copied(found, data)
        place = found.item.place
        self.seen.append((place.index, found.key))
        return Row(place.index, place.source, found.prompt, None, None, None, None, None, None)


class Station:
    """A worker's part in a run.

    Parameters
    ----------
    order
        What is to be known of it.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.wire = Wire(order.run)
        self._settings = _with_key(order, self.wire)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="nbvlm-station", daemon=True)
        self._thread.start()
        self._client = self.do(self._opened())

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the station's loop, from a task's thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """Stop everything, delete what was uploaded, close the connections."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop).result(PATIENCE)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)

    async def finish(self, items: list[Item], part: int) -> list[tuple[int, str]]:
        """Finish a partition; return number and key of what was answered before."""
        doubtful = await self.wire.call("arrive", part=part)
        outbox = Outbox(self.wire, doubtful=bool(doubtful))
        hand = Hand(self.order.plan, iter(items), outbox, Tally(None))
        hand.seen = []
        posting = asyncio.create_task(outbox.post_all())
        try:
            async for _ in hand.rows(self.asker(hand.tally)):
                if posting.done():
                    await posting
            await outbox.flush()
        finally:
            posting.cancel()
        return hand.seen

    async def gather(self, items: list[Item]) -> list[Row]:
        """Finish pictures and return their rows."""
        crew = Crew(self.order.plan, iter(items), Nowhere(), Tally(None))
        return [row async for row in crew.rows(self.asker(crew.tally))]

    def asker(self, tally: Tally) -> Asker:
        """Return what asks, within the limits of this worker and of the run."""
        return Asker(self._client, self.order.plan, self._pace, self._slots, tally)

    async def _opened(self) -> AsyncClient:
        self._slots = Slots(self.order.plan.concurrency)
        self._pace = Leave(self.wire) if self.order.shared else Pace(None)
        return AsyncClient.from_settings(replace(self.order.plan, settings=self._settings).patient)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _wind_up(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()


_stations: dict[str, Station] = {}
_lock = threading.Lock()


def station(order: Order) -> Station:
    """Return this process's part in a run, opened when it is first needed."""
    with _lock:
        if order.run not in _stations:
            _stations[order.run] = Station(order)
        return _stations[order.run]


def leave(run: str) -> None:
    """End this process's part in a run."""
    with _lock:
        found = _stations.pop(run, None)
    if found is not None:
        found.close()


def work(order: Order, items: list[Item], part: int) -> list[tuple[int, str]] | Error:
    """Finish a partition: the task that a worker runs.

    Returns
    -------
    list
        Number and key of each picture that was answered before; or the error that ends the run.
    """
    try:
        here = station(order)
        found: list[tuple[int, str]] = here.do(here.finish(items, part))
    except Ended:
        leave(order.run)
        return []
    except Error as error:
        return error
    return found


def _with_key(order: Order, wire: Wire) -> Any:
    """Return the settings with the key that was registered, or that this machine has."""
    settings = order.plan.settings
    if not order.keyed:
        return settings
    secret = wire.secret(settings.base_url)
    if secret is not None:
        return replace(settings, api_key=secret, key_source="the cluster")
    if settings.api_key is None:
        raise AuthenticationError(
            "The workers of the cluster have no key.",
            hint="Set NVIDIA_API_KEY where they run, or register yours for this cluster: "
            "nbvlm.batches.cluster.register_key(engine).",
        )
    return settings
