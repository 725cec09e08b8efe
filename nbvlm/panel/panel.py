"""The panel: the widget that people make, its traits and its methods."""

from __future__ import annotations

import concurrent.futures
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Never, TypeVar

import IPython
import ipywidgets
import traitlets

from nbvlm import endpoints
from nbvlm._text import encodable
from nbvlm.client import AsyncClient, Client, check_pace, check_parameters
from nbvlm.endpoints import Endpoint
from nbvlm.images import Picture
from nbvlm.panel.controller import STATE, PanelController
from nbvlm.panel.notifications import Notifications
from nbvlm.widgets import LocalLife, Offer, PageState, Typed, one_layout, refuse_keywords, weakly

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    import pandas as pd

    from nbvlm._background import Task
    from nbvlm.client import Event
    from nbvlm.images import ImageSource
    from nbvlm.panel.sweep import Sweep
    from nbvlm.result import Result
    from nbvlm.widgets import Allow

__all__ = ["Panel"]

_KEYWORDS = (
    *("image", "prompt", "client", "temperature", "top_p", "max_tokens"),
    *("route", "allow", "paths", "layout"),
)

T = TypeVar("T")
Held = TypeVar("Held")
Given = TypeVar("Given")


class _Trait(Typed[Held, Given]):
    """A trait whose value the controller holds, so that Python and all pages have the same.

    `write` takes the controller and a value, checks it, and changes the controller; without it the trait is
    read-only.
    """

    def __init__(self, write: Callable[[PanelController, Any], Any] | None = None) -> None:
        super().__init__(read_only=write is None)
        self._write = write

    def get(self, obj: Panel, _cls: Any = None) -> Any:
        return STATE[self.name](obj._controller)  # noqa: SLF001 - a part of Panel, and so below

    def set(self, obj: Panel, value: Any) -> None:
        if self._write is not None:
            with obj._notifications.at_once():  # noqa: SLF001
                self._write(obj._controller, value)  # noqa: SLF001


