"""What a run is to do, checked before it begins."""

from __future__ import annotations

import difflib
import inspect
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nbvlm.batches.rows import key_of
from nbvlm.batches.templates import Prompt
from nbvlm.batches.throttle import rate_of
from nbvlm.client.flow import validation
from nbvlm.client.settings import Settings, resolve
from nbvlm.endpoints import HOSTED
from nbvlm.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Plan", "plan"]

_OPTIONS = ("temperature", "top_p", "max_tokens", "route", "content")
_PARAMETERS = _OPTIONS[:3]


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """A checked run.

    Attributes
    ----------
    settings
        Of the client.
    prompt
        Writes the prompts.
    options
        Keywords of each question.
    parameters
        All sampling parameters, defaults filled in.
    concurrency
        Questions under way at once.
    rate
        Requests a minute, or None for no limit.
    on_error
        "record" or "raise".
    """

    settings: Settings
    prompt: Prompt
    options: Mapping[str, Any]
    parameters: Mapping[str, float | int]
    concurrency: int
    rate: float | None
    on_error: str

    def key(self, content: str, prompt: str) -> str:
        """Name the question about a picture with this hash."""
        form = "" if self.options.get("content", "tag") == "tag" else "parts"
        return key_of(content, prompt, self.parameters, self.settings.endpoint, form)

    @property
    def patient(self) -> Settings:
        """Settings that leave refusals for want of room to the run, which slows down as a whole."""
        retry = self.settings.retry
        return replace(self.settings, retry=replace(retry, statuses=retry.statuses - {429, 503}))


def plan(
    prompt: str | Callable[[Mapping[str, Any]], str],
    client: Any,
    *,
    concurrency: int,
    rate: float | None,
    on_error: str,
    options: dict[str, Any],
) -> Plan:
    """Check what a run is asked to do.

    Raises
    ------
    PromptError, ParameterError, AuthenticationError
        Before any network use.
    """
    settings = settings_of(client)
    validation.refuse_unknown({name: None for name in options if name not in _OPTIONS}, _OPTIONS)
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ParameterError(f"concurrency={concurrency!r} is no whole number from 1 on.")
    _one_of("on_error", on_error, ("record", "raise"))
    written = Prompt(prompt)
    given = {name: options.get(name) for name in _PARAMETERS}
    more = {name: options[name] for name in ("route", "content") if name in options}
    job = validation.job(settings.endpoint, None, written.fixed or "caption en", given=given, **more)
    settings.key()
    for notice in job.notices:
        warnings.warn(notice, UserWarning, stacklevel=_outside())
    return Plan(
        settings=settings,
        prompt=written,
        options={name: value for name, value in options.items() if value is not None},
        parameters=job.parameters,
        concurrency=concurrency,
        rate=_rate(settings, rate),
        on_error=on_error,
    )


def settings_of(client: Any) -> Settings:
    """Return the settings of a client of either kind; of the default one for None."""
    if client is None:
        return resolve()
    settings = client if isinstance(client, Settings) else getattr(client, "settings", None)
    if not isinstance(settings, Settings):
        raise TypeError(f"client is a nbvlm.Client or AsyncClient, not a {type(client).__name__}.")
    return settings


def _rate(settings: Settings, rate: float | None) -> float | None:
    """Take the published limit where the hosted service itself is asked, and nobody says otherwise."""
    if rate is not None:
        return rate_of(rate)
    hosted = settings.base_url == HOSTED and settings.transport is None
    return rate_of(settings.endpoint.requests_per_minute) if hosted else None


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value), known, n=1, cutoff=0.4)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise ParameterError(f"There is no {name}={value!r}.{meant}", hint=f"There are: {', '.join(known)}.")


def _outside() -> int:
    """Return the stack level of the first caller outside the package, for warnings."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "nbvlm":
        frame, level = frame.f_back, level + 1
    return level
