"""What a panel does, apart from its public face: the widgets, the chosen picture, and the answer under way.

Widgets call their session and the session holds its widgets, so none of them is ever collected by itself; the
face (`Panel`) is not part of that circle, and closes its session when it goes.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbvlm._background import Task
from nbvlm.errors import Error, ImageError
from nbvlm.panel import streaming
from nbvlm.panel.connection import Line
from nbvlm.panel.connection_actions import Desk
from nbvlm.panel.form import Fields
from nbvlm.panel.history_actions import Keeper
from nbvlm.panel.image_source import Source
from nbvlm.panel.messages import Order
from nbvlm.panel.streaming import Outliner
from nbvlm.panel.sweep_runner import Scene, Sweeps
from nbvlm.result import alt_text, summary
from nbvlm.widgets import Controls, Stage, finished_text, preview, scenes, stopped_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.client import Settings
    from nbvlm.images import Picture
    from nbvlm.panel.history import Kept
    from nbvlm.result import Result
    from nbvlm.widgets import Region

__all__ = ["Session", "family", "layout"]


def layout(head: list[Any], controls: list[Any], answer: list[Any], shelf: list[Any]) -> Any:
    """Place the head above two columns, and a shelf below them."""
    left, right = _column(controls, "nbvlm-controls"), _column(answer, "nbvlm-answers")
    body = ipywidgets.Box([left, right])
    body.add_class("nbvlm-body")
    return _column([*head, body, _column(shelf, "nbvlm-shelf")], "nbvlm-panel")


def _column(children: list[Any], name: str) -> Any:
    box = ipywidgets.VBox(children)
    box.add_class(name)
    return box


def family(widget: Any) -> list[Any]:
    """Return a widget with all inside it, their layouts and styles included."""
    own = [getattr(widget, name) for name in ("layout", "style") if widget.has_trait(name)]
    inner = [one for child in getattr(widget, "children", ()) for one in family(child)]
    return [widget, *own, *inner]


class Session:
    """One panel at work.

    Methods may be called from any thread. Those that widgets call never raise: what went wrong is shown in
    the panel's error area.

    Parameters
    ----------
    settings
        How to open a client of its own, on the package's loop, and what it asks.
    """

    def __init__(self, settings: Settings) -> None:
        self._lock = threading.RLock()
        self.line = Line(settings)
        self._live: streaming.Live | None = None
        self._job: Task[Result] | None = None
        self._next: streaming.Question | None = None
        self.picture: Picture | None = None
        self._result: Result | None = None
        self.order = Order()
        self.keeper = Keeper(
            order=self.order,
            guard=self.guarded,
            on_show=self.restore,
            on_again=self.ask_again,
            on_error=self.complain,
        )
        self.sweeps = Sweeps(order=self.order, guard=self.guarded, scene=self.scene, on_open=self.open)
        self.stage = Stage(on_region=self.take_region)
        self._outliner = Outliner(self.stage)
        self.desk = Desk(self)
        self.alert, self.header = self.desk.alert, self.desk.header
        self.controls = Controls(
            self.line.endpoint,
            on_run=self.press,
            on_stop=self.stop,
            on_reset=lambda: self.fields.reset(),
            on_region=self.pick_region,
            guard=self.guarded,
        )
        self.fields = Fields(self.controls, self.header, self._lock)
        self.source = Source(
            self.line.endpoint,
            order=self.order,
            show=self.show,
            fields=self.fields.take,
            complain=self.complain,
        )
        self.picker = self.source.picker
        self.root = layout(
            [self.header, self.desk.key, self.desk.server],
            [self.picker, *self.controls.widgets],
            [self.alert, self.stage, self.keeper.exports],
            [*self.keeper.widgets, self.sweeps.grid],
        )

    # The picture

    def show(self, picture: Picture | None, index: int | None = None) -> None:
        """Choose a picture: ends an answer under way and clears the stage.

        Parameters
        ----------
        picture
            The new one, or None for none.
        index
            Its number in the gallery, if it is from there.
        """
        facts, data = (None, None) if picture is None else preview(picture)
        with self._lock:
            self.stop()
            self.picture, self.result = picture, None
            self.stage.picture(facts, data)
            self.alert.clear()
            self.fields.suggest(None if index is None else scenes()[index], picture)
            self.source.chosen(picture, index, data)

    def pick_region(self, on: bool) -> None:
        """Let a region be drawn on the picture, or not any more."""
        self.stage.pick_region(on)

    def take_region(self, box: Region | None) -> None:
        """Hand a region that was drawn to the task that asked for it."""
        self.controls.task.region(box)

    def serve(self) -> None:
        """Fit everything to the model that is asked from now on; an answer under way ends."""
        with self._lock:
            self.stop()
            self.header.show(self.line)
            self.controls.serve(self.line.endpoint)
            self.header.tuning += 1
            self.source.serve(self.line.endpoint)
            self.alert.clear()

    # The answer

    def start(self) -> Task[Result]:
        """Ask the model what the fields say.

        Returns
        -------
        Task
            The answer under way; its `wait` returns the result.

        Raises
        ------
        Error
            An answer is under way already.
        ImageError
            No picture is chosen.
        """
        with self._lock:
            if self.running:
                raise Error("The panel is answering already.", hint="Wait for the answer, or stop it.")
            return self._begin(self._question())

    def _question(self) -> streaming.Question:
        if self.picture is None:
            raise ImageError("No picture is chosen.", hint="Choose a sample or upload a picture.")
        return streaming.Question(
            self.picture, self.controls.prompt.value, self.controls.parameters, self.source.route
        )

    def _begin(self, question: streaming.Question) -> Task[Result]:
        self.alert.clear()
        self.controls.task.remember(question.prompt)
        self.result, self._live = None, streaming.Live(self.stage, question.prompt, self._outliner)
        self.stage.begin()
        self.controls.running(True)
        self._job = Task(self._answer(question, self._live))
        return self._job

    def press(self, message: Mapping[str, Any] | None = None) -> None:
        """Do what a press on Run asks for: ask, or keep the question for when the answer under way has ended.

        Parameters
        ----------
        message
            What the page's fields said when it was pressed, see `take_fields`; None for what they are known
            to say.
        """
        with self._lock:
            self.fields.take(message or {})
            if not self.running:
                self.start()
                return
            self._next = self._question()
            self.controls.running(True, queued=True)

    @property
    def running(self) -> bool:
        """Whether an answer is under way."""
        return self._live is not None

    async def _answer(self, question: streaming.Question, live: streaming.Live) -> Result:
        try:
            result = await streaming.ask(self.line.client(), question, live)
        except BaseException as error:
            self._settle(live, functools.partial(self._tell_end, live, error))
            raise
        self._settle(live, functools.partial(self._keep, result, live.pieces))
        await asyncio.to_thread(self.guarded, functools.partial(self.keeper.finish, result))
        return result

    def _settle(self, live: streaming.Live, say: Callable[[], None]) -> None:
        """Say how an answer ended, unless somebody has said so already."""
        with self._lock:
            if live.close():
                self._live = None
                say()
                following, self._next = self._next, None
                self.controls.running(False)
                if following is not None:
                    self._begin(following)

    def _tell_end(self, live: streaming.Live, error: BaseException | None = None) -> None:
        if isinstance(error, Exception):
            self.desk.fail(error)
            self.stage.fail()
        else:
            self.stage.stopped(stopped_text(live.seconds, live.pieces))

    def _keep(self, result: Result, pieces: int) -> None:
        self.keeper.add(result, pieces)
        self._show_answer(result, pieces)

    def _show_answer(self, result: Result, pieces: int | None) -> None:
        self.result = result
        self.stage.finish(
            result.text,
            streaming.boxes(result.detections, result.prompt),
            finished_text(result, pieces),
            alt=alt_text(result),
            said=summary(result),
            notes=result.notices,
        )
        self._outliner.want(0, result.detections)

    @property
    def result(self) -> Result | None:
        """The whole answer on the stage, if there is one."""
        return self._result

    @result.setter
    def result(self, result: Result | None) -> None:
        self._result = result
        self.keeper.mark(result)

    def restore(self, kept: Kept) -> None:
        """Bring an answer back as it was: its picture, prompt and parameters, and what was said."""
        result = kept.result
        with self._lock:
            self.stop()
            if result.picture is not self.picture:
                self.show(result.picture)
            self.fields.fill(result.prompt, result.parameters)
            self._show_answer(result, kept.pieces)

    def ask_again(self, kept: Kept) -> None:
        """Bring an answer's question back, and ask it."""
        self.restore(kept)
        self.start()

    def open(self, result: Result) -> None:
        """Bring an answer of the sweep to the stage, and keep it in the history."""
        with self._lock:
            number = self.keeper.history.number_of(result)
            kept = self.keeper.add(result) if number is None else self.keeper.history.find(number)
            self.restore(kept)
        self.keeper.finish(result)

    def scene(self) -> Scene:
        """Tell what would be asked with at the moment."""
        line = self.line
        return Scene(self.picture, line.endpoint, line.settings, self.controls.parameters, self.source.route)

    def stop(self) -> None:
        """End the answer under way, if any; what came of it stays on the screen."""
        with self._lock:
            live, job, self._next = self._live, self._job, None
            if live is not None and job is not None:
                self._settle(live, functools.partial(self._tell_end, live))
                job.cancel()

    # Trouble, and the end

    def complain(self, error: Exception) -> None:
        """Show an error; everything else stays as it is."""
        self.desk.complain(error)
        self.stage.stay()

    def guarded(self, action: Callable[[], Any]) -> None:
        """Do what a widget asks for; an error is shown, for ipywidgets would swallow it."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - shown where the user looks
            self.complain(error)

    def close(self) -> None:
        """Stop everything, close the connections, and take the widgets off the page."""
        self.stop()
        self.sweeps.stop()
        self.line.close()
        for widget in family(self.root):
            widget.close()
