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
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbvlm._background import Task, shared_loop
from nbvlm._optional import require
from nbvlm._version import __version__
from nbvlm.batches import rows
from nbvlm.batches.journal import NullJournal
from nbvlm.batches.plan import Prompt, settings_of
from nbvlm.batches.progress import ProgressCounter
from nbvlm.batches.rate_limit import ConcurrencyLimiter, RateLimiter, SharedRateLimiter
from nbvlm.batches.rows import Position
from nbvlm.batches.sources import PendingPicture
from nbvlm.batches.workers import LimitedClient, WorkerPool
from nbvlm.client import AsyncClient, Secret
from nbvlm.errors import AuthenticationError, Error, ParameterError
from nbvlm.images import read_source

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Container, Coroutine, Iterator

    from nbvlm.batches.plan import Plan
    from nbvlm.batches.rows import Row
    from nbvlm.client import Settings

__all__ = [
    "ClusterRun",
    "ClusterWorker",
    "WorkerPlan",
    "client_of",
    "cluster_worker",
    "register_key",
    "remember",
]

CHUNK_S = 5.0  # seconds that a chunk is to take: its rows come at its end
WIDE = 16  # most pictures of a chunk for each question under way at once
AHEAD = 2  # chunks that are submitted for each thread of the workers
HEAVY = 4_000_000  # bytes of pictures in memory after which a chunk is closed
GRACE_S = 10.0  # seconds that workers have to stop asking and to delete what they uploaded
IDLE_S = 30.0  # seconds after which a worker closes the connections of a run that asks for nothing
LOOK_S = 2.0  # seconds between two looks at the time while a worker waits for the end of a run
REMEMBERED = 10_000  # answers of a run that a worker keeps, for pictures that occur twice


class MissingKey(AuthenticationError):
    """A worker of a cluster has no key."""


class InJournal(Error):
    """The answer is in the journal of the run, which only the client can read."""


@dataclass(frozen=True, slots=True, repr=False)
class WorkerPlan:
    """The settings of a run that a worker needs; they hold no key."""

    run: str
    plan: Plan
    keyed: bool  # whether the client that began the run has a key

    @classmethod
    def of(cls, plan: Plan) -> WorkerPlan:
        """Return what workers need for a new run of this plan."""
        if plan.settings.transport is not None:
            raise ParameterError(
                "A transport cannot travel to the workers of a cluster.",
                hint="Open the client without one, or run without a cluster.",
            )
        bare = replace(plan.settings, api_key=None, key_source=None)
        keyed = plan.settings.api_key is not None
        return cls(f"nbvlm-{uuid.uuid4().hex[:12]}", replace(plan, settings=bare), keyed)


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

    def __init__(self, known: Container[str], answers: dict[str, bytes], lines: list[bytes]) -> None:
        self._known, self._answers, self._lines = known, answers, lines

    def __contains__(self, key: object) -> bool:
        return key in self._answers or key in self._known

    def read(self, key: str) -> bytes:
        """Return the line with the answer to this question, or one that refers to the client's journal."""
        if key in self._answers:
            return self._answers[key]
        return rows.encode(rows.failed(Position(0, ""), key, None, InJournal("")))

    def add(self, data: dict[str, Any], place: Position) -> bytes:
        """Take a finished picture."""
        line = super().add(data, place)
        self._lines.append(line)
        if data["error"] is None and len(self._answers) < REMEMBERED:
            self._answers[data["key"]] = line
        return line


