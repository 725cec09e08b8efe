"""The request body of the hosted PaliGemma endpoint, read as strictly as its published schema says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbvlm.demo.content import Source, parts, source, split
from nbvlm.demo.schema import Faults, Field, Loc, flag, members, number, read_json

if TYPE_CHECKING:
    from nbvlm.demo.wire import Request

__all__ = ["INLINE_LIMIT", "PROMPT_LIMIT", "Ask", "read"]

INLINE_LIMIT = 180_000  # base64 characters; a picture inside the body has fewer
PROMPT_LIMIT = 8_192  # characters

_FIELDS = {
    "temperature": Field(0.2, above=0.0, high=1.0),
    "top_p": Field(0.7, above=0.0, high=1.0),
    "max_tokens": Field(1024, low=1, high=1024, integer=True),
}
_CONTENT: Loc = ("body", "messages", 0, "content")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a body asks for.

    Parameters
    ----------
    prompt
        Text outside the picture's tag, stripped.
    picture
        Where the picture is; None when the message has neither text nor picture.
    parameters
        `temperature`, `top_p`, `max_tokens` and perhaps `seed`, as the model takes them.
    stream
        Whether the answer is wanted as a stream.
    """

    prompt: str
    picture: Source | None
    parameters: dict[str, Any] = field(default_factory=dict)
    stream: bool = False


def read(request: Request) -> Ask:
    """Read the body of `POST /v1/vlm/google/paligemma`.

    `model` is tolerated, as known clients send it; every other unknown member is a fault.

    Raises
    ------
    Invalid
        With every fault that was found.
    """
    faults = Faults()
    allowed = "messages temperature top_p max_tokens stream model"
    body = members(faults, ("body",), read_json(request), allowed)
    parameters = {
        name: number(faults, ("body", name), body.get(name, spec.default), spec)
        for name, spec in _FIELDS.items()
    }
    stream = flag(faults, ("body", "stream"), body.get("stream", False))
    prompt, picture = _message(faults, body)
    faults.check()
    return Ask(prompt, picture, parameters, stream)


def _message(faults: Faults, body: dict[str, Any]) -> tuple[str, Source | None]:
    loc: Loc = ("body", "messages")
    messages = body.get("messages")
    if "messages" not in body:
        faults.add(loc, "missing", "Field required")
    elif not isinstance(messages, list):
        faults.add(loc, "list_type", "Input should be a valid list")
    elif len(messages) != 1:
        faults.add(loc, *_count(len(messages)))
    else:
        message = members(faults, (*loc, 0), messages[0], "role content")
        if message.get("role") not in ("user", "assistant"):
            faults.add((*loc, 0, "role"), "literal_error", "Input should be 'user' or 'assistant'")
        return _content(faults, message)
    return "", None


def _count(n: int) -> tuple[str, str]:
    if n:
        return "too_long", f"List should have at most 1 item after validation, not {n}"
    return "too_short", "List should have at least 1 item after validation, not 0"


def _content(faults: Faults, message: dict[str, Any]) -> tuple[str, Source | None]:
    content = message.get("content")
    if content is None and "content" in message:
        return "", None
    if isinstance(content, str):
        prompt, urls = split(content)
    elif isinstance(content, list):
        prompt, urls = parts(faults, _CONTENT, content)
    else:
        kind = ("string_type", "Input should be a valid string, list or null")
        faults.add(_CONTENT, *(kind if "content" in message else ("missing", "Field required")))
        return "", None
    return _prompt(faults, prompt), _picture(faults, urls)


def _prompt(faults: Faults, prompt: str) -> str:
    if len(prompt) > PROMPT_LIMIT:
        message = f"The text beside the picture should have at most {PROMPT_LIMIT} characters"
        faults.add(_CONTENT, "string_too_long", message)
    return prompt.encode("utf-8", "replace").decode()


def _picture(faults: Faults, urls: list[str]) -> Source | None:
    if len(urls) != 1:
        faults.add(_CONTENT, "value_error", f"Exactly one picture is expected, not {len(urls)}")
        return None
    return source(faults, _CONTENT, urls[0], INLINE_LIMIT)
