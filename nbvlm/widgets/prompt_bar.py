"""The task bar with its prompt, as a part of its own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm import endpoints, prompts
from nbvlm.widgets._fields import prompt_field
from nbvlm.widgets._life import weakly
from nbvlm.widgets._part import PartBox
from nbvlm.widgets._values import EndpointTrait
from nbvlm.widgets.esm import script
from nbvlm.widgets.task_bar import TaskFields
from nbvlm.widgets.viewer import PictureTrait, Viewer

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["TaskBar"]


class _OwnPage(TaskFields):
    _esm = script("task_bar", "colors", "scheme", "theme", "place", "form", "task_bar", "own")


class TaskBar(PartBox):
    """Choose a task, fill in its fields, and see the prompt that they write; or write the prompt.

    Each trait below can be given by name, observed and linked.

    Parameters
    ----------
    prompt
        The text of the prompt field.

    Attributes
    ----------
    prompt : str
        The prompt; both ways. Default: "". ``bar.prompt = "detect cat ; dog"``
    endpoint : Endpoint
        The model, which decides the languages that are offered; takes its name. Default: the embedded model.
        ``bar.endpoint = "nvidia"``
    image : Picture or None
        The picture that is asked about, for the task "Caption a region". Default: None.
        ``traitlets.dlink((picker, "image"), (bar, "image"))``
    things : list of str
        Names that the fields offer. Default: those of the prompt. ``bar.things = ["cat", "dog"]``
    drawing : bool
        Whether a region is to be drawn on the picture: in `viewer`, or where you ask for it; then
        `take_region` ends it. Default: False. ``bar.observe(lambda change: print(change.new), "drawing")``
    viewer : Viewer or None
        Where a region is drawn; the bar follows its picture. Default: None. ``bar.viewer = viewer``

    Raises
    ------
    traitlets.TraitError
        For a value of another kind.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> nbvlm.widgets.TaskBar("detect cat ; dog")  # doctest: +SKIP
    """

    prompt = traitlets.Unicode("")
    endpoint = EndpointTrait()
    image = PictureTrait(default_value=None, allow_none=True)
    things = traitlets.List(traitlets.Unicode(), default_value=[])
    drawing = traitlets.Bool(False)
    viewer = traitlets.Instance(Viewer, allow_none=True)

    def __init__(self, prompt: str = "", *, bare: bool = False, **traits: Any) -> None:
        self._take_region, self._show_picture = weakly(self.take_region), weakly(self._follow_picture)
        self._field = prompt_field()
        page = TaskFields if bare else _OwnPage
        self._page = page(endpoints.get("demo"), on_region=weakly(self._wish_region))
        self._field.observe(weakly(self._typed), "value")
        super().__init__([self._page, self._field], bare=bare, **traits)
        self.prompt = prompt or self.prompt

    def _wish_region(self, on: bool) -> None:
        if on and self.drawing:  # a second wish asks again: the focus goes to the picture
            if self.viewer is not None:
                self.viewer.mode = "select"
            self.drawing = False
        self.drawing = on

    def _follow_picture(self, change: Any) -> None:
        self.image = change["new"]

    def _typed(self, change: Any) -> None:
        self.prompt = change["new"]

    def take_region(self, box: Sequence[float] | None) -> None:
        """Take a region that was drawn, in pixels of the picture, and write it into the prompt."""
        self._page.region(box)  # first, for a wrong one ends nothing
        self.drawing = False

    @traitlets.observe("viewer")  # type: ignore[untyped-decorator]
    def _viewer_changed(self, change: Any) -> None:
        self._leave(change["old"])
        self.drawing = False
        if (viewer := change["new"]) is not None:
            viewer.on_region(self._take_region)
            viewer.observe(self._show_picture, "image")
            self.image = viewer.image if viewer.image is not None else self.image

    def _leave(self, viewer: Any) -> None:
        if isinstance(viewer, Viewer):
            if self.drawing and viewer.mode == "region":
                viewer.take_region(None)
            viewer.on_region(self._take_region, remove=True)
            with contextlib.suppress(ValueError):  # a closed viewer has no observers
                viewer.unobserve(self._show_picture, "image")

    @traitlets.observe("drawing")  # type: ignore[untyped-decorator]
    def _drawing_changed(self, change: Any) -> None:
        if self.viewer is None:
            return
        if change["new"]:
            self.viewer.mode = "region"
        elif self.viewer.mode == "region":
            self.viewer.take_region(None)  # the drawing is given up

    def close(self) -> None:
        """Follow the viewer no more, take the part off the page, and end it; again, nothing happens."""
        self._leave(self.viewer)
        super().close()

    def remember(self, prompt: str | None = None) -> None:
        """Keep a prompt for the arrow keys of the field; None takes the current one."""
        self._page.remember(self.prompt if prompt is None else prompt)

    @traitlets.observe("prompt")  # type: ignore[untyped-decorator]
    def _prompt_changed(self, change: Any) -> None:
        if self._field.value != change["new"]:
            self._field.value = change["new"]
        self._page.look()
        if not self.things:
            self._page.things = list(prompts.things(change["new"]))

    @traitlets.observe("endpoint")  # type: ignore[untyped-decorator]
    def _endpoint_changed(self, change: Any) -> None:
        self._page.serve(change["new"])

    @traitlets.observe("image")  # type: ignore[untyped-decorator]
    def _image_changed(self, change: Any) -> None:
        picture = change["new"]
        self._page.size = [] if picture is None else [picture.width, picture.height]
        self.drawing = False

    @traitlets.observe("things")  # type: ignore[untyped-decorator]
    def _things_changed(self, change: Any) -> None:
        self._page.things = list(change["new"])
