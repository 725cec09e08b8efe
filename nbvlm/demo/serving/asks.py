"""The request body of the hosted PaliGemma endpoint, read as strictly as its published schema says.

The schema, on docs.api.nvidia.com: exactly one message; `null` content only with the assistant role, and no
list form for it; pictures as PNG or JPEG, inside the body below the limit. Ranges and limit are the data of
`nbvlm.endpoints`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbvlm import endpoints
from nbvlm.demo.serving.content import Source, parts, source, split
from nbvlm.demo.serving.schema import Faults, Loc, flag, members, number, read_json

if TYPE_CHECKING:
    from nbvlm.demo.serving.wire import Request

__all__ = ["PROMPT_LIMIT", "Ask", "clean", "read"]

PROMPT_LIMIT = 6_000  # characters: at most 3,000 words, which the published 3,072 tokens hold

_ALLOWED = "messages temperature top_p max_tokens stream model"
_CONTENT: Loc = ("body", "messages", 0, "content")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a body asks for.

    Parameters
    ----------
    prompt
        Text outside the picture's tag, stripped.
    picture
        Where the picture is; None when the message need not have one.
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
    body = members(faults, ("body",), read_json(request), _ALLOWED)
    parameters = {
        spec.name: number(faults, ("body", spec.name), body.get(spec.name, spec.default), spec)
        for spec in endpoints.get("demo").parameters
    }
    stream = flag(faults, ("body", "stream"), body.get("stream", False))
    prompt, picture = _message(faults, body)
    faults.check()
    return Ask(prompt, picture, parameters, stream)


def clean(faults: Faults, loc: Loc, prompt: str) -> str:
    """Note a prompt that is too long; return it as text that can be encoded."""
    if len(prompt) > PROMPT_LIMIT:
        message = f"The text beside the picture should have at most {PROMPT_LIMIT} characters"
        faults.add(loc, "string_too_long", message)
    return prompt.encode("utf-8", "replace").decode()


def _message(faults: Faults, body: dict[str, Any]) -> tuple[str, Source | None]:
    loc: Loc = ("body", "messages")
    messages = body.get("messages")
    if "messages" not in body:
        faults.add(loc, "missing", "Field required")
    elif not isinstance(messages, list):
        faults.add(loc, "list_type", "Input should be a valid list")
    elif len(messages) != 1:
        faults.add(loc, *_wrong_count(len(messages)))
    else:
        return _one(faults, (*loc, 0), messages[0])
    return "", None


def _wrong_count(n: int) -> tuple[str, str]:
    if n:
        return "too_long", f"List should have at most 1 item after validation, not {n}"
    return "too_short", "List should have at least 1 item after validation, not 0"


def _one(faults: Faults, loc: Loc, value: Any) -> tuple[str, Source | None]:
    message = members(faults, loc, value, "role content")
    role = message.get("role")
    if role not in ("user", "assistant"):
        faults.add((*loc, "role"), "literal_error", "Input should be 'user' or 'assistant'")
    if "content" not in message:
        faults.add(_CONTENT, "missing", "Field required")
        return "", None
    prompt, urls = _content(faults, message["content"], assistant=role == "assistant")
    if role == "assistant" and not urls:
        return "", None
    return clean(faults, _CONTENT, prompt), _picture(faults, urls)


def _content(faults: Faults, content: Any, *, assistant: bool) -> tuple[str, list[str]]:
    if isinstance(content, str):
        return split(content)
    if isinstance(content, list) and not assistant:
        return parts(faults, _CONTENT, content)
    if content is not None or not assistant:
        allowed = "string or null" if assistant else "string or list"
        faults.add(_CONTENT, "string_type", f"Input should be a valid {allowed}")
    return "", []


def _picture(faults: Faults, urls: list[str]) -> Source | None:
    if len(urls) != 1:
        faults.add(_CONTENT, "value_error", f"Exactly one picture is expected, not {len(urls)}")
        return None
    return source(faults, _CONTENT, urls[0], endpoints.get("demo").inline_limit)
