"""An endpoint and its parameters, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbvlm._text import did_you_mean
from nbvlm.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Endpoint", "Parameter"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A sampling parameter and its published range.

    Attributes
    ----------
    name
        Name in `Client.ask`, and key in the request body unless `key` says otherwise.
    low, high
        Bounds, both included unless `low_open`.
    default
        Value that is used when none is given.
    low_open
        True where `low` itself is refused.
    integer
        True where only whole numbers are accepted.
    step
        Sensible step of a slider.
    key
        Key in the request body where it differs from `name`.
    optional
        True where a body leaves the default out, because some models of the service refuse the key.

    Examples
    --------
    >>> from nbvlm import endpoints
    >>> endpoints.get("nvidia").parameter("temperature").low_open
    True
    """

    name: str
    low: float
    high: float
    default: float
    low_open: bool = False
    integer: bool = False
    step: float = 0.01
    key: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A served model, as data.

    Attributes
    ----------
    name
        Name in `ENDPOINTS` or `SERVICES`, or `"server"` for a server that is known by its address only.
    model
        The model's id; sent in the body by the OpenAI dialect only.
    dialect
        `"nvidia"` (one `<img>` tag in string content) or `"openai"` (list content, `/chat/completions`).
    base_url
        Origin, without a path. The demo's is never resolved: its transport is in-process.
    path
        Path of the invocation; `base_url + path` is the address of a request.
    assets_url
        Origin of `/v2/nvcf/assets`, or None without an asset service.
    inline_limit
        An inline picture's base64 text must be shorter than this many characters; None for no limit, 0 where
        pictures are accepted as assets only.
    parameters
        Accepted sampling parameters.
    service
        Name in `SERVICES` of the company or program that serves it, and so of its key; None if unknown.
    mime_types
        Accepted types of pictures.
    pictures
        Pictures that one request may hold, or None if unknown; nbvlm sends one.
    longest_side
        Pixels to which the longer side of a picture is shrunk before it travels, or None.
    codebook
        Name of the codebook that turns `<segNNN>` tokens into masks, or None.
    bins
        The number that a location token's value is divided by.
    keeps_tokens
        True where the server is asked not to drop special tokens, because the model's locations are such.
    stream_usage
        True where a stream counts its tokens only on request.
    extra
        Further keys of the request body, such as a switch that turns thinking off.
    requests_per_minute
        Published limit per account, or None.
    silence
        Seconds that the service may need for the next piece of an answer, or None for the usual limit.
    seed
        True where a request may carry a seed, which makes the choice of tokens repeatable.
    streams
        True where the endpoint answers in server-sent events on request.
    loads
        True where the service loads the model with the first question, and reports how far it is.
    note
        A peculiarity of this endpoint, as one sentence.

    Examples
    --------
    >>> from nbvlm import endpoints
    >>> endpoints.get("nvidia").url
    'https://ai.api.nvidia.com/v1/vlm/google/paligemma'
    """

    name: str
    model: str
    dialect: str
    base_url: str
    path: str
    assets_url: str | None
    inline_limit: int | None
    parameters: tuple[Parameter, ...]
    service: str | None = None
    mime_types: tuple[str, ...] = ("image/png", "image/jpeg")
    pictures: int | None = None
    longest_side: int | None = None
    codebook: str | None = None
    bins: int = 1023
    keeps_tokens: bool = False
    stream_usage: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    requests_per_minute: int | None = None
    silence: float | None = None
    seed: bool = False
    streams: bool = True
    loads: bool = False
    note: str = ""

    @property
    def url(self) -> str:
        """Address of an invocation."""
        return self.base_url + self.path

    def parameter(self, name: str) -> Parameter:
        """Return the parameter `name`.

        Raises
        ------
        ParameterError
            If the endpoint has no such parameter; the message names the nearest.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        known = [parameter.name for parameter in self.parameters]
        raise ParameterError(
            f"{self.name} has no parameter {name!r}.",
            hint=f"{did_you_mean(name, known)}Its parameters: {', '.join(known) or 'none'}.",
        )
