"""Ask a vision-language model about a picture: `Client`, and `AsyncClient` with the same names, awaited."""

from __future__ import annotations

import contextlib
import logging
import os
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Self, Unpack

from nbvlm._text import warn_outside
from nbvlm.client import keys, transports
from nbvlm.client.driver import AsyncDriver, Driver, Exchange
from nbvlm.client.flow import assets, inference
from nbvlm.client.flow.assets import AsyncKeptAssets, KeptAssets
from nbvlm.client.flow.steps import Context
from nbvlm.client.flow.validation import check_question
from nbvlm.client.policies import Deadline
from nbvlm.client.secrets import Secret, guard_logs
from nbvlm.client.settings import AskOptions, OpeningOptions, Settings, refuse_unknown, resolve, with_keywords
from nbvlm.client.streams import AsyncStream, Stream
from nbvlm.errors import DemoWarning, Error

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from nbvlm.client.flow.events import Status
    from nbvlm.client.flow.steps import Flow
    from nbvlm.endpoints import Endpoint
    from nbvlm.result import Result

__all__ = ["AsyncClient", "Client", "Relay", "ask", "probe", "warn_of_demo"]

DEFAULTS = {"route": "auto", "content": "tag", "format": "auto", "translate": True, "allow_private": False}
"""Defaults of the keywords of a question that are not None."""
KEPT = 100  # exchanges in `requests`
_LOGGER = logging.getLogger("nbvlm")


