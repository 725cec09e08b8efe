"""A run on a Dask cluster: chunks of pictures go out, their rows come back into the same journal.

The task graph holds names of pictures, prompts and settings, never a key: a worker takes that from its own
memory, where `register_key` puts it, from its environment, or from another worker. A chunk takes some
seconds; one that is lost with its worker is asked again, and nothing else is.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
import secrets
import sys
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbvlm._background import Task
from nbvlm._optional import require
from nbvlm.batches import rows
from nbvlm.batches.journal import NullJournal
from nbvlm.batches.plan import Prompt, settings_of
from nbvlm.batches.progress import ProgressCounter
from nbvlm.batches.rate_limit import ConcurrencyLimiter, RateLimiter, SharedRateLimiter
from nbvlm.batches.rows import Row
from nbvlm.batches.sources import Item
from nbvlm.batches.workers import LimitedClient, WorkerPool
from nbvlm.client import AsyncClient, Secret
from nbvlm.errors import AuthenticationError, Error, ParameterError
from nbvlm.images import Picture, read_source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Iterator, Mapping

    from nbvlm.batches.plan import Plan
    from nbvlm.batches.preparation import Prepared
    from nbvlm.batches.rows import Position
    from nbvlm.client import Settings

__all__ = ["ClusterRun", "Order", "Station", "client_of", "register_key", "remember", "station"]

CHUNK_S = 5.0
"""Seconds that a chunk is to take: its rows come at its end."""
WIDE = 16
"""Most pictures of a chunk for each question under way at once."""
AHEAD = 2
"""Chunks that are submitted for each thread of the workers."""
HEAVY = 4_000_000
"""Most bytes of pictures in memory that a chunk holds."""
GRACE_S = 10.0
"""Seconds that workers have to stop asking and to delete what they uploaded."""
IDLE_S = 30.0
"""Seconds after which a worker closes the connections of a run that asks for nothing."""
LOOK_S = 2.0
"""Seconds between two looks at the time while a worker waits for the end of a run."""
REMEMBERED = 10_000
"""Answers of a run that a worker keeps, for pictures that occur twice."""


class MissingKey(AuthenticationError):
    """A worker of a cluster has no key."""


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
    """

    run: str
    plan: Plan
    keyed: bool

    @classmethod
    def of(cls, plan: Plan, settings: Settings) -> Order:
        """Return the order for a new run, with these settings in place of the plan's."""
        keyed = plan.settings.api_key is not None
        return cls(f"nbvlm-{uuid.uuid4().hex[:12]}", replace(plan, settings=settings), keyed)


class Outcome(NamedTuple):
    """What became of a chunk: lines of the journal, number and key of what stands there already, an error."""

    lines: list[bytes]
    seen: list[tuple[int, str]]
    error: Error | None = None


