"""A panel of one's own: parts and controls of ipywidgets, connected to a model."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from nbvlm import prompts
from nbvlm._background import Task
from nbvlm.client import AsyncClient, Client, DetectionFound, check_parameters
from nbvlm.errors import Error, ImageError, PromptError
from nbvlm.images import Picture
from nbvlm.result import Result
from nbvlm.widgets._fields import button
from nbvlm.widgets._life import weakly
from nbvlm.widgets._part import PartBox
from nbvlm.widgets.answer import Answer
from nbvlm.widgets.failure import ErrorCard
from nbvlm.widgets.history import History
from nbvlm.widgets.parameters import Parameters
from nbvlm.widgets.prompt_bar import TaskBar
from nbvlm.widgets.stream_throttle import DetectionFeed, show
from nbvlm.widgets.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.client import Event, Settings
    from nbvlm.widgets.model_choice import ModelChoice

    _Question = tuple[Picture, str, dict[str, Any]]  # with the parameters by name

__all__ = ["Connection", "connect"]


class Connection(PartBox):
    """The buttons Run and Stop of connected parts; see `connect`.

    Questions run on the package's own loop: the kernel stays free. Observers of `result`, `running` and
    `error` are called on a thread of the package. An observer that fails is logged, and the answer goes on.

    Attributes
    ----------
    running : bool
        Whether an answer is under way. Default: False. Read-only.
        ``asking.observe(lambda change: print(change.new), "running")``
    result : Result or None
        The last whole answer; None while one comes, and after Stop or an error. Default: None. Read-only.
        ``asking.observe(lambda change: print(change.new.text), "result")``
    error : Exception or None
        Why the last question failed. Default: None. Read-only. ``asking.error``
    """

    running = traitlets.Bool(False, read_only=True)
    result = traitlets.Instance(Result, allow_none=True, read_only=True)
    error = traitlets.Instance(BaseException, allow_none=True, read_only=True)

    def __init__(self, sources: Mapping[str, Any], shown: Mapping[str, Any], client: Any) -> None:
        self._sources, self._shown, self._client = dict(sources), dict(shown), client
        self._lock = threading.RLock()
        self._task: Task[Result] | None = None
        self._turn = 0
        self._opened: tuple[Settings, AsyncClient] | None = None
        self._on_answer, self._on_event = ipywidgets.CallbackDispatcher(), ipywidgets.CallbackDispatcher()
        self._run = button("Run", "nbvlm-run", "Ask the model")
        self._stop = button("Stop", "nbvlm-stop", "Stop the answer", disabled=True)
        self._run.on_click(weakly(self._pressed))
        self._stop.on_click(weakly(self._stop_pressed))
        self._run.button_style, self._run.layout.flex, self._run.layout.min_width = "primary", "1 1 0", "80px"
        self._again = weakly(self.ask_again)
        super().__init__([self._run, self._stop])
        if "history" in self._shown:
            self._shown["history"].ask_by(self._again)
        self.layout.display, self.layout.flex_flow = "flex", "row nowrap"

    def on_answer(self, callback: Callable[[Result], Any], remove: bool = False) -> None:
        """Call a function with each whole answer, on a thread of the package; `remove` ends that."""
        self._on_answer.register_callback(callback, remove=remove)

    def on_event(self, callback: Callable[[Event], Any], remove: bool = False) -> None:
        """Call a function with each event of an answer as it streams; it must not block."""
        self._on_event.register_callback(callback, remove=remove)

    def run(self, *, wait: bool = True) -> Result | None:
        """Ask with the values of the parts as they are now.

        Parameters
        ----------
        wait
            True waits for the answer; False returns None at once, as the button does.

        Returns
        -------
        Result or None
            The answer; None if it was stopped, or not waited for.

        Raises
        ------
        nbvlm.Error
            If the question cannot be asked, or fails while it is waited for.
        """
        task = self._start()
        if not wait:
            return None
        try:
            return task.wait()
        except concurrent.futures.CancelledError:
            return None
        except KeyboardInterrupt:
            self.stop()
            raise

    def stop(self) -> None:
        """End the answer under way, if any; its pieces stay on the screen."""
        with self._lock:
            task, self._task = self._task, None
            self._turn += 1
        if task is not None:
            if "answer" in self._shown:
                self._shown["answer"].stop()
            self._end()
            task.cancel()  # last: a `run` that waits for it ends when `running` is False

    def close(self) -> None:
        """Stop, close the connections, and take the buttons off the page; the parts stay open."""
        if "_sources" in self.__dict__:
            self.stop()
            if "history" in self._shown:
                self._shown["history"].ask_by(self._again, remove=True)
            opened, self._opened = self._opened, None
            _leave(opened)
        super().close()

    def press(self) -> None:
        """Ask as the button does: an error is shown, not raised; while an answer comes, nothing happens."""
        self._pressed(None)

    def ask_again(self, result: Result) -> None:
        """Ask the question of an answer again, in place of the one under way; an error is shown, not raised.

        Picture, prompt and parameters are those of the answer; the parts keep their values.
        """
        self.stop()
        self._try_start((result.picture, result.prompt, dict(result.parameters)))

    def _pressed(self, _button: Any) -> None:
        if self._task is None:  # else it was pressed twice
            self._try_start()

    def _try_start(self, question: _Question | None = None) -> None:
        try:
            self._start(question)
        except Exception as error:  # noqa: BLE001 - shown, for ipywidgets would swallow it
            self._failed(self._turn, error)

    def _stop_pressed(self, _button: Any) -> None:
        self.stop()

    def _start(self, question: _Question | None = None) -> Task[Result]:
        with self._lock:
            if self.comm is None:
                raise Error("The connection is closed.", hint="Make a new one with nbvlm.widgets.connect().")
            if self._task is not None:
                raise Error("An answer is under way already.", hint="Wait for the answer, or stop it.")
            client = _client_of(self._client)
            picture, prompt, parameters = self._inputs() if question is None else question
            check_parameters(client.settings.endpoint, parameters)
            opened = self._opened_for(self._paced(client.settings))
            self._turn += 1
            self.set_trait("error", None)
            self.set_trait("result", None)
            if "error_card" in self._shown:
                card = self._shown["error_card"]
                card.error, card.endpoint = None, client.settings.endpoint
            answer, viewer = self._shown.get("answer"), self._shown.get("viewer")
            feed = None
            if viewer is not None:
                show(viewer, result=None, image=picture, things=list(prompts.things(prompt)))
            if answer is not None:
                answer.begin(prompt)
            if viewer is not None and (answer is None or answer.viewer is not viewer):
                feed = DetectionFeed(viewer)
            self._run.disabled, self._stop.disabled = True, False
            self.set_trait("running", True)
            route = getattr(self._sources["picture"], "route", "auto")
            self._task = Task(
                _ask(
                    opened,
                    (picture, prompt, {"route": route, **parameters}),
                    self._turn,
                    feed,
                    weakly(self._heard),
                    weakly(self._answered),
                    weakly(self._failed),
                )
            )
            return self._task

    def _inputs(self) -> _Question:
        given = self._sources
        source = _value_of(given["picture"], "image")
        if source is None:
            raise ImageError("No picture is chosen.", hint="Choose a sample or upload a picture.")
        parameters: dict[str, Any] = {}
        if (part := given["parameters"]) is not None:
            parameters |= part.value if isinstance(part, Parameters) else part
        parameters |= {name: _value_of(one) for name, one in given["single"].items()}
        parameters = {name: one for name, one in parameters.items() if one is not None}
        prompt = _value_of(given["prompt"], "prompt")
        if not isinstance(prompt, str):
            raise PromptError("No prompt is chosen.", hint='Choose or write one, such as "caption en".')
        return Picture.load(source), prompt, parameters

    def _paced(self, settings: Settings) -> Settings:
        part = self._sources["parameters"]
        if isinstance(part, Parameters) and part.has_pace and settings.pace != part.pace:
            return replace(settings, pace=part.pace)
        return settings

    def _opened_for(self, settings: Settings) -> AsyncClient:
        if self._opened is None or self._opened[0] != settings:
            _leave(self._opened)
            self._opened = (settings, AsyncClient.from_settings(settings))
        return self._opened[1]

    def _heard(self, turn: int, event: Event) -> None:
        with self._lock:
            if turn == self._turn and "answer" in self._shown:
                self._shown["answer"].feed(event)
        self._on_event(event)

    def _answered(self, turn: int, result: Result) -> None:
        # Without the lock: what observes a viewer may stop the answer.
        if turn != self._turn:
            return
        if "answer" in self._shown:
            self._shown["answer"].finish(result)
        if "viewer" in self._shown:
            show(self._shown["viewer"], result=result)
        if "history" in self._shown:
            self._shown["history"].add(result)
        if self._settled(turn):
            self.set_trait("result", result)
            self._on_answer(result)

    def _failed(self, turn: int, error: BaseException) -> None:
        if turn != self._turn:
            return
        if "answer" in self._shown:
            self._shown["answer"].fail(error)
        if "error_card" in self._shown:
            self._shown["error_card"].error = error
        if self._settled(turn):
            self.set_trait("error", error)

    def _settled(self, turn: int) -> bool:
        """End the question, unless it was stopped; return whether it was not."""
        with self._lock:
            if turn != self._turn:
                return False
            self._task = None
            self._end()
            return True

    def _end(self) -> None:
        self._run.disabled, self._stop.disabled = False, True
        self.set_trait("running", False)


async def _ask(
    client: AsyncClient,
    question: _Question,
    turn: int,
    feed: DetectionFeed | None,
    heard: Callable[..., Any],
    answered: Callable[..., Any],
    failed: Callable[..., Any],
) -> Result:
    """Stream one answer; what is called holds no reference to the connection."""
    picture, prompt, options = question
    try:
        async with client.stream(picture, prompt, **options) as stream:
            async for event in stream:
                heard(turn, event)
                if feed is not None and isinstance(event, DetectionFound):
                    feed.take(event.detection)
    except Exception as error:
        await asyncio.to_thread(failed, turn, error)
        raise
    finally:
        if feed is not None:
            await asyncio.to_thread(feed.close)
    await asyncio.to_thread(answered, turn, stream.result)
    return stream.result


def _leave(opened: tuple[Settings, AsyncClient] | None) -> None:
    # At the end of the process no thread can be started, and connections end by themselves.
    if opened is not None and not sys.is_finalizing():
        Task(opened[1].aclose())


def _client_of(given: Any) -> Client | AsyncClient:
    return given if isinstance(given, Client | AsyncClient) else given.client


def _value_of(source: Any, name: str = "value") -> Any:
    """Return the value of a part or a control; anything that is not a widget is the value itself."""
    if not isinstance(source, traitlets.HasTraits):
        return source
    for trait in (name, "value"):
        if source.has_trait(trait):
            return getattr(source, trait)
    raise TypeError(f"{type(source).__name__} has no trait {name!r} and no trait 'value'.")


def _check_sources(picture: Any, prompt: Any, parameters: Any, single: Mapping[str, Any]) -> None:
    """Refuse what can never give a picture, a prompt or parameters."""
    if picture is None:
        raise TypeError("picture must be a part, a widget or a picture, got None.")
    _value_of(picture, "image")
    found = _value_of(prompt, "prompt")
    is_empty = found is None and found is not prompt  # nothing is chosen there yet
    if not isinstance(found, str) and not is_empty:
        raise TypeError(f"prompt must be a text, or a widget that holds one, got {type(found).__name__}.")
    if not isinstance(parameters, Parameters | Mapping | None):
        raise TypeError(f"parameters must be a Parameters or a dictionary, got {type(parameters).__name__}.")
    for one in single.values():
        _value_of(one)


def connect(
    picture: Any,
    prompt: Any,
    parameters: Parameters | Mapping[str, Any] | None = None,
    *,
    client: Client | AsyncClient | ModelChoice | None = None,
    answer: Answer | None = None,
    viewer: Viewer | None = None,
    history: History | None = None,
    error_card: ErrorCard | None = None,
    **single: Any,
) -> Connection:
    """Connect parts and controls to a model; return the buttons that ask it.

    At Run the values are read. The answer streams into `answer`, and its boxes into `viewer`; when it is
    whole, `viewer` shows it as its `result`, and `history` takes it; its cards ask the same again, unless it
    has an `on_again` of its own. Each of these may be left out.

    A `TaskBar` without a viewer of its own gets this one: a region is drawn there. An answer without a group
    joins that of the viewer: its tokens and the boxes light each other.

    Parameters
    ----------
    picture
        A `Picker`, a `Viewer`, any widget with a trait `image` or `value`, or a picture.
    prompt
        A `TaskBar`, any widget with a trait `prompt` or `value`, or a text.
    parameters
        A `Parameters`, or a dictionary of values by name.
    client
        A `Client`, an `AsyncClient`, or a `ModelChoice`; None takes `Client()`.
    answer, viewer, history, error_card
        The parts that show the answer, and the error.
    **single
        Parameters by name: a control with a trait `value`, such as a slider of ipywidgets, or a value.

    Returns
    -------
    Connection
        The buttons, with `run`, `stop`, `close`, `on_answer` and the traits `running`, `result` and `error`.

    Raises
    ------
    TypeError
        If a part cannot be used in its place.

    Examples
    --------
    >>> import ipywidgets  # doctest: +SKIP
    >>> from nbvlm import widgets  # doctest: +SKIP
    >>> picker, answer = widgets.Picker(), widgets.Answer()  # doctest: +SKIP
    >>> warmth = ipywidgets.FloatSlider(value=0.2, min=0.1, max=1)  # doctest: +SKIP
    >>> asking = widgets.connect(picker, "caption en", temperature=warmth, answer=answer)  # doctest: +SKIP
    >>> ipywidgets.VBox([picker, warmth, asking, answer])  # doctest: +SKIP
    """
    used = Client() if client is None else client
    if not isinstance(getattr(used, "client", used), Client | AsyncClient):
        raise TypeError(f"client must be a client or a ModelChoice, got {type(used).__name__}.")
    _check_sources(picture, prompt, parameters, single)
    for name, part, kind in (
        ("answer", answer, Answer),
        ("viewer", viewer, Viewer),
        ("history", history, History),
        ("error_card", error_card, ErrorCard),
    ):
        if part is not None and not isinstance(part, kind):
            raise TypeError(f"{name} must be of the kind {kind.__name__}, got {type(part).__name__}.")
    viewer = answer.viewer if viewer is None and answer is not None else viewer
    if isinstance(prompt, TaskBar) and prompt.viewer is None:
        prompt.viewer = viewer
    if answer is not None and viewer is not None and not answer.group:
        answer.group = viewer.group
    sources = {"picture": picture, "prompt": prompt, "parameters": parameters, "single": single}
    shown = {"answer": answer, "viewer": viewer, "history": history, "error_card": error_card}
    return Connection(sources, {name: one for name, one in shown.items() if one is not None}, used)