class ClusterWorker:
    """A process's part in a run: one client with its connections, and one limit of questions under way."""

    def __init__(self, worker_plan: WorkerPlan) -> None:
        plan, settings = worker_plan.plan, _with_key(worker_plan)
        self.users, self.used = 0, time.monotonic()
        self.answers: dict[str, bytes] = {}
        self._worker_plan = worker_plan
        self._concurrency = ConcurrencyLimiter(plan.concurrency)
        self._rate = RateLimiter(plan.rate, first=settings.retry.first, report=self._report)
        self._dask, self._name = None, ""
        self._end: Any = None
        self._ended = False
        if _on_cluster():
            from distributed import Event, Semaphore, get_client, get_worker

            self._dask, self._name = get_client(), get_worker().address
            self._end = Event(worker_plan.run)
            self._ended = bool(self._end.is_set())
            if plan.rate is not None:
                turn = Semaphore(1, name=worker_plan.run)
                self._rate = SharedRateLimiter(plan.rate, turn, first=settings.retry.first)
        self._client = AsyncClient.from_settings(replace(plan, settings=settings).patient)
        self._pools: set[WorkerPool] = set()
        Task(self._live())

    async def rows(self, items: Iterator[PendingPicture], journal: NullJournal) -> list[Row]:
        """Process pictures until the run ends, and return the finished rows."""
        if self._ended:
            return []
        plan, counter = self._worker_plan.plan, ProgressCounter(None)
        pool = WorkerPool(plan, items, journal, counter)
        self._pools.add(pool)
        client = LimitedClient(self._client, plan, self._rate, self._concurrency, counter)
        try:
            return [row async for row in pool.rows(client)]
        finally:
            self._pools.discard(pool)

    def pause(self, seconds: float) -> None:
        """Slow down after a refusal that another worker had."""
        self._rate.pause(seconds)

    def _report(self, seconds: float) -> None:
        """Let the other workers slow down too: without a shared rate, each has its own limiter."""
        if self._dask is not None:
            Task(asyncio.to_thread(_report, self._dask, self._name, self._worker_plan.run, seconds))

    async def _live(self) -> None:
        """Wait for the end of the run, or until nothing was asked for a while; then close everything."""
        while True:
            self._ended = self._ended or await self._wait()
            with _lock:
                if self._ended or (not self.users and time.monotonic() - self.used > IDLE_S):
                    _workers.pop(self._worker_plan.run, None)
                    break
        for pool in self._pools:
            pool.stop()
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


def _report(dask: Any, own: str, run: str, seconds: float) -> None:
    with contextlib.suppress(Exception):  # a worker or cluster that is ending needs no report
        if others := [name for name in dask.nthreads() if name != own]:
            dask.run(_pause, run, seconds, workers=others, on_error="ignore")


def _pause(run: str, seconds: float) -> None:
    """Slow down this process's part in a run; runs on a worker."""
    if (here := _workers.get(run)) is not None:
        shared_loop().call(here.pause, seconds)


_workers: dict[str, ClusterWorker] = {}
_keys: dict[str, Secret] = {}  # by base_url
_halves: dict[str, bytes] = {}
_lock = threading.Lock()


@contextlib.contextmanager
def cluster_worker(worker_plan: WorkerPlan) -> Iterator[ClusterWorker]:
    """Lend this process's part in a run, opened when it is first needed."""
    with _lock:
        if worker_plan.run not in _workers:
            _workers[worker_plan.run] = ClusterWorker(worker_plan)
        here = _workers[worker_plan.run]
        here.users += 1
    try:
        yield here
    finally:
        with _lock:
            here.users, here.used = here.users - 1, time.monotonic()


def work(
    worker_plan: WorkerPlan, items: list[PendingPicture], known: Container[str]
) -> tuple[list[bytes], Error | None]:
    """Finish a chunk: the task that a worker runs; return its lines, and the error that ended it."""
    lines: list[bytes] = []
    try:
        with cluster_worker(worker_plan) as here:
            Task(here.rows(iter(items), _ChunkJournal(known, here.answers, lines))).wait()
    except Error as error:
        return lines, error
    return lines, None


def _on_cluster() -> bool:
    if "distributed" not in sys.modules:
        return False
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


