"""The values of an answer: text, detections, sent picture, usage and timing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from nbvlm.grounding import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbvlm.grounding import Detections, Problem
    from nbvlm.images import Picture

__all__ = ["ResultData", "Sent", "Timing", "Usage"]


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
class ResultData:
    """The fields of a `nbvlm.Result`, which describes them: all that an exporter needs."""

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
    base_url: str | None = None
    assets_url: str | None = None
    reasoning: str = ""
    asked: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked", self.asked or self.prompt)
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
        origin = Origin(self.picture, self.model, self.endpoint, self.notices)
        object.__setattr__(self, "detections", self.detections.bound_to(origin))

    def __hash__(self) -> int:
        return hash((self.text, self.prompt, self.model, self.request_id, self.created, self.picture.sha256))

    def __reduce__(self) -> tuple[Any, ...]:
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        return _rebuild, (type(self), state | {"parameters": dict(self.parameters)})


def _rebuild(kind: type[ResultData], state: dict[str, Any]) -> ResultData:
    return kind(**state)
