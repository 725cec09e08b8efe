"""A model for the service's tests: it says what it is told to, as fast as it is allowed to."""

from __future__ import annotations

import base64
import io
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image

from nbvlm.demo.service.service import Request, Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATH = "/v1/vlm/google/paligemma"
WORDS = ("<loc0100>", "<loc0200>", "<loc0300>", "<loc0400>", " car", " ; ", "done")


@dataclass(frozen=True)
class Word:
    text: str
    finish_reason: str | None = None


@dataclass
class StandIn:
    """Answers with `words`; with a gate it takes one permit a word."""

    words: tuple[str, ...] = WORDS
    gate: threading.Semaphore | None = None
    error: Exception | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    computed: int = 0
    closed: threading.Event = field(default_factory=threading.Event)

    def stream(self, image: Image.Image, prompt: str, **parameters: Any) -> Iterator[Word]:
        self.asked.append({"size": image.size, "mode": image.mode, "prompt": prompt, **parameters})
        try:
            yield from self._words(parameters["max_tokens"])
        finally:
            self.closed.set()

    def _words(self, most: int) -> Iterator[Word]:
        for word in self.words[:most]:
            if self.gate is not None:
                assert self.gate.acquire(timeout=20)
            self.computed += 1
            yield Word(word, "length" if self.computed == most else None)
        if self.error is not None:
            raise self.error
        if self.computed < most:
            self.computed += 1
            yield Word("", "stop")

    def count(self, prompt: str) -> int:
        return 64 + len(prompt.split())


def picture(size: tuple[int, int] = (40, 30), kind: str = "PNG", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, 99).save(buffer, kind)
    return buffer.getvalue()


def data_uri(data: bytes | None = None, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(data or picture()).decode()}"


def tag(data: bytes | None = None, mime: str = "image/png") -> str:
    return f'<img src="{data_uri(data, mime)}" />'


def body(content: Any = None, **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": f"detect car {tag()}" if content is None else content}
    return {"messages": [message]} | more


@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def events(self) -> list[Any]:
        datas = [part.removeprefix("data: ") for part in self.text.split("\n\n") if part]
        return [data if data == "[DONE]" else json.loads(data) for data in datas]


def send(
    service: Service, method: str, target: str, value: Any = None, headers: Mapping[str, str] | None = None
) -> Got:
    """One request, read to its end; a value that is not bytes travels as JSON."""
    data = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
    sent = {"host": "demo.test", "content-type": "application/json", "content-length": str(len(data))}
    reply = service.handle(Request(method, target, sent | dict(headers or {}), data))
    received = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
    return Got(reply.status, dict(reply.headers), received)