# Keys travel in two halves, each of them random, so that no message holds a key.


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
    Error
        If the cluster does not answer, or its workers have no nbvlm.

    Examples
    --------
    >>> register_key(dask_client, nbvlm.Client("nvidia"))  # doctest: +SKIP
    """
    settings = settings_of(client)
    secret = settings.key()
    if secret is None:
        raise ParameterError(
            f"The endpoint {settings.endpoint.name!r} takes no key.", hint="Use it without registering."
        )
    opened, own = client_of(engine)
    try:
        _push(opened, settings.base_url, secret)
    except Exception as error:
        raise _failure(error) from error
    finally:
        if own:
            opened.close()
    _keys[settings.base_url] = secret


def remember(settings: Settings) -> None:
    """Keep the key of settings in this process's memory."""
    if settings.api_key is not None:
        _keys[settings.base_url] = settings.api_key


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
    if name not in _keys:
        return None
    text = _keys[name].reveal().encode()
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


def _with_key(worker_plan: WorkerPlan) -> Settings:
    """Return the settings with the key that was registered, or that this machine has."""
    settings, name = worker_plan.plan.settings, worker_plan.plan.settings.base_url
    if not worker_plan.keyed:
        return settings
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
    """Return the `distributed.Client` for an engine, and whether it is our own to close."""
    Client = require("distributed", extra="dask", purpose="A cluster").Client  # noqa: N806 - a class
    if isinstance(engine, Client):
        if engine.status == "closed":
            raise Error("The Dask client is closed.", hint="Open it again, then run the same again.")
        return engine, False
    if isinstance(engine, str) or hasattr(engine, "get_client"):
        try:
            return Client(engine, set_as_default=False), True
        except Exception as error:
            raise _failure(error) from error
    raise ParameterError(
        f"engine must be a distributed.Client, a cluster or an address, got {type(engine).__name__}.",
        hint="A scheduler's address looks like tcp://10.0.0.1:8786.",
    )


def _failure(error: Exception) -> Error:
    """Return the error for a failure of Dask, with the next step."""
    from distributed import KilledWorker

    if isinstance(error, Error):
        return error
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if isinstance(error, (ImportError, AttributeError)) or "deserialization" in reason:
        return Error(f"The cluster cannot run nbvlm: {reason}.", hint=_INSTALL)
    if isinstance(error, KilledWorker):
        hint = "Look into their logs (memory?), lower concurrency, then run the same again."
        return Error(f"The cluster's workers keep dying: {reason}.", hint=hint)
    return Error(
        f"The cluster does not answer: {reason}.",
        hint="Check that its scheduler runs and that its address is right, then run the same again.",
    )


_INSTALL = f'Install the same version on scheduler and workers: pip install "nbvlm[dask]=={__version__}".'


def _check_versions(found: Mapping[str, Any]) -> None:
    """Refuse a cluster whose scheduler or workers lack nbvlm, or have another version."""
    here = found["client"]["packages"].get("nbvlm")  # None where it runs without being installed
    parts = {"scheduler": found["scheduler"]} | {
        f"worker {name}": one for name, one in found["workers"].items()
    }
    for name, one in parts.items():
        version = one and one["packages"].get("nbvlm")
        if one and here and version != here:
            has = f"nbvlm {version}, and this process {here}" if version else "no nbvlm"
            raise Error(f"The cluster's {name} has {has}.", hint=_INSTALL)


