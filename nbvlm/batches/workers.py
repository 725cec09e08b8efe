"""The workers of a run: some make pictures ready, some ask, and all of them share the limits.

Only questions under way are in memory: the source is read only as fast as answers are taken.
"""

from __future__ import annotations

import asyncio
import functools
import time
from threading import Lock
from typing import TYPE_CHECKING, Any

from nbvlm._background import Interruption, thread_pool
from nbvlm.batches import preparation, rows
from nbvlm.errors import (
    AuthenticationError,
    Error,
    NotFoundError,
    QuotaError,
    RateLimitError,
    ServerError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from nbvlm.batches.journal import NullJournal
    from nbvlm.batches.plan import Plan
    from nbvlm.batches.preparation import Prepared
    from nbvlm.batches.progress import ProgressCounter
    from nbvlm.batches.rate_limit import ConcurrencyLimiter, RateLimiter
    from nbvlm.batches.rows import Row
    from nbvlm.batches.sources import PendingPicture
    from nbvlm.client import AsyncClient
    from nbvlm.images import Picture
    from nbvlm.result import Result

__all__ = ["LimitedClient", "WorkerPool", "ends_run"]

READERS = 4
TRIES = 8
"""Least tries after refusals for want of room, where the client's policy allows any."""


class LimitedClient:
    """Asks one question after leave was given, and again after a refusal for want of room."""

    def __init__(
        self,
        client: AsyncClient,
        plan: Plan,
        rate_limiter: RateLimiter,
        concurrency_limiter: ConcurrencyLimiter,
        counter: ProgressCounter,
    ) -> None:
        self._client, self._plan, self._counter = client, plan, counter
        self._rate_limiter, self._concurrency_limiter = rate_limiter, concurrency_limiter
        retry = plan.settings.retry
        self._tries = max(retry.attempts, TRIES) if retry.attempts > 1 else 1

    async def ask(self, picture: Picture, prompt: str) -> Result:
        """Ask about a picture; raise the failure of the last try."""
        tries = 1
        while True:
            try:
                return await self._once(picture, prompt)
            except (RateLimitError, ServerError) as error:
                if tries >= self._tries or not _for_want_of_room(error) or ends_run(error):
                    raise
                failure = error
            await self._rest(failure, tries)
            tries += 1

    async def _once(self, picture: Picture, prompt: str) -> Result:
        self._counter.waiting += 1
        try:
            async with self._concurrency_limiter:
                await self._rate_limiter.take()
                self._counter.waiting -= 1
                self._counter.asking += 1
                try:
                    return await self._asked(picture, prompt)
                finally:
                    self._counter.asking -= 1
                    self._counter.waiting += 1
        finally:
            self._counter.waiting -= 1
            self._counter.concurrency = self._concurrency_limiter.limit

    async def _asked(self, picture: Picture, prompt: str) -> Result:
        sent = time.monotonic()
        try:
            result = await self._client.ask(picture, prompt, **self._plan.options)
        except RateLimitError as error:
            await self._rate_limiter.refused(time.monotonic() - sent, error.retry_after)
            raise
        except ServerError as error:
            if error.status == 503:
                self._concurrency_limiter.refused(time.monotonic() - sent)
            raise
        self._concurrency_limiter.answered()
        await self._rate_limiter.answered()
        return result

    async def _rest(self, failure: Error, tries: int) -> None:
        """Pause after a 503; after a 429 the rate_limiter makes everyone pause."""
        if isinstance(failure, ServerError):
            retry = self._plan.settings.retry
            pause = min(retry.first * retry.factor ** (tries - 1), retry.longest)
            await asyncio.sleep(max(pause, failure.retry_after or 0.0))


class WorkerPool:
    """Finishes the pictures of a run."""

    def __init__(
        self, plan: Plan, items: Iterator[PendingPicture], journal: NullJournal, counter: ProgressCounter
    ) -> None:
        self._plan, self._items, self._journal, self._counter = plan, items, journal, counter
        self._turn = Lock()
        self._under_way: dict[str, asyncio.Future[dict[str, Any] | None]] = {}
        self._readers = min(READERS, plan.concurrency)
        self._threads = thread_pool(self._readers)
        self._interruption = Interruption()
        self._ready: asyncio.Queue[Prepared | None] = asyncio.Queue(self._readers)
        self._out: asyncio.Queue[Row | BaseException | None] = asyncio.Queue(plan.concurrency)
        self._stopped = False
        self._unwritten: Error | None = None  # why the journal does not take lines any more

    async def rows(self, client: LimitedClient) -> AsyncGenerator[Row]:
        """Yield rows as they are finished; leaving early stops the run."""
        reading = [asyncio.create_task(self._read_all()) for _ in range(self._readers)]
        asking = [asyncio.create_task(self._ask_all(client)) for _ in range(self._plan.concurrency)]
        tasks = [*reading, *asking, asyncio.create_task(self._close_up(reading, asking))]
        try:
            while (row := await self._out.get()) is not None and not self._stopped:
                if isinstance(row, BaseException):
                    raise row
                self._counter.add(row)
                yield row
            if self._unwritten is not None and not self._stopped:
                raise self._unwritten
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._interruption.begin()  # Python waits for these threads at its end
            self._threads.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """End the run as soon as possible; the journal keeps the finished rows."""
        self._stopped = True
        if self._out.empty():
            self._out.put_nowait(None)

    async def _read_all(self) -> None:
        loop = asyncio.get_running_loop()
        read = functools.partial(self._interruption.run, self._next)
        try:
            while (found := await loop.run_in_executor(self._threads, read)) is not None:
                await self._ready.put(found)
        except Exception as error:  # noqa: BLE001 - the caller's own iterator may raise anything
            await self._out.put(error)

    def _next(self) -> Prepared | None:
        with self._turn:
            item = next(self._items, None) if self._unwritten is None else None
        return preparation.prepare(item, self._plan, self._journal) if item is not None else None

    async def _close_up(self, reading: list[asyncio.Task[None]], asking: list[asyncio.Task[None]]) -> None:
        await asyncio.gather(*reading)
        for _ in asking:
            await self._ready.put(None)
        await asyncio.gather(*asking)
        await self._out.put(None)

    async def _ask_all(self, client: LimitedClient) -> None:
        try:
            while (found := await self._ready.get()) is not None:
                if self._unwritten is None:  # else only the answers that are under way are still taken
                    await self._out.put(await self._row(found, client))
        except Exception as error:  # noqa: BLE001 - raised again where the rows are taken
            await self._out.put(error)

    async def _row(self, found: Prepared, client: LimitedClient) -> Row:
        if found.error is not None:
            return self._failed(found, found.error)
        while (same := self._under_way.get(found.key)) is not None and found.key not in self._journal:
            data = await asyncio.shield(same)
            if data is not None:
                return self._copied(found, data)
        if found.key in self._journal:
            return self._copied(found)
        return await self._asked(found, client)

    async def _asked(self, found: Prepared, client: LimitedClient) -> Row:
        if found.picture is None or found.prompt is None:
            raise AssertionError(found)
        future = self._under_way[found.key] = asyncio.get_running_loop().create_future()
        data = None
        try:
            result = await client.ask(found.picture, found.prompt)
            if result.picture.pending:  # its hash takes as long as turning it
                await asyncio.to_thread(getattr, result.picture, "sha256")
            data = rows.answered(found.item.place, found.key, result)
            return self._kept(found, data, result)
        except Error as error:
            if ends_run(error):
                raise
            return self._failed(found, error)
        finally:
            del self._under_way[found.key]
            if not future.done():
                future.set_result(data)

    def _failed(self, found: Prepared, error: Error) -> Row:
        if self._plan.on_error == "raise":
            raise error
        return self._kept(found, rows.failed(found.item.place, found.key, found.prompt, error))

    def _copied(self, found: Prepared, data: dict[str, Any] | None = None) -> Row:
        data = data if data is not None else rows.decode(self._journal.read(found.key))
        return self._kept(found, rows.moved(data, found.item.place))

    def _kept(self, found: Prepared, data: dict[str, Any], result: Result | None = None) -> Row:
        place = found.item.place
        resumed = self._journal.stands(found.key, place)
        try:
            line = self._journal.add(data, place)
        except Error as error:
            self._unwritten, line = self._unwritten or error, rows.encode(data)
        return rows.row_of(line, result, resumed=resumed, place=place)


def ends_run(error: Error) -> bool:
    """Return whether every other picture would fail in the same way: key, credit, or a model that is gone."""
    if error.gone == "unloadable":
        return True
    if isinstance(error, NotFoundError):
        return "asset" not in error.message.lower()
    if isinstance(error, ServerError) and error.status == 503:
        return (error.retry_after or 0.0) > 300
    return isinstance(error, (AuthenticationError, QuotaError))


def _for_want_of_room(error: Error) -> bool:
    return isinstance(error, RateLimitError) or error.status == 503
