"""The service that is asked for the whole class, with the one key; and what students read of its failures."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import asdict

from nbvlm._background import thread_pool
from nbvlm.client import AsyncClient, Piece, Relay, Secret, Status, Timeouts, resolve
from nbvlm.errors import (
    AuthenticationError,
    Error,
    ImageError,
    NotFoundError,
    ParameterError,
    PromptError,
    QuotaError,
    RateLimitError,
    RequestRejected,
    ServerError,
    TimeoutError,  # noqa: A004 - the public name
)
from nbvlm.images import Picture, adapt, fit, unchanged

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.client import Settings
    from nbvlm.demo.service import EncodedPicture
    from nbvlm.endpoints import Endpoint
    from nbvlm.gateway.answers import Answer
    from nbvlm.gateway.config import Config

__all__ = ["Upstream", "explained"]

_log = logging.getLogger("nbvlm")
T = TypeVar("T")


class Upstream:
    """One service, and a client for each of its models.

    Raises
    ------
    Error
        If the configuration names a service, model or key that cannot be used.
    """

    def __init__(self, config: Config) -> None:
        key, given = config.key(), config.upstream
        secret = Secret(key) if key is not None else None
        self._clients: dict[str, AsyncClient] = {}
        # One picture is decoded at a time, so that a few large ones fill neither the memory nor all cores.
        self._decoder = thread_pool(1)
        limits = Timeouts(total=float(config.limits.answer_s))
        for model in given.models or (None,):
            if given.endpoint == "local":
                model = config.local_model(model or "")
            settings = resolve(
                given.endpoint,
                model=model,
                api_key=secret,
                base_url=given.base_url or None,
                assets_url=given.assets_url or None,
                allow_http=given.allow_http,
                timeout=limits,
                device=given.device or None,
                dtype=given.dtype or None,
                quantize=given.quantize or None,
            )
            settings.key()  # a missing key is an error now, not at the first question
            self._clients[settings.endpoint.model] = AsyncClient.from_settings(settings)

    @property
    def models(self) -> tuple[str, ...]:
        """The models, the first one first."""
        return tuple(self._clients)

    def endpoint(self, model: str) -> Endpoint:
        """Return the facts about a model."""
        return self._clients[model].endpoint

    def describe(self) -> str:
        """Return which service is asked, and where its key came from, without the key."""
        return next(iter(self._clients.values())).settings.describe()

    @property
    def per_minute(self) -> int:
        """Questions a minute that the service allows in all; 0 where that is not known."""
        return max((client.endpoint.requests_per_minute or 0 for client in self._clients.values()), default=0)

    async def warm(self, picture: Picture) -> None:
        """Load everything that the first question needs; this asks the embedded models only.

        A local model is loaded by `load`, or with the first question.
        """
        with contextlib.suppress(ImportError):
            await asyncio.to_thread(importlib.import_module, "aiohttp")
        for client in self._clients.values():
            if client.settings.in_process and client.settings.local is None:
                await _try(client, picture, "caption en")

    async def load(self, model: str, show: Callable[[Status], Any]) -> None:
        """Load a model, if it is a local one, and show how far it is; raises what `ask` raises."""
        client = self._clients[model]
        if client.settings.local is None:
            return
        from PIL import Image

        await _try(client, Picture.load(Image.new("RGB", (64, 64))), "detect cat", show)

    async def ask(self, answer: Answer, extend: Callable[[], Any] = lambda: None) -> None:
        """Ask, and write the answer as it comes; raises what `nbvlm.AsyncClient` raises.

        `extend` is called while a model is loaded.
        """
        asked = answer.asked
        if asked is None:
            return
        client = self._clients[answer.model]
        encoded = asked.picture
        if encoded.header.plain and not encoded.large:
            picture = unchanged(encoded.data, encoded.header)
        else:
            picture = await self.decode(_prepared, encoded, client.settings)
        relay = Relay(client, picture, asked.prompt, translate=False, **asked.parameters)
        del picture, encoded
        answer.asked = asked = None  # from here on the client holds the picture, as long as it needs it
        async with relay.stream as stream:
            async for event in stream:
                if isinstance(event, Status):
                    loads = event.kind in ("download", "loading")
                    answer.report(asdict(event) if loads else None)
                    if loads:
                        extend()
                elif isinstance(event, Piece):
                    answer.notices, answer.by = relay.notices, relay.model or answer.by
                    answer.take(event)
        answer.notices = relay.notices

    async def decode(self, function: Callable[..., T], *given: Any) -> T:
        """Call a function that decodes a picture, in its turn and away from the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._decoder, function, *given)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()
        self._decoder.shutdown(wait=False, cancel_futures=True)


async def _try(
    client: AsyncClient, picture: Picture, prompt: str, show: Callable[[Status], Any] = lambda _: None
) -> None:
    """Ask for one token, so that what answers is loaded."""
    async with Relay(client, picture, prompt, translate=False, max_tokens=1).stream as stream:
        async for event in stream:
            if isinstance(event, Status):
                show(event)


def _prepared(encoded: EncodedPicture, settings: Settings) -> Picture:
    """Decode and shrink a picture, where it must be; the client would do so in any number of threads."""
    picture = Picture.load(encoded.data)
    if picture.pending:
        _ = picture.data
    endpoint = settings.endpoint
    if settings.assets_url is None:
        if endpoint.longest_side is not None:
            picture = adapt(picture, side=endpoint.longest_side, png=False).picture
        if endpoint.inline_limit is not None and not picture.fits(endpoint.inline_limit):
            picture = fit(picture, endpoint.inline_limit).picture
    return picture


_MINE = (ImageError, PromptError, ParameterError, RequestRejected)
_OWN_FAULTS = (AuthenticationError, QuotaError)


def explained(error: BaseException) -> tuple[int, str]:
    """Return status and sentence for students: nothing about key and account of the class."""
    if getattr(error, "gone", None) == "unloadable":
        return 502, "The model of the class cannot be loaded: ask your teacher to check it"
    if isinstance(error, _MINE):
        return 422, error.message.rstrip(".")
    if isinstance(error, _OWN_FAULTS):
        return (
            502,
            "The service does not accept the key of this class at present: ask your teacher to check it",
        )
    if isinstance(error, RateLimitError):
        return 503, "The service has too many questions of this class at present"
    if isinstance(error, NotFoundError):
        return 502, "The service does not have this model any more: your teacher must choose another"
    if isinstance(error, TimeoutError):
        return 504, "The service did not answer in time"
    if isinstance(error, (ServerError, Error)):
        return 502, f"The service failed: {error.message.rstrip('.')}"
    return 500, "The gateway failed at this question"
