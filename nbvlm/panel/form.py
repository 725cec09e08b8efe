"""Prompt and parameters as the fields hold them: written by the kernel, and by pages that may lag behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from nbvlm.demo.gallery import GalleryPhoto, GalleryScene
    from nbvlm.endpoints import Endpoint
    from nbvlm.images import Picture
    from nbvlm.widgets import Parameters, TaskBar, Toolbar

__all__ = ["Form", "Inputs"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The values that a press on Run takes: picture, prompt, parameters by name, and the picture's route."""

    picture: Picture
    prompt: str
    parameters: Mapping[str, Any]
    route: Any


class Form:
    """Prompt and parameters of one panel.

    The toolbar shows each page which `edition` of the prompt and which `tuning` of the parameters is the
    newest. The lock, which a thread may take again, is held while they change.
    """

    def __init__(
        self, task_bar: TaskBar, parameters: Parameters, toolbar: Toolbar, lock: AbstractContextManager[Any]
    ) -> None:
        self._task_bar, self._parameters, self._toolbar, self._lock = task_bar, parameters, toolbar, lock
        self._suggested = ""

    def suggest(self, scene: GalleryScene | GalleryPhoto | None, picture: Picture | None) -> None:
        """Fit the task bar to a picture, and write a sample's prompt unless a person wrote another one."""
        self._task_bar.things = [] if scene is None else list(scene.kinds)
        self._task_bar.image = picture
        if scene is not None and self._task_bar.prompt.strip() in ("", self._suggested):
            self.suggest_prompt(scene.prompt)

    def suggest_prompt(self, prompt: str) -> None:
        """Write a prompt that the next sample may replace."""
        self._suggested = prompt
        self.fill(prompt)

    def fill(self, prompt: str | None = None, parameters: Mapping[str, Any] | None = None) -> None:
        """Write into the fields; a page that has not seen it yet does not undo it."""
        with self._lock:
            if prompt is not None:
                self._task_bar.prompt = prompt
            self._parameters.take(parameters or {})
            self._toolbar.edition += prompt is not None
            self._toolbar.tuning += parameters is not None

    def put(self, parameters: Mapping[str, float]) -> None:
        """Write checked values of some parameters."""
        with self._lock:
            self._parameters.value = parameters
            self._toolbar.tuning += 1

    def take(self, fields: Mapping[str, Any]) -> None:
        """Take the values of a page's fields, unless the kernel has written newer ones."""
        with self._lock:
            prompt = fields.get("prompt")
            if prompt is not None and fields.get("edition") == self._toolbar.edition:
                self._task_bar.prompt = prompt
            if fields.get("tuning", 0) == self._toolbar.tuning:
                given = (fields.get("parameters") or {}).items()
                fits = self._parameters.takes
                self._parameters.take({name: value for name, value in given if fits(name, value)})

    def reset(self) -> None:
        """Set all sliders to the model's defaults."""
        with self._lock:
            self._parameters.reset()
            self._toolbar.tuning += 1

    def serve(self, endpoint: Endpoint) -> None:
        """Fit sliders and tasks to an endpoint."""
        with self._lock:
            self._parameters.endpoint = self._task_bar.endpoint = endpoint
            self._toolbar.tuning += 1
