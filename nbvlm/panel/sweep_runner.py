"""A sweep at work: asks cell after cell at the endpoint's pace, and can be stopped at any moment."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from nbvlm._background import Task
from nbvlm.client import AsyncClient
from nbvlm.errors import AuthenticationError, Error, ImageError, NotFoundError, ParameterError, QuotaError
from nbvlm.panel import sweep
from nbvlm.widgets import Grid, base_thumbnail, failure_text, thumbnail_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from PIL import Image

    from nbvlm.client import Settings
    from nbvlm.endpoints import Endpoint
    from nbvlm.images import Picture
    from nbvlm.panel.messages import Order
    from nbvlm.panel.sweep import Cell, Sweep
    from nbvlm.result import Result


__all__ = ["Pace", "Scene", "Sweeper", "Sweeps"]


class Scene(NamedTuple):
    """What a panel would ask with at the moment: picture, model, parameters by name, route."""

    picture: Picture | None
    endpoint: Endpoint
    settings: Settings
    parameters: Mapping[str, Any]
    route: str = "auto"


class Sweeps:
    """The sweep of a panel and its grid.

    Parameters
    ----------
    order
        In which the messages of a page are taken.
    guard
        Calls what a widget asks for, and shows what goes wrong.
    scene
        Tells what the panel would ask with.
    on_open
        Called with the answer of a cell that a person opens.

    Attributes
    ----------
    grid
        The widget.
    """

    def __init__(
        self,
        *,
        order: Order,
        guard: Callable[[Callable[[], Any]], None],
        scene: Callable[[], Scene],
        on_open: Callable[[Result], None],
    ) -> None:
        self._order, self._guard, self._scene, self._on_open = order, guard, scene, on_open
        self._actions: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "start": self._start,
            "stop": lambda _message: self.stop(),
            "open": self._open,
            "facts": lambda _message: self.facts(),
        }
        self._sweeper = Sweeper(self._changed)
        self._small: tuple[Picture, Image.Image | None] | None = None
        self.grid = Grid(self.take)

    @property
    def sweep(self) -> Sweep | None:
        """The last sweep, as far as it has come."""
        return self._sweeper.sweep

    def take(self, message: Mapping[str, Any]) -> None:
        """Do what the form or a cell was pressed for."""
        action = self._actions[message["type"]]
        self._order.take(message, lambda: self._guard(lambda: action(message)))

    def facts(self) -> None:
        """Tell the form what the endpoint allows."""
        endpoint = self._scene().endpoint
        has_temperature = any(parameter.name == "temperature" for parameter in endpoint.parameters)
        self.grid.facts(endpoint.requests_per_minute, has_temperature)

    def start(
        self, prompts: Iterable[str] | str, temperatures: Iterable[float] | float | None, repeats: int
    ) -> Task[Sweep]:
        """Begin a sweep about the chosen picture.

        Raises
        ------
        Error
            Another one is under way.
        ImageError
            No picture is chosen.
        PromptError, ParameterError
            As `sweep.plan`.
        """
        scene = self._scene()
        if scene.picture is None:
            raise ImageError("No picture is chosen.", hint="Choose a sample or upload a picture.")
        laid_out = sweep.plan(
            scene.picture,
            prompts,
            temperatures,
            repeats,
            endpoint=scene.endpoint,
            parameters=scene.parameters,
            route=scene.route,
        )
        return self._sweeper.start(laid_out, scene.settings, scene.endpoint.requests_per_minute)

    def stop(self) -> None:
        """Ask no more; what is there stays."""
        self._sweeper.stop()

    def _start(self, message: Mapping[str, Any]) -> None:
        try:
            heats = message.get("temperatures")
            numbers = None if heats is None else [_number(heat) for heat in heats]
            self.start([str(prompt) for prompt in message["prompts"]], numbers, _whole(message["repeats"]))
        except Error as error:
            told = failure_text(error)
            self.grid.refuse(f"{told['message']} {told['hint']}".strip())

    def _open(self, message: Mapping[str, Any]) -> None:
        cell = self._sweeper.sweep[int(message["index"])] if self._sweeper.sweep else None
        if cell is not None and cell.result is not None:
            self._on_open(cell.result)

    def _changed(self, index: int | None) -> None:
        """Show what has changed; called by the sweeper, mostly on the loop thread."""
        swept = self._sweeper.sweep
        if swept is None:
            return
        if index is None:
            self._show_state(swept)
            return
        cell = swept[index]
        self.grid.cell(index, cell, busy=index in self._sweeper.busy)
        if cell.result is not None:
            Task(self._draw(swept.picture, index, cell))

    def _show_state(self, swept: Sweep) -> None:
        if self._sweeper.state == "running":
            self.grid.begin(swept)
        else:
            self.grid.state(self._sweeper.state)

    async def _draw(self, picture: Picture, index: int, cell: Cell) -> None:
        self.grid.draw(index, await asyncio.to_thread(self._thumbnail, picture, cell))

    def _thumbnail(self, picture: Picture, cell: Cell) -> bytes:
        if self._small is None or self._small[0] is not picture:
            self._small = picture, base_thumbnail(picture)
        return thumbnail_of(cell, self._small[1])


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        hint = "Give numbers with a point, such as 0.2, 0.6, 1."
        raise ParameterError(f"A temperature is not a number: {str(text)[:40]!r}.", hint=hint) from None


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value == int(value) else 0


AT_ONCE = 3  # answers under way at a time where a service has a published pace
#: What will not be otherwise for the next cell.
FINAL = (AuthenticationError, QuotaError, NotFoundError)


class Pace:
    """Spaces out requests, so that no minute holds more than allowed.

    Parameters
    ----------
    per_minute
        The most requests in a minute; None for no limit.

    Examples
    --------
    >>> Pace(40).seconds, Pace(None).seconds
    (1.5, 0.0)
    """

    def __init__(self, per_minute: int | None) -> None:
        self.seconds = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next request's turn."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._next - clock()))
        self._next = clock() + self.seconds


class Sweeper:
    """Runs one sweep at a time, on the package's loop.

    Parameters
    ----------
    on_change
        Called on the loop thread with the index of a cell that is begun or done, or with None when the sweep
        has ended or was stopped.

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
        self._job: Task[Sweep] | None = None
        self.sweep: Sweep | None = None
        self.state = "idle"
        self.busy: set[int] = set()

    def start(self, sweep: Sweep, settings: Settings, per_minute: int | None) -> Task[Sweep]:
        """Ask what a sweep lays out.

        Parameters
        ----------
        sweep
            None of its cells done.
        settings
            How to open the client that asks.
        per_minute
            The endpoint's pace; None for none, then one cell is asked after the other.

        Raises
        ------
        Error
            Another sweep is under way.
        """
        with self._lock:
            if self.state == "running":
                raise Error("A sweep is under way.", hint="Wait for its end, or stop it.")
            self.sweep, self.state, self.busy = sweep, "running", set()
            self._on_change(None)
            self._job = Task(self._run(sweep, settings, per_minute))
            return self._job

    def stop(self) -> None:
        """Ask no more; what is there stays."""
        with self._lock:
            if self._job is not None:
                self._end("stopped")
                self._job.cancel()

    def _end(self, state: str) -> None:
        with self._lock:
            if self.state == "running":
                self.state, self.busy = state, set()
                self._on_change(None)

    async def _run(self, plan: Sweep, settings: Settings, per_minute: int | None) -> Sweep:
        try:
            async with AsyncClient.from_settings(settings) as client:
                await self._all(client, plan, Pace(per_minute), AT_ONCE if per_minute else 1)
        finally:
            self._end("done")
        return self.sweep or plan

    async def _all(self, client: AsyncClient, plan: Sweep, pace: Pace, at_once: int) -> None:
        slots = asyncio.Semaphore(at_once)
        # The first answer of every cell comes before the second of any.
        order = sorted(range(len(plan)), key=lambda index: plan[index].repeat)
        async with asyncio.TaskGroup() as group:
            for index in order:
                await slots.acquire()
                await pace.turn()
                if self.state != "running":
                    break
                group.create_task(self._one(client, plan, index, slots))

    async def _one(self, client: AsyncClient, plan: Sweep, index: int, slots: asyncio.Semaphore) -> None:
        self._begin(index)
        try:
            self._put(index, result=await _ask(client, plan, plan[index]))
        except Error as error:
            self._put(index, error=bare(error))
            if isinstance(error, FINAL):
                self._end("failed")
        except Exception as error:  # noqa: BLE001 - a cell tells it, and the others go on
            self._put(index, error=Error(f"Something unexpected happened ({type(error).__name__})."))
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


async def _ask(client: AsyncClient, sweep: Sweep, cell: Cell) -> Result:
    options: dict[str, Any] = dict(sweep.parameters)
    if cell.temperature is not None:
        options["temperature"] = cell.temperature
    return await client.ask(sweep.picture, cell.prompt, route=sweep.route, **options)


def bare(error: Error) -> Error:
    """Take off what an error holds of the work it came from; a sweep keeps it for long."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