class _Client:
    """Settings and memory of a client; see `nbvlm.Client` for the parameters."""

    @with_keywords(OpeningOptions, allow_http=False)
    def __init__(self, endpoint: str | Endpoint | None = None, **options: Unpack[OpeningOptions]) -> None:
        refuse_unknown(options, OpeningOptions)
        Secret.hide(options, "api_key")  # type: ignore[arg-type]
        self._owner = True
        self._open(resolve(endpoint, **options))

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Open a copy of the client that has these settings."""
        client = cls.__new__(cls)
        client._owner = False  # noqa: SLF001 - our own class; the transport belongs to the first client
        client._open(settings)  # noqa: SLF001 - likewise
        return client

    def _open(self, settings: Settings) -> None:
        guard_logs()
        self._settings = settings
        self._log: deque[Exchange] = deque(maxlen=KEPT)
        self._temporary: set[str] = set()
        self._closed = False

    @property
    def settings(self) -> Settings:
        """The settings that the client was opened with."""
        return self._settings

    @property
    def endpoint(self) -> Endpoint:
        """The served model."""
        return self._settings.endpoint

    @property
    def requests(self) -> tuple[Exchange, ...]:
        """The last 100 exchanges, oldest first, without secrets."""
        return tuple(self._log)

    def __repr__(self) -> str:
        # A traceback with variables shows a client whose settings were refused.
        settings = getattr(self, "_settings", None)
        return f"{type(self).__name__}({settings.describe() if settings is not None else 'not opened'})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_settings, (self._settings,)

    def _check_open(self) -> None:
        """Refuse to open connections that are never closed."""
        if self._closed:
            raise Error("The client is closed.", hint=f"Open another one: nbvlm.{type(self).__name__}(…).")

    def _context(self, progress: Callable[[Status], None] | None = None) -> Context:
        self._check_open()
        return Context(self._settings, Deadline(self._settings.timeouts), self._temporary, progress)

    def _ask(self, image: Any, prompt: str, *, stream: bool, options: AskOptions) -> Flow[Result]:
        self._check_open()
        refuse_unknown(options, AskOptions)
        question = check_question(self.endpoint, image, prompt, stream=stream, **options)
        self._settings.key()
        warn_of_demo(self._settings, "nbvlm.client")
        for notice in question.notices:
            _LOGGER.info("%s", notice)
            warn_outside(notice, "nbvlm.client")
        return inference.ask(question, self._context(question.progress))


class Client(_Client):
    """Asks a model about pictures.

    Parameters
    ----------
    endpoint
        `"nvidia"` (hosted PaliGemma), `"demo"` (the embedded model: no key, no network), the id of another
        model in `nbvlm.endpoints.ENDPOINTS`, a service such as `"ollama"` or `"openai"`, see
        `nbvlm.endpoints.SERVICES`, an `Endpoint`, the URL of an OpenAI-compatible server, `"local"` (a model
        of Hugging Face in this process), or `"gateway"` (the gateway of a class). By default the gateway that
        `NBVLM_GATEWAY` names, else the hosted model if a key is found, else the demo; the repr says which.
    api_key
        Key for the endpoint. By default it is looked for in the environment variable of its service, such
        as `NVIDIA_API_KEY`, the keyring, Colab's user data, and `nbvlm.login()`, in this order.
    base_url, assets_url
        Origins, without a path, that replace the endpoint's own; `NBVLM_BASE_URL` and `NBVLM_ASSETS_URL` do
        the same for the hosted models. Assets follow `base_url` where only that is given.
    model
        Model of a service or an OpenAI-compatible server, or the id of another model of NVIDIA's; for
        `"local"` an id of Hugging Face or a folder; for `"demo"`, `"scenes"` or `"photos"`, which otherwise
        the picture decides. A program on this computer with one vision model needs none.
    transport
        An httpx transport of your own, such as `nbvlm.replay(path)`, which is closed with the client; or an
        `httpx.Client` or `httpx.AsyncClient`, which stays open.
    timeout
        `Timeouts`, or seconds as a bound on each of them.
    retry
        `Retry`, the policy for failures before an answer begins.
    allow_http
        Insist on plain http to another machine.
    device, dtype, quantize
        With `"local"`: where and how precisely the model runs; see `nbvlm.local.LocalOptions`.
    speak
        With `"demo"`: answer in the form of another model family, to test and teach with known boxes. Name a
        dialect or a model; habits of `nbvlm.demo.speaking.HABITS` follow a "+": `"qwen3-vl+think"`.
    pace
        With `"demo"`: the most tokens a second of an answer, so that it streams as from a busy service, and
        can be stopped. By default they arrive as fast as they are computed.

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
        self._transport = transports.blocking(settings)
        self._end = weakref.finalize(self, _abandon, os.getpid(), settings, self._temporary, self._transport)

    @with_keywords(AskOptions, **DEFAULTS)
    def ask(self, image: Any, prompt: str, **options: Unpack[AskOptions]) -> Result:
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
        seed
            Makes the choice of tokens repeatable, from 0 to 2147483647: the embedded model and most services
            take it, hosted PaliGemma does not (`Endpoint.seed`).
        route
            `"inline"` sends the picture inside the request, shrunk to fit; `"asset"` uploads it before;
            `"auto"` sends inline what fits and uploads what does not. The model sees 224 to 896 pixels, so
            shrinking costs small things and small print, not the scene.
        content
            `"tag"` puts the picture into the text as an `<img>` tag; `"parts"` sends the list form.
        format
            `"png"` sends the picture without loss, where small print matters; `"auto"` as it is.
        translate
            Whether a task of `nbvlm.prompts` is asked in the words of the model's family; False sends the
            prompt as it is. `Result.asked` is what was sent.
        allow_private
            Whether the address of a picture may lead to this machine or its private network.
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

        Warns
        -----
        DemoWarning
            Once a process, where the embedded model answers because no key was found.
        """
        return self._finish(self._ask(image, prompt, stream=False, options=options))  # type: ignore[no-any-return]

    @with_keywords(AskOptions, **DEFAULTS)
    def stream(self, image: Any, prompt: str, **options: Unpack[AskOptions]) -> Stream:
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
        return KeptAssets(self._context, self._finish)

    def models(self, *, vision: bool = False) -> tuple[str, ...]:
        """List the models of the service, those that see first.

        Parameters
        ----------
        vision
            Leave out those that do not see, or do not say so: as the service says, else by their names.
        """
        return self._finish(inference.models(self._context(), vision=vision))  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the connections, and delete what could not be deleted before; a second call does nothing."""
        self._closed = True
        self._end()
        if self._owner:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _finish(self, steps: Flow[Any]) -> Any:
        return Driver(steps, self._transport, self._log).finish()


