"""The settings of a client as one frozen value, the keywords that make it, and which addresses are safe.

>>> resolve("demo").base_url
'http://demo.nbvlm.localhost'
"""

from __future__ import annotations

import inspect
import math
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack
from urllib.parse import quote, urlsplit

import httpx

from nbvlm import endpoints
from nbvlm._environment import is_loopback
from nbvlm._text import did_you_mean, shorten, visible
from nbvlm.client import keys
from nbvlm.client.policies import Retry, Timeouts
from nbvlm.client.secrets import Secret
from nbvlm.endpoints import Endpoint
from nbvlm.errors import AuthenticationError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.client.flow.events import Status
    from nbvlm.client.transports import Given
    from nbvlm.local import LocalOptions

__all__ = [
    "AskOptions",
    "OpeningOptions",
    "Settings",
    "check_pace",
    "is_safe",
    "refuse_unknown",
    "resolve",
    "signed",
    "with_keywords",
]

F = TypeVar("F", bound="Callable[..., Any]")


class AskOptions(TypedDict, total=False):
    """Keywords of `Client.ask` and `Client.stream`."""

    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    seed: int | None
    route: Literal["auto", "inline", "asset"]
    content: Literal["tag", "parts"]
    format: Literal["auto", "png"]
    translate: bool
    allow_private: bool
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
    speak: str | None
    device: str | None
    dtype: str | None
    quantize: str | None
    pace: float | None


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


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that a client was opened with; `base_url` and `assets_url` are the origins in use."""

    endpoint: Endpoint
    api_key: Secret | None = None
    key_source: str | None = None  # where the key came from, in words
    origin: str | None = None  # replaces the endpoint's own
    assets_origin: str | None = None  # likewise
    transport: Given | None = None  # the caller's own
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: Retry = field(default_factory=Retry)
    allow_http: bool = False
    local: LocalOptions | None = None  # of a model in this process
    pace: float | None = None  # tokens a second of the embedded model; None does not slow it down
    chosen: bool = True  # False if no endpoint was named, so that the key, or its absence, decided

    @property
    def base_url(self) -> str:
        """Origin of the model."""
        return self.origin or self.endpoint.base_url

    @property
    def assets_url(self) -> str | None:
        """Origin of the asset service, or None without one."""
        return self.endpoint.assets_url and (self.assets_origin or self.endpoint.assets_url)

    @property
    def url(self) -> str:
        """Address of an invocation."""
        return self.base_url + self.endpoint.path

    @property
    def in_process(self) -> bool:
        """Whether a model in this process answers: an embedded one, or one of `local`."""
        return (
            (self.endpoint.name == "demo" or self.local is not None)
            and self.origin is None
            and self.transport is None
        )

    @property
    def is_direct(self) -> bool:
        """Whether the service itself is asked, not a recording or a transport of the caller's own."""
        return self.transport is None or getattr(self.transport, "needs_key", False)

    @property
    def who(self) -> str:
        """What answers, for a sentence: "model" in this process, "server …" of one's own, or "service"."""
        if self.in_process:
            return "model"
        known = endpoints.named(self.endpoint.service) is not None
        return "service" if known else f"server {urlsplit(self.base_url).netloc}"

    def key(self) -> Secret | None:
        """Return the key to send."""
        if self.local is not None:
            return None  # it is for the site with the model's files
        if self.api_key is not None:
            return self.api_key
        service = endpoints.service_of(self.endpoint)
        if service is None or not service.needs_key or self.origin is not None or not self.is_direct:
            return None
        if (found := keys.find(service.name)) is not None:
            return found[0]
        raise AuthenticationError(
            f"There is no key for {service.title}.",
            hint=f'{keys.advice(service)} nbvlm.Client("demo") needs none.',
        )

    def describe(self) -> str:
        """Say endpoint, model and where the key came from, never the key."""
        parts = [repr(self.endpoint.name), f"model={self.endpoint.model!r}"]
        if self.origin is not None or self.endpoint.name in ("server", "gateway"):
            parts.append(f"base_url={self.base_url!r}")
        if self.pace is not None:
            parts.append(f"pace={self.pace:g}")
        if not self.chosen and self.endpoint.name == "gateway":
            parts.append(f"the class gateway that {endpoints.GATEWAY.address} names")
        if not self.chosen and self.endpoint.name == "demo":
            parts.append("no key found: the embedded demo model answers")
        elif self.in_process and self.api_key is None:
            parts.append("no key needed")
        else:
            parts.append(f"key from {self.key_source}" if self.api_key is not None else "no key")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"Settings({self.describe()})"

    def __reduce__(self) -> tuple[Any, ...]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return _reopened, (values | {"api_key": None, "key_source": None, "transport": None},)


