"""The controller of a panel: its widgets and their layout, the chosen picture, and the answer under way.

Widgets call their controller and the controller holds its widgets, so none of them is ever collected by
itself; the panel that contains them is not part of that circle, and closes its controller when it goes.
"""

from __future__ import annotations

import asyncio
import functools
import operator
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbvlm._background import Task, in_thread
from nbvlm.client import check_parameters
from nbvlm.endpoints import Endpoint
from nbvlm.errors import AuthenticationError, Error, ImageError
from nbvlm.images import fit
from nbvlm.panel.form import Form, Inputs
from nbvlm.panel.history_actions import HistoryActions
from nbvlm.panel.messages import MessageSequencer
from nbvlm.panel.notifications import StateLock
from nbvlm.panel.rereading import caveats, reread
from nbvlm.panel.series_runner import SeriesRunner
from nbvlm.panel.sweep_runner import SweepRunner
from nbvlm.widgets import (
    Answer,
    DetectionList,
    ErrorCard,
    Ignored,
    ModelChoice,
    Parameters,
    Picker,
    RecordedQuestions,
    RunButtons,
    TaskBar,
    Toolbar,
    Viewer,
    close_all,
    column,
    guard,
    preview,
    sample_number,
    sample_picture,
    scenes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.client import AsyncClient, Client, Event
    from nbvlm.images import Picture
    from nbvlm.recording import RecordedQuestion
    from nbvlm.result import Result
    from nbvlm.widgets import Offer, OfferingWidget, StreamThrottle

__all__ = ["PanelController"]


#: Base64 characters of a picture that is shrunk at a press, where the service names no limit.
SMALL = 180_000

#: Traits of a panel, and how its controller knows their values.
STATE: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "image": lambda controller: controller.picture,
        "prompt": lambda controller: controller.task_bar.prompt,
        "temperature": lambda controller: controller.parameters.value.get("temperature"),
        "top_p": lambda controller: controller.parameters.value.get("top_p"),
        "max_tokens": lambda controller: controller.parameters.value.get("max_tokens"),
        "parameters": lambda controller: dict(controller.parameters.value),
        "pace": lambda controller: controller.connection.pace,
        "route": lambda controller: controller.picker.route,
        "client": lambda controller: controller.connection.shown,
        "endpoint": lambda controller: controller.connection.endpoint,
        "running": lambda controller: controller.running,
        "result": lambda controller: controller.result,
        "history": lambda controller: controller.answers.history.store.results,
        "table": lambda controller: controller.series.table,
        "allow": lambda controller: controller.offer.names,
        "hidden_for_class": lambda controller: controller.offer.hidden,
    }
)


def _sample_of(question: RecordedQuestion) -> int | None:
    """Return the number of the sample that a recorded question is about, or None."""
    for index, entry in enumerate(scenes()):
        if (question.name or "").rpartition(".")[0] == entry.name:
            return index if question.is_about(sample_picture(entry)) else None
    return None


def _step(result: Result) -> str:
    """Return what to do about the notices of an answer."""
    return "models" if caveats(result) and result.endpoint == "demo" else ""