class Panel(LocalLife, PageState, ipywidgets.VBox):  # type: ignore[misc] # the base class has no types
    """Pick a picture, ask, and watch the answer and its boxes arrive.

    A panel is a widget: the last line of a cell shows it, and boxes, tabs and grids of ipywidgets take it as
    a child. The kernel stays free while an answer streams.

    All arguments after the prompt are given by name, among them `route` and traits of `ipywidgets.VBox`, such
    as `layout`. The traits below can be read, observed and linked, and all but the last four can be set.
    They follow the page, and the page follows them. None of them is synced: no picture, answer or key is in
    the saved state.

    A value that `Client.ask` refuses raises the same error here, at once: `ImageError` or `ParameterError`. A
    value of another wrong type, and setting one of the last four, raises `traitlets.TraitError`.

    Observers are called at once for changes that Python made. Changes of the page, and of an answer as it
    comes, are reported on a thread of the package, in their order: an observer may call `run` and wait. An
    observer that fails is logged.

    A panel that was neither displayed nor placed in another widget ends with its last reference in Python;
    any other lives until `close`, as all widgets do. A closed panel keeps `result` and `history`.

    Parameters
    ----------
    image
        Anything that `Picture.load` takes; None chooses the first sample.
    prompt
        The question; None takes the sample's own prompt, or a caption.
    client
        A `Client` or an `AsyncClient`; the panel opens a connection of its own with the same settings. None
        takes `Client()`: the hosted model if a key is found, else the embedded demo model.
    temperature, top_p, max_tokens
        Sampling parameters; None takes the model's defaults.
    allow
        What the person at the page is offered: names among "samples", "upload", "camera", "link", "path",
        "models", "server" (another server by its address), "key", "sweep" and "exports", and nothing else;
        or a dictionary of such names that changes the default: ``{"sweep": False, "models": ["demo"]}``;
        or "all". None takes the default: everything, and where visitors see the panel (Voila, Solara, HoloViz
        Panel, Shiny) no paths, no key field, no other servers, and of the models only the panel's own and
        the embedded ones. The page hides the rest, and the kernel refuses it.
    paths
        A folder: paths are offered, begin there, and cannot leave it, not by a link either. None offers the
        whole disk where paths are offered.

    Attributes
    ----------
    image : Picture or None
        The chosen picture; takes anything that `Picture.load` takes. Default: the first sample.
        ``panel.image = "photo.jpg"``
    prompt : str
        The text of the prompt field. Default: the sample's own prompt, or "caption en".
        ``panel.prompt = "detect cat"``
    temperature, top_p : float or None
        Sampling parameters within the model's range; None for a model without the parameter. None sets the
        default, for PaliGemma 0.2 and 0.7. ``traitlets.link((panel, "temperature"), (other, "temperature"))``
    max_tokens : int or None
        The most tokens of an answer, likewise; for PaliGemma 1024. ``panel.max_tokens = 64``
    parameters : dict
        All parameters of the model by name; setting some leaves the others as they are.
        ``panel.parameters = {"temperature": 0.1, "max_tokens": 64}``
    route : str
        How the picture travels: "auto" (the default), "inline" or "asset", as far as the model offers it.
        ``panel.route = "inline"``
    pace : float or None
        The most tokens a second of the embedded model, so that its answers stream as from a service and can
        be stopped; None does not slow it down. Default: that of the client, else 30, or the value of the
        environment variable `NBVLM_PANEL_PACE`, a number or "off". ``panel.pace = None``
    client : Client or AsyncClient
        The client that the panel was given, or one for the model that was chosen since. Default: `Client()`.
        ``panel.client = nbvlm.Client("demo")``
    endpoint : Endpoint
        The model that answers; takes an `Endpoint` or its name. Default: that of the client.
        ``panel.endpoint = "google/gemma-4-31b-it"``
    allow : tuple of str
        The names of what the panel offers. A list offers exactly its names, "all" everything, a dictionary
        changes what it names, and None nothing. Only what is named is opened: a list leaves the folder and
        the models to which paths and models are limited, and messages stay without folders after `lock`.
        Default: everything in a notebook. ``panel.allow = ["samples", "upload"]``
    hidden_for_class : bool
        Whether paths, the key field and folders are hidden; see `hide_for_class`. Default: False.
        ``panel.hidden_for_class = True``
    running : bool
        Whether an answer is under way. Default: False. Read-only.
        ``panel.observe(lambda change: print(change.new), "running")``
    result : Result or None
        The answer on the screen, whole. None (the default) where the screen shows no whole answer: before the
        first one, while one comes, after Stop, after an error, and when another picture was chosen since.
        Read-only. ``panel.observe(lambda change: print(change.new), "result")``
    history : list of Result
        The answers of the history strip, the oldest first, without those that were deleted there. The last
        200 are kept, with 256 MiB of pictures at most; pinned ones go last. Default: empty. Read-only.
        ``[result.text for result in panel.history]``
    table : pandas.DataFrame or None
        The answers about all pictures of a folder, or of several dropped files, after *Ask about all*; its
        columns are those of `nbvlm.batch`. Default: None. Read-only. ``panel.table``

    Raises
    ------
    ImageError
        If the picture cannot be read.
    ParameterError
        If a parameter is out of range.
    TypeError
        If `client` is not a client.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> panel = nbvlm.Panel("photo.jpg", "detect cat", temperature=0.1)  # doctest: +SKIP
    >>> panel.run().text  # doctest: +SKIP
    '<loc0102><loc0240><loc0788><loc0871> cat'
    """

    image: _Trait[Picture | None, ImageSource | None] = _Trait(
        lambda controller, value: controller.choose(_picture(value))
    )
    prompt: _Trait[str, str] = _Trait(lambda controller, value: controller.form.fill(_text("prompt", value)))
    temperature: _Trait[float | None, float | None] = _Trait(
        lambda controller, value: controller.put({"temperature": value})
    )
    top_p: _Trait[float | None, float | None] = _Trait(
        lambda controller, value: controller.put({"top_p": value})
    )
    max_tokens: _Trait[int | None, int | None] = _Trait(
        lambda controller, value: controller.put({"max_tokens": value})
    )
    parameters: _Trait[dict[str, float | int], Mapping[str, float | int | None]] = _Trait(
        lambda controller, value: controller.put(_names(value))
    )
    pace: _Trait[float | None, float | None] = _Trait(
        lambda controller, value: controller.put_pace(check_pace(value))
    )
    route: _Trait[str, str] = _Trait(lambda controller, value: controller.picker.take_route(value))
    client: _Trait[Client | AsyncClient, Client | AsyncClient] = _Trait(
        lambda controller, value: controller.use(_client(value, traitlets.TraitError))
    )
    endpoint: _Trait[Endpoint, Endpoint | str] = _Trait(
        lambda controller, value: controller.ask_endpoint(_endpoint(value))
    )
    allow: _Trait[tuple[str, ...], Allow] = _Trait(
        lambda controller, value: controller.take_offer(_offer(controller, value))
    )
    hidden_for_class: _Trait[bool, bool] = _Trait(lambda controller, value: controller.hide(_flag(value)))
    running: _Trait[bool, Never] = _Trait()
    result: _Trait[Result | None, Never] = _Trait()
    history: _Trait[list[Result], Never] = _Trait()
    table: _Trait[pd.DataFrame | None, Never] = _Trait()

    def __init__(
        self,
        image: ImageSource | None = None,
        prompt: str | None = None,
        *,
        client: Client | AsyncClient | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        route: str = "auto",
        allow: Allow = None,
        paths: str | os.PathLike[str] | None = None,
        **traits: Any,
    ) -> None:
        if isinstance(image, Client | AsyncClient):
            raise TypeError("The first argument of a Panel is a picture; give the client as client=….")
        offer = Offer.of(allow, paths)
        client = _client(Client() if client is None else client, TypeError)
        refuse_keywords(type(self), traits, _KEYWORDS)
        picture = None if image is None else Picture.load(image)
        given = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        given = {name: value for name, value in given.items() if value is not None}
        check_parameters(client.endpoint, given)
        self._notifications = Notifications()
        self._on_answer, self._on_event = ipywidgets.CallbackDispatcher(), ipywidgets.CallbackDispatcher()
        # The controller holds its widgets, and they their controller: the panel stays outside of this circle.
        with one_layout():
            self._controller = PanelController(
                client,
                on_change=weakly(self._notify),
                on_answer=weakly(self._answered),
                on_event=weakly(self._heard),
                name=_weak_name(self),
                offer=offer,
            )
        super().__init__(self._controller.widgets, **traits)
        self.add_class("nbvlm-panel")
        self._leave_to_python()
        with self._notifications.at_once():
            self._begin(picture, prompt, given, route)

    def _begin(
        self, picture: Picture | None, prompt: str | None, parameters: Mapping[str, Any], route: str
    ) -> None:
        try:
            if picture is None:
                self._controller.picker.choose(0)
            else:
                self._controller.show(picture)
                if not self.prompt:  # it is not a sample, which brings its own
                    self._controller.form.suggest_prompt("caption en")
            if prompt is not None:
                self.prompt = prompt
            if parameters:
                self.parameters = parameters
            if route != "auto":
                self.route = route
        except BaseException:
            self.close()
            raise

    # The life of a panel

    def close(self) -> None:
        """Stop all work, close the connections and take the panel off the page; again, nothing happens."""
        if "_controller" in self.__dict__:
            self._controller.close()
        super().close()
        self.__dict__.pop("_repr_mimebundle_", None)  # ipywidgets hides the method of a closed widget

    @property
    def widget(self) -> Panel:
        """The panel itself."""
        return self

    # Questions

    @property
    def sweep(self) -> Sweep | None:
        """The sweep on the screen, as far as it has come; None before the first.

        A frozen value that iterates over its cells: `prompt`, `temperature`, `repeat`, and `result` or
        `error` once there is one. `to_dataframe()` makes a table of it.
        """
        return self._controller.sweeps.sweep

    def run(self, *, wait: bool = True) -> Result | None:
        """Ask with the values of the fields, as the Run button does.

        Parameters
        ----------
        wait
            True waits for the answer, which streams into the panel meanwhile, and for the observers and
            callbacks that take it; interrupting the kernel stops it. False returns None at once, as the
            button does.

        Returns
        -------
        Result or None
            The answer; None if it was stopped, or not waited for.

        Raises
        ------
        nbvlm.Error
            If the question fails; the panel shows the error too.
        """
        with self._notifications.at_once():
            task = self._controller.start()
        return self._wait(task, lambda: None) if wait else None

    def run_sweep(
        self,
        prompts: Iterable[str] | str,
        temperatures: Iterable[float] | float | None = None,
        repeats: int = 1,
        *,
        wait: bool = True,
    ) -> Sweep | None:
        """Ask about the chosen picture with every prompt at every temperature, several times.

        The grid of the panel fills meanwhile, at the endpoint's own pace; errors are shown in their cells.

        Parameters
        ----------
        prompts
            One or more.
        temperatures
            One or more; None takes that of the slider.
        repeats
            How often the same is asked.
        wait
            True waits for the end; interrupting the kernel stops the sweep. False returns None at once.

        Returns
        -------
        Sweep or None
            The sweep as far as it came; None if it was not waited for.

        Raises
        ------
        nbvlm.Error
            If the sweep cannot begin: no picture, no prompt, a temperature out of range, another sweep.

        Examples
        --------
        >>> panel.run_sweep(["caption en", "caption de"], [0.2, 1.0]).to_dataframe()  # doctest: +SKIP
        """
        task = self._controller.sweeps.start(prompts, temperatures, repeats)
        return self._wait(task, lambda: self.sweep) if wait else None

    def _wait(self, task: Task[T], stopped: Callable[[], T | None]) -> T | None:
        try:
            return task.wait()
        except concurrent.futures.CancelledError:
            return stopped()
        except KeyboardInterrupt:
            self.stop()
            raise
        finally:
            self._notifications.flush()

    def stop(self) -> None:
        """Stop the answer under way, questions about all pictures, and a sweep; what came stays.

        `result` is None after that; `sweep` holds the cells that were done.
        """
        with self._notifications.at_once():
            self._controller.stop()
            self._controller.series.stop()
            self._controller.sweeps.stop()

    # What is offered

    def lock(self, allow: Allow = None, *, paths: str | os.PathLike[str] | None = None) -> None:
        """Offer the person at the page less, or other things, from now on.

        Parameters
        ----------
        allow
            As the argument of `Panel`; None takes what a panel offers where visitors see it, and hides
            folders in messages.
        paths
            As the argument of `Panel`.

        Raises
        ------
        nbvlm.Error
            If a name is not known, or `paths` is not a folder.

        Examples
        --------
        >>> panel.lock()  # doctest: +SKIP
        >>> panel.lock(["samples", "upload"], paths="lesson/pictures")  # doctest: +SKIP
        """
        public = True if allow is None else None
        with self._notifications.at_once():
            hidden = self._controller.offer.hidden
            self._controller.take_offer(Offer.of(allow, paths, public=public).hide(hidden))

    def hide_for_class(self, hidden: bool = True) -> None:
        """Hide what a class should not see, as the button of the panel does, or show it again.

        Paths, their completions, the key field and where the key comes from are hidden and refused, and
        messages name no folders. The button shows the state, and so does `hidden_for_class`.
        """
        self.hidden_for_class = hidden

    # Callbacks

    def on_answer(self, callback: Callable[[Result], Any], remove: bool = False) -> None:
        """Call a function with each whole answer, wherever its question came from.

        Parameters
        ----------
        callback
            Called with the `Result`, as observers are; an error in it is logged.
        remove
            True forgets the function.

        Examples
        --------
        >>> panel.on_answer(lambda result: print(result.text))  # doctest: +SKIP
        """
        self._on_answer.register_callback(_callable(callback), remove=remove)

    def on_event(self, callback: Callable[[Event], Any], remove: bool = False) -> None:
        """Call a function with each event of an answer as it streams.

        Parameters
        ----------
        callback
            Called with a `TextDelta`, a `DetectionFound` or a `Status`, as observers are; an error in it is
            logged, and the answer goes on.
        remove
            True forgets the function.

        Examples
        --------
        >>> panel.on_event(lambda event: print(event))  # doctest: +SKIP
        """
        self._on_event.register_callback(_callable(callback), remove=remove)

    def _notify(self, changes: Mapping[str, tuple[Any, Any]]) -> None:
        for name, (old, new) in changes.items():
            change = traitlets.Bunch(name=name, old=old, new=new, owner=self, type="change")
            self._notifications.add(self.notify_change, change)

    def _answered(self, result: Result) -> None:
        self._tell(self._on_answer, result)

    def _heard(self, event: Event) -> None:
        self._tell(self._on_event, event)

    def _tell(self, dispatcher: Any, value: Any) -> None:
        for callback in dispatcher.callbacks:
            self._notifications.add(callback, value)

    # The shown form

    def __repr__(self) -> str:
        if self.comm is None:
            return "<nbvlm.Panel: closed>"
        picture = self.image
        shown = "no picture" if picture is None else picture.name or f"{picture.width}×{picture.height}"
        return encodable(f"<nbvlm.Panel: {shown}, {len(self._controller.answers.history.store)} answers>")

    def _ipython_display_(self) -> None:
        # The panel is a plain box; the metadata that Colab needs come from an anywidget inside it.
        toolbar = self._controller.toolbar
        _, metadata = toolbar._repr_mimebundle_() if self.comm is not None else ({}, {})
        self._controller.answers.static_output.show(self._repr_mimebundle_(), repr(self), metadata)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        if self.comm is None:
            return {"text/plain": repr(self)}
        self._leave_to_pages()
        return {**super()._repr_mimebundle_(**kwargs), "text/plain": repr(self)}


