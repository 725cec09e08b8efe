"""The public face of the panel."""

from __future__ import annotations

import concurrent.futures
import weakref
from typing import TYPE_CHECKING, Any

from nbvlm.images import Picture
from nbvlm.panel.controller import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbvlm.client import AsyncClient, Client
    from nbvlm.images import ImageSource
    from nbvlm.panel.sweep import Sweep
    from nbvlm.result import Result

__all__ = ["Panel"]


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
        What to ask; None takes the sample's own prompt, or a caption.

    Raises
    ------
    ImageError
        The picture cannot be read.
    TypeError
        `client` is no client.

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
        self._session = Session(client.settings)
        self._finalizer = weakref.finalize(self, self._session.close)
        self._open(picture, prompt)

    def _open(self, picture: Picture | None, prompt: str | None) -> None:
        if picture is None:
            self._session.source.choose(0)
        else:
            self._session.show(picture)
            self._session.fields.suggest_prompt("caption en")
        if prompt is not None:
            self.prompt = prompt

    @property
    def image(self) -> Picture | None:
        """The chosen picture; set it to anything that `Picture.load` takes, or to None."""
        return self._session.picture

    @image.setter
    def image(self, source: ImageSource | None) -> None:
        self._session.show(None if source is None else Picture.load(source))

    @property
    def prompt(self) -> str:
        """What the prompt field says."""
        return str(self._session.controls.prompt.value)

    @prompt.setter
    def prompt(self, text: str) -> None:
        self._session.fields.fill(text)

    @property
    def result(self) -> Result | None:
        """The answer on the screen, whole.

        None where the screen shows no whole answer: before the first one, while one comes, after Stop, after
        an error, and when another picture was chosen since.
        """
        return self._session.result

    @property
    def history(self) -> list[Result]:
        """The answers of the history strip, the oldest first, without those that were deleted there.

        The last 200 are kept, with 256 MiB of pictures at most; pinned ones go last.
        """
        return self._session.keeper.history.results

    @property
    def sweep(self) -> Sweep | None:
        """The sweep on the screen, as far as it has come; None before the first.

        A frozen value that iterates over its cells: `prompt`, `temperature`, `repeat`, and `result` or
        `error` once there is one. `to_dataframe()` makes a table of it.
        """
        return self._session.sweeps.sweep

    @property
    def widget(self) -> Any:
        """The ipywidgets box that holds everything, to be placed in a layout of one's own."""
        self._finalizer.detach()
        return self._session.root

    def run(self, *, wait: bool = True) -> Result | None:
        """Ask what the panel shows, as its Run button does.

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
            What went wrong; the panel shows it too.
        """
        job = self._session.start()
        if not wait:
            return None
        try:
            return job.wait()
        except concurrent.futures.CancelledError:
            return None
        except KeyboardInterrupt:
            self.stop()
            raise

    def run_sweep(
        self,
        prompts: Iterable[str] | str,
        temperatures: Iterable[float] | float | None = None,
        repeats: int = 1,
        *,
        wait: bool = True,
    ) -> Sweep | None:
        """Ask about the chosen picture with every prompt at every temperature, several times.

        The grid of the panel fills meanwhile, at the endpoint's own pace; errors are told in their cells.

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
            As far as it came; None if it was not waited for.

        Raises
        ------
        nbvlm.Error
            The sweep cannot begin: no picture, no prompt, a temperature out of range, another one under way.

        Examples
        --------
        >>> panel.run_sweep(["caption en", "caption de"], [0.2, 1.0]).to_dataframe()  # doctest: +SKIP
        """
        job = self._session.sweeps.start(prompts, temperatures, repeats)
        if not wait:
            return None
        try:
            return job.wait()
        except concurrent.futures.CancelledError:
            return self.sweep
        except KeyboardInterrupt:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the answer under way, and a sweep; what came stays on the screen.

        `result` is None after that; the sweep is what had come of it.
        """
        self._session.stop()
        self._session.sweeps.stop()

    def close(self) -> None:
        """Stop all work, close the connections and take the panel off the page."""
        self._finalizer.detach()
        self._session.close()

    def __repr__(self) -> str:
        picture = self.image
        shown = "no picture" if picture is None else picture.name or f"{picture.width}×{picture.height}"
        return f"<nbvlm.Panel: {shown}, {len(self._session.keeper.history)} answers>"

    def _ipython_display_(self) -> None:
        # The root is a plain box; what Colab wants to know of widgets like ours, one of ours says.
        _, metadata = self._session.keeper.strip._repr_mimebundle_()
        self._session.keeper.still.show(self._repr_mimebundle_(), repr(self), metadata)

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
