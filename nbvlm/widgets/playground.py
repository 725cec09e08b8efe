"""The playground: a small panel in a single anywidget, for hosts that run nothing else."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from nbvlm.client import AsyncClient, Client, refuse_unknown
from nbvlm.demo.gallery import GALLERY
from nbvlm.widgets._carrier import Carrier
from nbvlm.widgets._fields import column, label
from nbvlm.widgets._inner import made_inside
from nbvlm.widgets._life import close_all, weakly
from nbvlm.widgets._observers import Observed
from nbvlm.widgets._values import ClientTrait, Typed
from nbvlm.widgets.answer import Answer
from nbvlm.widgets.connect import Connection, connect
from nbvlm.widgets.detection_list import DetectionList
from nbvlm.widgets.esm import script
from nbvlm.widgets.failure import ErrorCard
from nbvlm.widgets.messages import whole
from nbvlm.widgets.offers import Offer
from nbvlm.widgets.parameters import Parameters
from nbvlm.widgets.picture_choice import Picker
from nbvlm.widgets.prompt_bar import TaskBar
from nbvlm.widgets.viewer import Viewer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.client import Event
    from nbvlm.endpoints import Endpoint
    from nbvlm.images import ImageSource, Picture
    from nbvlm.result import Result
    from nbvlm.widgets.messages import Check
    from nbvlm.widgets.offers import Allow

__all__ = ["Playground"]

#: The part that has a trait, and the trait's name there.
_HELD = MappingProxyType(
    {
        "image": ("picker", "image"),
        "route": ("picker", "route"),
        "prompt": ("bar", "prompt"),
        "temperature": ("sliders", "temperature"),
        "top_p": ("sliders", "top_p"),
        "max_tokens": ("sliders", "max_tokens"),
        "parameters": ("sliders", "value"),
        "running": ("asking", "running"),
        "result": ("asking", "result"),
        "error": ("asking", "error"),
    }
)


class _Held(Typed[Any, Any]):
    """A trait of a part inside."""

    def __init__(self, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)

    def get(self, obj: Playground, _cls: Any = None) -> Any:
        part, name = _HELD[self.name]
        return getattr(obj._parts[part], name)  # noqa: SLF001 - a part of Playground, and so below

    def set(self, obj: Playground, value: Any) -> None:
        part, name = _HELD[self.name]
        setattr(obj._parts[part], name, value)  # noqa: SLF001


class _Source:
    """Has the client that a connection asks, in place of a `ModelChoice`."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self.client = client


