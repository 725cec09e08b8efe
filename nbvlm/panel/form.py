"""Prompt and parameters as the fields hold them: written by the kernel, and by pages that may lag behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbvlm.widgets import things_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from nbvlm.demo.gallery import GalleryScene
    from nbvlm.images import Picture
    from nbvlm.widgets import Controls, Header

__all__ = ["Fields"]


class Fields:
    """Prompt and parameters of one panel.

    Parameters
    ----------
    controls
        The widgets that hold them.
    header
        Tells each page which `edition` of the prompt and which `tuning` of the parameters is the newest.
    lock
        Held while they change; one that a thread may take again.
    """

    def __init__(self, controls: Controls, header: Header, lock: AbstractContextManager[Any]) -> None:
        self._controls, self._header, self._lock = controls, header, lock
        self._written = ""

    def suggest(self, scene: GalleryScene | None, picture: Picture | None) -> None:
        """Suggest what a sample is good for, and write its prompt unless somebody wrote one of their own."""
        task = self._controls.task
        task.things = [] if scene is None else list(things_of(scene))
        task.size = [] if picture is None else [picture.width, picture.height]
        if scene is not None and self._controls.prompt.value.strip() in ("", self._written):
            self.suggest_prompt(scene.prompt)

    def suggest_prompt(self, prompt: str) -> None:
        """Write a prompt that the next sample may replace."""
        self._written = prompt
        self.fill(prompt)

    def fill(self, prompt: str | None = None, parameters: Mapping[str, Any] | None = None) -> None:
        """Write into the fields; what a page says that has not seen it does not undo it."""
        with self._lock:
            self._controls.take(prompt, parameters)
            self._header.edition += prompt is not None
            self._header.tuning += parameters is not None

    def take(self, said: Mapping[str, Any]) -> None:
        """Take what a page says its fields hold, as far as it had seen what the kernel wrote into them.

        Parameters
        ----------
        said
            `prompt` and its `edition`, `parameters` and their `tuning`.
        """
        with self._lock:
            if said.get("edition") == self._header.edition:
                self._controls.take(prompt=said.get("prompt"))
            if said.get("tuning", 0) == self._header.tuning:
                self._controls.take(parameters=said.get("parameters"))

    def reset(self) -> None:
        """Bring all sliders back to the model's defaults."""
        with self._lock:
            self._controls.reset()
            self._header.tuning += 1