def _reopened(values: dict[str, Any]) -> Settings:
    """Rebuild pickled settings: the key did not travel, so it is looked for where they arrive."""
    settings = Settings(**values)
    key, source = _found_for(settings.endpoint) or (None, None)
    return replace(settings, api_key=key, key_source=source)


def resolve(endpoint: str | Endpoint | None = None, **options: Unpack[OpeningOptions]) -> Settings:
    """Turn the arguments of a client into settings; parameters as `nbvlm.Client`."""
    Secret.hide(options, "api_key")  # type: ignore[arg-type]
    transport, allow_http = options.get("transport"), options.get("allow_http", False)
    model, key, timeout = options.get("model"), options.get("api_key"), options.get("timeout")
    recorded = getattr(transport, "endpoint", None)
    if endpoint is None and model is None and isinstance(recorded, (str, Endpoint)):
        endpoint = recorded
    local = _local(endpoint, options)
    wanted = local.endpoint() if local is not None else endpoint
    if endpoint == endpoints.GATEWAY.name or (endpoint is None and _is_of_a_class(options)):
        wanted = _gateway(options)
    found = (key, "the argument") if isinstance(key, Secret) else None
    if wanted is None and model is None:
        found = found or keys.find()
        entry = endpoints.get("nvidia" if found else "demo")
    else:
        entry = _entry(wanted, model, options.get("base_url"))
        found = found or _found_for(entry)
    key, source = found or (None, None)
    entry = _of_the_demo(entry, options)
    origin, assets_origin = _origins(entry, options)
    _check_owner(entry, origin)
    timeouts = Timeouts.of(timeout)
    if timeout is None and local is not None:
        timeouts = _PATIENT
    elif timeout is None and entry.silence is not None:
        timeouts = replace(timeouts, between_tokens=max(entry.silence, timeouts.between_tokens))
    settings = Settings(
        endpoint=entry,
        api_key=key,
        key_source=source,
        origin=origin,
        assets_origin=assets_origin,
        transport=transport,
        timeouts=timeouts,
        retry=Retry.of(options.get("retry")),
        allow_http=allow_http,
        local=local,
        pace=check_pace(options.get("pace")),
        chosen=endpoint is not None,
    )
    for address in filter(None, (settings.base_url, settings.assets_url)):
        if not has_host(address):
            raise ParameterError(
                f"{shorten(visible(urlsplit(address).netloc), 100)!r} cannot be the name of a host.",
                hint="A name has parts of 1 to 63 characters, with one dot between two of them.",
            )
        if not is_safe(address, allow_http=allow_http):
            host = urlsplit(address).hostname
            raise ParameterError(
                f"Plain http to {host} would show the key and the picture to anyone on the network.",
                hint="Use https, or insist with allow_http=True.",
            )
    return settings


_OWN = ("model", "api_key", "base_url", "assets_url", "transport", "speak")


def _is_of_a_class(options: OpeningOptions) -> bool:
    """Return whether a gateway is set, and nothing else says what to ask."""
    return all(options.get(name) is None for name in _OWN) and endpoints.gateway_address() is not None


def _gateway(options: OpeningOptions) -> Endpoint:
    for name in ("model", "base_url", "assets_url", "speak"):
        if options.get(name) is not None:
            variable = endpoints.GATEWAY.address
            raise ParameterError(
                f"The class gateway takes no {name}.",
                hint=f"The variable {variable} says where it is, and your teacher chooses the model.",
            )
    return endpoints.gateway_endpoint(allow_http=options.get("allow_http", False))


def _entry(endpoint: str | Endpoint | None, model: str | None, base_url: str | None) -> Endpoint:
    """Return the facts about what is to be asked: an endpoint, a model, or both are given."""
    if isinstance(endpoint, Endpoint):
        return endpoint
    if endpoint is not None and not isinstance(endpoint, str):
        wrong = type(endpoint).__name__
        raise TypeError(f"endpoint must be a name, a server's URL or an Endpoint, got {wrong}.")
    name = "nvidia" if endpoint is None else endpoint
    if "://" in name:
        return endpoints.openai(name, model or "")
    service = endpoints.SERVICES.get(name)
    if service is not None and service.local and model is None:
        model = endpoints.only_model(service, _origin(base_url, "base_url"))
    try:
        return endpoints.get(name, model)
    except ParameterError as error:
        if endpoint is None and base_url is not None:
            call = f"nbvlm.Client(url, model={model!r})"
            error.hint = f"The address of a server comes first, in place of base_url: {call}."
        raise


def _local(endpoint: str | Endpoint | None, options: OpeningOptions) -> LocalOptions | None:
    """Read which model runs in this process; None where none does."""
    given = {name: options.get(name) for name in ("device", "dtype", "quantize")}
    given = {name: value for name, value in given.items() if value is not None}
    if endpoint != "local":
        if given:
            names = ", ".join(f"{name}=…" for name in given)
            raise ParameterError(f"{names} is for a model in this process.", hint=_LOCAL)
        return None
    for name in ("base_url", "assets_url", "speak"):
        if options.get(name) is not None:
            raise ParameterError(f"A local model has no {name}.", hint="Leave it out.")
    from nbvlm.local import LocalOptions

    return LocalOptions(options.get("model") or "", **given)  # type: ignore[arg-type]


