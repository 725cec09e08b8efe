"""The gateway of a class: its address and its models.

One environment variable names it, `NBVLM_GATEWAY`. A gateway behind a JupyterHub is written with a prefix,
`jupyterhub+https://hub.example.org/services/nbvlm`: then the token of the student's own server is sent there.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
from typing import Any
from urllib.parse import urlsplit

from nbvlm._environment import is_loopback, proxy_for, tls
from nbvlm._text import shorten, visible
from nbvlm._version import __version__
from nbvlm.endpoints.services import SERVICES, Service
from nbvlm.endpoints.services import service_of as service_by_address
from nbvlm.endpoints.values import Endpoint, Parameter
from nbvlm.errors import AuthenticationError, NotFoundError, ParameterError, TransportError

__all__ = [
    "FACTS",
    "GATEWAY",
    "STANDING",
    "described",
    "facts_of",
    "gateway_address",
    "gateway_endpoint",
    "join_gateway",
    "named",
    "service_of",
    "through_hub",
]

VARIABLE = "NBVLM_GATEWAY"
FACTS = "/v1/gateway"
"""Path of the public facts: the model and its limits, nothing about students."""
STANDING = "/v1/gateway/me"
"""Path of a gateway's facts about the owner of a token: name, role, and the quota left today."""
SECONDS = 10.0
LARGEST = 256 * 1024
_HUB = "jupyterhub+"
_ADVICE = "Write it like http://127.0.0.1:8000, or jupyterhub+https://hub.example.org/services/nbvlm."

GATEWAY = Service(
    "gateway",
    "the class gateway",
    "http://gateway.nbvlm.localhost",
    variables=("NBVLM_GATEWAY_TOKEN", "JUPYTERHUB_API_TOKEN"),
    page="your teacher, or from the gateway's own page",
    address=VARIABLE,
    advice="Ask your teacher whether the gateway runs.",
)
"""The gateway as a service; not one of `SERVICES`, since its address is known to the class only."""


def gateway_address() -> str | None:
    """Return the address of the gateway without a slash at its end, or None where no variable names one.

    Raises
    ------
    ParameterError
        If the variable does not hold an address.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return None
    try:
        parts = urlsplit(given.removeprefix(_HUB))
        _ = parts.port
    except ValueError:
        raise ParameterError(f"{VARIABLE} is not an address.", hint=_ADVICE) from None
    wrong = parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc
    if wrong or parts.query or parts.fragment:
        raise ParameterError(f"{VARIABLE} is not an address.", hint=_ADVICE)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def named(name: str | None) -> Service | None:
    """Return the service of a name, the gateway included; None for an unknown name."""
    return GATEWAY if name == GATEWAY.name else SERVICES.get(name or "")


def service_of(endpoint: Endpoint) -> Service | None:
    """Return the service whose key may be sent to an endpoint; None where its address was changed."""
    if endpoint.service != GATEWAY.name:
        return service_by_address(endpoint)
    with contextlib.suppress(ParameterError):
        return GATEWAY if endpoint.base_url == gateway_address() else None
    return None


def through_hub() -> bool:
    """Return whether the variable says that the gateway is a service of this server's JupyterHub."""
    return os.environ.get(VARIABLE, "").strip().startswith(_HUB)


def gateway_endpoint(*, allow_http: bool = False) -> Endpoint:
    """Ask the gateway which model it serves, and describe that.

    Parameters
    ----------
    allow_http
        Insist on plain http to another computer.

    Raises
    ------
    ParameterError
        If no variable names a gateway, or its address cannot be used.
    TransportError
        If the gateway does not respond.
    """
    url = _checked(allow_http=allow_http)
    status, facts = _asked(url, FACTS)
    if status != http.HTTPStatus.OK:
        raise NotFoundError(f"{url} is not an nbvlm gateway ({status}).", status=status, hint=_ADVICE)
    return described(url, facts)


def _checked(*, allow_http: bool) -> str:
    """Return the address of the gateway, if it can be used."""
    url = gateway_address()
    if url is None:
        raise ParameterError(f"No gateway is set: {VARIABLE} is empty.", hint=f"Set it. {_ADVICE}")
    parts = urlsplit(url)
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        raise ParameterError(
            f"Plain http to {parts.hostname} would show the token and the picture to anyone on the network.",
            hint="Use https, or insist with allow_http=True.",
        )
    return url