class ClusterRun:
    """The client's part in a run; parameters as `nbvlm.batches.workers.WorkerPool`, and the engine."""

    def __init__(
        self,
        plan: Plan,
        items: Iterator[PendingPicture],
        journal: NullJournal,
        counter: ProgressCounter,
        engine: Any,
    ) -> None:
        # The prompt is written where the table is.
        self._worker_plan = WorkerPlan.of(replace(plan, prompt=Prompt("{prompt}")))
        self._plan, self._items, self._journal, self._counter = plan, items, journal, counter
        self._engine, self._own = client_of(engine)
        self._known: Any = ()
        self._pending: dict[int, Position] = {}
        # By name: the future of a chunk, its pictures, and its collector.
        self._chunks: dict[str, tuple[Any, list[PendingPicture], asyncio.Task[None]]] = {}
        self._left: list[list[PendingPicture]] = []
        self._ready: deque[Row] = deque()
        self._news = asyncio.Event()
        self._error: Exception | None = None
        self._threads, self._walked, self._stopped = 1, False, False
        self._submitted = self._finished = 0
        self._began = time.monotonic()

    def stop(self) -> None:
        """End the run as soon as possible; the journal keeps the finished rows."""
        self._stopped = True
        self._news.set()

    async def rows(self) -> AsyncGenerator[Row]:
        """Yield rows as chunks end; leaving early stops the workers."""
        feeding: asyncio.Task[None] | None = None
        try:
            _check_versions(await self._call(self._engine.get_versions, packages=["nbvlm"]))
            if keys := self._journal.keys():
                known = KnownKeys(keys)
                self._known = await self._call(self._engine.scatter, known, broadcast=True, hash=False)
            self._began = time.monotonic()
            while self._left or self._chunks or self._ready or not self._walked:
                if (feeding is None or feeding.done()) and (self._left or not self._walked):
                    feeding = asyncio.create_task(self._guarded(self._feed()))
                await self._news.wait()
                self._news.clear()
                while self._ready and not self._stopped:
                    row = self._ready.popleft()
                    self._counter.add(row)
                    yield row
                if self._error is not None:
                    raise self._error
                if self._stopped:
                    return
        finally:
            if feeding is not None:
                feeding.cancel()
            await asyncio.shield(self._end())

    async def _guarded(self, part: Coroutine[Any, Any, None]) -> None:
        try:
            await part
        except Exception as error:  # noqa: BLE001 - raised again where the rows are taken
            self._error = self._error or error
            self._news.set()

    async def _feed(self) -> None:
        """Submit chunks as there is room; clusters grow and shrink."""
        threads, counter = await self._call(self._engine.nthreads), self._counter
        self._threads = max(sum(threads.values()), 1)
        counter.concurrency = self._plan.concurrency * max(len(threads), 1)
        while (self._left or not self._walked) and len(self._chunks) < max(AHEAD * self._threads, 2):
            if len(self._ready) >= WIDE * counter.concurrency:
                break  # rows are taken slowly; begun again when these are gone
            if self._left:
                self._submit(self._left.pop())
                continue
            items, failed, self._walked = await asyncio.to_thread(self._next)  # the source may be slow
            for data, place in failed:
                self._add(data, place)
            if items:
                self._submit(items)
            self._news.set()
        counter.asking = min(len(self._pending), counter.concurrency)
        counter.waiting = len(self._pending) - counter.asking

    def _next(self) -> tuple[list[PendingPicture], list[tuple[dict[str, Any], Position]], bool]:
        """Take the next chunk, the rows of those that cannot travel, and whether it is the last."""
        items: list[PendingPicture] = []
        failed: list[tuple[dict[str, Any], Position]] = []
        weight, size = 0, self._size()
        for item in self._items:
            prompt = self._plan.prompt.template
            try:
                prompt = self._plan.prompt.of(item.columns)
                image = item.image
                # An open file cannot be pickled, nor can the view of an upload's bytes.
                if isinstance(image, Mapping) or (hasattr(image, "read") and not hasattr(image, "getexif")):
                    image = read_source(image, self._plan.allow_private)[0]
            except Error as error:
                if self._plan.on_error == "raise":
                    raise
                key = self._plan.key(f"unread {item.place.source}", prompt or "")
                failed.append((rows.failed(item.place, key, prompt, error), item.place))
            else:
                items.append(PendingPicture(item.place, image, {"prompt": prompt}))
                weight += _weight(image)
            if len(items) + len(failed) >= size or weight >= HEAVY:
                return items, failed, False
        return items, failed, True

    def _size(self) -> int:
        """Return how many pictures take the time of a chunk, by the pace until now."""
        pace = self._finished / max(time.monotonic() - self._began, 0.1) if self._finished else None
        if self._plan.rate is not None:
            pace = min(pace or self._plan.rate, self._plan.rate / 60)
        size = 2 * self._plan.concurrency if pace is None else pace * CHUNK_S / self._threads
        if self._counter.total is not None:
            size = min(size, self._counter.total / (4 * self._threads))
        return max(1, min(round(size), WIDE * self._plan.concurrency))

    def _submit(self, items: list[PendingPicture]) -> None:
        self._pending |= {item.place.index: item.place for item in items}
        plain = [replace(item, place=replace(item.place, label=None)) for item in items]
        name = f"{self._worker_plan.run}-{self._submitted}"
        self._submitted += 1
        future = self._engine.submit(work, self._worker_plan, plain, self._known, key=name, pure=False)
        task = asyncio.create_task(self._guarded(self._collect(name, future, items)))
        self._chunks[name] = future, items, task

    async def _collect(self, name: str, future: Any, items: list[PendingPicture]) -> None:
        """Keep the rows of a chunk as soon as it ends, and put back those of its pictures that have none."""
        lines, error = await self._call(lambda: future)
        for data in map(rows.decode, lines):
            if (place := self._pending.pop(data["index"], None)) is None:
                continue
            if data["error"] is not None and data["error"]["kind"] == InJournal.__name__:
                data = rows.decode(self._journal.read(data["key"]))
            else:
                self._finished += 1
            self._add(rows.moved(data, place), place)
        url = self._plan.settings.base_url
        if isinstance(error, MissingKey) and url in _keys:
            await asyncio.to_thread(_push, self._engine, url, _keys[url])
        elif error is not None:
            raise error
        if left := [item for item in items if item.place.index in self._pending]:
            self._left.append(left)
        self._chunks.pop(name, None)
        self._news.set()

    def _add(self, data: dict[str, Any], place: Position) -> None:
        resumed = self._journal.stands(data["key"], place)
        try:
            line = self._journal.add(data, place)
        except Error as error:  # the rows that came with it are shown before it is raised
            self._error, line = self._error or error, rows.encode(data)
        self._ready.append(rows.row_of(line, resumed=resumed, place=place))

    async def _end(self) -> None:
        """Stop the workers; rows that they have finished go into the journal."""
        from distributed import Event, Semaphore

        engine, run, chunks = self._engine, self._worker_plan.run, list(self._chunks.items())
        # The end of the loop may have cancelled the tasks that wait for the chunks: wait again.
        parts = [self._collect(name, future, items) for name, (future, items, _) in chunks]
        last = [asyncio.create_task(self._guarded(part)) for part in parts]
        try:
            async with asyncio.timeout(2 * GRACE_S if engine.status == "running" else 0):
                end = Event(run, client=engine)
                await self._call(end.set)
                if last:
                    await asyncio.wait(last, timeout=GRACE_S)
                    await self._call(engine.cancel, [future for _, (future, _, _) in chunks])
                if self._plan.rate is not None:
                    turn = Semaphore(1, name=run, scheduler_rpc=engine.scheduler, loop=engine.loop)
                    while await self._call(turn.get_value):  # noqa: ASYNC110 - held by a worker
                        await asyncio.sleep(0.05)
                    await self._call(turn.close)
                await self._call(end.clear)
        except Exception:  # noqa: BLE001, S110
            pass  # the cluster has gone, and all of the run that was there
        finally:
            for task in (*last, *(collector for _, (_, _, collector) in chunks)):
                task.cancel()
            if self._own:
                await asyncio.to_thread(engine.close)

    async def _call(self, function: Callable[..., Any], *values: Any, **more: Any) -> Any:
        """Call a function of Dask, and await its value, on the loop of the engine."""

        async def call() -> Any:
            found = function(*values, **more)
            return await found if inspect.isawaitable(found) else found

        made = asyncio.run_coroutine_threadsafe(call(), self._engine.loop.asyncio_loop)
        answer = asyncio.wrap_future(made)
        answer.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # it counts as seen
        try:
            return await asyncio.shield(answer)  # a message that is cancelled half-way spoils its connection
        except Exception as error:
            raise _failure(error) from error


def _weight(image: Any) -> int:
    """Return about how many bytes a picture adds to a message."""
    if hasattr(image, "getexif"):
        return int(3 * image.width * image.height)
    return int(getattr(image, "nbytes", None) or sys.getsizeof(image))