_PATIENT = Timeouts(first_token=3600.0, between_tokens=600.0, total=24 * 3600.0)
"""For a model in this process: without a GPU an answer takes minutes, and Stop always ends it."""
_LOCAL = 'Use nbvlm.Client("local", model="google/paligemma2-3b-mix-448", …).'


_OF_THE_DEMO = {
    "speak": 'Use nbvlm.Client("demo", speak=…).',
    "pace": 'Use nbvlm.Client("demo", pace=…), or nbvlm serve --pace.',
}
"""Keywords of the embedded model only, with the hint for any other."""


def _of_the_demo(entry: Endpoint, options: OpeningOptions) -> Endpoint:
    """Apply what only the embedded model takes, and refuse it for any other."""
    model, speak = options.get("model"), options.get("speak")
    for name, hint in _OF_THE_DEMO.items():
        if options.get(name) is not None and entry.name != "demo":
            raise ParameterError(f"{name} is for the embedded model.", hint=hint)
    if entry.name == "demo" and model is not None:
        entry = endpoints.embedded(model)
    if speak is None:
        return entry
    from nbvlm.demo import speaking

    # It answers in the form of another family.
    facts = endpoints.openai(entry.base_url, speaking.model_id(speak))
    return replace(facts, name="demo", codebook="demo")


def check_pace(pace: float | None) -> float | None:
    """Return a pace in tokens a second; raise a `ParameterError` if it is not positive."""
    if pace is None:
        return None
    if isinstance(pace, bool) or not isinstance(pace, (int, float)) or not 0 < pace < math.inf:
        raise ParameterError(
            f"pace must be a positive number of tokens a second, got {pace!r}.",
            hint="Leave it out for answers as fast as they are computed.",
        )
    return float(pace)


def _found_for(entry: Endpoint) -> keys.Found | None:
    service = endpoints.service_of(entry)
    return keys.find(service.name) if service is not None else None


def _check_owner(entry: Endpoint, origin: str | None) -> None:
    """Refuse an origin of another service: the key would go there."""
    address = origin or entry.base_url
    other = endpoints.owner(address) if entry.service is not None else None
    if other is not None and other.name != entry.service:
        raise ParameterError(
            f"{address} belongs to {other.title}, which gets no key of another service.",
            hint=f'Use nbvlm.Client("{other.name}", …).',
        )


def _origins(entry: Endpoint, options: OpeningOptions) -> tuple[str | None, str | None]:
    """Return the origins of model and assets that replace the endpoint's own."""
    is_hosted = entry.service == "nvidia" and endpoints.service_of(entry) is not None
    given = {"base_url": options.get("base_url"), "assets_url": options.get("assets_url")}
    origin, assets = (_origin(url, name, is_hosted=is_hosted) for name, url in given.items())
    # A client that is pointed elsewhere sends the pictures there too.
    return origin, assets or (origin if entry.assets_url is not None else None)


def _origin(url: str | None, name: str, *, is_hosted: bool = False) -> str | None:
    """Check an origin; for a hosted model, one that is not given may be set in the environment."""
    if not url and is_hosted:
        name = f"NBVLM_{name.upper()}"
        url = os.environ.get(name)
    if not url:
        return None
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise ParameterError(f"{name} cannot be read as an address.", hint=_ORIGIN) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ParameterError(f"{name} is not an http(s) origin.", hint=_ORIGIN)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ParameterError(f"{name} must be an origin without a path.", hint=_ORIGIN)
    return f"{parts.scheme}://{parts.netloc}"


_ORIGIN = "Give scheme, host and port only, such as https://ai.api.nvidia.com or http://127.0.0.1:8000."


def is_safe(url: str, *, allow_http: bool = False) -> bool:
    """Return whether an address is https or on this machine, so that it cannot be read on the way."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = parts.scheme == "http" and (allow_http or is_loopback(parts.hostname or ""))
    return parts.scheme == "https" or plain


def has_host(url: str) -> bool:
    """Return whether the host of an address can be looked up: IDNA has a form for it, in parts of 1 to 63."""
    try:
        return bool(httpx.URL(url).raw_host.decode("ascii").encode("idna"))
    except (httpx.InvalidURL, ValueError):
        return False


def signed(url: str, *, allow_http: bool = False) -> Secret | None:
    """Return an address that carries its own permission, hidden; None if it is not safe to go to."""
    whole = quote(url, safe="!#$%&'()*+,/:;=?@[]~")
    return Secret(whole) if is_safe(whole, allow_http=allow_http) and has_host(whole) else None
