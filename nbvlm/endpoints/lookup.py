"""From a name or an address to an entry."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from nbvlm._text import did_you_mean
from nbvlm.endpoints.catalog import CHECKED, EMBEDDED, ENDPOINTS, INTEGRATE, LIVE, RETIRED, live
from nbvlm.endpoints.services import SERVICES, address, serve, split
from nbvlm.errors import NotFoundError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Collection

    from nbvlm.endpoints.catalog import Retired
    from nbvlm.endpoints.values import Endpoint

__all__ = ["alternatives", "embedded", "get", "openai"]

_ADDRESS = re.compile(r"[\w.-]+:\d+(?:/|$)")  # of a server, without the scheme


def get(name: str, model: str | None = None) -> Endpoint:
    """Return the endpoint `name`; PaliGemma also answers to its model id.

    Parameters
    ----------
    name
        A name in `ENDPOINTS`, a model's id there, or a name in `SERVICES`.
    model
        The model's id on a service such as `"ollama"` or `"openai"`; on `"nvidia"`, another of its models.

    Raises
    ------
    NotFoundError
        If the model has been retired; the message names living ones.
    ParameterError
        If the name is not known; the message suggests the nearest.

    Examples
    --------
    >>> get("google/paligemma").name
    'nvidia'
    >>> get("gemini", "gemini-3.7-flash").url
    'https://generativelanguage.googleapis.com/v1beta/openai/chat/completions'
    """
    if name in SERVICES and name != "nvidia":
        return _of_service(name, model)
    wanted = model if model is not None and name == "nvidia" else name
    for endpoint in ENDPOINTS.values():
        if wanted in (endpoint.name, endpoint.model):
            return endpoint
    if wanted in RETIRED:
        raise _refusal(RETIRED[wanted])
    known = [*ENDPOINTS, *SERVICES, "google/paligemma"]
    near = did_you_mean(wanted, [*known, *RETIRED])
    if _ADDRESS.match(wanted):
        near = f"Did you mean {f'http://{wanted}'!r}? "
    raise ParameterError(
        f"Unknown endpoint {wanted!r}.",
        hint=f"{near}Known endpoints: "
        f"{', '.join(dict.fromkeys([*ENDPOINTS, *SERVICES]))}. Or pass a server's URL.",
    )


def _refusal(gone: Retired) -> NotFoundError:
    error = NotFoundError(
        f"{gone.model} is no longer served: {gone.reason} (seen {gone.seen}).",
        hint=f"Models that answered in public trials up to {CHECKED}: "
        f'{", ".join(entry.name for entry in LIVE)}. nbvlm.Client("demo") needs no key.',
    )
    error.gone, error.alternatives = "retired", alternatives()
    return error


def _of_service(name: str, model: str | None) -> Endpoint:
    service = SERVICES[name]
    if not model or not model.strip():
        raise ParameterError(
            f"{service.title} serves several models, so it needs the name of one.",
            hint=f'Pass model=…; `Client("{name}", model="?").models(vision=True)` lists the vision models.',
        )
    return serve(address(service), model, service)


def embedded(model: str) -> Endpoint:
    """Return the endpoint of one embedded model, which otherwise the picture decides.

    Parameters
    ----------
    model
        `"scenes"`, `"photos"`, or the model's id.

    Raises
    ------
    ParameterError
        For any other name.

    Examples
    --------
    >>> embedded("photos").model
    'nbvlm/demo-photos'
    """
    entry = ENDPOINTS["demo"]
    name = model if "/" in model else f"{entry.model}-{model}"
    if name == entry.model:
        return entry
    if name not in EMBEDDED:
        raise ParameterError(
            f"{model!r} is not an embedded model: there are 'scenes' and 'photos'.",
            hint='nbvlm.Client("demo") chooses by the picture.',
        )
    return replace(entry, model=name, path=f"/v1/vlm/{name}")


def alternatives(listed: Collection[str] | None = None) -> tuple[str, ...]:
    """Return the names of models to ask instead of one that is gone: NVIDIA's live ones, `"demo"` last.

    Parameters
    ----------
    listed
        Ids that the service lists now; None if they are not known.
    """
    return (*(entry.name for entry in LIVE if listed is None or entry.model in listed), "demo")


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
    if split(url)[0] != INTEGRATE:
        return serve(url, model)
    if model in RETIRED:
        raise _refusal(RETIRED[model])
    return ENDPOINTS.get(model) or replace(live(model.strip(), 4096), name="server")