def join_gateway(code: str, name: str, *, allow_http: bool = False) -> str:
    """Join the class with its code and a name; return the token that stands for this student.

    Raises
    ------
    AuthenticationError
        If the code is wrong, or the name is taken.
    ParameterError, TransportError
        As `gateway_endpoint`.
    """
    url = _checked(allow_http=allow_http)
    status, answer = _asked(url, "/join", {"code": code, "name": name})
    token = answer.get("token") if isinstance(answer, dict) else None
    if status == http.HTTPStatus.OK and isinstance(token, str):
        return token
    detail = answer.get("detail") if isinstance(answer, dict) else None
    sentence = shorten(visible(str(detail)), 300) if detail else f"The class could not be joined ({status})."
    raise AuthenticationError(sentence, status=status, hint="Ask your teacher for the code of the class.")


def _asked(url: str, path: str, body: dict[str, str] | None = None) -> tuple[int, Any]:
    """Send one request without a key; return the status and the parsed answer, None where it is not JSON."""
    parts = urlsplit(url)
    try:
        connection = _connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            headers = {"Accept": "application/json", "User-Agent": f"nbvlm/{__version__}"}
            content = None if body is None else json.dumps(body)
            if content is not None:
                headers["Content-Type"] = "application/json"
            method = "GET" if content is None else "POST"
            connection.request(method, f"{parts.path}{path}", content, headers)
            response = connection.getresponse()
            answer = response.read(LARGEST)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        because = getattr(error, "strerror", None) or type(error).__name__
        message = f"The class gateway at {url} does not respond ({because})."
        raise TransportError(message, hint=GATEWAY.advice) from None
    try:
        return response.status, json.loads(answer)
    except ValueError:
        return response.status, None


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    proxy = proxy_for(scheme, host, port)
    if proxy is None:
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=tls())
        return http.client.HTTPConnection(host, port, timeout=SECONDS)
    way = urlsplit(proxy)
    if scheme == "https":
        through = http.client.HTTPSConnection(way.hostname or "", way.port, timeout=SECONDS, context=tls())
    else:
        through = http.client.HTTPConnection(way.hostname or "", way.port, timeout=SECONDS)  # type: ignore[assignment]
    through.set_tunnel(host, port)
    return through


_STATED = ("model", "dialect", "inline_limit", "codebook", "bins", "longest_side", "keeps_tokens", "pictures")


def facts_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return a gateway's description of its model; `described` reads it."""
    facts = {name: getattr(endpoint, name) for name in _STATED}
    facts["parameters"] = [
        {name: getattr(parameter, name) for name in Parameter.__slots__} for parameter in endpoint.parameters
    ]
    return facts


def described(url: str, facts: Any) -> Endpoint:
    """Describe the model behind a gateway by the facts that it states.

    Parameters
    ----------
    url
        Address of the gateway, without a slash at its end.
    facts
        The parsed answer of `FACTS`.

    Raises
    ------
    NotFoundError
        If these are not the facts of a gateway.
    """
    try:
        nvidia = {"nvidia": True, "openai": False}[facts["dialect"]]
        model = str(facts["model"])
        path = f"/v1/vlm/{model}" if nvidia else "/v1/chat/completions"
        endpoint = Endpoint(
            name="gateway",
            model=model,
            dialect=facts["dialect"],
            base_url=url,
            path=path,
            assets_url=url if nvidia else None,
            inline_limit=_whole(facts["inline_limit"]),
            parameters=tuple(_parameter(value) for value in facts["parameters"]),
            service="gateway",
            pictures=_whole(facts["pictures"]),
            codebook=None if facts["codebook"] is None else str(facts["codebook"]),
            bins=int(facts["bins"]),
            longest_side=_whole(facts["longest_side"]),
            keeps_tokens=bool(facts["keeps_tokens"]),
            note=str(facts.get("note", ""))[:400],
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NotFoundError(f"{url} is not an nbvlm gateway.", hint=_ADVICE) from None
    return endpoint


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _parameter(value: dict[str, Any]) -> Parameter:
    given = {name: value[name] for name in Parameter.__slots__ if name in value}
    found = Parameter(**given)
    if not all(math.isfinite(number) for number in (found.low, found.high, found.default)):
        raise ValueError
    return found
