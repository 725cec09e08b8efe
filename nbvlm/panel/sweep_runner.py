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
from nbvlm.widgets import SweepGrid, base_thumbnail, failure_text, thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from PIL import Image

    from nbvlm.client import Settings
    from nbvlm.images import Picture
    from nbvlm.panel.connection import ModelConnection
    from nbvlm.panel.form import Inputs
    from nbvlm.panel.messages import MessageSequencer
    from nbvlm.panel.sweep import Cell, Sweep
    from nbvlm.result import Result

__all__ = ["SweepActions", "SweepRunner"]

AT_ONCE = 3  # answers under way at a time where a service has a published pace
#: Errors that the next cell would meet as well.
FINAL = (AuthenticationError, QuotaError, NotFoundError)


class SweepActions:
    """The sweep of a panel and its grid.

    Parameters
    ----------
    connection
        The connection to the model.
    messages
        Orders the messages of a page.
    inputs
        Returns the values that a press on Run takes.
    on_open
        Called with the answer of a cell that a person opens.

    Attributes
    ----------
    grid
        The widget.
    """

    def __init__(
        self,
        connection: ModelConnection,
        messages: MessageSequencer,
        *,
        inputs: Callable[[], Inputs],
        on_open: Callable[[Result], None],
    ) -> None:
        self._connection, self._inputs, self._on_open = connection, inputs, on_open
        self._runner = SweepRunner(self._show_change)
        self._base: tuple[Picture, Image.Image | None] | None = None
        actions: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "start": self._start,
            "stop": lambda _message: self.stop(),
            "open": self._open,
            "facts": lambda _message: self.facts(),
        }
        self.grid = SweepGrid(messages.handler(actions))

    @property
    def sweep(self) -> Sweep | None:
        """The last sweep, as far as it has come."""
        return self._runner.sweep

    def facts(self) -> None:
        """Show in the form what the endpoint allows."""
        endpoint = self._connection.endpoint
        has_temperature = any(parameter.name == "temperature" for parameter in endpoint.parameters)
        self.grid.facts(endpoint.requests_per_minute, has_temperature)

    def start(
        self, prompts: Iterable[str] | str, temperatures: Iterable[float] | float | None, repeats: int
    ) -> Task[Sweep]:
        """Begin a sweep about the chosen picture.

        Raises
        ------
        Error
            If another one is under way.
        ImageError
            If no picture is chosen.
        PromptError, ParameterError
            As `sweep.plan`.
        """
        inputs, endpoint = self._inputs(), self._connection.endpoint
        sweep = plan(
            inputs.picture,
            prompts,
            temperatures,
            repeats,
            endpoint=endpoint,
            parameters=inputs.parameters,
            route=inputs.route,
        )
        return self._runner.start(sweep, self._connection.settings, endpoint.requests_per_minute)

    def stop(self) -> None:
        """Ask no more cells; the answers stay."""
        self._runner.stop()

    def _start(self, message: Mapping[str, Any]) -> None:
        try:
            heats = message.get("temperatures")
            numbers = None if heats is None else [_number(heat) for heat in heats]
            self.start([str(prompt) for prompt in message["prompts"]], numbers, _whole(message["repeats"]))
        except Error as error:
            text = failure_text(error)
            self.grid.refuse(f"{text['message']} {text['hint']}".strip())

    def _open(self, message: Mapping[str, Any]) -> None:
        cell = self.sweep[int(message["index"])] if self.sweep else None
        if cell is not None and cell.result is not None:
            self._on_open(cell.result)

    def _show_change(self, index: int | None) -> None:
        """Show a change; the runner calls this, mostly on the loop thread."""
        sweep, state = self.sweep, self._runner.state
        if sweep is None:
            return
        if index is not None:
            cell = sweep[index]
            busy = index in self._runner.busy
            self.grid.cell(index, result=cell.result, error=cell.error, busy=busy)
            if cell.result is not None and len(cell.result.detections):
                Task(self._draw(sweep.picture, index, cell.result))
        elif state == "running":
            name = sweep.picture.name or "picture"
            self.grid.begin(sweep.prompts, sweep.temperatures, sweep.repeats, name)
        else:
            self.grid.state(state)

    async def _draw(self, picture: Picture, index: int, result: Result) -> None:
        self.grid.draw(index, await asyncio.to_thread(self._thumbnail, picture, result))

    def _thumbnail(self, picture: Picture, result: Result) -> bytes:
        if self._base is None or self._base[0] is not picture:
            self._base = picture, base_thumbnail(picture)
        return thumbnail(result, self._base[1])


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        hint = "Give numbers with a point, such as 0.2, 0.6, 1."
        raise ParameterError(f"A temperature must be a number, got {str(text)[:40]!r}.", hint=hint) from None


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value == int(value) else 0


