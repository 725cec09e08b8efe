"""Ask a vision-language model about a picture: `Client`, and `AsyncClient` with the same names, awaited.

>>> client = nbvlm.Client("demo")  # doctest: +SKIP
>>> client.ask("scene.png", "detect house").detections  # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any, Self, Unpack

from nbvlm.client import base, keys, transports
from nbvlm.client.base import ClientBase
from nbvlm.client.driver import AsyncDriver, Driver
from nbvlm.client.flow import assets, inference
from nbvlm.client.kept_assets import AsyncKeptAssets, KeptAssets
from nbvlm.client.keys import login
from nbvlm.client.options import AskOptions, with_keywords
from nbvlm.client.policies import Retry, Timeouts
from nbvlm.client.settings import Settings
from nbvlm.client.streams import AsyncStream, Stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from nbvlm.client.flow.events import Status
    from nbvlm.client.flow.steps import Context, Flow
    from nbvlm.result import Result

__all__ = ["AsyncClient", "AsyncStream", "Client", "Retry", "Settings", "Stream", "Timeouts", "ask", "login"]


class Client(ClientBase):
    """Asks a model about pictures.

    Parameters
    ----------
    endpoint
        `"nvidia"` (hosted PaliGemma), `"demo"` (the embedded model: no key, no network), another name of
        `nbvlm.endpoints.ENDPOINTS`, an `Endpoint`, or the URL of an OpenAI-compatible server. By default the
        hosted model if a key is found, else the demo; the repr says which.
    api_key
        Key for the endpoint. For the hosted one it is looked for in `NVIDIA_API_KEY`, the keyring, Colab's
        user data, and `nbvlm.login()`, in this order.
    base_url, assets_url
        Origins, without a path, that replace the endpoint's own; `NBVLM_BASE_URL` and `NBVLM_ASSETS_URL` do
        the same for the hosted models. Assets follow `base_url` where only that is given.
    model
        Model of an OpenAI-compatible server, or a hosted sibling's id.
    transport
        An httpx transport of your own, such as `nbvlm.replay(path)`, which is closed with the client; or an
        `httpx.Client` or `httpx.AsyncClient`, which stays open.
    timeout
        `Timeouts`, or seconds as a bound on each of them.
    retry
        `Retry`, the policy for failures before an answer begins.
    allow_http
        Insist on plain http to another machine.

    Raises
    ------
    ParameterError
        If the endpoint is unknown or an address cannot be used.

    Examples
    --------
    >>> Client("demo")
    Client('demo', model='nbvlm/demo', no key needed)
    """

    def _open(self, settings: Settings) -> None:
        super()._open(settings)
        self._transport, own = transports.blocking(settings.transport, settings.in_process)
        self._assets = KeptAssets(self._run)
        self._end = weakref.finalize(
            self, base.abandoned, settings, self._temporary, self._transport, self._transport if own else None
        )

    @with_keywords(AskOptions, route="auto", content="tag")
    def ask(
        self,
        image: Any,
        prompt: str,
        **options: Unpack[AskOptions],
    ) -> Result:
        """Ask, and wait for the whole answer.

        Parameters
        ----------
        image
            Path, URL, data URI, bytes, file, PIL image, numpy array, `Picture`, or an uploaded `Asset`.
        prompt
            Task and question, such as `"caption en"`; `nbvlm.prompts` writes them.
        temperature, top_p, max_tokens
            Sampling parameters within the endpoint's ranges; None for its defaults. Hosted models advise to
            change temperature or top_p, not both: a `UserWarning`, and a notice of the result, says so.
        route
            `"inline"` sends the picture inside the request, shrunk to fit; `"asset"` uploads it before;
            `"auto"` sends inline what fits and uploads what does not. The model sees 224 to 896 pixels, so
            shrinking costs small things and small print, not the scene.
        content
            `"tag"` puts the picture into the text as an `<img>` tag; `"parts"` sends the list form.
        progress
            Called with each `Status`, at once.

        Returns
        -------
        Result
            The answer with its boxes, and what happened on the way.

        Raises
        ------
        ImageError, PromptError, ParameterError
            Before any network use.
        Error
            Of the other kinds in `nbvlm.errors`, where the service or the way to it failed.
        TypeError
            For an unknown keyword; the message names the nearest.
        """
        return self._finish(self._ask(image, prompt, stream=False, options=options))  # type: ignore[no-any-return]

    @with_keywords(AskOptions, route="auto", content="tag")
    def stream(
        self,
        image: Any,
        prompt: str,
        **options: Unpack[AskOptions],
    ) -> Stream:
        """Ask, and take the answer as it comes; parameters and errors as `ask`.

        Returns
        -------
        Stream
            To be used as a context manager and iterated over; its `result` is there at the end.
        """
        question = self._ask(image, prompt, stream=True, options=options)
        return Stream(Driver(question, self._transport, self._log), self)

    @property
    def assets(self) -> KeptAssets:
        """Pictures that are kept in the asset service for several questions."""
        return self._assets

    def models(self) -> tuple[str, ...]:
        """List the models that can be asked for."""
        if self.endpoint.dialect != "openai":
            return base.siblings(self.endpoint)
        found: tuple[str, ...] = self._finish(inference.models(self._context()))
        return found

    def close(self) -> None:
        """Close the connections, and delete what could not be deleted before; a second call does nothing."""
        self._end()
        if self._owner:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, make: Callable[[Context], Flow[Any]], progress: Callable[[Status], None] | None) -> Any:
        return self._finish(make(self._context(progress)))

    def _finish(self, steps: Flow[Any]) -> Any:
        return base.finish(steps, self._transport, self._log)


class AsyncClient(ClientBase):
    """Asks a model about pictures, awaited: the same parameters and names as `Client`.

    Examples
    --------
    >>> async with AsyncClient("demo") as client:  # doctest: +SKIP
    ...     result = await client.ask("scene.png", "caption en")
    """

    def _open(self, settings: Settings) -> None:
        super()._open(settings)
        self._transport, self._own = transports.awaiting(settings.transport, settings.in_process)
        self._assets = AsyncKeptAssets(self._run)
        self._end = weakref.finalize(self, base.abandoned, settings, self._temporary, None, None)

    @with_keywords(AskOptions, route="auto", content="tag")
    async def ask(
        self,
        image: Any,
        prompt: str,
        **options: Unpack[AskOptions],
    ) -> Result:
        """Ask, and wait for the whole answer; see `Client.ask`."""
        question = self._ask(image, prompt, stream=False, options=options)
        return await self._finish(question)  # type: ignore[no-any-return]

    @with_keywords(AskOptions, route="auto", content="tag")
    def stream(
        self,
        image: Any,
        prompt: str,
        **options: Unpack[AskOptions],
    ) -> AsyncStream:
        """Ask, and take the answer as it comes; see `Client.stream`. Cancelling the task stops it."""
        question = self._ask(image, prompt, stream=True, options=options)
        return AsyncStream(AsyncDriver(question, self._transport, self._log), self)

    @property
    def assets(self) -> AsyncKeptAssets:
        """Pictures that are kept in the asset service for several questions."""
        return self._assets

    async def models(self) -> tuple[str, ...]:
        """List the models that can be asked for."""
        if self.endpoint.dialect != "openai":
            return base.siblings(self.endpoint)
        found: tuple[str, ...] = await self._finish(inference.models(self._context()))
        return found

    async def aclose(self) -> None:
        """Close the connections, and delete what could not be deleted before; a second call does nothing."""
        for name in list(self._temporary):
            with contextlib.suppress(Exception):
                await self._finish(assets.delete(self._context(), name, Retry.never()))
        self._end.detach()
        if self._own or self._owner:
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _run(
        self, make: Callable[[Context], Flow[Any]], progress: Callable[[Status], None] | None
    ) -> Any:
        return await self._finish(make(self._context(progress)))

    async def _finish(self, steps: Flow[Any]) -> Any:
        driver = AsyncDriver(steps, self._transport, self._log)
        async for _ in driver.run():
            pass
        return driver.result


_default: dict[str, Any] = {}


@with_keywords(AskOptions, route="auto", content="tag")
def ask(image: Any, prompt: str, **options: Unpack[AskOptions]) -> Result:
    """Ask on a client that is opened when first needed: `Client()`; see `Client.ask`.

    Examples
    --------
    >>> nbvlm.ask("cat.jpg", "caption en").text  # doctest: +SKIP
    'a cat on a sofa'
    """
    found = keys.find()
    key = found[0] if found else None
    if "client" not in _default or _default["key"] != key:
        _default.update(client=Client(), key=key)
    client: Client = _default["client"]
    return client.ask(image, prompt, **options)
