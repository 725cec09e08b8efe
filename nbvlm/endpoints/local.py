"""The model servers on this computer: whether each responds, and which models it has."""

from __future__ import annotations

import asyncio
import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nbvlm._version import __version__
from nbvlm.endpoints.models import listing
from nbvlm.endpoints.services import SERVICES, address, split
from nbvlm.errors import ParameterError, TransportError

if TYPE_CHECKING:
    from nbvlm.endpoints.models import ListRequest, Model
    from nbvlm.endpoints.services import Service

__all__ = ["LocalServer", "find_local", "look", "only_model"]

SECONDS = 2.0
LARGEST = 4 * 1024 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A model server that responds on this computer.

    Attributes
    ----------
    service
        Name for `Client`, such as `"ollama"`.
    title
        Name for people.
    url
        Its address.
    models
        Its models, those that see first.
    problem
        Why the models could not be listed, or "".
    """

    service: str
    title: str
    url: str
    models: tuple[Model, ...] = ()
    problem: str = ""


async def find_local(seconds: float = SECONDS) -> tuple[LocalServer, ...]:
    """Look for model servers on this computer, and list their models.

    Ollama, LM Studio, vLLM and llama.cpp are asked at their usual ports, or where their environment variables
    say. Nothing leaves the computer, no model is asked anything, and no key is sent.

    Parameters
    ----------
    seconds
        Longest wait for one answer.

    Returns
    -------
    tuple of LocalServer
        Those that respond.

    Examples
    --------
    >>> await find_local()  # doctest: +SKIP
    (LocalServer(service='ollama', title='Ollama', url='http://127.0.0.1:11434/v1', models=(…), problem=''),)
    """
    services = [service for service in SERVICES.values() if service.local]
    found = await asyncio.gather(*(asyncio.to_thread(look, service, seconds) for service in services))
    return tuple(server for server in found if server is not None)


def only_model(service: Service, origin: str | None = None) -> str:
    """Return the id of the only vision model that a server on this computer has.

    Parameters
    ----------
    service
        The program.
    origin
        Its origin, in place of the usual one.

    Raises
    ------
    TransportError
        If it does not respond.
    ParameterError
        If it has none, or several; the message lists what there is.
    """
    url = address(service) if origin is None else origin + service.path
    found = look(service, origin=origin)
    if found is None:
        message = f"{service.title} does not respond at {url}."
        raise TransportError(
            message, hint=f"{service.advice} Or pass model=… to choose one without that list."
        )
    if found.problem:
        raise ParameterError(
            f"{service.title} does not list its models: {found.problem}", hint="Pass model=… and api_key=…."
        )
    # Where no model is known to see, those that may are better than none.
    able = [model.id for model in found.models if model.vision]
    able = able or [model.id for model in found.models if model.vision is None]
    if len(able) == 1:
        return able[0]
    if able:
        names = ", ".join(map(repr, able))
        raise ParameterError(
            f"{service.title} has several vision models: {names}.", hint=f"Choose one: model={able[0]!r}."
        )
    others = ", ".join(model.id for model in found.models)
    has = f" Its models read text only: {others}." if others else " It has no model at all."
    raise ParameterError(f"{service.title} has no vision model.{has}", hint=f"{service.vision}.")


def look(service: Service, seconds: float = SECONDS, *, origin: str | None = None) -> LocalServer | None:
    """Ask one server on this computer for its models.

    Parameters
    ----------
    service
        One of `SERVICES` that is local.
    seconds
        Most time for each of its answers.
    origin
        Where it listens; by default its usual place.

    Returns
    -------
    LocalServer or None
        None if it does not respond, or is not on this computer.
    """
    try:
        url = address(service) if origin is None else origin + service.path
        origin, path = split(url)
    except ParameterError:
        return None
    if urlsplit(origin).hostname not in _LOOPBACK or not origin.startswith("http://"):
        return None
    steps = listing(service.listing, path)
    answer: Any = None
    refused = 0
    heard = False
    try:
        asked = next(steps)
        while True:
            status, answer = _fetch(origin, asked, seconds)
            heard = heard or answer is not None
            refused = status if status in (401, 403) else refused
            asked = steps.send(answer)
    except StopIteration as end:
        models: tuple[Model, ...] = end.value
    except (OSError, http.client.HTTPException):
        return None
    if refused:
        return LocalServer(service.name, service.title, url, models, "It asks for a key.")
    return LocalServer(service.name, service.title, url, models) if heard else None


def _fetch(origin: str, asked: ListRequest, seconds: float) -> tuple[int, Any]:
    """Send one request, and return the status and the parsed answer, None for a refusal."""
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=seconds)
    try:
        body = None if asked.body is None else json.dumps(asked.body)
        headers = {"Accept": "application/json", "User-Agent": f"nbvlm/{__version__}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request("GET" if body is None else "POST", asked.path, body, headers)
        response = connection.getresponse()
        content = response.read(LARGEST)
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        return response.status, None
    try:
        return response.status, json.loads(content)
    except ValueError:
        return response.status, None
