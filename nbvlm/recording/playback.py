"""Record the events of a response with their times, and play them back at the same pace."""

from __future__ import annotations

import asyncio
import json
import operator
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx

from nbvlm._text import encodable
from nbvlm.client import SseDecoder, SseEvent, Tokens, UnreadableAnswer, read_chunk, redact
from nbvlm.recording.format import ABOUT, RecordedAnswer, RecordedQuestion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

__all__ = ["RecordedRequest", "RecordedStream", "ResponseRecorder", "TimedStream", "timed_pieces"]

RecordedRequest = tuple[RecordedQuestion, str | None, float]
"""A question, the endpoint's name, and the time of the request by `time.perf_counter`."""

_EVENTS = "text/event-stream"
_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")


class ResponseRecorder:
    """Collects the body of a response with the time of each piece, and calls `keep` with the whole answer."""

    def __init__(
        self, response: httpx.Response, request: RecordedRequest, keep: Callable[[RecordedAnswer], None]
    ) -> None:
        self._question, self._endpoint, self._began = request
        self._status = response.status_code
        self._streamed = self._status == 200 and response.headers.get("content-type", "").startswith(_EVENTS)
        headers = response.headers
        self._about = {name: redact(headers[name]) for name in ABOUT if name in headers}
        self._decoder = SseDecoder()
        self._body = bytearray()
        self._events: list[tuple[float, str]] = []
        self._reasoning: list[tuple[float, str]] = []
        self._usage: Tokens | None = None
        self._reason: str | None = None
        self._error: Any = None
        self._entities: Any = None
        self._done = False
        self._keep: Callable[[RecordedAnswer], None] | None = keep

    @property
    def done(self) -> bool:
        """Whether the end of the answer, or an error, has arrived."""
        return self._done or self._error is not None

    def take(self, piece: bytes) -> None:
        """Take the next bytes of the body."""
        if self._streamed:
            self._read(self._decoder.feed(piece))
        else:
            self._body += piece

    def end(self, *, ended: bool) -> None:
        """Keep the answer; a second call does nothing."""
        keep, self._keep = self._keep, None
        if keep is None:
            return
        if self._streamed:
            self._read(self._decoder.close())
            ended = self._done or self._reason is not None
        elif self._status == 200:
            self._chunk(bytes(self._body))
        else:
            self._add(redact(self._body.decode("utf-8", "replace")))
        usage = {name: getattr(self._usage, name) for name in _USAGE} if self._usage else None
        answer = RecordedAnswer(
            self._question,
            self._status,
            tuple(self._events),
            finish_reason=self._reason,
            usage=usage,
            ended=ended,
            error=self._error,
            endpoint=self._endpoint,
            entities=self._entities,
            reasoning=tuple(self._reasoning),
            about=self._about,
        )
        keep(answer)

    def _read(self, arrived: list[SseEvent]) -> None:
        for event in arrived:
            if event.data == b"[DONE]":
                self._done = True
            elif event.data.strip():
                self._chunk(event.data)

    def _chunk(self, data: bytes) -> None:
        try:
            piece = read_chunk(data)
        except UnreadableAnswer as unreadable:
            self._error = redact(unreadable.data)
            return
        if piece.reasoning:
            self._reasoning.append((self._elapsed(), piece.reasoning))
        if piece.text:
            self._add(piece.text)
        self._reason = piece.finish_reason or self._reason
        self._usage = piece.usage or self._usage
        self._entities = piece.entities or self._entities

    def _add(self, text: str) -> None:
        self._events.append((self._elapsed(), text))

    def _elapsed(self) -> float:
        return time.perf_counter() - self._began


class RecordedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of a response while it is recorded; an answer that is closed early is not kept."""

    def __init__(self, response: httpx.Response, recorder: ResponseRecorder) -> None:
        self._response = response
        self._recorder = recorder

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._response.stream:  # type: ignore[union-attr]
                self._recorder.take(piece)
                yield piece
        except httpx.TransportError:
            self._recorder.end(ended=False)
            raise
        self._recorder.end(ended=True)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.stream:  # type: ignore[union-attr]
                self._recorder.take(piece)
                yield piece
        except httpx.TransportError:
            self._recorder.end(ended=False)
            raise
        self._recorder.end(ended=True)

    def close(self) -> None:
        """Close the response."""
        self._finish()
        self._response.close()

    async def aclose(self) -> None:
        """Close the response."""
        self._finish()
        await self._response.aclose()

    def _finish(self) -> None:
        if self._recorder.done:
            self._recorder.end(ended=True)


def timed_pieces(answer: RecordedAnswer, *, stream: bool) -> tuple[list[tuple[float, bytes]], str]:
    """Return an answer as timed pieces of a body, and its content type."""
    events = list(answer.events)
    last = max((seconds for seconds, _ in (*events, *answer.reasoning)), default=0.0)
    if answer.status != 200:
        return [(last, encodable("".join(text for _, text in events)).encode())], "application/problem+json"
    if not stream:
        return [(last, _whole(answer))], "application/json"
    thoughts = [(seconds, _event(_chunk("", reasoning=text))) for seconds, text in answer.reasoning]
    pieces = thoughts + [(seconds, _event(_chunk(text))) for seconds, text in events]
    pieces.sort(key=operator.itemgetter(0))  # of one time, thoughts come first
    pieces += [(last, _event(value)) for value in _closing(answer)]
    return [*pieces, *([(last, b"data: [DONE]\n\n")] if answer.ended else [])], _EVENTS


def _chunk(text: str, reason: str | None = None, reasoning: str = "") -> dict[str, Any]:
    delta = {"role": "assistant", "content": text, **_thinking(reasoning)}
    return {"id": "replay", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _thinking(text: str) -> dict[str, str]:
    return {"reasoning_content": text} if text else {}


def _closing(answer: RecordedAnswer) -> list[Any]:
    objects: list[Any] = []
    if answer.finish_reason is not None:
        objects.append(_chunk("", answer.finish_reason))
    if answer.usage is not None:
        objects.append({"id": "replay", "choices": [], "usage": dict(answer.usage)})
    return [*objects, answer.error] if answer.error is not None else objects


def _whole(answer: RecordedAnswer) -> bytes:
    if not answer.ended or answer.error is not None:
        return json.dumps(answer.error).encode() if answer.error is not None else b""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text for _, text in answer.events)}
    message |= _thinking("".join(text for _, text in answer.reasoning))
    if answer.entities is not None:
        message["entities"] = answer.entities
    choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
    value = {"id": "replay", "choices": [choice], "usage": answer.usage}
    return json.dumps(value).encode()


def _event(value: Any) -> bytes:
    return b"data: %s\n\n" % json.dumps(value).encode()


class TimedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body whose pieces (seconds, bytes) arrive at the recorded times, divided by `speed`."""

    def __init__(
        self, pieces: Sequence[tuple[float, bytes]], speed: float, hold: Callable[[Any], None] | None
    ) -> None:
        self._pieces = pieces
        self._speed = speed
        self._began = time.perf_counter()
        self._stopped = threading.Event()
        if hold is not None:
            hold(self)

    def abort(self) -> None:
        """Stop a waiting read; any thread may call it."""
        self._stopped.set()

    def __iter__(self) -> Iterator[bytes]:
        for seconds, piece in self._pieces:
            if self._stopped.wait(self._left(seconds)):
                raise httpx.ReadError("stopped")
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for seconds, piece in self._pieces:
            await asyncio.sleep(self._left(seconds))
            yield piece

    def _left(self, seconds: float) -> float:
        return max(self._began + seconds / self._speed - time.perf_counter(), 0.0)
