"""Check a question against the endpoint's published limits, before any network use."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvlm import prompts
from nbvlm._text import did_you_mean
from nbvlm.endpoints import Parameter
from nbvlm.errors import ParameterError, PromptError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.client.flow.events import Status
    from nbvlm.endpoints import Endpoint

__all__ = ["Question", "check_parameters", "check_question"]

_SEED = Parameter("seed", 0, 2**31 - 1, 0, integer=True)  # every service takes these
_ONE_OF_THEM = ("temperature", "top_p")
_BOTH_CHANGED = (
    "Both temperature and top_p were changed; the service advises to change one of them at a time."
)


@dataclass(frozen=True, slots=True, repr=False)
class Question:
    """A checked question."""

    image: Any
    prompt: str
    parameters: Mapping[str, float | int]
    stream: bool = False
    notices: tuple[str, ...] = ()
    route: str = "auto"
    content: str = "tag"
    format: str = "auto"
    translate: bool = True
    allow_private: bool = False
    progress: Callable[[Status], None] | None = None


def check_question(
    endpoint: Endpoint, image: Any, prompt: str, *, stream: bool = False, **options: Any
) -> Question:
    """Check a question; the options are the keywords of `nbvlm.Client.ask`."""
    text = prompts.check(prompt)
    if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
        raise PromptError(
            "The prompt contains an incomplete character.", hint="It was cut within an emoji: write it again."
        )
    given = {name: options.pop(name, None) for name in ("temperature", "top_p", "max_tokens")}
    seed = options.pop("seed", None)
    parameters = check_parameters(endpoint, given)
    if seed is not None:
        parameters["seed"] = _checked_seed(endpoint, seed)
    changed = [
        parameter.name
        for parameter in endpoint.parameters
        if parameter.name in _ONE_OF_THEM and parameters[parameter.name] != parameter.default
    ]
    both = endpoint.dialect == "nvidia" and len(changed) == 2
    notices = (_BOTH_CHANGED,) if both else ()
    question = Question(image, text, parameters, stream, notices, **options)
    _check_options(question, endpoint)
    return question


def _check_options(question: Question, endpoint: Endpoint) -> None:
    for name, known in (
        ("route", ("auto", "inline", "asset")),
        ("content", ("tag", "parts")),
        ("format", ("auto", "png")),
    ):
        if (chosen := getattr(question, name)) not in known:
            raise ParameterError(
                f"{name} must be one of {', '.join(map(repr, known))}, got {chosen!r}.",
                hint=did_you_mean(chosen, known, cutoff=0.4).strip() or None,
            )
    if not isinstance(question.translate, bool):
        raise ParameterError(f"translate must be True or False, got {question.translate!r}.")
    if question.progress is not None and not callable(question.progress):
        raise ParameterError(
            f"progress must be a function, got {question.progress!r}.", hint="It is called with each Status."
        )
    if question.route == "asset" and endpoint.assets_url is None:
        raise ParameterError(
            f"The endpoint {endpoint.name!r} has no asset service.",
            hint='Use route="auto" or route="inline".',
        )
    if question.route == "inline" and endpoint.inline_limit == 0:
        raise ParameterError(
            f"The endpoint {endpoint.name!r} takes no pictures inside a request.",
            hint='Use route="auto" or route="asset".',
        )


def check_parameters(endpoint: Endpoint, given: Mapping[str, float | int | None]) -> dict[str, float | int]:
    """Return the values of all parameters: the given ones, checked, and the defaults of the others."""
    values = {parameter.name: _value(parameter, given) for parameter in endpoint.parameters}
    for name, value in given.items():
        if value is not None:
            endpoint.parameter(name)
    return values


def _checked_seed(endpoint: Endpoint, seed: int) -> int:
    if not endpoint.seed:
        raise ParameterError(
            f"The endpoint {endpoint.name!r} takes no seed.",
            hint="Leave seed out; a low temperature makes answers alike.",
        )
    return int(_value(_SEED, {"seed": seed}))


def _value(parameter: Parameter, given: Mapping[str, float | int | None]) -> float | int:
    """Return the value to send: the given one, checked, or the default."""
    value = given.get(parameter.name)
    if value is None:
        return int(parameter.default) if parameter.integer else parameter.default
    wanted = numbers.Integral if parameter.integer else numbers.Real
    if isinstance(value, bool) or not isinstance(value, wanted):
        kind = "a whole number" if parameter.integer else "a number"
        raise ParameterError(f"{parameter.name} must be {kind}, not {value!r}.", hint=_range(parameter))
    number = int(value) if parameter.integer else float(value)
    above = number > parameter.low if parameter.low_open else number >= parameter.low
    if not math.isfinite(number) or not above or number > parameter.high:
        hint = _range(parameter)
        if parameter.name == "temperature" and number == 0:
            hint += " For the likeliest answer use temperature=0.01."
        raise ParameterError(f"{parameter.name}={value} is outside its range.", hint=hint)
    return number


def _range(parameter: Parameter) -> str:
    low, joint = ("above", " and at most") if parameter.low_open else ("from", " to")
    scope = f"It must be {low} {parameter.low:g}{joint} {parameter.high:.10g}"
    return f"{scope}." if parameter is _SEED else f"{scope}; the default is {parameter.default:g}."