class Playground(Observed, Carrier):
    """Pick a picture, ask, and watch the answer and its boxes arrive, in a single anywidget.

    For marimo, and for other hosts that run anywidgets but no ipywidgets; it runs in all others as well,
    where `Panel` offers more. Each trait below can be given by name, observed and linked. They follow the
    page, and the page follows them. None of those above `answered` is synced: no picture, answer or key is in
    the saved state.

    Questions run on the package's own loop: the kernel stays free. Observers of `result`, `running` and
    `error` are called on a thread of the package. An observer that fails is logged, and the answer goes on. A
    value out of range or of a wrong type raises an error at once, and nothing changes.

    A playground that was neither displayed nor placed in another widget ends with its last reference in
    Python; any other lives until `close`, as all widgets do.

    Parameters
    ----------
    image
        Anything that `Picture.load` takes; None chooses the first sample.
    prompt
        The question; None takes the sample's own prompt, or a caption.
    client
        A `Client` or an `AsyncClient`; None takes `Client()`: the hosted model if a key is found, else the
        embedded demo model.
    allow
        What the person at the page is offered, of "samples", "upload", "camera", "link" and "path"; None
        takes the default of the host, as `Panel` does.
    paths
        A folder that paths cannot leave; None offers the whole disk where paths are offered.

    Attributes
    ----------
    image : Picture or None
        The chosen picture; takes anything that `Picture.load` takes. Default: the first sample.
        ``playground.image = "photo.jpg"``
    prompt : str
        The text of the prompt field. Default: the sample's own prompt, or "caption en".
        ``playground.prompt = "detect cat"``
    temperature, top_p : float or None
        Sampling parameters within the model's range; None for a model without the parameter. None sets the
        default, for PaliGemma 0.2 and 0.7. ``playground.temperature = 0.9``
    max_tokens : int or None
        The most tokens of an answer, likewise; for PaliGemma 1024. ``playground.max_tokens = 64``
    parameters : dict
        All parameters of the model by name; setting some leaves the others as they are.
        ``playground.parameters = {"temperature": 0.1, "max_tokens": 64}``
    route : str
        How the picture travels: "auto" (the default), "inline" or "asset", as far as the model offers it.
        ``playground.route = "inline"``
    client : Client or AsyncClient
        The client; the playground opens a connection of its own with the same settings. Default: `Client()`.
        ``playground.client = nbvlm.Client("demo")``
    running : bool
        Whether an answer is under way. Default: False. Read-only.
        ``playground.observe(lambda change: print(change.new), "running")``
    result : Result or None
        The last whole answer; None while one comes, after Stop, and after an error. Default: None. Read-only.
        ``playground.observe(lambda change: print(change.new), "result")``
    error : Exception or None
        Why the last question failed. Default: None. Read-only. ``playground.error``
    answered : int
        Counts whole answers. The page reports each number back, and so marimo runs the cells that read the
        playground again. Default: 0. Read-only. ``playground.answered``

    Raises
    ------
    ImageError
        If the picture cannot be read.
    ParameterError
        If a parameter is out of range, or the model does not offer the route.
    TypeError
        If `client` is not a client, or there is no keyword of a name.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> playground = nbvlm.widgets.Playground("photo.jpg", "detect cat", temperature=0.1)  # doctest: +SKIP
    >>> playground.run().text  # doctest: +SKIP
    '<loc0102><loc0240><loc0788><loc0871> cat'
    """

    _esm = script(
        "playground",
        *("colors", "scheme", "fields", "place", "panel", "form", "task_bar", "picker", "series_bar"),
        *("answer", "picture_view", "detections_list", "error_card", "playground"),
    )

    image: Typed[Picture | None, ImageSource | None] = _Held()
    prompt: Typed[str, str] = _Held()
    temperature: Typed[float | None, float | None] = _Held()
    top_p: Typed[float | None, float | None] = _Held()
    max_tokens: Typed[int | None, int | None] = _Held()
    parameters: Typed[dict[str, Any], Mapping[str, Any]] = _Held()
    route: Typed[str, str] = _Held()
    client = ClientTrait()
    running: Typed[bool, Any] = _Held(read_only=True)
    result: Typed[Result | None, Any] = _Held(read_only=True)
    error: Typed[BaseException | None, Any] = _Held(read_only=True)
    answered = traitlets.Int(0, read_only=True).tag(sync=True)
    #: The number of the last answer that a page has shown.
    _seen = traitlets.Int(0).tag(sync=True)

    page_traits: ClassVar[Mapping[str, Check]] = MappingProxyType({"_seen": whole})

    def __init__(
        self,
        image: ImageSource | None = None,
        prompt: str | None = None,
        *,
        client: Client | AsyncClient | None = None,
        allow: Allow = None,
        paths: str | os.PathLike[str] | None = None,
        **traits: Any,
    ) -> None:
        if isinstance(image, Client | AsyncClient):
            raise TypeError("The first argument of a Playground is a picture; give the client as client=….")
        own = [name for name in _HELD if name not in ("running", "result", "error")]
        refuse_unknown(traits, tuple(own))
        used = Client() if client is None else client
        if not isinstance(used, Client | AsyncClient):
            raise TypeError(f"client must be a Client or an AsyncClient, got {type(used).__name__}.")
        self._suggested = ""
        self._source: Any = _Source(used)
        with made_inside():
            root = self._made(Offer.of(allow, paths).names, paths)
        super().__init__(root)
        self._follow()
        try:
            self.client = used
            if image is None:
                self._parts["picker"].choose(0)
            else:
                self.image = image
                if not self.prompt:  # it is not a sample, which brings its own
                    self._suggest("caption en")
            if prompt is not None:
                self.prompt = prompt
            for name, value in traits.items():
                setattr(self, name, value)
        except BaseException:
            self.close()
            raise

    def _made(self, allow: Sequence[str], paths: Any) -> Any:
        """Make the parts, and place them as the panel does."""
        viewer = Viewer(editable=False, bare=True)
        answer, rows = Answer(viewer=viewer, bare=True), DetectionList(viewer, bare=True)
        picker, bar = Picker(allow=allow, paths=paths, bare=True), TaskBar(viewer=viewer, bare=True)
        sliders, card = Parameters(bare=True), ErrorCard(bare=True)
        asking = connect(picker, bar, sliders, client=self._source, answer=answer, error_card=card)
        asking.layout.display = asking.layout.flex_flow = None  # the style sheet of the panel lays them out
        self._parts = {"picker": picker, "bar": bar, "sliders": sliders, "asking": asking}
        self._parts |= {"card": card, "viewer": viewer, "answer": answer}
        self._name, self._badge = label("", "nbvlm-model-name"), label("", "nbvlm-badge")
        head = column([self._name, self._badge], "nbvlm-header")
        left = column([picker, bar, asking.add_class("nbvlm-actions"), sliders], "nbvlm-controls")
        stage = column([viewer, column([answer, rows], "nbvlm-below")], "nbvlm-stage")
        body = column([left, column([card, stage], "nbvlm-answers")], "nbvlm-body")
        return column([head, body], "nbvlm-panel")

    def _follow(self) -> None:
        """Let the parts follow each other, and the traits the parts."""
        parts = self._parts
        parts["picker"].observe(weakly(self._picked), "value")  # set last, once the sample is known
        parts["asking"].on_answer(weakly(self._count))
        parts["card"].actions = {
            "again": weakly(self._again),
            "reset": weakly(parts["sliders"].reset),
            "shrink": weakly(self._inline),
            "model:demo": weakly(self._ask_demo),
        }
        for part, name in _HELD.values():
            parts[part].observe(weakly(self._pass_change), name)

    def _pass_change(self, change: Any) -> None:
        owner, name = change["owner"], change["name"]
        for own, (part, other) in _HELD.items():
            if other == name and self._parts[part] is owner:
                self.notify_change({**change, "owner": self, "name": own})

    # The parts

    def _picked(self, change: Any) -> None:
        picker, bar = self._parts["picker"], self._parts["bar"]
        self.stop()
        self._parts["viewer"].show(change["new"])  # the bar follows it
        self._parts["answer"].clear()
        sample = next((one for one in GALLERY if picker.sample == one.prompt), None)
        bar.things = list(sample.kinds) if sample is not None else []
        if sample is not None and bar.prompt.strip() in ("", self._suggested):
            self._suggest(sample.prompt)

    def _suggest(self, prompt: str) -> None:
        """Write a prompt that the next sample may replace."""
        self._suggested = self.prompt = prompt

    @traitlets.observe("client")  # type: ignore[untyped-decorator]
    def _client_changed(self, change: Any) -> None:
        self.stop()
        self._source.client = change["new"]
        endpoint = self.endpoint
        for name in ("picker", "bar", "sliders"):
            self._parts[name].endpoint = endpoint
        self._name.value = endpoint.model
        self._badge.value = "Demo model" if endpoint.name == "demo" else ""

    @property
    def endpoint(self) -> Endpoint:
        """The model that answers."""
        found: Endpoint = self._source.client.settings.endpoint
        return found

    # Questions

    def run(self, *, wait: bool = True) -> Result | None:
        """Ask with the values of the fields as they are now.

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
        return self._connection.run(wait=wait)

    def stop(self) -> None:
        """End the answer under way, if any; its pieces stay on the screen."""
        self._connection.stop()

    def on_answer(self, callback: Callable[[Result], Any], remove: bool = False) -> None:
        """Call a function with each whole answer, on a thread of the package; `remove` ends that."""
        self._connection.on_answer(callback, remove)

    def on_event(self, callback: Callable[[Event], Any], remove: bool = False) -> None:
        """Call a function with each event of an answer as it streams; it must not block."""
        self._connection.on_event(callback, remove)

    @property
    def _connection(self) -> Connection:
        found: Connection = self._parts["asking"]
        return found

    def _count(self, result: Result) -> None:
        self._parts["bar"].remember(result.prompt)
        self.set_trait("answered", self.answered + 1)

    def _again(self) -> None:
        self._connection.press()

    def _inline(self) -> None:
        self.route = "inline"
        self._connection.press()

    def _ask_demo(self) -> None:
        self.client = Client("demo")
        self._connection.press()

    def close(self) -> None:
        """Stop, close the connections, and take the playground off the page; again, nothing happens."""
        if "_root" in self.__dict__:
            close_all(self._root)
        super().close()

    def _summary(self) -> str:
        return str(self.endpoint.model)