class KnownKeys:
    """The keys of a journal, 32 bytes each, as workers hold them."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = np.sort(np.array(keys, dtype="S32"))

    def __contains__(self, key: object) -> bool:
        wanted = str(key).encode()
        at = int(np.searchsorted(self._keys, wanted))
        return at < len(self._keys) and bool(self._keys[at] == wanted)


# A worker's part.


class _ChunkJournal(NullJournal):
    """Gathers the lines of a chunk, and knows what its run has answered."""

    def __init__(self, known: Container[str], answers: dict[str, bytes]) -> None:
        self.known, self._answers = known, answers
        self.lines: list[bytes] = []

    def __contains__(self, key: object) -> bool:
        return key in self._answers or key in self.known

    def read(self, key: str) -> bytes:
        """Return the line with the answer to this question."""
        return self._answers[key]

    def add(self, data: dict[str, Any], place: Position) -> bytes:
        """Take a finished picture."""
        line = super().add(data, place)
        self.lines.append(line)
        if data["error"] is None and len(self._answers) < REMEMBERED:
            self._answers[data["key"]] = line
        return line


class _ChunkPool(WorkerPool):
    """Finishes a chunk, and leaves out what stands in the journal of the run."""

    _journal: _ChunkJournal
    seen: list[tuple[int, str]]

    def _copied(self, found: Prepared, data: dict[str, Any] | None = None) -> Row:
        if data is not None or found.key not in self._journal.known:
            return super()._copied(found, data)
        place = found.item.place
        self.seen.append((place.index, found.key))
        return Row(place.index, place.source, found.prompt, None, None, None, None, None, None)


class Station:
    """A process's part in a run: one client with its connections, and one limit of questions under way.

    Parameters
    ----------
    order
        What is to be known of the run.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.users, self.used = 0, time.monotonic()
        plan, settings = order.plan, _with_key(order)
        self._concurrency = ConcurrencyLimiter(plan.concurrency)
        self._rate = RateLimiter(plan.rate, first=plan.settings.retry.first)
        self._end: Any = None
        self._ended = False
        if _on_cluster():
            from distributed import Event, Semaphore

            self._end = Event(order.run)
            self._ended = bool(self._end.is_set())
            if plan.rate is not None:
                turn = Semaphore(1, name=order.run)
                self._rate = SharedRateLimiter(plan.rate, turn, first=plan.settings.retry.first)
        self._client = AsyncClient.from_settings(replace(plan, settings=settings).patient)
        self._pools: set[WorkerPool] = set()
        self._answers: dict[str, bytes] = {}
        Task(self._live())

    async def finish(self, items: list[Item], known: Container[str]) -> Outcome:
        """Finish a chunk, or what is possible of it until the run ends."""
        journal = _ChunkJournal(known, self._answers)
        pool = _ChunkPool(self.order.plan, iter(items), journal, ProgressCounter(None))
        pool.seen = []
        try:
            await self._rows(pool)
        except Error as error:
            return Outcome(journal.lines, pool.seen, error)
        return Outcome(journal.lines, pool.seen)

    async def gather(self, items: Iterator[Item]) -> list[Row]:
        """Finish pictures and return their rows."""
        return await self._rows(WorkerPool(self.order.plan, items, NullJournal(), ProgressCounter(None)))

    async def _rows(self, pool: WorkerPool) -> list[Row]:
        if self._ended:
            return []
        self._pools.add(pool)
        client = LimitedClient(self._client, self.order.plan, self._rate, self._concurrency, pool.counter)
        try:
            return [row async for row in pool.rows(client)]
        finally:
            self._pools.discard(pool)

    async def _live(self) -> None:
        """Wait for the end of the run, or until nothing was asked for a while; then close everything."""
        while not (self._ended or self._retired()):
            self._ended = await self._wait()
        for pool in self._pools:
            pool.stop()
        with _lock:
            _stations.pop(self.order.run, None)
        await self._rate.close()
        await self._client.aclose()

    async def _wait(self) -> bool:
        if self._end is None:
            await asyncio.sleep(LOOK_S)
            return False
        try:
            return bool(await asyncio.to_thread(self._end.wait, LOOK_S))
        except Exception:  # noqa: BLE001 - the cluster has gone
            return True

    def _retired(self) -> bool:
        with _lock:
            idle = not self.users and time.monotonic() - self.used > IDLE_S
            if idle:
                _stations.pop(self.order.run, None)
            return idle


_stations: dict[str, Station] = {}
_keys: dict[str, Secret] = {}
_halves: dict[str, bytes] = {}
_lock = threading.Lock()


@contextlib.contextmanager
def station(order: Order) -> Iterator[Station]:
    """Lend this process's part in a run, opened when it is first needed."""
    with _lock:
        if order.run not in _stations:
            _stations[order.run] = Station(order)
        here = _stations[order.run]
        here.users += 1
    try:
        yield here
    finally:
        with _lock:
            here.users, here.used = here.users - 1, time.monotonic()


def work(order: Order, items: list[Item], known: Container[str]) -> Outcome:
    """Finish a chunk: the task that a worker runs."""
    try:
        with station(order) as here:
            return Task(here.finish(items, known)).wait()
    except Error as error:
        return Outcome([], [], error)


def _on_cluster() -> bool:
    if "distributed" not in sys.modules:
        return False
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


# Keys: on their way they are in two halves, each random by itself, so that no message holds one.


