"""Collect text and boxes from the chunks of a stream, as they come."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nbvlm._text import encodable
from nbvlm.client import error_responses, payloads
from nbvlm.client.flow.events import DetectionFound, Event, ReasoningDelta, TextDelta
from nbvlm.errors import ServerError
from nbvlm.grounding import Detections, Parser, Reasoning, read_kosmos2

if TYPE_CHECKING:
    from nbvlm.client import sse
    from nbvlm.endpoints import Endpoint
    from nbvlm.grounding import Detection, Problem
    from nbvlm.grounding import ReasoningPart as Part

__all__ = ["PieceCollector", "ResponseCollector"]


REPORT = "nbvlm"
"""Type of the events by which a gateway reports place, quota and notices; others pass them over."""


class _Collector:
    """The state of an answer, and the walk over its events; how a piece is kept differs."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.reports: list[dict[str, Any]] = []  # of a gateway, beside the answer
        self.finish_reason: str | None = None
        self.begun = False  # whether any part of an answer came, an empty one too
        self.done = False
        self.fault: payloads.UnreadableAnswer | None = None  # holds the error that came in place of a chunk

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self.pieces)

    def take(self, arrived: list[sse.Event], *, last: bool = False) -> list[Any]:
        """Read events of the stream and return the client's events; the last may have been cut off."""
        events: list[Any] = []
        for event in arrived:
            data = event.data
            if data == b"[DONE]":
                self.done = True
                break
            try:
                self._keep(payloads.read_chunk(data), events)
            except payloads.UnreadableAnswer as error:
                value = error.data
                if isinstance(value, str) and value.strip() == "[DONE]":
                    self.done = True
                    break
                if event.event == REPORT and isinstance(value, dict):
                    self.reports.append(value)
                elif not _is_noise(event, value) and not (last and isinstance(value, str)):
                    self.fault = error
                    break
        return events

    def answer(self, piece: payloads.Piece) -> list[Any]:
        """Take a whole answer; raises `UnreadableAnswer`."""
        events: list[Any] = []
        self._keep(piece, events)
        return events

    def close(self) -> list[Any]:
        """Return what only the end of the answer made complete."""
        return []

    def _keep(self, piece: payloads.Piece, events: list[Any]) -> None:
        raise NotImplementedError


