"""The question about all pictures of a series: a batch on the package's loop, its table, and its answers."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._background import Task
from nbvlm._text import count
from nbvlm.batches import Run, Table
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.batches import Row
    from nbvlm.images import Picture
    from nbvlm.result import Result
    from nbvlm.widgets import ModelConnection, Picker, Series

__all__ = ["SeriesRunner"]


class SeriesRunner:
    """Asks about all pictures of the source's series, one batch at a time.

    `question` returns prompt, parameters and route as the fields hold them; `on_change` is called when the
    table is new, `on_error` with the error that ends a batch.
    """

    def __init__(
        self,
        connection: ModelConnection,
        source: Picker,
        *,
        question: Callable[[], tuple[str, Mapping[str, Any], Any]],
        on_change: Callable[[], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._connection, self._source = connection, source
        self._question, self._on_change, self._on_error = question, on_change, on_error
        self._lock = threading.RLock()
        self._run: Run | None = None
        self._task: Task[None] | None = None
        self._series: Series | None = None
        self._rows: dict[int, Row] = {}
        self._results: dict[int, Result] = {}
        self.table: Any = None

    @property
    def running(self) -> bool:
        """Whether a batch is under way."""
        return self._run is not None

    def start(self) -> Task[None]:
        """Begin a batch; an error if there is no series, or another batch is under way."""
        with self._lock:
            series = self._source.series
            if series is None:
                raise Error("There is only one picture.", hint="Open a folder, or drop several pictures.")
            if self._run is not None:
                raise Error(
                    "Questions about the pictures are already running.", hint="Wait for the end, or stop it."
                )
            prompt, parameters, route = self._question()
            # A brace in a prompt of the panel stands for itself, and not for a column.
            written = prompt.replace("{", "{{").replace("}", "}}")
            images = [
                source if isinstance(source, Path) else {"bytes": source.data, "path": source.name}
                for source in series.sources
            ]
            run = Run(
                images,
                written,
                client=self._connection.shown,
                journal=None,
                progress=False,
                route=route,
                **parameters,
            )
            table = Table()  # refuses where pandas is missing
            self._run, self._series = run, series
            self._rows, self._results = {}, {}
            self._show()
            self._task = Task(self._work(run, series, table))
            return self._task

    def stop(self) -> None:
        """Ask about no more pictures; the rows until then make the table."""
        with self._lock:
            if self._run is not None:
                self._run.stop()

    def answer(self, picture: Picture, prompt: str, parameters: Mapping[str, Any]) -> Result | None:
        """Return the answer to a question about a picture of the series, if the batch asked just that."""
        with self._lock:
            index = self._source.number_of(picture)
            if index is None or self._source.series is not self._series:
                return None
            result = self._results.get(index)
            if result is None and (row := self._rows.get(index)) is not None:
                result = row.result_with(picture)
            if result is None or (result.prompt, dict(result.parameters)) != (prompt, dict(parameters)):
                return None
            self._results[index] = result
            return result

    async def _work(self, run: Run, series: Series, table: Table) -> None:
        failure: Exception | None = None
        try:
            async with contextlib.aclosing(run.rows()) as found:
                async for row in found:
                    table.add(row)
                    with self._lock:
                        self._rows[row.index] = row
                    self._show()
        except Exception as error:  # noqa: BLE001 - shown on the error card
            failure = error
        finally:
            with self._lock:
                self._run, self.table = None, table.frame()
            self._show(failure is None and len(self._rows) == len(series.sources))
        if failure is not None:
            self._on_error(failure)
        self._on_change()

    def _show(self, whole: bool = False) -> None:
        series, rows = self._series, self._rows
        if series is None:
            return
        if self._run is not None:
            self._source.bar.asked(f"{len(rows)} of {count(len(series.sources), 'picture')}", running=True)
            return
        wrong = sum(row.error is not None for row in rows.values())
        failed = f", {count(wrong, 'error')}" if wrong else ""
        ended = "" if whole else f" of {count(len(series.sources), 'picture')}, then it ended"
        words = f"{count(len(rows) - wrong, 'answer')}{failed}{ended}. Their table: panel.table"
        self._source.bar.asked(words, table=bool(rows))
