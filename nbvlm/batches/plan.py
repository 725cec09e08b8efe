"""The plan of a run, checked before it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from string import Formatter
from typing import TYPE_CHECKING, Any

from nbvlm import prompts
from nbvlm._text import did_you_mean, warn_outside
from nbvlm.batches.rate_limit import rate_of
from nbvlm.batches.rows import key_of
from nbvlm.client import Settings, check_question, refuse_unknown, resolve, warn_of_demo
from nbvlm.endpoints import owner
from nbvlm.errors import Error, ParameterError, PromptError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["Plan", "Prompt", "plan"]


class Prompt:
    """Writes prompts: a text, a text with `{column}` in it, or what a function of the row returns."""

    def __init__(self, source: str | Callable[[Mapping[str, Any]], str]) -> None:
        if not isinstance(source, str) and not callable(source):
            raise PromptError(
                f"prompt must be a text or a function, got {type(source).__name__}.",
                hint="Pass a text, a text with {column} in it, or a function of the row.",
            )
        self._source = source
        self.template = source if isinstance(source, str) else None
        self._names = _fields(source) if isinstance(source, str) else ()
        self.fixed: str | None = None  # the prompt where it is the same for all pictures
        if isinstance(source, str) and not self._names:
            self.fixed = prompts.check(source.format() if "{" in source or "}" in source else source)

    def of(self, row: Mapping[str, Any]) -> str:
        """Write the prompt of a row."""
        if self.fixed is not None:
            return self.fixed
        if isinstance(self._source, str):
            self.check(row)
            for name in self._names:
                _check_value(name, row[name])
            try:
                return prompts.check(_written(self._source, row))
            except (ValueError, TypeError, AttributeError) as error:
                if isinstance(error, PromptError):
                    raise
                raise PromptError(f"The prompt cannot be written for this row: {error}.") from None
        try:
            made = self._source(row)
        except Error:
            raise
        except Exception as error:  # noqa: BLE001 - the caller's own function
            raise PromptError(
                f"The function that writes the prompt failed: {type(error).__name__}: {error}.",
                hint=f"It was given a row with: {', '.join(row)}.",
            ) from None
        if not isinstance(made, str):
            kind = type(made).__name__
            raise PromptError(
                f"The function that writes the prompt returned a value of type {kind}, not text."
            )
        return prompts.check(made)

    def check(self, names: Collection[str]) -> None:
        """Check a template against the names of the columns."""
        for name in self._names:
            if list(names).count(name) > 1:
                raise PromptError(
                    f"The prompt names {{{name}}}, and the table has several columns of this name.",
                    hint="Rename all but one.",
                )
            if name not in names:
                meant = did_you_mean(name, names, cutoff=0.4, form="{{{}}}")
                if special := [
                    known for known in names if known.startswith(name) and set(known) & set(_MARKS)
                ]:
                    meant = f"{_BY_FUNCTION.format(special[0])} "
                raise PromptError(
                    f"The prompt names {{{name}}}, which the row does not have.",
                    hint=f"{meant}Columns: {', '.join(names)}. Write a literal brace twice.",
                )


_MARKS = ":!{}"
_BY_FUNCTION = 'A name with one of : ! {{ }} needs a function: lambda row: f"detect {{row[{!r}]}}".'


def _check_value(name: str, value: Any) -> None:
    """Refuse what must not become words of a prompt: a missing value, and the address of an object."""
    if _is_missing(value):
        raise PromptError(
            f"The column {name!r} has no value in this row.", hint="Fill it, or leave the row out."
        )
    if isinstance(value, (bytes, bytearray, memoryview)) or " object at 0x" in str(value):
        raise PromptError(
            f"The column {name!r} holds a value of type {type(value).__name__}, which is not a text.",
            hint="Name a column with words or numbers.",
        )


def _is_missing(value: Any) -> bool:
    if value is None or isinstance(value, str):
        return not (value and value.strip())
    try:
        return bool(value != value)  # NaN and NaT, of any library, differ from themselves
    except (TypeError, ValueError):
        return str(value) == "<NA>"  # pandas says neither yes nor no; an array is a value


def _written(template: str, row: Mapping[str, Any]) -> str:
    """Fill in a template; unlike `str.format`, dots, brackets and digits are parts of a column's name."""
    parts = []
    for text, name, form, conversion in Formatter().parse(template):
        parts.append(text)
        if name is not None:
            value = Formatter().convert_field(row[name], conversion)
            parts.append(format(value, _written(form or "", row)))
    return "".join(parts)


def _fields(template: str) -> tuple[str, ...]:
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise _unreadable(str(error)) from None
    names: list[str] = []
    for _, name, form, _ in parsed:
        if name is not None:
            names += [name, *_fields(form or "")]
    if "" in names:
        raise _unreadable("{} names no column")
    return tuple(names)


def _unreadable(reason: str) -> PromptError:
    return PromptError(
        f"The prompt is not a template: {reason}.",
        hint="{column} stands for a value of the row; double braces that stand for themselves. "
        + _BY_FUNCTION.format("a:b"),
    )


_OPTIONS = ("temperature", "top_p", "max_tokens", "seed", "route", "content", "allow_private")


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """A checked run."""

    settings: Settings
    prompt: Prompt
    options: Mapping[str, Any]  # keywords of each question
    parameters: Mapping[str, float | int]  # all sampling parameters, defaults filled in
    concurrency: int
    rate: float | None  # requests a minute
    on_error: str  # "record" or "raise"

    def key(self, content: str, prompt: str) -> str:
        """Name the question about a picture with this hash."""
        form = "" if self.options.get("content", "tag") == "tag" else "parts"
        return key_of(content, prompt, self.parameters, self.settings.endpoint, form)

    @property
    def allow_private(self) -> bool:
        """Whether the address of a picture may lead to this machine or its private network."""
        return bool(self.options.get("allow_private"))

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
    """Check the arguments of a run, before any network use."""
    settings = settings_of(client)
    refuse_unknown(options, _OPTIONS)
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise ParameterError(f"concurrency must be a positive integer, got {concurrency!r}.")
    if on_error not in ("record", "raise"):
        raise ParameterError(f'on_error must be "record" or "raise", got {on_error!r}.')
    written = Prompt(prompt)
    question = check_question(settings.endpoint, None, written.fixed or "caption en", **options)
    settings.key()
    warn_of_demo(settings, "nbvlm")
    for notice in question.notices:
        warn_outside(notice)
    return Plan(
        settings=settings,
        prompt=written,
        options={name: value for name, value in options.items() if value is not None},
        parameters=question.parameters,
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
        raise TypeError(f"client must be a nbvlm.Client or AsyncClient, not a {type(client).__name__}.")
    return settings


def _rate(settings: Settings, rate: float | None) -> float | None:
    """Take the published limit where the hosted service itself is asked, unless the caller sets another."""
    if rate is not None:
        return rate_of(rate)
    hosted = owner(settings.base_url) is not None and settings.transport is None
    return rate_of(settings.endpoint.requests_per_minute) if hosted else None
