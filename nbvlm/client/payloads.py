"""Answers and stream chunks of a service as values.

The typed decoder reads what services usually send. It refuses everything else, errors included (`error` is
declared as null), and such a chunk is read again, slowly and forgivingly.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec

from nbvlm._text import encodable

__all__ = ["Message", "Piece", "Tokens", "UnreadableAnswer", "read_answer", "read_chunk"]


class UnreadableAnswer(ValueError):
    """The answer is not of a known form, or it holds an error."""

    def __init__(self, data: Any) -> None:
        super().__init__("unreadable answer")
        self.data = data


class Message(msgspec.Struct, gc=False):
    """Text, whole or a piece of it, and what services send beside it."""

    content: str | None = None
    entities: Any = None
    refusal: Any = None
    reasoning: Any = None
    reasoning_content: Any = None


class _Choice(msgspec.Struct, gc=False):
    delta: Message | None = None
    message: Message | None = None
    finish_reason: str | None = None
    error: None = None


_MOST = 2**53  # beyond it not every reader of JSON keeps an integer
_Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]


class Tokens(msgspec.Struct, gc=False):
    """Counted tokens as the service reports them; what cannot be a count, such as -1, is left out."""

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    total_tokens: _Count | None = None


class Piece(msgspec.Struct, gc=False):
    """A chunk of a stream, or a whole answer."""

    id: str | None = None
    choices: list[_Choice] | None = None
    usage: Tokens | None = None
    error: None = None

    @property
    def message(self) -> Message | None:
        """What it brings of the message; None for nothing."""
        return (self.choices[0].delta or self.choices[0].message) if self.choices else None

    @property
    def text(self) -> str:
        """The text that it brings, "" for none."""
        message = self.message
        return (message.content or "") if message else ""

    @property
    def reasoning(self) -> str:
        """The thinking beside the text, "" for none."""
        message = self.message
        thought = (message.reasoning_content or message.reasoning) if message else None
        return thought if isinstance(thought, str) else ""

    @property
    def entities(self) -> Any:
        """Grounded phrases with their boxes, as kosmos-2 sends them beside the text; None for none."""
        message = self.message
        return message.entities if message else None

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended, None while it goes on."""
        return self.choices[0].finish_reason if self.choices else None


_decode = msgspec.json.Decoder(Piece).decode


def read_chunk(data: bytes) -> Piece:
    """Read the data of one event of a stream, or raise `UnreadableAnswer`."""
    try:
        piece = _decode(data)
        if piece.choices or piece.usage is not None:
            return piece
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return _read_slowly(data)


def read_answer(data: bytes) -> Piece:
    """Read a whole answer; raises as `read_chunk`, also if it holds no choice."""
    piece = read_chunk(data.strip().removeprefix(b"data:"))
    if not piece.choices:
        raise UnreadableAnswer(loads(data))
    return piece


def loads(data: bytes) -> Any:
    """Parse JSON forgivingly: bad UTF-8 is replaced, and a text that is not JSON comes back as it is."""
    text = data.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _read_slowly(data: bytes) -> Piece:
    """Read what the typed decoder refused: content in parts, odd ids and numbers, bad UTF-8; or raise."""
    value = loads(data)
    if not isinstance(value, dict) or not isinstance(value.get("choices"), list) or value.get("error"):
        raise UnreadableAnswer(value)
    choices = [choice for choice in value["choices"] if isinstance(choice, dict)]
    if failed := next((choice for choice in choices if choice.get("error")), None):
        raise UnreadableAnswer(value | {"error": failed["error"]})
    name = value.get("id")
    return Piece(
        id=encodable(str(name)) if name is not None else None,
        choices=[_choice(choice) for choice in choices],
        usage=_tokens(value.get("usage")),
    )


def _choice(value: dict[str, Any]) -> _Choice:
    delta, message = value.get("delta"), value.get("message")
    reason = value.get("finish_reason")
    return _Choice(
        delta=_message(delta) if isinstance(delta, dict) else None,
        message=_message(message) if isinstance(message, dict) else None,
        finish_reason=encodable(reason) if isinstance(reason, str) else None,
    )


def _message(value: dict[str, Any]) -> Message:
    others = {name: value.get(name) for name in Message.__struct_fields__ if name != "content"}
    try:  # A label must not hold half a character.
        text = json.dumps(others["entities"], ensure_ascii=False).encode("utf-8", "replace")
        others["entities"] = json.loads(text)
    except RecursionError:
        others["entities"] = None
    return Message(_text(value), **others)


def _text(message: dict[str, Any]) -> str | None:
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else None


def _tokens(value: Any) -> Tokens | None:
    if not isinstance(value, dict):
        return None
    numbers = (value.get(name) for name in Tokens.__struct_fields__)
    return Tokens(*(number if _is_count(number) else None for number in numbers))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
