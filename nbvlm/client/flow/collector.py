"""Collect text and boxes from the chunks of a stream, as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm.client import error_responses, payloads
from nbvlm.client.flow.events import DetectionFound, Event, TextDelta
from nbvlm.grounding import Detections, Parser, read_kosmos2

if TYPE_CHECKING:
    from nbvlm.client import sse
    from nbvlm.endpoints import Endpoint
    from nbvlm.errors import Error
    from nbvlm.grounding import Detection, Problem

__all__ = ["ResponseCollector"]


class ResponseCollector:
    """The part of an answer that has come so far."""

    def __init__(
        self, endpoint: Endpoint, size: tuple[int, int], prompt: str, sent: tuple[int, int] | None = None
    ) -> None:
        self.parser = Parser(size, prompt, endpoint.bins, endpoint.codebook, model=endpoint.model, sent=sent)
        self.pieces: list[str] = []
        self.usage: payloads.Tokens | None = None
        self.finish_reason: str | None = None
        self.id: str | None = None
        self.done = False
        self.failure: Error | None = None
        self._size = size
        self._beside: list[Detection] = []
        self._wrong: list[Problem] = []

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self.pieces)

    def take(self, arrived: list[sse.Event], *, last: bool = False) -> list[Event]:
        """Read events of the stream and return the client's events; the last may have been cut off."""
        events: list[Event] = []
        for event in arrived:
            data = event.data
            if data == b"[DONE]":
                self.done = True
                break
            try:
                piece = payloads.read_chunk(data)
            except payloads.UnreadableAnswer as error:
                if _is_noise(event, error.data) or (last and isinstance(error.data, str)):
                    continue
                self.failure = error_responses.error_in_stream(error.data)
                break
            self._piece(piece, events)
        return events

    def answer(self, piece: payloads.Piece) -> list[Event]:
        """Take a whole answer, with the places that it names beside its text."""
        events: list[Event] = []
        self._piece(piece, events)
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
        return [DetectionFound(detection) for detection in self.parser.close()]

    def _piece(self, piece: payloads.Piece, events: list[Event]) -> None:
        if choices := piece.choices:  # read here, not by the properties of `piece`: once for each token
            choice = choices[0]
            message = choice.delta or choice.message
            if message is not None and (text := message.content):
                self.pieces.append(text)
                events.append(TextDelta(text))
                if found := self.parser.feed(text):
                    events.extend(map(DetectionFound, found))
            if choice.finish_reason is not None:
                self.finish_reason = choice.finish_reason
        if piece.usage is not None:
            self.usage = piece.usage
        if self.id is None:
            self.id = piece.id


def _is_noise(event: sse.Event, value: object) -> bool:
    """Blank data and events of another type without an error are passed over, as the rules want."""
    if isinstance(value, str):
        return not value.strip() or event.event not in ("message", "error")
    return isinstance(value, dict) and value.get("choices") == [] and "error" not in value
