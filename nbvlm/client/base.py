"""What both clients share: settings, memory, how a question becomes a flow, which transport carries it."""

from __future__ import annotations

import contextlib
import inspect
import logging
import warnings
from typing import TYPE_CHECKING, Any, Self, TypeVar

from nbvlm import endpoints
from nbvlm.client.driver import Driver, Exchange, Recent
from nbvlm.client.flow import assets, inference, validation
from nbvlm.client.flow.steps import Context, Flow
from nbvlm.client.policies import Retry, Timeouts, Watch
from nbvlm.client.secrets import guard_logs
from nbvlm.client.settings import Settings, resolve
from nbvlm.client.transports import blocking

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    import httpx

    from nbvlm.client.flow.events import Status
    from nbvlm.client.secrets import Secret
    from nbvlm.client.transports import Given
    from nbvlm.endpoints import Endpoint
    from nbvlm.result import Result

__all__ = ["Base", "abandoned", "options", "siblings"]

T = TypeVar("T")
_LOGGER = logging.getLogger("nbvlm")
_CLIENTS = ("nbvlm.client",)
_QUESTION = ("temperature", "top_p", "max_tokens", "route", "content", "progress")
_OPENING = (
    "api_key",
    "base_url",
    "assets_url",
    "model",
    "transport",
    "timeout",
    "retry",
    "allow_http",
)


class Base:
    """Settings and memory of a client; see `nbvlm.Client` for the parameters."""

    def __init__(
        self,
        endpoint: str | Endpoint | None = None,
        *,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        assets_url: str | None = None,
        model: str | None = None,
        transport: Given | None = None,
        timeout: Timeouts | float | None = None,
        retry: Retry | None = None,
        allow_http: bool = False,
        **unknown: Any,
    ) -> None:
        validation.refuse_unknown(unknown, _OPENING)
        self._owner = True
        self._open(
            resolve(
                endpoint,
                api_key=api_key,
                base_url=base_url,
                assets_url=assets_url,
                model=model,
                transport=transport,
                timeout=timeout,
                retry=retry,
                allow_http=allow_http,
            )
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Open a twin of the client that has these settings."""
        client = cls.__new__(cls)
        client._owner = False  # noqa: SLF001 - our own class; the transport is its twin's to close
        client._open(settings)  # noqa: SLF001 - likewise
        return client

    def _open(self, settings: Settings) -> None:
        guard_logs()
        self._settings = settings
        self._recent = Recent()
        self._temporary: set[str] = set()

    @property
    def settings(self) -> Settings:
        """What the client was opened with."""
        return self._settings

    @property
    def endpoint(self) -> Endpoint:
        """The served model."""
        return self._settings.endpoint

    @property
    def requests(self) -> tuple[Exchange, ...]:
        """The last 100 exchanges, oldest first, without secrets."""
        return self._recent.all()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings.describe()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_settings, (self._settings,)

    def _context(self, progress: Callable[[Status], None] | None = None) -> Context:
        watch = Watch(self._settings.timeouts)
        return Context(self._settings, watch, self._temporary, progress)

    def _question(
        self, image: Any, prompt: str, *, stream: bool, options: dict[str, Any], unknown: dict[str, Any]
    ) -> Flow[Result]:
        validation.refuse_unknown(unknown, _QUESTION)
        given = {name: options.pop(name) for name in ("temperature", "top_p", "max_tokens")}
        job = validation.job(self.endpoint, image, prompt, given=given, stream=stream, **options)
        self._settings.key()
        for notice in job.notices:
            _LOGGER.info("%s", notice)
            _warn(notice)
        return inference.exchange(job, self._context(job.progress))


def _warn(notice: str) -> None:
    """Warn where the question was written; the package's own panels show the notice of the result instead."""
    frame, level = inspect.currentframe(), 1
    while frame is not None and _module(frame).startswith(_CLIENTS):
        frame, level = frame.f_back, level + 1
    if frame is not None and _module(frame).partition(".")[0] != "nbvlm":
        warnings.warn(notice, UserWarning, stacklevel=level)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def options(
    temperature: float | None,
    top_p: float | None,
    max_tokens: int | None,
    route: str,
    content: str,
    progress: Callable[[Status], None] | None,
) -> dict[str, Any]:
    """Gather the keywords of a question."""
    values = (temperature, top_p, max_tokens, route, content, progress)
    return dict(zip(_QUESTION, values, strict=True))


def siblings(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the models behind the same service, as far as they are known here."""
    if endpoint.name == "demo":
        return (endpoint.model,)
    return tuple(entry.model for entry in endpoints.ENDPOINTS.values() if entry.name != "demo")


def finish(steps: Flow[T], transport: httpx.BaseTransport, recent: Recent) -> T:
    """Drive a flow to its end, its events unheard, and return its result."""
    driver = Driver(steps, transport, recent)
    for _ in driver.run():
        pass
    result: T = driver.result
    return result


def ping(settings: Settings) -> int:
    """Check that the endpoint responds: send one request without a key, a picture or a question.

    Parameters
    ----------
    settings
        Whose address, limits and certificates.

    Returns
    -------
    int
        The HTTP status; any status is a sign of life.

    Raises
    ------
    TransportError, TimeoutError
        If nothing comes back.
    """
    transport, own = blocking(settings.transport, settings.in_process)
    context = Context(settings, Watch(settings.timeouts))
    try:
        return finish(inference.ping(context), transport, Recent())
    finally:
        if own:
            transport.close()


def abandoned(
    settings: Settings,
    temporary: set[str],
    transport: httpx.BaseTransport | None,
    own: httpx.BaseTransport | None,
) -> None:
    """Delete what a closed or collected client left in the asset service, then close its connections."""
    if temporary:
        with contextlib.suppress(Exception):
            used = transport or blocking(settings.transport, settings.in_process)[0]
            for name in list(temporary):
                with contextlib.suppress(Exception):
                    watch = Watch(settings.timeouts)
                    watch.enter("cleanup")
                    steps = assets.delete(Context(settings, watch, temporary), name, Retry.never())
                    finish(steps, used, Recent())
            if transport is None:
                used.close()
    if own is not None:
        own.close()