class AsyncClient(_Client):
    """Asks a model about pictures, awaited: the same parameters and names as `Client`.

    Examples
    --------
    >>> async with AsyncClient("demo") as client:  # doctest: +SKIP
    ...     result = await client.ask("scene.png", "caption en")
    """

    def _open(self, settings: Settings) -> None:
        super()._open(settings)
        self._transport = transports.awaiting(settings)
        self._end = weakref.finalize(self, _abandon, os.getpid(), settings, self._temporary)

    @with_keywords(AskOptions, **DEFAULTS)
    async def ask(self, image: Any, prompt: str, **options: Unpack[AskOptions]) -> Result:
        """Ask, and wait for the whole answer; see `Client.ask`."""
        question = self._ask(image, prompt, stream=False, options=options)
        return await self._finish(question)  # type: ignore[no-any-return]

    @with_keywords(AskOptions, **DEFAULTS)
    def stream(self, image: Any, prompt: str, **options: Unpack[AskOptions]) -> AsyncStream:
        """Ask, and take the answer as it comes; see `Client.stream`. Cancelling the task stops it."""
        question = self._ask(image, prompt, stream=True, options=options)
        return AsyncStream(AsyncDriver(question, self._transport, self._log), self)

    @property
    def assets(self) -> AsyncKeptAssets:
        """Pictures that are kept in the asset service for several questions."""
        return AsyncKeptAssets(self._context, self._finish)

    async def models(self, *, vision: bool = False) -> tuple[str, ...]:
        """List the models of the service; see `Client.models`."""
        return await self._finish(inference.models(self._context(), vision=vision))  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Close the connections, and delete what could not be deleted before; a second call does nothing."""
        if self._closed:
            return
        with contextlib.suppress(Exception):
            await self._finish(assets.delete_left(self._context()))
        self._closed = True
        self._end.detach()
        if self._owner or self._settings.transport is None:
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()

    async def _finish(self, steps: Flow[Any]) -> Any:
        return await AsyncDriver(steps, self._transport, self._log).finish()


class Relay:
    """An answer on its way through, for a gateway: pieces as the service sends them, and statuses.

    Attributes
    ----------
    stream
        Its events are `Piece` and `Status`; to be used as a context manager.
    """

    def __init__(self, client: AsyncClient, image: Any, prompt: str, **options: Any) -> None:
        question = check_question(client.endpoint, image, prompt, stream=True, **options)
        self._context = client._context()  # noqa: SLF001 - our own class
        flow = inference.relay(question, self._context)
        self.stream = AsyncStream(AsyncDriver(flow, client._transport, client._log), client)  # noqa: SLF001

    @property
    def notices(self) -> tuple[str, ...]:
        """What must be said with the answer, as far as it is known."""
        return tuple(dict.fromkeys(self._context.notices))

    @property
    def model(self) -> str | None:
        """The model that answers, where the service names it."""
        return self._context.model


def probe(settings: Settings, url: str, *, key: bool = False) -> tuple[int, Any]:
    """Send a GET, with the key where `key` says so; return the HTTP status and the parsed answer."""
    transport = transports.blocking(settings)
    context = Context(settings, Deadline(settings.timeouts))
    try:
        return Driver(inference.probe(context, url, key=key), transport, deque()).finish()  # type: ignore[no-any-return]
    finally:
        if settings.transport is None:
            transport.close()


def _abandon(
    process: int, settings: Settings, temporary: set[str], transport: httpx.BaseTransport | None = None
) -> None:
    """Delete the uploads of a closed or collected client, then close its connections."""
    if temporary and process == os.getpid():  # They are not those of a child process.
        with contextlib.suppress(Exception):
            transport = transport or transports.blocking(settings)
            context = Context(settings, Deadline(settings.timeouts), temporary)
            Driver(assets.delete_left(context), transport, deque()).finish()
    if transport is not None and settings.transport is None:
        transport.close()


_NO_KEY = (
    "No key was found, so a small model inside the package answers: it knows picture-book scenes, and 80 "
    'everyday kinds in photographs. nbvlm.login() asks for a key; nbvlm.Client("demo") chooses this model '
    "and does not warn."
)
_warned = False


def warn_of_demo(settings: Settings, package: str) -> None:
    """Warn at the first question of the process that the embedded model answers for lack of a key.

    `package`: as for `warn_outside`; the panel, the magics and the command show the model in their own way.
    """
    global _warned
    if not _warned and settings.in_process and not settings.chosen:
        _warned = warn_outside(_NO_KEY, package, DemoWarning)


_default: dict[str, Any] = {}


@with_keywords(AskOptions, **DEFAULTS)
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