def register_key(engine: Any, client: Any = None) -> None:
    """Keep a client's key in the memory of a cluster's workers, for the runs that follow.

    Needed where the workers do not have `NVIDIA_API_KEY` in their environment. The key is in no task, no log
    and no pickle. Workers that start later get it from the others. Between machines it travels as everything
    in the cluster does: use TLS (`tls://…`).

    Parameters
    ----------
    engine
        A `distributed.Client` that is not asynchronous, or what `batch` takes in its place.
    client
        Whose key; by default that of `Client()`.

    Raises
    ------
    AuthenticationError
        If the client has no key.

    Examples
    --------
    >>> register_key(dask_client, nbvlm.Client("nvidia"))  # doctest: +SKIP
    """
    settings = settings_of(client)
    secret = settings.key()
    if secret is None:
        raise ParameterError(
            f"The endpoint {settings.endpoint.name!r} takes no key.", hint="There is nothing to register."
        )
    opened, own = client_of(engine)
    try:
        _push(opened, settings.base_url, secret)
    finally:
        if own:
            opened.close()
    _keys[settings.base_url] = secret


def remember(settings: Settings) -> Settings:
    """Keep the key of settings in this process's memory, and return them without it."""
    if settings.api_key is not None:
        _keys[settings.base_url] = settings.api_key
    return replace(settings, api_key=None, key_source=None)


def _push(engine: Any, name: str, secret: Secret) -> None:
    """Send a key to all workers."""
    text, token = secret.reveal().encode(), uuid.uuid4().hex
    pad = secrets.token_bytes(len(text))
    for half in (pad, _mixed(text, pad)):
        engine.run(_keep, name, token, half)


def _keep(name: str, token: str, half: bytes) -> None:
    """Keep a key once both of its halves are here; runs on a worker."""
    other = _halves.pop(token, None)
    if other is None:
        _halves[token] = half
    else:
        _keys[name] = Secret(_mixed(other, half).decode())


def _half(name: str, pad: bytes | None = None) -> bytes | None:
    """Give a key to another worker in two calls: a random half, then, for that one, the other."""
    secret = _keys.get(name)
    if secret is None:
        return None
    text = secret.reveal().encode()
    return secrets.token_bytes(len(text)) if pad is None else _mixed(text, pad)


def _from_others(name: str) -> Secret | None:
    """Ask some of the other workers for a key that was registered."""
    from distributed import get_client

    client = get_client()
    others = list(client.nthreads())
    asked = random.sample(others, min(len(others), 16))
    for worker, pad in client.run(_half, name, workers=asked, on_error="ignore").items():
        other = client.run(_half, name, pad, workers=[worker], on_error="ignore").get(worker) if pad else None
        if other:
            return Secret(_mixed(other, pad).decode())
    return None


def _mixed(one: bytes, other: bytes) -> bytes:
    """Turn a text and one half into the other half, or both halves into the text."""
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _with_key(order: Order) -> Settings:
    """Return the settings with the key that was registered, or that this machine has."""
    settings = order.plan.settings
    if not order.keyed:
        return settings
    name = settings.base_url
    secret = _keys.get(name)
    if secret is None and settings.api_key is None and _on_cluster():
        secret = _from_others(name)
    if secret is not None:
        _keys[name] = secret
        return replace(settings, api_key=secret, key_source="the cluster")
    if settings.api_key is None:
        raise MissingKey(
            "The workers of the cluster have no key.",
            hint="Set NVIDIA_API_KEY where they run, or register yours for this cluster: "
            "nbvlm.batches.register_key(engine).",
        )
    return settings


# The client's part.


def client_of(engine: Any) -> tuple[Any, bool]:
    """Return the `distributed.Client` for an engine, and whether it is our own to close.

    Raises
    ------
    Error
        If distributed is not installed.
    ParameterError
        If this is not an engine.
    """
    Client = require("distributed", extra="dask", purpose="A cluster").Client  # noqa: N806 - a class
    if isinstance(engine, Client):
        return engine, False
    if isinstance(engine, str) or hasattr(engine, "get_client"):
        return Client(engine, set_as_default=False), True
    raise ParameterError(
        f"engine must be a distributed.Client, a cluster or an address, got {type(engine).__name__}.",
        hint="A scheduler's address looks like tcp://10.0.0.1:8786.",
    )


def _given(row: Mapping[str, Any]) -> str:
    return str(row["prompt"])


GIVEN = Prompt(_given)
"""The prompt was written where the table is."""


