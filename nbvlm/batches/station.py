"""The part of a run that lives on a worker: an event loop, one client with its connections, the asking.

All tasks of a run in one worker process share it, and with it the limit of questions under way.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nbvlm.batches.journal import NullJournal
from nbvlm.batches.plan import Prompt
from nbvlm.batches.progress import ProgressCounter
from nbvlm.batches.rate_limit import ConcurrencyLimiter, RateLimiter
from nbvlm.batches.rows import Row
from nbvlm.batches.wires import PATIENCE, Ended, Leave, Outbox, Wire
from nbvlm.batches.workers import LimitedClient, WorkerPool
from nbvlm.client import AsyncClient
from nbvlm.errors import AuthenticationError, Error

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping

    from nbvlm.batches.plan import Plan
    from nbvlm.batches.preparation import Prepared
    from nbvlm.batches.sources import Item
    from nbvlm.client import Secret, Settings

__all__ = ["GIVEN", "Order", "Station", "leave", "remember", "station", "work"]

KEPT = 2


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
    lasting
        Whether the run has no end that anybody tells: a lazy table's.
    """

    run: str
    plan: Plan
    keyed: bool
    shared: bool
    lasting: bool = False


class Hand(WorkerPool):
    """A crew that leaves out what is answered, for the client has the journal."""

    seen: list[tuple[int, str]]

    def _copied(self, found: Prepared, data: dict[str, Any] | None = None) -> Row:
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

    def __init__(self, order: Order, wire: Wire | None) -> None:
        self.order = order
        self._wire = wire
        self._settings = _with_key(order, wire)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="nbvlm-station", daemon=True)
        self._thread.start()
        self._client = self.do(self._opened())
        self.busy = 0

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the station's loop, from a task's thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """Stop everything, delete what was uploaded, close the connections."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop).result(PATIENCE)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
        if self._wire is not None:
            self._wire.ask("left", worker=self._wire.address)

    async def finish(self, items: list[Item], part: int) -> list[tuple[int, str]]:
        """Finish a partition; return number and key of what was answered before."""
        wire = self._connected()
        wire.on_leave(leave)
        doubtful = await wire.call("arrive", part=part, worker=wire.address)
        if doubtful is None:
            raise Ended
        outbox = Outbox(wire, doubtful=doubtful)
        hand = Hand(self.order.plan, iter(items), outbox, ProgressCounter(None))
        hand.seen = []
        posting = asyncio.create_task(outbox.post_all())
        try:
            async for _ in hand.rows(self.asker(hand.counter)):
                if posting.done():
                    await posting
            await outbox.flush()
        finally:
            posting.cancel()
        return hand.seen

    async def gather(self, items: Iterator[Item]) -> list[Row]:
        """Finish pictures and return their rows."""
        crew = WorkerPool(self.order.plan, items, NullJournal(), ProgressCounter(None))
        self.busy += 1
        try:
            return [row async for row in crew.rows(self.asker(crew.counter))]
        finally:
            self.busy -= 1

    def asker(self, counter: ProgressCounter) -> LimitedClient:
        """Return what asks, within the limits of this worker and of the run."""
        return LimitedClient(self._client, self.order.plan, self._rate, self._slots, counter)

    def _connected(self) -> Wire:
        if self._wire is None:
            raise Ended
        return self._wire

    async def _opened(self) -> AsyncClient:
        plan = self.order.plan
        self._slots = ConcurrencyLimiter(plan.concurrency)
        self._rate = RateLimiter(plan.rate, first=plan.settings.retry.first)
        if self._wire is not None and self.order.shared:
            told = {"rate": plan.rate, "first": plan.settings.retry.first}
            self._rate = Leave(self._wire, told if self.order.lasting else None)
        return AsyncClient.from_settings(replace(plan, settings=self._settings).patient)

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
_left: deque[str] = deque(maxlen=100)
_keys: dict[str, Secret] = {}
_lock = threading.Lock()


def station(order: Order) -> Station:
    """Return this process's part in a run, opened when it is first needed."""
    with _lock:
        if order.run in _left:  # a task that was on its way when the run ended
            raise Ended
        if order.run not in _stations:
            _retire()
            _stations[order.run] = Station(order, _wire(order))
        return _stations[order.run]


def remember(settings: Settings) -> Settings:
    """Keep the key of settings in this process's memory, and return them without it."""
    if settings.api_key is not None:
        _keys[settings.base_url] = settings.api_key
    return replace(settings, api_key=None, key_source=None)


def _wire(order: Order) -> Wire | None:
    """Return the way to the scheduler; None in a process that is no worker of a cluster."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client, get_worker

    from nbvlm.batches.office import Office

    try:
        worker = get_worker()
    except ValueError:
        return None
    wire = Wire(order.run, worker)
    told = {"rate": order.plan.rate, "first": order.plan.settings.retry.first}
    if order.lasting and not wire.ask("begin", **told):
        get_client().register_plugin(Office())
        wire.ask("begin", **told)
    return wire


def _retire() -> None:
    """Close what lazy tables left behind, but for the last few."""
    idle = [run for run, found in _stations.items() if found.order.lasting and not found.busy]
    for run in idle[: -KEPT or None]:
        _stations.pop(run).close()


def leave(run: str) -> None:
    """End this process's part in a run."""
    with _lock:
        _left.append(run)
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


def _with_key(order: Order, wire: Wire | None) -> Settings:
    """Return the settings with the key that was registered, or that this machine has."""
    settings = order.plan.settings
    if not order.keyed:
        return settings
    secret = _keys.get(settings.base_url) or (wire.secret(settings.base_url) if wire is not None else None)
    if secret is not None:
        return replace(settings, api_key=secret, key_source="the cluster")
    if settings.api_key is None:
        raise AuthenticationError(
            "The workers of the cluster have no key.",
            hint="Set NVIDIA_API_KEY where they run, or register yours for this cluster: "
            "nbvlm.batches.register_key(engine).",
        )
    return settings