def _weak_name(panel: Panel) -> Callable[[], str]:
    """Return what names a panel for code in the notebook, and keeps no panel alive."""
    held = weakref.ref(panel)

    def name() -> str:
        shell, there = IPython.get_ipython(), held()
        if shell is None or there is None:
            return "panel"
        names = shell.user_ns
        known = [one for one, value in names.items() if value is there and not one.startswith("_")]
        if known:
            return str(known[0])
        free = (one for one in ("panel", *(f"panel_{number}" for number in range(2, 100))))
        found = next(one for one in free if one not in names)
        names[found] = there
        return found

    return name


def _picture(value: Any) -> Picture | None:
    return None if value is None else Picture.load(value)


def _offer(controller: PanelController, allow: Any) -> Offer:
    try:
        return controller.offer.changed(allow)
    except TypeError as error:
        raise traitlets.TraitError(str(error)) from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise traitlets.TraitError(f"hidden_for_class must be True or False, got {value!r}.")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise traitlets.TraitError(f"{name} must be a text, got {value!r}.")
    return value


def _names(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise traitlets.TraitError(f"parameters must be a dictionary of names and values, got {value!r}.")
    return value


def _endpoint(value: Any) -> Endpoint:
    if isinstance(value, str):
        return endpoints.get(value)
    if not isinstance(value, Endpoint):
        raise traitlets.TraitError(f"endpoint must be an Endpoint or the name of one, got {value!r}.")
    return value


def _callable(callback: Any) -> Any:
    if not callable(callback):
        raise TypeError(f"The callback must be a function, got {type(callback).__name__}.")
    return callback


def _client(given: Any, error: type[Exception]) -> Client | AsyncClient:
    if not isinstance(given, Client | AsyncClient):
        kind = type(given).__name__
        raise error(f'client must be a Client or an AsyncClient, such as nbvlm.Client("demo"), not {kind}.')
    return given