class ClusterRun:
    """The client's part in a run; parameters as `nbvlm.batches.workers.WorkerPool`, and the engine."""

    def __init__(
        self, plan: Plan, items: Iterator[Item], journal: NullJournal, counter: ProgressCounter, engine: Any
    ) -> None:
        if plan.settings.transport is not None:
            raise ParameterError(
                "A transport cannot travel to the workers of a cluster.",
                hint="Open the client without one, or run without engine.",
            )
        self._plan, self._items, self._journal, self.counter = plan, items, journal, counter
        self._engine, self._own = client_of(engine)
        bare = replace(plan.settings, api_key=None, key_source=None)
        self._order = Order.of(replace(plan, prompt=GIVEN), bare)
        self._known: Any = ()
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._error: BaseException | None = None
        self._pending: dict[int, Position] = {}
        self._chunks: dict[asyncio.Task[None], Any] = {}
        self._left: list[list[Item]] = []
        self._ready: deque[Row] = deque()
        self._threads = self._workers = 1
        self._submitted = self._finished = 0
        self._began = time.monotonic()
        self._walked = self._stopped = False

    def stop(self) -> None:
        """End the run at the next occasion; what is finished stands in the journal."""
        self._stopped = True
        self._news.set()

    async def rows(self) -> AsyncIterator[Row]:
        """Yield rows as chunks end; leaving early stops the workers."""
        feeding = asyncio.create_task(self._feed())
        try:
            while True:
                while self._ready and not self._stopped:
                    row = self._ready.popleft()
                    self.counter.add(row)
                    yield row
                self._room.set()
                if self._error is not None:
                    raise self._error
                if self._stopped or (self._walked and not (self._chunks or self._left)):
                    return
                await self._news.wait()
                self._news.clear()
        finally:
            feeding.cancel()
            await asyncio.shield(self._end())

    def _failed(self, error: BaseException) -> None:
        self._error = self._error or error
        self._news.set()

    async def _collect(self, future: Any, items: list[Item]) -> None:
        """Keep the rows of a chunk as soon as it ends, and put back those of its pictures that have none."""
        try:
            found: Outcome = await self._call(lambda: future)
            self._keep(found)
            name = self._order.plan.settings.base_url
            if isinstance(found.error, MissingKey) and name in _keys:
                await asyncio.to_thread(_push, self._engine, name, _keys[name])
            elif found.error is not None:
                self._failed(found.error)
        except Exception as error:  # noqa: BLE001 - raised again where the rows are taken
            self._failed(error)
        if left := [item for item in items if item.place.index in self._pending]:
            self._left.append(left)
        self._chunks.pop(asyncio.current_task(), None)  # type: ignore[arg-type] # there is one
        self._room.set()
        self._news.set()

    def _keep(self, found: Outcome) -> None:
        self._finished += len(found.lines)
        lines = [*found.lines, *(self._journal.read(key) for _, key in found.seen)]
        indexes = [*(rows.decode(line)["index"] for line in found.lines), *(index for index, _ in found.seen)]
        for index, line in zip(indexes, lines, strict=True):
            if (place := self._pending.pop(index, None)) is not None:
                self._add(rows.moved(rows.decode(line), place), place)

    def _add(self, data: dict[str, Any], place: Position) -> None:
        resumed = self._journal.stands(data["key"], place)
        line = self._journal.add(data, place)
        self._ready.append(rows.row_of(line, resumed=resumed, label=place.label))
        self._news.set()

    # What goes out.

    async def _feed(self) -> None:
        """Submit chunks as there is room, beside what comes back."""
        try:
            if keys := self._journal.keys():
                self._known = await self._call(self._scattered, KnownKeys(keys))
            self._began = time.monotonic()
            while True:
                await self._fill()
                self._news.set()
                await self._room.wait()
                self._room.clear()
        except Exception as error:  # noqa: BLE001 - the caller's own iterator may raise anything
            self._failed(error)

    async def _fill(self) -> None:
        threads = await self._call(self._engine.nthreads)  # clusters grow and shrink
        self._workers, self._threads = max(len(threads), 1), max(sum(threads.values()), 1)
        most = WIDE * self._plan.concurrency
        while len(self._chunks) < max(AHEAD * self._threads, 2) and len(self._ready) < most * self._workers:
            if self._left:
                self._submit(self._left.pop())
            elif self._walked:
                break
            else:
                items, walked = await asyncio.to_thread(self._next)
                self._submit(items)
                self._walked = walked
        self.counter.concurrency = self._plan.concurrency * self._workers
        self.counter.asking = min(len(self._pending), self.counter.concurrency)
        self.counter.waiting = len(self._pending) - self.counter.asking

    def _scattered(self, value: Any) -> Any:
        return self._engine.scatter(value, broadcast=True, hash=False)

    def _next(self) -> tuple[list[Item], bool]:
        """Take the next chunk, and whether it is the last; runs in a thread, as the source may be slow."""
        taken: list[Item] = []
        weight, size = 0, self._size()
        while len(taken) < size and weight < HEAVY:
            item = next(self._items, None)
            if item is None:
                return taken, True
            ready = self._portable(item)
            if ready is not None:
                taken.append(ready)
                weight += _weight(ready.image)
        return taken, False

    def _size(self) -> int:
        """Return how many pictures take the time of a chunk, by the pace until now."""
        pace = self._finished / max(time.monotonic() - self._began, 0.1) if self._finished else None
        if self._plan.rate is not None:
            pace = min(pace or self._plan.rate, self._plan.rate / 60)
        size = 2 * self._plan.concurrency if pace is None else pace * CHUNK_S / self._threads
        if self.counter.total is not None:
            size = min(size, self.counter.total / (4 * self._threads))
        return max(1, min(round(size), WIDE * self._plan.concurrency))

    def _portable(self, item: Item) -> Item | None:
        """Write the prompt and make the picture fit to travel; a row at once where that fails."""
        prompt: str | None = None
        try:
            prompt = self._plan.prompt.of(item.columns)
            image = _travelling(item.image)
        except Error as error:
            if self._plan.on_error == "raise":
                raise
            key = self._plan.key(f"unread {item.place.source}", prompt or "")
            data = rows.failed(item.place, key, prompt, error)
            self._loop.call_soon_threadsafe(self._add, data, item.place)
            return None
        return Item(item.place, image, {"prompt": prompt})

    def _submit(self, items: list[Item]) -> None:
        if not items:
            return
        self._pending |= {item.place.index: item.place for item in items}
        plain = [replace(item, place=replace(item.place, label=None)) for item in items]
        name = f"{self._order.run}-{self._submitted}"
        self._submitted += 1
        future = self._engine.submit(work, self._order, plain, self._known, key=name, pure=False)
        self._chunks[asyncio.create_task(self._collect(future, items))] = future

    # The end.

    async def _end(self) -> None:
        """Let the workers stop; what they had finished by then goes into the journal."""
        from distributed import Event

        end = Event(self._order.run, client=self._engine)
        try:
            await asyncio.wait_for(self._call(end.set), GRACE_S)
            if self._chunks:
                await asyncio.wait(self._chunks, timeout=GRACE_S)
                await self._call(self._engine.cancel, list(self._chunks.values()))
            await self._close_semaphore()
            await self._call(end.clear)
        except (OSError, TimeoutError):
            pass  # the cluster has gone, and all of the run that was there
        finally:
            for task in self._chunks:
                task.cancel()
            if self._own:
                await asyncio.to_thread(self._engine.close)

    async def _close_semaphore(self) -> None:
        from distributed import Semaphore

        if self._plan.rate is not None:
            name, loop = self._order.run, self._engine.loop
            turn = Semaphore(1, name=name, scheduler_rpc=self._engine.scheduler, loop=loop)
            async with asyncio.timeout(GRACE_S):
                while await self._call(turn.get_value):  # noqa: ASYNC110 - there is no other way to hear of it
                    await asyncio.sleep(0.05)
            await self._call(turn.close)

    async def _call(self, function: Callable[..., Any], *values: Any) -> Any:
        """Call a function of Dask, and await its value, on the loop of the engine."""

        async def call() -> Any:
            found = function(*values)
            return await found if inspect.isawaitable(found) else found

        if self._engine.asynchronous:
            made: asyncio.Future[Any] = asyncio.ensure_future(call())
        else:
            loop = self._engine.loop.asyncio_loop
            made = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), loop))
        return await asyncio.shield(made)  # a message that is cancelled half-way spoils its connection


def _travelling(image: Any) -> Any:
    """Return a picture as it can be pickled: an open file is read."""
    if hasattr(image, "read") and not hasattr(image, "getexif"):
        return read_source(image, allow_private=False)[0]
    return image


def _weight(image: Any) -> int:
    if isinstance(image, (str, bytes)):
        return len(image)
    if isinstance(image, Picture):
        return image.nbytes or 0
    if hasattr(image, "nbytes"):
        return int(image.nbytes)
    return 3 * image.width * image.height if hasattr(image, "getexif") else 0
