"""Checks of `nbvlm doctor` on the endpoints: whether each responds, without a key and without a question.

Lists of models and health addresses are asked, which cost nothing. The gateway of a class alone gets
its token, since only it can say whose that is.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from nbvlm import endpoints
from nbvlm._background import run_in_thread
from nbvlm._text import count, shorten, visible
from nbvlm.cli.findings import good, note, problem
from nbvlm.errors import AuthenticationError, Error, TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbvlm.cli.findings import Finding
    from nbvlm.client import Settings
    from nbvlm.endpoints import LocalServer, Service

__all__ = ["check", "gateway", "hosted", "local", "named", "services"]

_FAILING = 500
_REFUSED = (401, 403)
_SHOWN = 5  # names of models in one line
_GATEWAY, _TOKEN = "class gateway", "class token"
_JOIN = 'nbvlm.login(service="gateway") takes the code of the class and your name'
_LATER = "The service, or a proxy before it, fails now. Try again later."


def check(name: str | None, seconds: float) -> Iterator[Finding]:
    """Check the endpoint with this name or URL, or all that are set up; `seconds` is the longest wait."""
    if name is not None:
        yield from named(name, seconds)
        return
    yield from hosted(seconds)
    yield from services(seconds)
    yield from local(seconds)


def named(name: str, seconds: float) -> Iterator[Finding]:
    """Check the endpoint that was asked for, by name or URL."""
    from nbvlm.client import resolve

    if name == endpoints.GATEWAY.name:
        endpoints.gateway_endpoint()  # an error where none is set
        yield from gateway(seconds)
        return
    service = endpoints.SERVICES.get(name)
    if service is not None and service.local:
        yield _local(service, endpoints.look(service, seconds))
        return
    settings = resolve(name, model=None if name in endpoints.ENDPOINTS else "?", timeout=seconds)
    if settings.in_process:
        yield good("endpoint", "the embedded model, which needs no network")
    elif settings.endpoint.dialect == "nvidia":
        yield from hosted(seconds, required=True)
    elif settings.endpoint.name in endpoints.ENDPOINTS:
        yield _model(settings)
    else:
        yield _list("endpoint", settings)


def gateway(seconds: float) -> Iterator[Finding]:
    """Check the gateway of a class, if a variable names one: address, user, and remaining quota."""
    from nbvlm.client import probe, resolve

    if endpoints.gateway_address() is None:
        return
    try:
        settings = resolve(endpoints.GATEWAY.name, timeout=seconds)
    except TransportError as error:
        yield problem(_GATEWAY, error.message, "Start it, or ask your teacher whether it runs.")
        return
    yield good(_GATEWAY, f"{settings.base_url} responds and asks {settings.endpoint.model}")
    try:
        settings.key()
    except AuthenticationError as error:
        yield problem(_TOKEN, error.message.rstrip("."), error.hint or "")
        return
    status, found = probe(settings, f"{settings.base_url}{endpoints.STANDING}", key=True)
    if status in _REFUSED:
        yield problem(_TOKEN, f"the gateway does not know it ({status})", f"Ask for a new one: {_JOIN}.")
    elif status != 200 or not isinstance(found, dict):
        yield note(_TOKEN, f"the gateway does not say whose it is (status {status})", _LATER)
    else:
        yield _standing(found)


def _standing(found: dict[str, Any]) -> Finding:
    who = f"{shorten(visible(str(found.get('name'))), 64)}, {shorten(visible(str(found.get('role'))), 20)}"
    if refused := found.get("refused"):
        return note(_TOKEN, f"{who}; {shorten(visible(str(refused)), 200).rstrip('.')}", "Ask your teacher.")
    left = found.get("left")
    if not isinstance(left, list) or len(left) != 2:
        return good(_TOKEN, f"{who}; no limit of questions a day")
    fact = f"{who}; {left[0]} of {left[1]} questions of today left"
    return good(_TOKEN, fact) if left[0] else note(_TOKEN, fact, "Ask your teacher for more.")


def hosted(seconds: float, *, required: bool | None = None) -> Iterator[Finding]:
    """Check hosted PaliGemma, and with a key the list of NVIDIA's other vision models."""
    from nbvlm.client import find_key, resolve

    try:
        with_key = find_key() is not None
        settings = resolve("nvidia", timeout=seconds)
    except Error as error:  # a key or an address that cannot be one
        yield problem("endpoint", error.message, error.hint or "")
        return
    finding = _reach("endpoint", settings, settings.url, required=with_key if required is None else required)
    if isinstance(finding, tuple):
        status, _, took = finding
        found = f"{settings.base_url} responds (status {status}, {took:.1f} s)"
        if status >= _FAILING:
            finding = note("endpoint", found, _LATER)
        elif status in (404, 410) and settings.origin is None:
            advice = f"Ask another model: {', '.join(endpoints.alternatives())}."
            finding = note("endpoint", f"{found}, but PaliGemma has gone", advice)
        else:
            finding = good("endpoint", found)
    yield finding
    if with_key and finding.state == "ok":
        yield _nvidia(resolve(endpoints.alternatives()[0], timeout=seconds))


