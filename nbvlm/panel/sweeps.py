"""Sweeps of a panel: what the form asks for is laid out, asked, and shown cell by cell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from nbvlm._background import Job
from nbvlm.errors import Error, ImageError, ParameterError
from nbvlm.panel import sweep
from nbvlm.panel.sweeper import Sweeper
from nbvlm.widgets import status_text, thumbnails
from nbvlm.widgets.sweep_grid import Grid, thumbnail_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from PIL import Image

    from nbvlm.client.client import Settings
    from nbvlm.endpoints import Endpoint
    from nbvlm.images.picture import Picture
    from nbvlm.panel.order import Order
    from nbvlm.panel.sweep import Cell, Sweep
    from nbvlm.result.result import Result

__all__ = ["Scene", "Sweeps"]


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
    ) -> Job[Sweep]:
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
            told = status_text.failure(error)
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
            Job(self._draw(swept.picture, index, cell))

    def _show_state(self, swept: Sweep) -> None:
        if self._sweeper.state == "running":
            self.grid.begin(swept)
        else:
            self.grid.state(self._sweeper.state)

    async def _draw(self, picture: Picture, index: int, cell: Cell) -> None:
        self.grid.draw(index, await asyncio.to_thread(self._thumbnail, picture, cell))

    def _thumbnail(self, picture: Picture, cell: Cell) -> bytes:
        if self._small is None or self._small[0] is not picture:
            self._small = picture, thumbnails.base(picture)
        return thumbnail_of(cell, self._small[1])


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        hint = "Give numbers with a point, such as 0.2, 0.6, 1."
        raise ParameterError(f"A temperature is not a number: {str(text)[:40]!r}.", hint=hint) from None


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value == int(value) else 0
