"""The keywords of a question and of a client, written once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from nbvlm._text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.client.flow.events import Status
    from nbvlm.client.policies import Retry, Timeouts
    from nbvlm.client.secrets import Secret
    from nbvlm.client.transports import Given

__all__ = ["AskOptions", "OpeningOptions", "refuse_unknown", "with_keywords"]

F = TypeVar("F", bound="Callable[..., Any]")


class AskOptions(TypedDict, total=False):
    """Keywords of `Client.ask` and `Client.stream`."""

    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    route: str
    content: str
    progress: Callable[[Status], None] | None


class OpeningOptions(TypedDict, total=False):
    """Keywords of `Client` and `AsyncClient`."""

    api_key: str | Secret | None
    base_url: str | None
    assets_url: str | None
    model: str | None
    transport: Given | None
    timeout: Timeouts | float | None
    retry: Retry | None
    allow_http: bool


def with_keywords(options: type[Any], **defaults: Any) -> Callable[[F], F]:
    """Show the keywords of `**options` in a function's signature, for `help` and completion."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        *before, _ = signature.parameters.values()
        keywords = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults.get(name),
                annotation=getattr(annotation, "__forward_arg__", annotation),
            )
            for name, annotation in options.__annotations__.items()
        ]
        function.__signature__ = signature.replace(parameters=[*before, *keywords])  # type: ignore[attr-defined]
        return function

    return decorate


def refuse_unknown(given: Mapping[str, Any], known: type[Any] | tuple[str, ...]) -> None:
    """Raise the `TypeError` for keywords that do not exist, naming the nearest that does."""
    names = known if isinstance(known, tuple) else tuple(known.__annotations__)
    for name in given:
        if name not in names:
            nearest = did_you_mean(name, names, cutoff=0.4)
            raise TypeError(f"There is no keyword {name!r}. {nearest}There are: {', '.join(names)}.")