class ResponseCollector(_Collector):
    """The part of an answer that has come so far, as text and boxes."""

    def __init__(
        self, endpoint: Endpoint, size: tuple[int, int], prompt: str, sent: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self._parser = partial(
            Parser, size, prompt, endpoint.bins, endpoint.codebook, model=endpoint.model, sent=sent
        )
        self.parser = self._parser()
        self.thoughts: list[str] = []
        # PaliGemma does not think, and its answers are full of "<".
        self._splitter = Reasoning() if endpoint.dialect == "openai" else None
        self.usage: payloads.Tokens | None = None
        self.id: str | None = None
        self.refusal = ""
        self._characters = _Characters()
        self._thought_characters = _Characters()
        self._size = size
        self._beside: list[Detection] = []
        self._wrong: list[Problem] = []

    @property
    def reasoning(self) -> str:
        """All thinking so far."""
        return "".join(self.thoughts)

    @property
    def unanswered(self) -> ServerError | None:
        """The error for thinking that ended without an answer, or None."""
        if not self.thoughts or self.text.strip() or self.refusal or self.has_locations:
            return None
        return ServerError(
            "The model sent only its reasoning, and no answer.",
            hint="Raise max_tokens, or turn thinking off.",
        )

    def answer(self, piece: payloads.Piece) -> list[Event]:
        """Take a whole answer, with the places that it names beside its text."""
        events = super().answer(piece)
        self._beside, self._wrong = read_kosmos2(piece.entities, self._size)
        return [*events, *map(DetectionFound, self._beside)]

    @property
    def detections(self) -> Detections:
        """All detections."""
        found = self.parser.detections
        return found + Detections.of(self._beside, self._size) if self._beside else found

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All places where the answer did not follow the grammar."""
        return (*self.parser.problems, *self._wrong)

    @property
    def has_locations(self) -> bool:
        """Whether the answer holds any location."""
        return self.parser.has_locations or bool(self._beside or self._wrong)

    def close(self) -> list[Event]:
        """Return the boxes that only the end of the text made complete."""
        events: list[Event] = []
        if thought := self._thought_characters.close():
            self._think(thought, events)
        if text := self._characters.close():
            self._split(text, events)
        for part in self._splitter.close() if self._splitter is not None else ():
            self._part(part, events)
        return [*events, *map(DetectionFound, self.parser.close())]

    def notices(self, max_tokens: float | None) -> list[str]:
        """Return what the reader of the answer must know: it was cut, withheld, or is empty."""
        notices = []
        if self.finish_reason == "length":
            notices.append(f"The answer was cut at max_tokens={max_tokens}: ask with more for the rest.")
        if self.finish_reason == "content_filter":
            notices.append("The service's content filter withheld the answer or its rest.")
        if self.refusal:
            notices.append(f"The model refused to answer: {error_responses.clean(self.refusal, 400)}")
        elif not notices and not self.text.strip() and not self.has_locations:
            notices.append("The answer is empty.")
        return notices

    def _keep(self, piece: payloads.Piece, events: list[Event]) -> None:
        if choices := piece.choices:  # read here, not by the properties of `piece`: once for each token
            self.begun = True
            choice = choices[0]
            message = choice.delta or choice.message
            if message is not None:
                if thought := message.reasoning_content or message.reasoning:
                    self._think(thought, events)
                text = message.content
                if text and (self._characters.half or not text.isascii()):
                    text = self._characters.feed(text)
                if text:
                    self._split(text, events)
                elif isinstance(message.refusal, str):
                    self.refusal += message.refusal
            if choice.finish_reason is not None:
                self._finish(choice.finish_reason)
        if piece.usage is not None:
            self.usage = piece.usage
        if self.id is None:
            self.id = piece.id

    def _finish(self, reason: str) -> None:
        if reason == "error":
            raise payloads.UnreadableAnswer({"type": "error"})
        self.finish_reason = reason

    def _split(self, text: str, events: list[Event]) -> None:
        """Take a piece of the text, and separate the thinking that some servers leave in it."""
        if self._splitter is None:
            self._write(text, events)
            return
        for part in self._splitter.feed(text):
            self._part(part, events)

    def _part(self, part: Part, events: list[Event]) -> None:
        if part.before:  # an end of thinking that had no beginning: all before it was thinking
            self.thoughts += self.pieces
            self.pieces, self.parser = [], self._parser()
        if part.thinking:
            self._think(part.text[part.marks :], events)
        else:
            self._write(part.text, events)

    def _think(self, thought: Any, events: list[Event]) -> None:
        if isinstance(thought, str) and thought and (text := self._thought_characters.feed(thought)):
            self.thoughts.append(text)
            events.append(ReasoningDelta(text))

    def _write(self, text: str, events: list[Event]) -> None:
        self.pieces.append(text)
        events.append(TextDelta(text))
        if found := self.parser.feed(text):
            events.extend(map(DetectionFound, found))


class PieceCollector(_Collector):
    """Hands the pieces of an answer on, with what distinguishes a whole answer from a broken one."""

    def _keep(self, piece: payloads.Piece, events: list[Any]) -> None:
        events.append(piece)
        if piece.choices:
            self.begun = True
            if text := piece.text:
                self.pieces.append(text)
            self.finish_reason = piece.finish_reason or self.finish_reason


class _Characters:
    """Joins the halves of a character that two chunks share, and escapes a half that stays alone."""

    def __init__(self) -> None:
        self.half = ""  # the first of a character, whose other half may begin the next chunk

    def feed(self, text: str) -> str:
        """Return a text with what was kept of the one before, without what is kept of this one."""
        text, self.half = self.half + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self.half = text[:-1], text[-1]
        return encodable(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass"))

    def close(self) -> str:
        """Return what was kept."""
        half, self.half = self.half, ""
        return encodable(half)


def _is_noise(event: sse.Event, value: object) -> bool:
    """Blank data, events of another type and objects without an error are passed over."""
    if isinstance(value, str):
        return not value.strip() or event.event not in ("message", "error")
    return event.event != "error" and not error_responses.is_error(value)
