"""One run: asks the model on the loop thread and feeds the stage at a pace that browsers bear."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbvlm.client.flow.events import DetectionFound, Status, TextDelta
from nbvlm.draw import palette
from nbvlm.widgets import status_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbvlm.client.client import AsyncClient
    from nbvlm.grounding.detections import Detection
    from nbvlm.images.picture import Picture
    from nbvlm.panel.shapes import Outliner
    from nbvlm.result.result import Result
    from nbvlm.widgets.viewer import Stage

__all__ = ["PACE", "Live", "Question", "ask", "boxes"]

#: Seconds between two messages to the browser: smooth to read, and 1,000 tokens in 4 s stay below 60 KB.
PACE = 1 / 12


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a picture, a prompt, the parameters by name, and the picture's route."""

    picture: Picture
    prompt: str
    parameters: Mapping[str, Any]  # numbers, by the names that the client knows
    route: str = "auto"


class Live:
    """The line from a running answer to the stage: collects what comes, sends it at the pace.

    Events are taken on the loop thread; `close` may be called on any. After `close` the line is dead, so an
    answer that was stopped cannot write over the next one.

    Parameters
    ----------
    stage
        Where the answer is shown.
    prompt
        What was asked: it decides the colours of the boxes.
    outliner
        Makes shapes of the masks; None for none.
    pace
        Seconds between two messages.

    Attributes
    ----------
    pieces
        Pieces of text so far.
    """

    def __init__(
        self, stage: Stage, prompt: str, outliner: Outliner | None = None, pace: float = PACE
    ) -> None:
        self._stage = stage
        self._outliner = outliner
        self._prompt = prompt
        self._pace = pace
        self._lock = threading.Lock()
        self._waiting = False
        self._sent_at = 0.0
        self._text: list[str] = []
        self._boxes: list[dict[str, Any]] = []
        self._found = 0
        self._phase = self._told = ""
        self._pause = 0.0
        self._closed = False
        self.pieces = 0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the question was asked."""
        return time.monotonic() - self._began

    def take(self, event: TextDelta | DetectionFound | Status) -> None:
        """Take one event of the stream; the first text goes on at once, everything else at the pace."""
        with self._lock:
            first = self._keep(event)
            if first or not self._waiting:
                self._waiting = True
                pause = 0.0 if first else max(0.0, self._sent_at + self._pace - time.monotonic())
                asyncio.get_running_loop().call_later(pause, self._flush)

    def _keep(self, event: TextDelta | DetectionFound | Status) -> bool:
        """Keep what an event brings; return whether it is the first text."""
        if isinstance(event, TextDelta):
            self._text.append(event.text)
            self.pieces += bool(event.text)
            return self.pieces == 1 and bool(event.text)
        if isinstance(event, DetectionFound):
            self._boxes += boxes([event.detection], self._prompt)
            if self._outliner is not None:
                self._outliner.want(self._found, [event.detection])
            self._found += 1
        else:
            self._phase = status_text.progress(event)
            self._pause = status_text.pause(event)
        return False

    def _flush(self) -> None:
        with self._lock:
            self._waiting = False
            self._sent_at = time.monotonic()
            self._send()

    def _send(self) -> None:
        if self._closed:
            return
        phase, pause = ("Answering", 0.0) if self._text else (self._phase, self._pause)
        self._stage.more("".join(self._text), self._boxes, phase if phase != self._told else "", pause)
        self._text, self._boxes, self._phase, self._told = [], [], phase, phase

    def close(self) -> bool:
        """Send what is left and then nothing more.

        Returns
        -------
        bool
            Whether it was open: only one of those who close a line may say how the answer ended.
        """
        with self._lock:
            was_open = not self._closed
            self._send()
            self._closed = True
            return was_open


def boxes(detections: Iterable[Detection], prompt: str) -> list[dict[str, Any]]:
    """Boxes for the browser: label, corners in pixels of the upright picture, and a colour with its ink.

    Where the prompt names the labels, colours depend on it and the label alone, so a box does not change its
    colour when the next one arrives.
    """
    found = list(detections)
    colors = palette.assign([*palette.prompt_things(prompt), *(one.label for one in found)])
    return [
        {
            "label": one.label,
            "box": [round(float(value), 2) for value in one.box],
            "color": palette.css(colors[one.label]),
            "ink": palette.css(palette.ink(colors[one.label])),
        }
        for one in found
    ]


async def ask(client: AsyncClient, question: Question, live: Live) -> Result:
    """Stream one answer into `live` and return its result.

    Raises
    ------
    nbvlm.Error
        As `AsyncClient.stream`.
    """
    asked = client.stream(question.picture, question.prompt, route=question.route, **question.parameters)
    async with asked as stream:
        async for event in stream:
            live.take(event)
    return stream.result
