"""The part that both clients share: settings, the log of requests, and how a question becomes a flow."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from nbvlm import endpoints
from nbvlm._text import warn_outside
from nbvlm.client.driver import Driver, Exchange, RequestLog
from nbvlm.client.flow import assets, inference
from nbvlm.client.flow.steps import Context, Flow
from nbvlm.client.flow.validation import check_question
from nbvlm.client.options import AskOptions, OpeningOptions, refuse_unknown, with_keywords
from nbvlm.client.policies import Deadline, Retry
from nbvlm.client.secrets import guard_logs
from nbvlm.client.settings import Settings, resolve
from nbvlm.client.transports import blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from nbvlm.client.flow.events import Status
    from nbvlm.endpoints import Endpoint
    from nbvlm.result import Result

__all__ = ["ClientBase", "abandoned", "finish", "ping", "siblings"]

T = TypeVar("T")
_LOGGER = logging.getLogger("nbvlm")


class ClientBase:
    """Settings and memory of a client; see `nbvlm.Client` for the parameters."""

    @with_keywords(OpeningOptions, allow_http=False)
    def __init__(
        self,
        endpoint: str | Endpoint | None = None,
        **options: Unpack[OpeningOptions],
    ) -> None:
        refuse_unknown(options, OpeningOptions)
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
        self._log = RequestLog()
        self._temporary: set[str] = set()

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
        return self._log.all()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings.describe()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_settings, (self._settings,)

    def _context(self, progress: Callable[[Status], None] | None = None) -> Context:
        deadline = Deadline(self._settings.timeouts)
        return Context(self._settings, deadline, self._temporary, progress)

    def _ask(self, image: Any, prompt: str, *, stream: bool, options: AskOptions) -> Flow[Result]:
        refuse_unknown(options, AskOptions)
        rest: dict[str, Any] = {**options}
        given = {name: rest.pop(name, None) for name in ("temperature", "top_p", "max_tokens")}
        question = check_question(self.endpoint, image, prompt, given=given, stream=stream, **rest)
        self._settings.key()
        for notice in question.notices:
            _LOGGER.info("%s", notice)
            warn_outside(notice, "nbvlm.client")
        return inference.ask(question, self._context(question.progress))


def siblings(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the models behind the same service, as far as they are known here."""
    if endpoint.name == "demo":
        return (endpoint.model,)
    return tuple(entry.model for entry in endpoints.ENDPOINTS.values() if entry.name != "demo")


def finish(steps: Flow[T], transport: httpx.BaseTransport, log: RequestLog) -> T:
    """Drive a flow to its end, its events unheard, and return its result."""
    driver = Driver(steps, transport, log)
    for _ in driver.run():
        pass
    result: T = driver.result
    return result


def ping(settings: Settings) -> int:
    """Check that the endpoint responds: send one request without a key, a picture or a question."""
    transport, own = blocking(settings.transport, settings.in_process)
    context = Context(settings, Deadline(settings.timeouts))
    try:
        return finish(inference.ping(context), transport, RequestLog())
    finally:
        if own:
            transport.close()


def abandoned(
    settings: Settings,
    temporary: set[str],
    transport: httpx.BaseTransport | None,
    own: httpx.BaseTransport | None,
) -> None:
    """Delete the uploads of a closed or collected client, then close its connections."""
    if temporary:
        with contextlib.suppress(Exception):
            used = transport or blocking(settings.transport, settings.in_process)[0]
            for name in list(temporary):
                with contextlib.suppress(Exception):
                    deadline = Deadline(settings.timeouts)
                    deadline.enter("cleanup")
                    steps = assets.delete(Context(settings, deadline, temporary), name, Retry.never())
                    finish(steps, used, RequestLog())
            if transport is None:
                used.close()
    if own is not None:
        own.close()
