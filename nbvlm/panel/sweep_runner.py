"""A sweep at work: cell after cell is asked at the endpoint's pace, and it can be stopped at any moment."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from nbvlm._background import Task
from nbvlm.batches import RateLimiter
from nbvlm.client import AsyncClient
from nbvlm.errors import AuthenticationError, Error, NotFoundError, ParameterError, QuotaError
from nbvlm.panel.sweep import plan
from nbvlm.widgets import Ignored, SweepGrid, base_thumbnail, failure_sentences, failure_text, thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from PIL import Image

    from nbvlm.client import Settings
    from nbvlm.images import Picture
    from nbvlm.panel.form import Inputs
    from nbvlm.panel.messages import MessageSequencer
    from nbvlm.panel.sweep import Cell, Sweep
    from nbvlm.result import Result
    from nbvlm.widgets import ModelConnection, Offer

__all__ = ["SweepRunner"]

AT_ONCE = 3  # answers under way at a time where a service has a published pace
#: Errors that the next cell would meet as well.
FINAL = (AuthenticationError, QuotaError, NotFoundError)


class SweepRunner:
    """Runs one sweep at a time, on the package's loop, and shows it in its grid."""

    def __init__(
        self,
        connection: ModelConnection,
        messages: MessageSequencer,
        *,
        inputs: Callable[[], Inputs],
        on_open: Callable[[Result], None],
        on_refused: Callable[[Exception], None],
        offer: Offer,
    ) -> None:
        self._connection, self._inputs, self._on_open = connection, inputs, on_open
        self._lock = threading.RLock()
        self._task: Task[Sweep] | None = None
        self._base: tuple[Picture, Image.Image | None] | None = None
        self._running: Sweep | None = None
        self.sweep: Sweep | None = None
        #: "idle", "running", "done", "stopped" (by a person), or "failed" (the next cells would fail too).
        self.state = "idle"
        actions: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "start": self._start,
            "stop": lambda _message: self.stop(),
            "open": self._open,
            "facts": lambda _message: self._send_facts(),
        }
        self.grid = SweepGrid(messages.handler(actions), offer=offer, on_refused=on_refused)

    # Messages of the page

    def _send_facts(self) -> None:
        endpoint = self._connection.endpoint
        has_temperature = any(parameter.name == "temperature" for parameter in endpoint.parameters)
        self.grid.facts(endpoint.requests_per_minute, has_temperature)

    def _start(self, message: Mapping[str, Any]) -> None:
        try:
            heats = message.get("temperatures")
            numbers = None if heats is None else [_number(heat) for heat in heats]
            self.start(message["prompts"], numbers, _whole(message["repeats"]))
        except Error as error:
            self.grid.refuse(failure_sentences(error))

    def _open(self, message: Mapping[str, Any]) -> None:
        sweep, index = self.sweep, message["index"]
        result = sweep[index].result if sweep is not None and index < len(sweep) else None
        if result is None:
            raise Ignored("there is no such answer")
        self._on_open(result)

    # The sweep

    def start(
        self, prompts: Iterable[str] | str, temperatures: Iterable[float] | float | None, repeats: int
    ) -> Task[Sweep]:
        """Begin a sweep about the chosen picture; an error if another one is under way."""
        endpoint = self._connection.endpoint
        sweep = plan(self._inputs(), endpoint, prompts, temperatures, repeats)
        with self._lock:
            if self.state == "running":
                raise Error("A sweep is under way.", hint="Wait for its end, or stop it.")
            self.sweep, self._running, self.state = sweep, sweep, "running"
            name = sweep.picture.name or "picture"
            self.grid.begin(sweep.prompts, sweep.temperatures, sweep.repeats, name)
            self._task = Task(self._run(sweep, self._connection.settings, endpoint.requests_per_minute))
            return self._task

    def stop(self) -> None:
        """Ask no more cells; the answers stay."""
        with self._lock:
            if self._task is not None and self._running is not None:
                self._end(self._running, "stopped")
                self._task.cancel()

    def _end(self, sweep: Sweep, state: str) -> None:
        with self._lock:
            if self._running is sweep:  # one that was stopped says nothing about the next one
                self._running, self.state = None, state
                self.grid.state(state)

    async def _run(self, sweep: Sweep, settings: Settings, per_minute: int | None) -> Sweep:
        try:
            async with AsyncClient.from_settings(settings) as client:
                await self._ask_all(client, sweep, RateLimiter(per_minute), AT_ONCE if per_minute else 1)
        finally:
            self._end(sweep, "done")
        return self.sweep or sweep

    async def _ask_all(self, client: AsyncClient, sweep: Sweep, rate: RateLimiter, at_once: int) -> None:
        slots = asyncio.Semaphore(at_once)
        # The first answer of every cell comes before the second of any.
        order = sorted(range(len(sweep)), key=lambda index: sweep[index].repeat)
        async with asyncio.TaskGroup() as group:
            for index in order:
                await slots.acquire()
                await rate.take()
                if self._running is not sweep:
                    break
                self.grid.cell(index, busy=True)
                group.create_task(self._ask(client, sweep, index, slots))

    async def _ask(self, client: AsyncClient, sweep: Sweep, index: int, slots: asyncio.Semaphore) -> None:
        try:
            self._put(sweep, index, result=await _answer(client, sweep, sweep[index]))
        except Error as error:
            self._put(sweep, index, error=_bare(error))
            if isinstance(error, FINAL):
                self._end(sweep, "failed")
        except Exception as error:  # noqa: BLE001 - shown in the cell, and the others go on
            self._put(sweep, index, error=Error(failure_text(error)["message"]))
        finally:
            slots.release()

    def _put(
        self, sweep: Sweep, index: int, *, result: Result | None = None, error: Error | None = None
    ) -> None:
        with self._lock:
            if self._running is sweep and self.sweep is not None:
                self.sweep = self.sweep.put(index, result=result, error=error)
                self.grid.cell(index, result=result, error=error)
                if result is not None and len(result.detections):
                    Task(self._draw(index, result))

    async def _draw(self, index: int, result: Result) -> None:
        self.grid.draw(index, await asyncio.to_thread(self._thumbnail, result))

    def _thumbnail(self, result: Result) -> bytes:
        if self._base is None or self._base[0] is not result.picture:
            self._base = result.picture, base_thumbnail(result.picture)
        return thumbnail(result, self._base[1])


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        hint = "Give numbers with a point, such as 0.2, 0.6, 1."
        raise ParameterError(f"A temperature must be a number, got {str(text)[:40]!r}.", hint=hint) from None


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value == int(value) else 0


async def _answer(client: AsyncClient, sweep: Sweep, cell: Cell) -> Result:
    options: dict[str, Any] = dict(sweep.parameters)
    if cell.temperature is not None:
        options["temperature"] = cell.temperature
    return await client.ask(sweep.picture, cell.prompt, route=sweep.route, **options)


def _bare(error: Error) -> Error:
    """Drop the error's references to the work that it came from: a sweep holds it for long."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