class SweepRunner:
    """Runs one sweep at a time, on the package's loop.

    Parameters
    ----------
    on_change
        Called with the index of a cell that is begun or done, or with None when a sweep begins or ends.

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
        self._task: Task[Sweep] | None = None
        self.sweep: Sweep | None = None
        self.state = "idle"
        self.busy: set[int] = set()

    def start(self, sweep: Sweep, settings: Settings, per_minute: int | None) -> Task[Sweep]:
        """Ask the cells of a sweep.

        Parameters
        ----------
        sweep
            None of its cells done.
        settings
            How to open the client that asks.
        per_minute
            The most requests a minute; None for no limit, then one cell is asked after the other.

        Raises
        ------
        Error
            If another sweep is under way.
        """
        with self._lock:
            if self.state == "running":
                raise Error("A sweep is under way.", hint="Wait for its end, or stop it.")
            self.sweep, self.state, self.busy = sweep, "running", set()
            self._on_change(None)
            self._task = Task(self._run(sweep, settings, per_minute))
            return self._task

    def stop(self) -> None:
        """Ask no more cells; the answers stay."""
        with self._lock:
            if self._task is not None:
                self._end("stopped")
                self._task.cancel()

    def _end(self, state: str) -> None:
        with self._lock:
            if self.state == "running":
                self.state, self.busy = state, set()
                self._on_change(None)

    async def _run(self, sweep: Sweep, settings: Settings, per_minute: int | None) -> Sweep:
        try:
            async with AsyncClient.from_settings(settings) as client:
                await self._ask_all(client, sweep, RateLimiter(per_minute), AT_ONCE if per_minute else 1)
        finally:
            self._end("done")
        return self.sweep or sweep

    async def _ask_all(self, client: AsyncClient, sweep: Sweep, rate: RateLimiter, at_once: int) -> None:
        slots = asyncio.Semaphore(at_once)
        # The first answer of every cell comes before the second of any.
        order = sorted(range(len(sweep)), key=lambda index: sweep[index].repeat)
        async with asyncio.TaskGroup() as group:
            for index in order:
                await slots.acquire()
                await rate.take()
                if self.state != "running":
                    break
                group.create_task(self._ask(client, sweep, index, slots))

    async def _ask(self, client: AsyncClient, sweep: Sweep, index: int, slots: asyncio.Semaphore) -> None:
        self._begin(index)
        try:
            self._put(index, result=await _answer(client, sweep, sweep[index]))
        except Error as error:
            self._put(index, error=_bare(error))
            if isinstance(error, FINAL):
                self._end("failed")
        except Exception as error:  # noqa: BLE001 - shown in the cell, and the others go on
            self._put(index, error=Error(failure_text(error)["message"]))
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


async def _answer(client: AsyncClient, sweep: Sweep, cell: Cell) -> Result:
    options: dict[str, Any] = dict(sweep.parameters)
    if cell.temperature is not None:
        options["temperature"] = cell.temperature
    return await client.ask(sweep.picture, cell.prompt, route=sweep.route, **options)


def _bare(error: Error) -> Error:
    """Drop the error's references to the work that it came from: a sweep holds it for long."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
