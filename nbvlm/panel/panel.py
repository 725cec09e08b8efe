"""The public face of the panel."""

from __future__ import annotations

import concurrent.futures
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from nbvlm.images import Picture
from nbvlm.panel.controller import PanelController

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nbvlm._background import Task
    from nbvlm.client import AsyncClient, Client
    from nbvlm.images import ImageSource
    from nbvlm.panel.sweep import Sweep
    from nbvlm.result import Result

__all__ = ["Panel"]

T = TypeVar("T")


class Panel:
    """Pick a picture, ask, and watch the answer and its boxes arrive.

    The panel shows itself as the last line of a cell, or with `display(panel)`. The kernel stays free while
    an answer streams.

    Parameters
    ----------
    client
        A `Client` or an `AsyncClient`; the panel opens a connection of its own with the same settings. None
        takes `Client()`: the hosted model if a key is found, else the embedded demo model.
    image
        Anything that `Picture.load` takes; None chooses the first sample.
    prompt
        The question; None takes the sample's own prompt, or a caption.

    Raises
    ------
    ImageError
        If the picture cannot be read.
    TypeError
        If `client` is not a client.

    Examples
    --------
    >>> import nbvlm  # doctest: +SKIP
    >>> panel = nbvlm.Panel()  # doctest: +SKIP
    >>> panel.run().text  # doctest: +SKIP
    'a blue boat and a red fish in the sea'
    """

    def __init__(
        self,
        client: Client | AsyncClient | None = None,
        image: ImageSource | None = None,
        prompt: str | None = None,
    ) -> None:
        client = _client(client)
        picture = None if image is None else Picture.load(image)
        self._controller = PanelController(client.settings)
        self._finalizer = weakref.finalize(self, self._controller.close)
        if picture is None:
            self._controller.source.choose(0)
        else:
            self._controller.show(picture)
            self._controller.form.suggest_prompt("caption en")
        if prompt is not None:
            self.prompt = prompt

    @property
    def image(self) -> Picture | None:
        """The chosen picture; set it to anything that `Picture.load` takes, or to None."""
        return self._controller.picture

    @image.setter
    def image(self, source: ImageSource | None) -> None:
        self._controller.show(None if source is None else Picture.load(source))

    @property
    def prompt(self) -> str:
        """The text of the prompt field."""
        return str(self._controller.controls.prompt.value)

    @prompt.setter
    def prompt(self, text: str) -> None:
        self._controller.form.fill(text)

    @property
    def result(self) -> Result | None:
        """The answer on the screen, whole.

        None where the screen shows no whole answer: before the first one, while one comes, after Stop, after
        an error, and when another picture was chosen since.
        """
        return self._controller.result

    @property
    def history(self) -> list[Result]:
        """The answers of the history strip, the oldest first, without those that were deleted there.

        The last 200 are kept, with 256 MiB of pictures at most; pinned ones go last.
        """
        return self._controller.answers.history.results

    @property
    def sweep(self) -> Sweep | None:
        """The sweep on the screen, as far as it has come; None before the first.

        A frozen value that iterates over its cells: `prompt`, `temperature`, `repeat`, and `result` or
        `error` once there is one. `to_dataframe()` makes a table of it.
        """
        return self._controller.sweeps.sweep

    @property
    def widget(self) -> Any:
        """The ipywidgets box that holds everything, to be placed in a layout of one's own."""
        self._finalizer.detach()
        return self._controller.root

    def run(self, *, wait: bool = True) -> Result | None:
        """Ask with the values of the fields, as the Run button does.

        Parameters
        ----------
        wait
            True waits for the answer, which streams into the panel meanwhile; interrupting the kernel stops
            it. False returns None at once, as the button does.

        Returns
        -------
        Result or None
            The answer; None if it was stopped, or not waited for.

        Raises
        ------
        nbvlm.Error
            If the question fails; the panel shows the error too.
        """
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

    def stop(self) -> None:
        """Stop the answer under way, and a sweep; their pieces stay on the screen.

        `result` is None after that; `sweep` holds the cells that were done.
        """
        self._controller.stop()
        self._controller.sweeps.stop()

    def close(self) -> None:
        """Stop all work, close the connections and take the panel off the page."""
        self._finalizer.detach()
        self._controller.close()

    def __repr__(self) -> str:
        picture = self.image
        shown = "no picture" if picture is None else picture.name or f"{picture.width}×{picture.height}"
        return f"<nbvlm.Panel: {shown}, {len(self._controller.answers.history)} answers>"

    def _ipython_display_(self) -> None:
        # The root is a plain box; the metadata that Colab needs come from an anywidget inside it.
        _, metadata = self._controller.answers.strip._repr_mimebundle_()
        self._controller.answers.static_output.show(self._repr_mimebundle_(), repr(self), metadata)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        # On the screen the panel lives on without a name in Python, as every widget does.
        bundle = self.widget._repr_mimebundle_(**kwargs)
        return bundle and {**bundle, "text/plain": repr(self)}


def _client(given: Any) -> Client | AsyncClient:
    from nbvlm.client import AsyncClient, Client

    if given is None:
        return Client()
    if not isinstance(given, Client | AsyncClient):
        kind = type(given).__name__
        raise TypeError(
            f'client must be a Client or an AsyncClient, such as nbvlm.Client("demo"), not {kind}.'
        )
    return given
