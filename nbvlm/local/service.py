"""A local model behind the service's protocol, in this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from nbvlm._background import start_thread
from nbvlm.demo import DemoTransport, Service
from nbvlm.errors import Error
from nbvlm.local import loading
from nbvlm.local.generation import AT_ONCE, Freed
from nbvlm.local.progress import Progress, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image

    from nbvlm.local.generation import Generation, Token
    from nbvlm.local.options import LocalOptions

__all__ = ["LocalModel", "LocalTransport"]

STEP_S = 0.25


class LocalModel:
    """A model for `nbvlm.demo.Service`; loaded with the first question, or by `load`.

    Parameters
    ----------
    options
        Which model.
    token
        Returns a token of Hugging Face, or None; called when files are asked for.

    Attributes
    ----------
    longest_side
        None: the processor of the model resizes pictures itself.
    """

    longest_side = None

    def __init__(self, options: LocalOptions, token: Callable[[], str | None] = lambda: None) -> None:
        self.options, self._token = options, token

    def __repr__(self) -> str:
        return f"LocalModel({self.options.name!r})"

    def load(self, progress: Progress | None = None) -> Generation:
        """Load the model where it is not in memory; see `nbvlm.local.loading.load`."""
        return loading.load(self.options, self._token(), progress or Progress(), id(self))

    def loading(self, stop: threading.Event | None = None) -> Iterator[dict[str, Any]]:
        """Load the model in a thread, and yield how far it is, as `Progress.shown`; raise as `load` does.

        Setting `stop` ends it.
        """
        progress, ended = Progress(stop), threading.Event()
        failed: list[Exception] = []

        def work() -> None:
            try:
                self.load(progress)
            except Stopped:
                pass
            except Exception as error:  # noqa: BLE001 - raised again by the generator
                failed.append(error)
            finally:
                ended.set()

        start_thread(work, "nbvlm-local-loading")
        state = None
        while not ended.wait(STEP_S):
            now = progress.shown()
            if (changed := {**now, "seconds": 0}) != state:
                state = changed
                yield now
        for error in failed:
            raise error if isinstance(error, Error) else Error(f"{type(error).__name__}: {error}.")

    def stream(self, image: Image.Image, prompt: str, **options: Any) -> Iterator[Token]:
        """Answer a prompt; see `nbvlm.local.generation.Generation.stream`."""
        while True:
            try:
                yield from self.load().stream(image, prompt, **options)
            except Freed:  # another model took its place before it had the question
                continue
            return

    def count(self, prompt: str) -> int:
        """Count the tokens of a request."""
        return self.load().count(prompt)

    def close(self) -> None:
        """Free the memory, unless another client uses the same model."""
        loading.release(self.options, id(self))

    __del__ = close


class LocalTransport(DemoTransport):
    """An httpx transport to a local model in this process; closing it frees the model.

    Parameters
    ----------
    options
        Which model.
    token
        As in `LocalModel`.
    """

    def __init__(self, options: LocalOptions, token: Callable[[], str | None] = lambda: None) -> None:
        self._model = LocalModel(options, token)
        super().__init__(Service(self._model, name=options.name, at_once=AT_ONCE))

    def __repr__(self) -> str:
        return f"LocalTransport({self._model.options.name!r})"

    def close(self) -> None:
        """Free the model, unless another client uses it."""
        self._model.close()

    async def aclose(self) -> None:
        """Free the model, unless another client uses it."""
        self._model.close()
