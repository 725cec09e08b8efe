"""A run on a Dask cluster: partitions of pictures go out, rows come back into the same journal.

The task graph holds names of pictures, prompts and settings, never a key: a worker takes that from its own
environment, or from the scheduler's memory if it was registered there (`nbvlm.batches.register_key`).
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbvlm.batches import rows
from nbvlm.batches.engines import call, client_of
from nbvlm.batches.journal import Memory, NullJournal
from nbvlm.batches.sources import Item
from nbvlm.errors import Error, ParameterError
from nbvlm.images import Picture, read_source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from nbvlm.batches.plan import Plan
    from nbvlm.batches.progress import ProgressCounter
    from nbvlm.batches.rows import Position, Row

__all__ = ["Cluster"]

WIDE = 16
"""Pictures of a partition for each that is asked about at once."""
AHEAD = 2
"""Partitions that wait for each thread of the workers."""
HEAVY = 4_000_000
"""Bytes of pictures in memory that a partition holds."""
RETRIES = 3
GRACE = 10.0
_CHUNK = 20_000


class Cluster:
    """The client's part in a run; as `nbvlm.batches.workers.WorkerPool`, and the `distributed.Client`."""

    def __init__(
        self, plan: Plan, items: Iterator[Item], journal: NullJournal, counter: ProgressCounter, engine: Any
    ) -> None:
        if plan.settings.transport is not None:
            raise ParameterError(
                "A transport cannot travel to the workers of a cluster.",
                hint="Open the client without one, or run without engine.",
            )
        self._plan, self._items = plan, items
        # What a repeated partition finds to be answered already has to be somewhere.
        self._journal = Memory() if type(journal) is NullJournal else journal
        self.counter = counter
        self._engine, self._own = client_of(engine)
        self._run = uuid.uuid4().hex[:12]
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[Any] = asyncio.Queue()
        self._pending: dict[int, Position] = {}
        self._parts: dict[Any, list[Item]] = {}
        self._number = 0
        self._ready: deque[Row] = deque()
        self._left: list[list[Item]] = []
        self._room = asyncio.Event()
        self._threads = self._workers = 1
        self._walked = self._fed = self._stopped = False

    def stop(self) -> None:
        """End the run at the next occasion; what is finished stands in the journal."""
        self._stopped = True
        self._news.put_nowait(None)

    async def rows(self) -> AsyncIterator[Row]:
        """Yield rows as they are finished; leaving early stops the workers."""
        from nbvlm.batches.halves import topic

        await self._begin()
        self._engine.subscribe_topic(topic(self._run), self._heard)
        feeding = asyncio.create_task(self._feed())
        try:
            while self._parts or self._ready or self._left or not self._fed:
                while self._ready:
                    row = self._ready.popleft()
                    self.counter.add(row)
                    yield row
                if not self._stopped and (self._parts or self._left or not self._fed):
                    await self._take(await self._news.get())
                if self._stopped:
                    return
        finally:
            feeding.cancel()
            await asyncio.shield(self._end(topic(self._run)))

    # What comes from the cluster, in threads of its own.

    def _heard(self, event: tuple[float, list[bytes]]) -> None:
        self._tell(self._news.put_nowait, event[1])

    def _ended(self, future: Any) -> None:
        self._tell(self._news.put_nowait, future)

    def _tell(self, function: Callable[..., None], *told: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the run has ended
            self._loop.call_soon_threadsafe(function, *told)

    # What becomes of it.

    async def _take(self, news: Any) -> None:
        if isinstance(news, (list, tuple)):
            for line in news:
                self._row(bytes(line))
        elif isinstance(news, BaseException):
            raise news
        elif news is not None and news in self._parts:
            await self._part_ended(news)
        self._count()

    def _row(self, line: bytes) -> None:
        data = rows.decode(line)
        place = self._pending.pop(data["index"], None)
        if place is not None:
            self._keep(data, place)

    def _keep(self, data: dict[str, Any], place: Position) -> None:
        resumed = self._journal.stands(data["key"], place)
        line = self._journal.add(data, place)
        self._ready.append(rows.row_of(line, resumed=resumed, label=place.label))

    async def _part_ended(self, future: Any) -> None:
        items = self._parts.pop(future)
        found = await self._result(future)
        if isinstance(found, Error):
            raise found
        for index, key in found:
            place = self._pending.pop(index, None)
            if place is not None:
                self._keep(rows.moved(rows.decode(self._journal.read(key)), place), place)
        await self._catch_up(items)
        self._room.set()

    async def _catch_up(self, items: list[Item]) -> None:
        """Wait for rows that are still on their way; what is lost, as with a connection, is asked again."""
        until = self._loop.time() + GRACE
        while any(item.place.index in self._pending for item in items):
            try:
                news = await asyncio.wait_for(self._news.get(), until - self._loop.time())
            except TimeoutError:
                self._left.append([item for item in items if item.place.index in self._pending])
                return
            if isinstance(news, (list, tuple)):
                for line in news:
                    self._row(bytes(line))
            elif news is not None:
                self._news.put_nowait(news)
                await asyncio.sleep(0.01)

    async def _result(self, future: Any) -> Any:
        if self._engine.asynchronous:
            return await future
        return await asyncio.to_thread(future.result)

    def _count(self) -> None:
        self.counter.concurrency = self._plan.concurrency * self._workers
        self.counter.asking = min(len(self._pending), self.counter.concurrency)
        self.counter.waiting = len(self._pending) - self.counter.asking

    # What goes out.

    async def _feed(self) -> None:
        """Submit partitions as there is room, beside what comes back."""
        try:
            while True:
                await self._look()
                await self._fill()
                self._news.put_nowait(None)
                await self._room.wait()
                self._room.clear()
        except Exception as error:  # noqa: BLE001 - the caller's own iterator may raise anything
            self._news.put_nowait(error)

    async def _look(self) -> None:
        """Count the workers and their threads: clusters grow and shrink."""
        found = await self._maybe(self._engine.nthreads)
        self._workers, self._threads = max(len(found), 1), max(sum(found.values()), 1)

    async def _fill(self) -> None:
        while not self._walked or self._left:
            if len(self._parts) >= max(AHEAD * self._threads, 2):
                return
            items = self._left.pop() if self._left else await asyncio.to_thread(self._next)
            if items:
                self._submit(items)
        self._fed = True

    def _next(self) -> list[Item]:
        """Take the next partition; runs in a thread, as the source may be slow."""
        taken: list[Item] = []
        weight, size = 0, self._size()
        while len(taken) < size and weight < HEAVY:
            item = next(self._items, None)
            if item is None:
                self._walked = True
                break
            ready = self._portable(item)
            if ready is not None:
                taken.append(ready)
                weight += _weight(ready.image)
        return taken

    def _size(self) -> int:
        most = WIDE * self._plan.concurrency
        if self.counter.total is None:
            return max(most // 4, 1)
        return max(1, min(most, -(-self.counter.total // (4 * self._threads))))

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
            self._tell(self._keep, data, item.place)
            self._tell(self._news.put_nowait, None)
            return None
        return Item(item.place, image, {"prompt": prompt})

    def _submit(self, items: list[Item]) -> None:
        from nbvlm.batches.station import work

        for item in items:
            self._pending[item.place.index] = item.place
        plain = [replace(item, place=replace(item.place, label=None)) for item in items]
        name = f"nbvlm-{self._run}-{self._number}"
        future = self._engine.submit(
            work, self._order, plain, self._number, key=name, retries=RETRIES, pure=False
        )
        self._number += 1
        self._parts[future] = items
        future.add_done_callback(self._ended)

    # The beginning and the end.

    async def _begin(self) -> None:
        from nbvlm.batches.office import Office
        from nbvlm.batches.station import GIVEN, Order

        settings = self._plan.settings
        shared = not settings.in_process or self._plan.rate is not None
        bare = replace(settings, api_key=None, key_source=None)
        plan = replace(self._plan, prompt=GIVEN, settings=bare)
        self._order = Order(self._run, plan, settings.api_key is not None, shared)
        if self._engine.asynchronous:
            await self._engine.register_plugin(Office())
        else:
            await asyncio.to_thread(self._engine.register_plugin, Office())
        told = {"run": self._run, "rate": self._plan.rate, "first": settings.retry.first}
        keys = self._journal.keys()
        for start in range(0, len(keys) or 1, _CHUNK):
            await call(
                self._engine, "begin", **told, client=self._engine.id, done=keys[start : start + _CHUNK]
            )

    async def _end(self, events: str) -> None:
        futures = list(self._parts)
        self._parts.clear()
        try:
            if futures:
                await self._maybe(self._engine.cancel, futures)
            self._engine.unsubscribe_topic(events)
            await asyncio.wait_for(call(self._engine, "end", run=self._run), GRACE)
        except (OSError, TimeoutError):
            pass  # the cluster has gone, and all of the run that was there
        finally:
            if self._own:
                await self._maybe(self._engine.close)

    async def _maybe(self, function: Any, *told: Any) -> Any:
        if self._engine.asynchronous:
            return await function(*told)
        return await asyncio.to_thread(function, *told)


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
