"""The facts about each served model: its address, dialect, ranges and limits.

The entries are data: a client validates a request against its entry before any network use. The hosted
PaliGemma and the embedded demo model share dialect, path, ranges and inline limit, so that the client handles
both alike.

Sources: the published contract of `/v1/vlm/google/paligemma` and the reference pages of its siblings on
docs.api.nvidia.com. Where a page gives a value only in its sample ("about 0.2"), that value is the default
here. The set of models that answer changes from week to week: an entry describes the request, not whether the
service responds.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nbvlm._text import did_you_mean
from nbvlm.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENDPOINTS", "Endpoint", "Parameter", "get", "openai"]

HOSTED = "https://ai.api.nvidia.com"
ASSETS = "https://api.nvcf.nvidia.com"
DEMO = "http://demo.nbvlm.localhost"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A sampling parameter and its published range.

    Attributes
    ----------
    name
        Key in the request body.
    low, high
        Bounds, both included unless `low_open`.
    default
        Value that the service uses when the key is missing.
    low_open
        True where `low` itself is refused.
    integer
        True where only whole numbers are accepted.
    step
        Sensible step of a slider.

    Examples
    --------
    >>> get("nvidia").parameter("temperature").low_open
    True
    """

    name: str
    low: float
    high: float
    default: float
    low_open: bool = False
    integer: bool = False
    step: float = 0.01


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A served model, as data.

    Attributes
    ----------
    name
        Name in `ENDPOINTS`: `"nvidia"`, `"demo"`, a sibling's id such as `"nvidia/vila"`, or `"openai"`.
    model
        The model's id; sent in the body by the OpenAI dialect only.
    dialect
        `"nvidia"` (one `<img>` tag in string content) or `"openai"` (list content, `/chat/completions`).
    base_url
        Origin, without a path. The demo's is never resolved: its transport is in-process.
    path
        Path of the invocation; `base_url + path` is the address of a request.
    assets_url
        Origin of `/v2/nvcf/assets`, or None where there is no asset service.
    inline_limit
        An inline picture's base64 text must be shorter than this many characters; None for no limit, 0 where
        pictures are accepted as assets only.
    parameters
        Accepted sampling parameters.
    mime_types
        Accepted types of pictures.
    codebook
        Name of the codebook that turns `<segNNN>` tokens into masks, or None.
    bins
        The number that a location token's value is divided by.
    requests_per_minute
        Published limit per account, or None.
    streams
        True where the endpoint answers in server-sent events on request.
    body_model
        Value of `model` in the request body, or None where the body has no such key.
    note
        A peculiarity of this endpoint, as one sentence.

    Examples
    --------
    >>> get("nvidia").url
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
    mime_types: tuple[str, ...] = ("image/png", "image/jpeg")
    codebook: str | None = None
    bins: int = 1023
    requests_per_minute: int | None = None
    streams: bool = True
    body_model: str | None = None
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


TEMPERATURE = Parameter("temperature", 0, 1, 0.2, low_open=True)
TOP_P = Parameter("top_p", 0, 1, 0.7, low_open=True)
MAX_TOKENS = Parameter("max_tokens", 1, 1024, 1024, integer=True, step=1)
HOSTED_PARAMETERS = (TEMPERATURE, TOP_P, MAX_TOKENS)
NEVA_PARAMETERS = (Parameter("temperature", 0, 1, 0.2), Parameter("top_p", 0, 1, 0.7), MAX_TOKENS)
OPENAI_PARAMETERS = (
    Parameter("temperature", 0, 2, 0.2),
    Parameter("top_p", 0, 1, 1, low_open=True),
    Parameter("max_tokens", 1, 65_536, 1024, integer=True, step=1),
)
INLINE_LIMIT = 180_000
"""Base64 characters per picture; every official sample compares the text, not the raw bytes, with this."""


def _hosted(model: str, **facts: Any) -> Endpoint:
    """Describe a model on the hosted service; `facts` are those in which it differs from the others."""
    common: dict[str, Any] = {"name": model, "inline_limit": INLINE_LIMIT, "parameters": HOSTED_PARAMETERS}
    return Endpoint(
        model=model,
        dialect="nvidia",
        base_url=HOSTED,
        path=f"/v1/vlm/{model}",
        assets_url=ASSETS,
        requests_per_minute=40,
        **(common | facts),
    )