def _nvidia(settings: Settings) -> Finding:
    """Compare NVIDIA's list of models with the table."""
    check = "NVIDIA's models"
    finding = _reach(check, settings, f"{settings.base_url}/v1/models")
    if not isinstance(finding, tuple):
        return finding
    status, answer, _ = finding
    if status != 200:
        return note(check, f"the list of models could not be read (status {status})", _LATER)
    listed = {model.id for model in _read("openai", "/v1", answer)}
    known = [name for name in endpoints.alternatives() if name != "demo"]
    missing = [name for name in known if name not in listed]
    found = f"{len(known) - len(missing)} of {count(len(known), 'known vision model')} listed"
    dated = f"{found} (table of {endpoints.CHECKED})"
    if not missing:
        return good(check, dated)
    others = ", ".join(endpoints.alternatives(listed))
    return note(check, f"{dated}; gone: {', '.join(missing)}", f"Ask one of these: {others}.")


def _model(settings: Settings) -> Finding:
    """Check one of NVIDIA's live models."""
    model = settings.endpoint.model
    finding = _reach("endpoint", settings, f"{settings.base_url}/v1/models/{model}")
    if not isinstance(finding, tuple):
        return finding
    status, _, took = finding
    if status == 200:
        return good("endpoint", f"{model} is listed at {settings.base_url} ({took:.1f} s)")
    what = {404: "is not listed any more", 410: "has been retired", 503: "is offline"}
    others = ", ".join(name for name in endpoints.alternatives() if name != model)
    if status in what:
        return problem("endpoint", f"{model} {what[status]} ({status})", f"Ask another model: {others}.")
    return note("endpoint", f"{settings.base_url} responds with status {status}", _LATER)


def services(seconds: float) -> Iterator[Finding]:
    """Check the services whose key is set."""
    from nbvlm.client import resolve

    for service in endpoints.SERVICES.values():
        variable = next((name for name in service.variables if os.environ.get(name)), None)
        if service.needs_key and service.name != "nvidia" and variable is not None:
            try:
                settings = resolve(service.name, model="?", timeout=seconds)
            except Error as error:  # a key or an address that cannot be one
                yield problem(service.title, error.message, error.hint or f"Set {variable} again.")
            else:
                yield _list(service.title, settings, variable=variable)


def local(seconds: float) -> Iterator[Finding]:
    """Look for model servers on this computer."""
    found = {server.service: server for server in run_in_thread(endpoints.find_local(seconds))}
    programs = [service for service in endpoints.SERVICES.values() if service.local]
    for service in programs:
        if service.name in found or os.environ.get(service.address):
            yield _local(service, found.get(service.name))
    if not found:
        titles = ", ".join(service.title for service in programs)
        yield good("local servers", f"none responds ({titles})")


def _local(service: Service, server: LocalServer | None) -> Finding:
    if server is None:
        try:
            address = endpoints.address(service)
        except Error as error:
            return problem(service.title, error.message, error.hint or service.advice)
        return note(service.title, f"does not respond at {address}", service.advice)
    if server.problem:
        advice = f"Set {service.variables[0]}." if service.variables else "Pass api_key=…."
        return note(service.title, f"{server.url} responds. {server.problem}", advice)
    able = [model.id for model in server.models if model.vision]
    able = able or [model.id for model in server.models if model.vision is None]
    if not able:
        return note(service.title, f"{server.url} responds, without a vision model", f"{service.vision}.")
    return good(service.title, f"{server.url} responds: {_names(able)}")


def _list(check: str, settings: Settings, *, variable: str = "") -> Finding:
    """Ask a server for its list of models."""
    path = settings.endpoint.path.removesuffix("/chat/completions")
    finding = _reach(check, settings, f"{settings.base_url}{path}/models")
    if not isinstance(finding, tuple):
        return finding
    status, answer, took = finding
    found = f"{settings.base_url} responds ({took:.1f} s)"
    if status in _REFUSED:
        key = f"; the key in {variable} was not sent" if variable else ""
        return good(check, f"{found} and asks for a key{key}")
    if status >= _FAILING:
        return note(check, f"{found} with status {status}", _LATER)
    if status != 200:
        return note(check, f"{found}, without a list of models (status {status})", "Check its address.")
    models = _read("openai", path, answer)
    able = [model.id for model in models if model.vision]
    return good(check, f"{found}: {_names(able or [model.id for model in models])}")


def _reach(
    check: str, settings: Settings, url: str, *, required: bool = True
) -> Finding | tuple[int, Any, float]:
    """Send a request without a key: the status, the answer and the seconds, or the finding of a failure."""
    from nbvlm.client import probe

    began = time.monotonic()
    try:
        status, answer = probe(settings, url)
    except Error as error:
        if required:
            return problem(check, error.message, error.hint or "Check the network, then try again.")
        return note(check, error.message, "The embedded model works without a network.")
    return status, answer, time.monotonic() - began


def _read(kind: str, path: str, answer: Any) -> tuple[endpoints.Model, ...]:
    steps = endpoints.listing(kind, path)
    next(steps)
    try:
        steps.send(answer)
    except StopIteration as end:
        models: tuple[endpoints.Model, ...] = end.value
        return models
    return ()


def _names(names: list[str]) -> str:
    if not names:
        return "no model"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
