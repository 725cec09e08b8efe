"""Write an answer as JSON or as server-sent events, in the dialects of NVIDIA and of OpenAI."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nbvlm.demo.service.messages import Refusal, Reply, Request, as_event, as_json, problem
from nbvlm.errors import Error, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbvlm.demo.service.jobs import GenerationJob, Token

__all__ = [
    "DONE",
    "EVENT_STREAM",
    "Accept",
    "Nvidia",
    "OpenAI",
    "about",
    "events",
    "failed_status",
    "model_failed",
    "reply",
    "usage",
]


@dataclass(frozen=True, slots=True)
class Accept:
    """The `Accept` header, as far as the service reads it."""

    events: bool  # by name or by a wildcard
    event_stream: bool  # by name: faults of the body then come as they are

    @classmethod
    def of(cls, request: Request) -> Accept:
        """Read the header, which must accept JSON or events; without one everything is accepted."""
        header = request.header("accept") or "*/*"
        kinds = {kind.partition(";")[0].strip().lower() for kind in header.split(",")}
        events = bool(kinds & {"text/event-stream", "text/*", "*/*"})
        if not events and not kinds & {"application/json", "application/*", "application/problem+json"}:
            raise Refusal(problem(406, detail="Answers are application/json or text/event-stream"))
        return cls(events, "text/event-stream" in kinds)


EVENT_STREAM = "text/event-stream"
CLOSED = 499  # the caller closed the connection
DONE = b"data: [DONE]\n\n"

_SAFE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Nvidia:
    """The minimal dialect of the hosted `/v1/vlm/` endpoints: an id and the choices."""

    id: str
    prompt_tokens: int

    def opening(self) -> list[dict[str, Any]]:
        """Return the events before the first token."""
        return []

    def chunk(self, text: str, reason: str | None, thought: str = "") -> dict[str, Any]:  # noqa: ARG002
        """Return one event of a stream; the dialect has no thoughts."""
        delta = {"role": "assistant", "content": text}
        return {"id": self.id, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    def closing(self, tokens: int) -> list[dict[str, Any]]:  # noqa: ARG002 - the dialect has no usage in streams
        """Return the events after the last token."""
        return []

    def answer(self, text: str, reason: str | None, tokens: int, thoughts: str = "") -> dict[str, Any]:  # noqa: ARG002
        """Return the whole answer."""
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return {"id": self.id, "choices": [choice], "usage": usage(self.prompt_tokens, tokens)}


@dataclass(frozen=True, slots=True)
class OpenAI:
    """The dialect of `/v1/chat/completions`."""

    id: str
    prompt_tokens: int
    model: str
    include_usage: bool = False  # whether a stream ends with the token counts
    created: int = field(default_factory=lambda: int(time.time()))

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.id}", "object": kind, "created": self.created, "model": self.model}

    def _event(self, delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        more = {"usage": None} if self.include_usage else {}
        return self._head("chat.completion.chunk") | {"choices": [choice]} | more

    def opening(self) -> list[dict[str, Any]]:
        """Return the events before the first token."""
        return [self._event({"role": "assistant", "content": ""}, None)]

    def chunk(self, text: str, reason: str | None, thought: str = "") -> dict[str, Any]:
        """Return one event of a stream: a piece of the answer, or of the thoughts before it."""
        return self._event({"reasoning_content": thought} if thought else {"content": text}, reason)

    def closing(self, tokens: int) -> list[dict[str, Any]]:
        """Return the events after the last token."""
        if not self.include_usage:
            return []
        counts = {"choices": [], "usage": usage(self.prompt_tokens, tokens)}
        return [self._head("chat.completion.chunk") | counts]

    def answer(self, text: str, reason: str | None, tokens: int, thoughts: str = "") -> dict[str, Any]:
        """Return the whole answer."""
        message = {"role": "assistant", "content": text} | (
            {"reasoning_content": thoughts} if thoughts else {}
        )
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        counts = {"choices": [choice], "usage": usage(self.prompt_tokens, tokens)}
        return self._head("chat.completion") | counts


Dialect = Nvidia | OpenAI


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """Return the token counts, in the form of both dialects."""
    total = prompt_tokens + completion_tokens
    return {"completion_tokens": completion_tokens, "prompt_tokens": prompt_tokens, "total_tokens": total}


def model_failed(error: Error) -> dict[str, Any]:
    """Write an error of the model in the shape that OpenAI's clients read, with its hint besides."""
    said = {"message": str(error), "hint": error.hint, "code": "model_failed", "param": None}
    return {"error": said | {"type": "server_error"}}


def failed_status(error: Error) -> int:
    """Return the status for an error of the model: a `ServerError` is one of the moment."""
    return 503 if isinstance(error, ServerError) else 400


def about(notice: str | None, model: str | None) -> tuple[tuple[str, str], ...]:
    """Return the headers with the notice about an answer and the model that gave it, where there are any."""
    # A header holds ASCII only, and a notice may quote the prompt.
    named = (("nbvlm-notice", notice), ("nbvlm-model", model))
    return tuple((name, quote(value, safe=_SAFE)) for name, value in named if value)


def reply(dialect: Dialect, job: GenerationJob) -> Reply:
    """Write the answer of a ready job: as events if a stream was requested, else as one JSON object."""
    if job.error is not None:
        raise job.error
    if job.cancelled:
        return Reply(CLOSED)
    named = about(job.notice, job.model)
    if job.stream:
        kind = (("content-type", EVENT_STREAM), ("cache-control", "no-cache"))
        return Reply(200, (*kind, *named), events(dialect, job))
    tokens = list(job)
    text = "".join(token.text for token in tokens)
    reason = tokens[-1].finish_reason if tokens else None
    thoughts = "".join(_thought(token) for token in tokens)
    return as_json(dialect.answer(text, reason or "stop", len(tokens), thoughts)).plus(*named)


def events(dialect: Dialect, job: GenerationJob) -> Iterator[bytes]:
    """Yield a job's tokens as server-sent events, each as soon as it is computed.

    A cancelled job ends without `[DONE]`; so does a failed one, after an error event.
    """
    for value in dialect.opening():
        yield as_event(value)
    count, last = 0, None
    try:
        for token in job:
            count, last = count + 1, token.finish_reason
            yield as_event(dialect.chunk(token.text, last, _thought(token)))
    except Exception as failure:  # noqa: BLE001 - a model may raise anything; the stream must report it
        if isinstance(failure, Error):
            error = model_failed(failure)["error"]
        else:
            _log.exception("The model failed in the middle of an answer")
            error = {"message": "Internal server error", "type": "internal_server_error"}
        yield as_event({"error": {"object": "error"} | error})
        return
    if job.cancelled:
        return
    if last is None:
        yield as_event(dialect.chunk("", "stop"))
    for value in dialect.closing(count):
        yield as_event(value)
    yield DONE


def _thought(token: Token) -> str:
    return getattr(token, "reasoning", "")
