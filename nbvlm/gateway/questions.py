"""Questions of students, read from both forms of the protocol.

>>> task_of("detect cat ; dog", "google/paligemma"), task_of("Where is the cat?", "google/paligemma")
('detect', 'question')
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvlm import prompts
from nbvlm.demo import service
from nbvlm.demo.service import EncodedPicture, Faults, Inline, InvalidPicture, Uploaded
from nbvlm.errors import Error
from nbvlm.gateway.quotas import Refused
from nbvlm.gateway.rules import TASKS
from nbvlm.grounding import dialects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbvlm.demo.service import Request, Source
    from nbvlm.endpoints import Endpoint

__all__ = ["GatewayQuestion", "read_nvidia", "read_openai", "task_of"]

GREEDY = 0.01
"""Temperatures up to this one are without chance, as far as sharing an answer is concerned."""
_CONTENT = ("body", "messages", 0, "content")
_UNNAMED = "The asset is not named in the header NVCF-INPUT-ASSET-REFERENCES"
_NVIDIA = "messages temperature top_p max_tokens stream model"


@dataclass(frozen=True, slots=True)
class GatewayQuestion:
    """One question, checked."""

    model: str
    prompt: str
    picture: EncodedPicture  # as it came
    parameters: Mapping[str, float | int]
    stream: bool
    with_usage: bool  # whether a stream ends with the token counts

    @property
    def is_greedy(self) -> bool:
        """Whether the same question has the same answer."""
        return float(self.parameters.get("temperature", 1.0)) <= GREEDY

    @property
    def key(self) -> bytes:
        """The same for the same question about the same picture."""
        digest = hashlib.sha256(self.picture.data)
        digest.update(repr((self.model, self.prompt, sorted(self.parameters.items()))).encode())
        return digest.digest()

    @property
    def task(self) -> str:
        """One of `nbvlm.gateway.rules.TASKS`."""
        return task_of(self.prompt, self.model)


def read_nvidia(
    request: Request, endpoint: Endpoint, uploaded: Callable[[str], bytes | None]
) -> GatewayQuestion:
    """Read the body of `POST /v1/vlm/…`; `uploaded` returns the bytes of an asset of this student.

    Raises
    ------
    Invalid
        If it does not fit the schema or the model's ranges.
    """
    faults = Faults()
    body = service.members(faults, ("body",), service.read_json(request), _NVIDIA)
    parameters = _parameters(faults, body, endpoint)
    stream = service.flag(faults, ("body", "stream"), body.get("stream", False))
    messages = body.get("messages")
    if not isinstance(messages, list) or len(messages) != 1 or not isinstance(messages[0], dict):
        raise faults.stop(("body", "messages"), "list_type", "Input should be a list of one message")
    content = messages[0].get("content")
    prompt, urls = _content(faults, content, objects=False)
    found = _one(faults, urls, endpoint)
    faults.check()
    data = _picture(faults, found, request, uploaded)
    return GatewayQuestion(
        endpoint.model, _prompt(faults, prompt), data, parameters, stream, with_usage=False
    )


def read_openai(request: Request, choose: Callable[[str | None], Endpoint]) -> GatewayQuestion:
    """Read the body of `POST /v1/chat/completions`; `choose` returns the endpoint of the model asked for.

    Raises
    ------
    Invalid
        As `read_nvidia`.
    Refused
        If the model may not be asked.
    """
    faults, body = Faults(), service.read_json(request)
    name = body.get("model")
    endpoint = choose(name if isinstance(name, str) else None)
    for option in ("tools", "functions", "logprobs"):
        if body.get(option):
            faults.add(("body", option), "not_supported", "The class gateway does not pass this on")
    if body.get("n") not in (None, 1):
        faults.add(("body", "n"), "not_supported", "Only one answer per request is supported")
    parameters = _parameters(faults, body, endpoint)
    stream = service.flag(faults, ("body", "stream"), body.get("stream") or False)
    options = body.get("stream_options")
    with_usage = isinstance(options, dict) and options.get("include_usage") is True
    messages = body.get("messages")
    users = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    if len(users) != 1 or users[0].get("role") != "user":
        message = "Exactly one message, of role 'user', is expected: the class gateway keeps no conversations"
        raise faults.stop(("body", "messages"), "value_error", message)
    prompt, urls = _content(faults, users[0].get("content"), objects=True)
    found = _one(faults, urls, endpoint)
    faults.check()
    data = _picture(faults, found, request, lambda _: None)
    return GatewayQuestion(endpoint.model, _prompt(faults, prompt), data, parameters, stream, with_usage)


def _parameters(faults: Faults, body: dict[str, Any], endpoint: Endpoint) -> dict[str, float | int]:
    values: dict[str, float | int] = {}
    for spec in endpoint.parameters:
        given = body.get(spec.name)
        if spec.name == "max_tokens" and given is None:
            given = body.get("max_completion_tokens")
        given = spec.default if given is None else given
        values[spec.name] = service.number(faults, ("body", spec.name), given, spec)
    return values


def _content(faults: Faults, content: Any, *, objects: bool) -> tuple[str, list[str]]:
    if isinstance(content, str):
        return service.split(content)
    if isinstance(content, list):
        return service.parts(faults, _CONTENT, content, objects=objects)
    faults.add(_CONTENT, "string_type", "Input should be a valid string or list")
    return "", []


def _one(faults: Faults, urls: list[str], endpoint: Endpoint) -> Source | None:
    if len(urls) != 1:
        faults.add(_CONTENT, "value_error", f"Exactly one picture is expected, not {len(urls)}")
        return None
    limit = endpoint.inline_limit if endpoint.dialect == "nvidia" else None
    return service.source(faults, _CONTENT, urls[0], limit)


def _picture(
    faults: Faults, source: Source | None, request: Request, uploaded: Callable[[str], bytes | None]
) -> EncodedPicture:
    try:
        if isinstance(source, Inline):
            return service.from_base64(source.base64)
        references = {one.strip().lower() for one in request.header("nvcf-input-asset-references").split(",")}
        if not isinstance(source, Uploaded) or source.asset_id not in references:
            raise InvalidPicture(_UNNAMED)  # noqa: TRY301 - one place makes a fault of it
        data = uploaded(source.asset_id)
        if data is None:
            raise Refused(404, f"NotFound error: failed to find asset {source.asset_id[:64]}")
        return EncodedPicture.of(data)
    except InvalidPicture as error:
        raise faults.stop(_CONTENT, "value_error", str(error)) from None


def _prompt(faults: Faults, prompt: str) -> str:
    text = service.clean(faults, _CONTENT, prompt)
    faults.check()
    try:
        return prompts.check(text)
    except Error as error:
        raise faults.stop(_CONTENT, "value_error", error.message) from None


def task_of(prompt: str, model: str) -> str:
    """Return which of `TASKS` a prompt asks for, in PaliGemma's words or in those of the model's family."""
    if (task := prompts.task(prompt)) is not None:
        name = {"cap": "caption", "answer": "question"}.get(task.name, task.name)
        return name if name in TASKS else "question"
    text = " ".join(prompt.split())
    return next((name for name, pattern in _patterns(model) if pattern.fullmatch(text)), "question")


@functools.lru_cache(maxsize=64)
def _patterns(model: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return the words in which a family is asked, as patterns."""
    dialect = dialects.of(model)
    found = []
    for name in TASKS:
        if name == "question":
            continue
        things = ("9thing9",) if name in ("detect", "segment", "point", "count") else ()
        try:
            words = dialect.ask(
                name, things, language="9word9", code="9word9", question="9word9", size=(7654321, 7654321)
            )
        except (Error, KeyError, ValueError):
            continue
        text = re.escape(" ".join(words.split()))
        for mark, pattern in (("9thing9s", ".+"), ("9thing9", ".+"), ("9word9", ".+"), ("7654321", "[0-9]+")):
            text = text.replace(mark, pattern)
        if text.replace(".+", "").strip():
            found.append((name, re.compile(text, re.IGNORECASE)))
    return tuple(found)
