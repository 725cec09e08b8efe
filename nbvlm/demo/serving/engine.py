"""The model and the jobs that ask it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvlm.demo.serving.jobs import Job, Jobs, Model

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Engine"]


@dataclass(frozen=True, slots=True)
class _End:
    text: str = ""
    finish_reason: str | None = "stop"


class Engine:
    """Starts jobs on a model that is loaded with the first of them.

    Parameters
    ----------
    model
        What answers; by default the embedded model.
    at_once
        Jobs computed at the same time.
    """

    def __init__(self, model: Model | None, at_once: int) -> None:
        self._model = model
        self._loading = threading.Lock()
        self.jobs = Jobs(at_once)

    @property
    def model(self) -> Model:
        """The model, loaded on first use."""
        with self._loading:
            if self._model is None:
                from nbvlm.demo import model

                self._model = model.load()
            return self._model

    def start(
        self, picture: Image.Image | None, prompt: str, parameters: dict[str, Any], *, stream: bool, id_: str
    ) -> Job:
        """Start to answer; without a picture there is nothing to say, and the answer is empty."""
        if picture is None:
            job = Job(lambda: iter((_End(),)), id_=id_, stream=stream)
        else:
            model = self.model
            tokens = model.count(prompt)
            job = Job(
                lambda: model.stream(picture, prompt, **parameters),
                id_=id_,
                stream=stream,
                prompt_tokens=tokens,
            )
        self.jobs.start(job)
        return job
