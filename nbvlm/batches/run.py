"""One run: everything opened in its order, and closed in every ending."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, cast

from nbvlm._background import iterate_in_thread
from nbvlm._files import here
from nbvlm.batches import sources
from nbvlm.batches.journal import Journal, NullJournal
from nbvlm.batches.plan import plan
from nbvlm.batches.progress import Progress, ProgressCounter
from nbvlm.batches.rate_limit import ConcurrencyLimiter, RateLimiter
from nbvlm.batches.rows import Table
from nbvlm.batches.workers import LimitedClient, WorkerPool
from nbvlm.client import AsyncClient
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

    from nbvlm.batches.rows import Row
    from nbvlm.client import Client

__all__ = ["SHOWN", "BatchOptions", "Run"]


class BatchOptions(TypedDict, total=False):
    """Keywords of `batch`, `abatch` and `ibatch`."""

    client: Client | AsyncClient | None
    concurrency: int
    journal: str | os.PathLike[str] | None
    rate: float | None
    on_error: str
    engine: Any
    column: str | None
    progress: bool | Callable[[Progress], None] | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    seed: int | None
    route: Literal["auto", "inline", "asset"]
    content: Literal["tag", "parts"]
    allow_private: bool


DEFAULTS: dict[str, Any] = {"concurrency": 8, "journal": "run.jsonl", "on_error": "record"}
SHOWN = DEFAULTS | {"route": "auto", "content": "tag", "allow_private": False}
"""Defaults that are not None, those of `Client.ask` included."""


class Run:
    """A batch that was checked and can be started once; parameters as `nbvlm.batch`."""

    def __init__(
        self, images: Any, prompt: str | Callable[[Mapping[str, Any]], str], **options: Unpack[BatchOptions]
    ) -> None:
        chosen: dict[str, Any] = DEFAULTS | options
        column, progress = chosen.pop("column", None), chosen.pop("progress", None)
        self._journal, self._engine = chosen.pop("journal"), chosen.pop("engine", None)
        limits = {name: chosen.pop(name, None) for name in ("concurrency", "rate", "on_error")}
        self.plan = plan(prompt, chosen.pop("client", None), **limits, options=chosen)
        self._folder = str(here())  # a change of the folder while the run goes on does not matter
        self._listed = sources.listing(images, column)
        if self._listed.names is not None:
            self.plan.prompt.check(self._listed.names)
        self._index = images.index if hasattr(images, "index") and hasattr(images, "iloc") else None
        self._counter = ProgressCounter(_watcher(self, progress))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._stopped = False

    async def rows(self) -> AsyncGenerator[Row]:
        """Yield rows as they are finished."""
        self._loop = asyncio.get_running_loop()
        journal = NullJournal() if self._journal is None else Journal(self._journal, self._folder)
        state = "stopped"
        try:
            if self._counter.watched:
                self._counter.total = await asyncio.to_thread(self._listed.count)
                self._counter.report("beginning")
            found = self._cluster(journal) if self._engine is not None else self._local(journal)
            async with contextlib.aclosing(found):
                async for row in found:
                    yield row
                    if self._stopped:
                        return
            state = "stopped" if self._stopped else "finished"
        except Error as error:
            if self._journal is not None:
                error.add_note(
                    f"The finished rows are in the journal {os.fspath(self._journal)!r}: "
                    "running the same again goes on from there."
                )
            raise
        finally:
            journal.close()
            self._counter.report(state)

    def each(self) -> Iterator[Row]:
        """Yield rows as they are finished, from a thread of the run's own."""
        return cast("Iterator[Row]", iterate_in_thread(self.rows, ahead=self.plan.concurrency))

    async def table(self, *, explode: bool) -> Any:
        """Return the table of all rows, those until a Stop included."""
        table = Table(explode=explode)
        try:
            async for row in self.rows():
                table.add(row)
        except Error as error:
            error.table = table.frame(self._index)  # type: ignore[attr-defined]
            raise
        return table.frame(self._index)

    def stop(self) -> None:
        """Stop, from any thread: drop questions under way, keep finished rows."""
        self._stopped = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.stop()

    _pool: Any = None

    async def _local(self, journal: NullJournal) -> AsyncGenerator[Row]:
        checked, counter = self.plan, self._counter
        rate_limiter = RateLimiter(checked.rate, first=checked.settings.retry.first)
        concurrency_limiter = ConcurrencyLimiter(checked.concurrency)
        counter.concurrency = checked.concurrency
        self._pool = pool = WorkerPool(checked, sources.items(self._listed, self._folder), journal, counter)
        async with AsyncClient.from_settings(checked.patient) as client:
            limited = LimitedClient(client, checked, rate_limiter, concurrency_limiter, counter)
            async with contextlib.aclosing(pool.rows(limited)) as found:
                async for row in found:
                    yield row

    def _cluster(self, journal: NullJournal) -> AsyncGenerator[Row]:
        from nbvlm.batches.cluster import ClusterRun

        items = sources.items(self._listed)
        self._pool = ClusterRun(self.plan, items, journal, self._counter, self._engine)
        return self._pool.rows()  # type: ignore[no-any-return]


def _watcher(
    run: Run, progress: bool | Callable[[Progress], None] | None
) -> Callable[[Progress], None] | None:
    if callable(progress):
        return progress
    if progress is False or (progress is None and not _in_notebook()):
        return None
    from nbvlm.batches import progress_bar

    return progress_bar.show(run.stop)


def _in_notebook() -> bool:
    found = sys.modules.get("IPython")
    shell = found.get_ipython() if found is not None else None
    return getattr(shell, "kernel", None) is not None
