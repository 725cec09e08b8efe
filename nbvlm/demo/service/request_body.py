"""Read the request body of the hosted PaliGemma endpoint, as strictly as its published schema.

The schema, on docs.api.nvidia.com: exactly one message; `null` content only with the assistant role, which
has no list form; pictures as PNG or JPEG, inside the body below a limit. Ranges and limit come from
`nbvlm.endpoints`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbvlm import endpoints
from nbvlm.demo.service.schema import Faults, Loc, flag, members, number, read_json

if TYPE_CHECKING:
    from nbvlm.demo.service.messages import Request

__all__ = [
    "PROMPT_LIMIT",
    "SEED",
    "Inline",
    "ParsedRequest",
    "Source",
    "Uploaded",
    "clean",
    "parts",
    "read",
    "source",
    "split",
]

_TAG = re.compile(r"""<img\s+src\s*=\s*(?:"([^"]*)"|'([^']*)')\s*/?>""", re.IGNORECASE)
_DATA = re.compile(r"data:image/(png|jpe?g);(base64|asset_id),")


@dataclass(frozen=True, slots=True)
class Inline:
    """A picture inside the body: its base64 text."""

    base64: str


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A picture uploaded before: its asset id."""

    asset_id: str


Source = Inline | Uploaded


def split(content: str) -> tuple[str, list[str]]:
    """Separate the text of a string content from the sources of its `<img>` tags."""
    sources = [match[1] if match[1] is not None else match[2] for match in _TAG.finditer(content)]
    pieces = (piece.strip() for piece in _TAG.split(content)[:: _TAG.groups + 1])
    return " ".join(piece for piece in pieces if piece), sources


def parts(faults: Faults, loc: Loc, content: list[Any], *, objects: bool = False) -> tuple[str, list[str]]:
    """Separate text and pictures of a content in list form; tags inside a text part are text.

    `objects` allows a picture as `{"url": …}`, OpenAI's form; hosted PaliGemma takes a plain string only.
    """
    texts, sources = [], []
    for index, part in enumerate(content):
        here = (*loc, index)
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            value = members(faults, here, part, "type text").get("text")
            texts.append(_string(faults, (*here, "text"), value).strip())
        elif kind == "image_url":
            sources.append(_url(faults, here, part, objects=objects))
        else:
            faults.add((*here, "type"), "literal_error", "Input should be 'text' or 'image_url'")
    return " ".join(text for text in texts if text), sources


def _url(faults: Faults, loc: Loc, part: dict[str, Any], *, objects: bool) -> str:
    value = members(faults, loc, part, "type image_url").get("image_url")
    loc = (*loc, "image_url")
    if objects and isinstance(value, dict):
        value = members(faults, loc, value, "url detail").get("url")
        loc = (*loc, "url")
    return _string(faults, loc, value)


def _string(faults: Faults, loc: Loc, value: Any) -> str:
    if isinstance(value, str):
        return value
    faults.add(loc, "string_type", "Input should be a valid string")
    return ""


def source(faults: Faults, loc: Loc, url: str, limit: int | None = None) -> Source | None:
    """Read a data URI or base64 of a picture, with fewer than `limit` characters; else add a fault."""
    match = _DATA.match(url)
    if match is None and ":" in url[:64]:
        message = "Input should be a data URI of type image/png, image/jpg or image/jpeg"
        faults.add(loc, "value_error", message)
        return None
    payload = url[match.end() :] if match else url
    if match and match[2] == "asset_id":
        return Uploaded(payload.strip().lower())
    if limit is not None and len(payload) >= limit:
        message = f"String should have fewer than {limit} characters; upload the picture as an asset"
        faults.add(loc, "string_too_long", message)
        return None
    return Inline(payload)


PROMPT_LIMIT = 6_000  # characters: at most 3,000 words, which the published 3,072 tokens hold

SEED = endpoints.Parameter("seed", -(1 << 63), (1 << 63) - 1, 0, integer=True)

_ALLOWED = "messages temperature top_p max_tokens stream model"
_CONTENT: Loc = ("body", "messages", 0, "content")


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request, checked."""

    prompt: str
    picture: Source | None  # None when the message does not need one
    parameters: dict[str, Any] = field(default_factory=dict)
    stream: bool = False


def read(request: Request, *, seeded: bool = False) -> ParsedRequest:
    """Read the body of `POST /v1/vlm/google/paligemma`.

    `model` is accepted because known clients send it; every other unknown member is a fault. Where `seeded`,
    under the embedded model's own name, a `seed` is accepted too.
    """
    faults = Faults()
    allowed = f"{_ALLOWED} seed" if seeded else _ALLOWED
    body = members(faults, ("body",), read_json(request), allowed)
    parameters = {
        spec.name: number(faults, ("body", spec.name), body.get(spec.name, spec.default), spec)
        for spec in endpoints.get("demo").parameters
    }
    if seeded and body.get("seed") is not None:
        parameters["seed"] = abs(int(number(faults, ("body", "seed"), body["seed"], SEED)))
    stream = flag(faults, ("body", "stream"), body.get("stream", False))
    prompt, picture = _message(faults, body)
    faults.check()
    return ParsedRequest(prompt, picture, parameters, stream)


def clean(faults: Faults, loc: Loc, prompt: str) -> str:
    """Return a prompt as text that can be encoded; one that is too long is added to the faults."""
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
        kind, bound = ("too_long", "most") if messages else ("too_short", "least")
        message = f"List should have at {bound} 1 item after validation, not {len(messages)}"
        faults.add(loc, kind, message)
    else:
        return _one(faults, (*loc, 0), messages[0])
    return "", None


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
