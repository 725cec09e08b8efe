"""One answer and everything known about it, as a frozen value.

A `Result` knows what was asked, what came back, what it means (`detections`), what travelled and how long
it took. It shows itself in a notebook, draws itself, and turns into tables, datasets, pages and code.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from nbvlm.detections import Detection, Detections, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbvlm.images import Picture

__all__ = ["Detection", "Detections", "Problem", "Result", "Sent", "Timing", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the service counted; None where it did not say."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None


@dataclass(frozen=True, slots=True)
class Sent:
    """The picture as it travelled, after any conversion and shrinking.

    Attributes
    ----------
    mime
        "image/png" or "image/jpeg".
    width, height
        Pixels.
    bytes
        Length of the encoded picture, before base64.
    """

    mime: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds by a monotonic clock, and bytes on the way to the service.

    Attributes
    ----------
    upload_s
        Creating and filling the asset; None on the inline route.
    first_token_s
        From the start of `ask` to the first piece of text; None where no text came.
    total_s
        From the start of `ask` to the end of the answer.
    bytes_sent
        All request bodies together.
    """

    upload_s: float | None
    first_token_s: float | None
    total_s: float
    bytes_sent: int


@dataclass(frozen=True, kw_only=True, repr=False)
class Result:
    """An answer of a vision-language model to a prompt about a picture.

    Attributes
    ----------
    text
        The answer as it came, tokens included, unstripped.
    detections
        Its boxes and masks, in pixels of `picture`.
    usage, finish_reason, request_id
        As the service reported them, else None.
    model, prompt, parameters
        What was asked for; `parameters` is read-only.
    picture
        The original picture, upright.
    route
        "inline" (inside the request) or "asset" (uploaded before).
    sent
        The picture as it travelled.
    timing
        Seconds and bytes.
    problems
        Irregularities that the parser met.
    notices
        Sentences about what was done on the way (conversion, shrinking, a retry).
    has_locations
        False if the answer holds no location token at all, which is not the same as "no objects".
    endpoint
        Name of the endpoint that answered ("nvidia", "demo", …) or its URL.
    base_url, assets_url
        Origins that were used in place of the endpoint's own, else None.
    created
        ISO 8601, UTC.
    """

    text: str
    detections: Detections
    usage: Usage | None
    finish_reason: str | None
    request_id: str | None
    model: str
    prompt: str
    parameters: Mapping[str, float | int]
    picture: Picture
    route: Literal["inline", "asset"]
    sent: Sent
    timing: Timing
    has_locations: bool
    endpoint: str
    created: str
    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()
    base_url: str | None = field(default=None)
    assets_url: str | None = field(default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def __hash__(self) -> int:
        return hash((self.text, self.prompt, self.model, self.request_id, self.created, self.picture.sha256))

    def __reduce__(self) -> tuple[Any, ...]:
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        return _rebuild, (type(self), state | {"parameters": dict(self.parameters)})


def _rebuild(kind: type[Result], state: dict[str, Any]) -> Result:
    return kind(**state)