_DEMO = Endpoint(
    name="demo",
    model="nbvlm/demo",
    dialect="nvidia",
    base_url=DEMO,
    path="/v1/vlm/google/paligemma",
    assets_url=DEMO,
    inline_limit=INLINE_LIMIT,
    parameters=HOSTED_PARAMETERS,
    codebook="demo",
    note="A small model inside the package: it knows picture-book scenes and needs neither key nor network.",
)

_ALL = (
    _hosted("google/paligemma", name="nvidia", codebook="vae-oid"),
    _DEMO,
    _hosted("nvidia/vila", note="Also takes several pictures and a system message."),
    _hosted("nvidia/cosmos-nemotron-34b", body_model="nvidia/vila", note="VILA under its later name."),
    _hosted("nvidia/neva-22b", parameters=NEVA_PARAMETERS),
    _hosted("microsoft/phi-3-vision-128k-instruct"),
    _hosted("microsoft/kosmos-2", streams=False, note="Never streams; grounded phrases become detections."),
    _hosted("adept/fuyu-8b"),
    _hosted("google/deplot", note="Reads charts into tables."),
    _hosted(
        "microsoft/florence-2",
        parameters=(),
        inline_limit=0,
        streams=False,
        note="Takes its picture as an asset only and answers with a zip archive behind a redirect.",
    ),
)

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType({endpoint.name: endpoint for endpoint in _ALL})
"""All entries by name, PaliGemma first."""


def get(name: str) -> Endpoint:
    """Return the endpoint `name`; PaliGemma also answers to its model id.

    Raises
    ------
    ParameterError
        If there is none; the message names the nearest.

    Examples
    --------
    >>> get("google/paligemma").name
    'nvidia'
    """
    for endpoint in _ALL:
        if name in (endpoint.name, endpoint.model):
            return endpoint
    known = [*ENDPOINTS, "google/paligemma"]
    raise ParameterError(
        f"Unknown endpoint {name!r}.",
        hint=f"{did_you_mean(name, known)}Known endpoints: {', '.join(ENDPOINTS)}. Or pass a server's URL.",
    )


def openai(url: str, model: str) -> Endpoint:
    """Describe an OpenAI-compatible server.

    Parameters
    ----------
    url
        Address of the server, such as `http://127.0.0.1:8000/v1`; `/v1` is added to a bare origin, and a
        trailing `/chat/completions` is removed.
    model
        The model's id on that server.

    Returns
    -------
    Endpoint
        No inline limit, no assets, temperature in [0, 2]. Use `dataclasses.replace` where the server differs.

    Raises
    ------
    ParameterError
        If `url` is not an http(s) address or holds a user name, password, query or fragment, or if `model` is
        empty.

    Examples
    --------
    >>> openai("http://127.0.0.1:8000/v1", "google/paligemma2-3b-mix-448").url
    'http://127.0.0.1:8000/v1/chat/completions'
    """
    if not model or not model.strip():
        raise ParameterError(
            "An OpenAI-compatible server needs the name of a model.",
            hint='Pass model=…; `Client(url, model="?").models()` lists the models of the server.',
        )
    origin, path = _split(url)
    return Endpoint(
        name="openai",
        model=model.strip(),
        dialect="openai",
        base_url=origin,
        path=f"{path or '/v1'}/chat/completions",
        assets_url=None,
        inline_limit=None,
        parameters=OPENAI_PARAMETERS,
        codebook="vae-oid" if "paligemma" in model.lower() else None,
    )


def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise ParameterError("The server's address is not a URL.", hint=_ADDRESS) from None
    # The address itself stays out of the messages: it may hold a password.
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ParameterError("The server's address must be an http(s) URL.", hint=_ADDRESS)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ParameterError("The server's address must hold host and path only.", hint=_ADDRESS)
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/").removesuffix("/chat/completions")


_ADDRESS = "Write it like http://127.0.0.1:8000/v1, and pass a key as api_key=…."