class PanelController:
    """One panel at work, with a client of its own.

    Methods may be called from any thread. Actions of widgets run in `guarded`: an error is shown on the error
    card. `on_change` takes the names of traits that have changed, with their old and new values; `on_event`
    takes the events of an answer as it streams.
    """

    def __init__(
        self,
        client: Client | AsyncClient,
        *,
        on_change: Callable[[Mapping[str, tuple[Any, Any]]], None],
        on_answer: Callable[[Result], None],
        on_event: Callable[[Event], None],
        name: Callable[[], str],
        offer: Offer,
    ) -> None:
        self.offer = offer
        self._lock = StateLock(self._note_changes)
        self._noted: dict[str, Any] | None = None
        self._on_change, self._on_answer, self._on_event = on_change, on_answer, on_event
        self._name = name
        self._closed = False
        self._throttle: StreamThrottle | None = None
        self._task: Task[Result] | None = None
        self._next: Inputs | None = None
        self.picture: Picture | None = None
        self._result: Result | None = None
        self._nearest: RecordedQuestion | None = None  # in the recording, to the one that it does not hold
        endpoint = client.settings.endpoint
        messages = self._messages = MessageSequencer(self.guarded)
        self.viewer = Viewer(editable=False, bare=True)
        self.rows = DetectionList(
            self.viewer,
            on_message=messages.handler({"reread": lambda message: self.reread(message)}),
            bare=True,
        )
        self.answer = Answer(viewer=self.viewer, step=_step, bare=True)
        self.task_bar = TaskBar(endpoint=endpoint, viewer=self.viewer, bare=True)
        self.parameters = Parameters(
            endpoint, on_reset=lambda: self.guarded(lambda: self.form.reset()), bare=True
        )
        self.buttons = RunButtons(
            on_run=lambda: self.guarded(self.press), on_stop=lambda: self.guarded(self.stop)
        )
        self.task_bar.observe(lambda _change: self._changed(), "prompt")
        self.parameters.observe(lambda _change: self._changed(), "value")
        self.parameters.observe(lambda change: self.put_pace(change["new"]), "pace")
        self.toolbar = Toolbar(
            messages.handler(
                {
                    "run": self.press,
                    "stop": lambda _message: self.stop(),
                    "reset": lambda _message: self.form.reset(),
                    "hide": lambda message: self.hide(message["hidden"]),
                }
            )
        )
        self.form = Form(self.task_bar, self.parameters, self.toolbar, self._lock)
        self.choice = ModelChoice(
            client,
            handler=messages.handler,
            on_model=self._take_model,
            on_key=self._take_key,
            on_fields=self.form.take,
            on_refused=self.complain,
            offer=offer,
            bare=True,
        )
        self.connection = self.choice.connection
        self.error_card = ErrorCard(
            on_message=messages.handler({"act": self._act}), offer=offer, on_refused=self.complain, bare=True
        )
        self.recorded = RecordedQuestions(messages.handler({"ask": self._ask_listed}))
        self.picker = Picker(
            endpoint=endpoint,
            handler=messages.handler,
            on_picture=self._take_picture,
            on_fields=self.form.take,
            on_error=self.complain,
            offer=offer,
            all_actions={
                "ask-all": self._ask_all,
                "stop-all": lambda _message: self.series.stop(),
                "cell": lambda _message: self._insert_table(),
            },
            bare=True,
        )
        self.series = SeriesRunner(
            self.connection,
            self.picker,
            question=self._question,
            on_change=self._asked_all,
            on_error=lambda error: self._show_error(error, asking=True),
        )
        self.picker.observe(lambda _change: self._changed(), "route")
        self.answers = HistoryActions(
            messages,
            on_show=self.restore,
            on_again=self.ask_again,
            on_change=self._changed,
            on_error=self.complain,
            offer=offer,
        )
        self.sweeps = SweepRunner(
            self.connection,
            messages,
            inputs=self.inputs,
            on_open=self.open,
            on_refused=self.complain,
            offer=offer,
        )
        self.widgets = self._layout()
        self._show_connection()
        self._noted = {name: read(self) for name, read in STATE.items()}

    def _layout(self) -> tuple[Any, ...]:
        """Return the head, two columns, and the shelf, to be placed one below the other."""
        head = column([self.choice, self.toolbar], "nbvlm-header")
        # Run stands above the sliders, which few people move: it is on the screen without scrolling.
        fields = [self.picker, self.recorded, self.task_bar, self.buttons.widget, self.parameters]
        left = column(fields, "nbvlm-controls")
        below = column([self.answer, self.rows], "nbvlm-below")
        stage = column([self.viewer, below], "nbvlm-stage")
        right = column([self.error_card, stage, self.answers.export_menu], "nbvlm-answers")
        body = column([left, right], "nbvlm-body")
        shelf = column([self.answers.history, self.answers.comparison, self.sweeps.grid], "nbvlm-shelf")
        return (head, body, shelf)

    # Traits

    def _note_changes(self) -> None:
        if self._noted is None:  # not built yet
            return
        now = {name: read(self) for name, read in STATE.items()}
        before, self._noted = self._noted, now
        changes = {
            name: (before[name], value) for name, value in now.items() if not same(before[name], value)
        }
        if changes:
            self._on_change(changes)

    def _changed(self) -> None:
        with self._lock:
            pass  # its end reports the change

    # Picture and model

    def show(self, picture: Picture | None, index: int | None = None) -> None:
        """Choose a picture, or none: ends an answer under way and clears the viewer.

        `index` is its number in the gallery; None looks whether it is from there.
        """
        index = sample_number(picture) if index is None else index
        small = None if picture is None else preview(picture)
        with self._lock:
            self.stop()
            self.picture, self.result = picture, None
            self.viewer.show(picture, small)
            self.answer.clear()
            self.error_card.clear()
            self.form.suggest(None if index is None else scenes()[index], picture)
            self.picker.put(picture, index, None if small is None else small[1])

    def choose(self, picture: Picture | None) -> None:
        """Choose another picture, or none; nothing changes where it is the chosen one."""
        if picture is not self.picture:
            self.picker.cancel()
            self.show(picture)

    def _take_picture(self, picture: Picture | None, index: int | None) -> None:
        """Choose a picture of the source; if a question about all was answered for it, show that answer."""
        self.show(picture, index)
        self._show_of_all()

    def _show_of_all(self) -> None:
        if self.picture is not None and not self.running:
            prompt, parameters, _ = self._question()
            result = self.series.answer(self.picture, prompt.strip(), parameters)
            if result is not None:
                self.open(result)

    def _ask_all(self, message: Mapping[str, Any]) -> None:
        self.form.take(message.get("fields") or {})
        self.error_card.clear()
        self.series.start()

    def _asked_all(self) -> None:
        self._changed()
        self.guarded(self._show_of_all)

    def _insert_table(self) -> None:
        self.picker.bar.cell(f"table = {self._name()}.table\ntable")

    def put(self, given: Mapping[str, Any]) -> None:
        """Write some parameters into the fields; None sets a default."""
        values = check_parameters(self.connection.endpoint, given)
        self.form.put({name: values[name] for name in given if name in values})

    def put_pace(self, pace: float | None) -> None:
        """Slow the embedded model down to some tokens a second, or no longer; from the next answer on."""
        with self._lock:
            self.connection.pace = pace
            self.parameters.pace = pace

    def use(self, client: Client | AsyncClient) -> None:
        """Ask with another client from now on."""
        if client is not self.connection.shown:
            self.choice.client = client

    def ask_endpoint(self, endpoint: Endpoint) -> None:
        """Ask another model from now on."""
        if endpoint != self.connection.endpoint:
            self.choice.endpoint = endpoint

    def _take_model(self, parameters: Mapping[str, Any] | None) -> None:
        self.serve()
        self.form.fill(parameters=parameters)

    def _take_key(self) -> None:
        self._show_connection()
        self.error_card.clear()

    def serve(self) -> None:
        """Fit everything to another model; an answer under way ends."""
        with self._lock:
            self.stop()
            self._show_connection()
            self.form.serve(self.connection.endpoint)
            self.picker.endpoint = self.connection.endpoint
            self.error_card.clear()

    def _show_connection(self) -> None:
        used = self.connection
        self.toolbar.show(used.endpoint, recorded=bool(used.questions()))
        self.recorded.put(used.questions())
        self.toolbar.hideable = bool({"path", "key"} & self.offer.allowed)
        self.toolbar.hidden = self.offer.hidden
        self.parameters.pace, self.parameters.has_pace = used.pace, used.has_pace

    # What is offered

    def take_offer(self, offer: Offer) -> None:
        """Offer the person at the page other things from now on."""
        with self._lock:
            self.offer = offer
            for widget in self._offering:
                widget.allowed = offer
            self._show_connection()

    @property
    def _offering(self) -> tuple[OfferingWidget | ErrorCard | ModelChoice | Picker, ...]:
        return (self.choice, self.error_card, self.picker, self.answers.export_menu, self.sweeps.grid)

    def hide(self, hidden: bool) -> None:
        """Hide paths, the key field and folders for a class, or show them again."""
        if hidden != self.offer.hidden:
            self.take_offer(self.offer.hide(hidden))

    # The answer

    def _question(self) -> tuple[str, dict[str, Any], Any]:
        return self.task_bar.prompt, dict(self.parameters.value), self.picker.route

    def inputs(self) -> Inputs:
        """Return the values that a press on Run takes now."""
        if self._closed:
            raise Error("The panel is closed.", hint="Make a new one with nbvlm.Panel().")
        if self.picture is None:
            raise ImageError("No picture is chosen.", hint="Choose a sample or upload a picture.")
        return Inputs(self.picture, *self._question())

    def start(self) -> Task[Result]:
        """Ask the model with the values of the fields; an error if an answer is under way already."""
        with self._lock:
            if self.running:
                raise Error("The panel is answering already.", hint="Wait for the answer, or stop it.")
            return self._begin(self.inputs())

    def _begin(self, inputs: Inputs) -> Task[Result]:
        self.error_card.clear()
        self.task_bar.remember(inputs.prompt)
        self.result, self._throttle = None, self.answer.start(inputs.prompt)
        self.buttons.running(True)
        self._task = Task(self._answer(inputs, self._throttle))
        return self._task

    def press(self, message: Mapping[str, Any] | None = None) -> None:
        """Ask with a page's fields (None: as known here), after the answer under way if there is one."""
        with self._lock:
            self.form.take(message or {})
            if not self.running:
                self.start()
                return
            self._next = self.inputs()
            self.buttons.running(True, queued=True)

    def _ask_listed(self, message: Mapping[str, Any]) -> None:
        questions = self.connection.questions()
        if message["index"] >= len(questions):
            raise Ignored("there is no such question")
        self.ask_recorded(questions[message["index"]])

    def ask_recorded(self, question: RecordedQuestion) -> None:
        """Ask a question of the recording, about its picture: the chosen one, or one of the gallery."""
        with self._lock:
            if self.picture is None or not question.is_about(self.picture):
                index = _sample_of(question)
                if index is None:
                    name = f" {question.name!r}" if question.name else ""
                    raise ImageError(
                        f"This question is about the picture{name}, and another one is chosen.",
                        hint="A recording holds no pictures: open that picture, then ask again.",
                    )
                self.picker.choose(index)
            self.form.fill(question.prompt, question.parameters)
            self.press()

    def press_inline(self) -> None:
        """Choose the route inside the request, and ask; a service without a limit gets a shrunk picture."""
        self.picker.take_route("inline")
        if self.picture is not None and self.connection.endpoint.inline_limit is None:
            Task(self._press_shrunk(self.picture))
        else:
            self.press()

    async def _press_shrunk(self, picture: Picture) -> None:
        try:
            fitted = await in_thread(fit, picture, SMALL)
        except Exception as error:  # noqa: BLE001 - shown on the error card
            self.complain(error)
            return
        if self.picture is picture:
            await asyncio.to_thread(self.show, fitted.picture)
            self.guarded(self.press)

    @property
    def running(self) -> bool:
        """Whether an answer is under way."""
        return self._throttle is not None

    async def _answer(self, inputs: Inputs, throttle: StreamThrottle) -> Result:
        try:
            # Waits for `start`, which reports its changes: observers see them before the first event.
            await asyncio.to_thread(self._changed)
            result = await self._stream(inputs, throttle)
        except BaseException as error:
            self._settle(throttle, functools.partial(self._show_end, error))
            raise
        self._settle(throttle, functools.partial(self._add, result, throttle.pieces))
        await asyncio.to_thread(self.guarded, functools.partial(self.answers.finish, result))
        return result

    async def _stream(self, inputs: Inputs, throttle: StreamThrottle) -> Result:
        client = self.connection.client()
        asked = client.stream(inputs.picture, inputs.prompt, route=inputs.route, **inputs.parameters)
        async with asked as stream:
            async for event in stream:
                self._on_event(event)
                throttle.take(event)
        return stream.result

    def _settle(self, throttle: StreamThrottle, show: Callable[[], None]) -> None:
        """Show how an answer ended, unless that is shown already."""
        with self._lock:
            if throttle.close():
                self._throttle = None
                show()
                following, self._next = self._next, None
                self.buttons.running(False)
                if following is not None:
                    self._begin(following)

    def _show_end(self, error: BaseException | None = None) -> None:
        if isinstance(error, Exception):
            self._show_error(error, asking=True)
            self.answer.fail(error)
        else:
            self.answer.stop()

    def _add(self, result: Result, pieces: int) -> None:
        self.answers.add(result, pieces)
        self._show_answer(result, pieces)
        self._on_answer(result)

    def _show_answer(self, result: Result, pieces: int | None) -> None:
        self.result = result
        self.answer.finish(result, pieces)

    @property
    def result(self) -> Result | None:
        """The whole answer in the viewer, if there is one."""
        return self._result

    @result.setter
    def result(self, result: Result | None) -> None:
        self._result = result
        self.answers.mark(result)
        self.toolbar.answered(result.model if result is not None else "")

    def restore(self, result: Result) -> None:
        """Show an answer again: its picture, prompt, parameters, text and boxes."""
        with self._lock:
            self.stop()
            if result.picture is not self.picture:
                self.show(result.picture)
            self.form.fill(result.prompt, result.parameters)
            self._show_answer(result, self.answers.pieces_of(result))

    def reread(self, message: Mapping[str, Any]) -> None:
        """Read the numbers of the answer in the viewer again, in an `order` and on a `scale`."""
        with self._lock:
            if (result := self.result) is None:
                raise Ignored("no answer is shown")
            scale = message.get("scale")
            again = reread(result, message["order"], None if scale is None else tuple(scale))
            self.answers.history.replace(result, again)
            self._show_answer(again, self.answers.pieces_of(again))
        self.answers.finish(again)

    def ask_again(self, result: Result) -> None:
        """Show an answer again, and ask its question."""
        self.restore(result)
        self.start()

    def open(self, result: Result) -> None:
        """Show an answer of the sweep in the viewer, and add it to the history."""
        with self._lock:
            self.answers.add(result)
            self.restore(result)
        self.answers.finish(result)

    def stop(self) -> None:
        """End the answer under way, if any; its pieces stay on the screen."""
        with self._lock:
            throttle, task, self._next = self._throttle, self._task, None
            if throttle is not None and task is not None:
                self._settle(throttle, self._show_end)
                task.cancel()

    # Errors, and the end

    def complain(self, error: Exception) -> None:
        """Show an error; everything else stays as it is."""
        self._show_error(error)
        self.answer.restore()

    def _show_error(self, error: Exception, *, asking: bool = False) -> None:
        """Show an error; where an answer was under way, a key that is missing or refused is asked for."""
        settings = self.connection.settings
        origin = "" if self.error_card.allowed.public else None if settings.in_process else settings.base_url
        self._nearest = getattr(error, "nearest", None)
        self.error_card.show(error, settings.endpoint, asking=asking, origin=origin)
        if asking and isinstance(error, AuthenticationError) and error.status in (None, 401):
            self.choice.ask_key(again=True)

    def _act(self, message: Mapping[str, Any]) -> None:
        """Run the action of a button of the error card."""
        action = message["action"]
        self.form.take(message.get("fields") or {})
        self.error_card.clear()
        if action == "reset":
            self.form.reset()
        elif action == "nearest" and self._nearest is not None:
            self.ask_recorded(self._nearest)
        elif action == "private":
            self.picker.open_private()
        elif action == "shrink":
            self.press_inline()
        elif action.startswith("model:"):
            self.choice.choose(action.removeprefix("model:"))
            self.press()

    def guarded(self, action: Callable[[], Any]) -> None:
        """Run an action of a widget, and show its error."""
        guard("Panel", action, self.complain)

    def close(self) -> None:
        """Stop everything, close the connections, and take the widgets off the page."""
        with self._lock:
            self._closed = True
            self.stop()
        self.picker.cancel()
        self.series.stop()
        self.sweeps.stop()
        self.connection.close()
        for widget in self.widgets:
            close_all(widget)


def same(one: Any, other: Any) -> bool:
    """Check whether two values of a trait are the same; pictures and answers are compared by identity."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(operator.is_, one, other))
    return one is other or (
        isinstance(one, str | float | int | dict | tuple | Endpoint) and bool(one == other)
    )
