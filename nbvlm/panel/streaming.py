"""An answer under way: its text and boxes go to the viewer at a steady pace, its masks as SVG paths."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

from nbvlm import prompts
from nbvlm._background import Task
from nbvlm.client import DetectionFound, ReasoningDelta, TextDelta
from nbvlm.errors import Error
from nbvlm.grounding import decode_masks, mask_svg_path
from nbvlm.widgets import label_colors, progress_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nbvlm.client import AsyncClient, Event
    from nbvlm.grounding import Detection, LazyMask
    from nbvlm.panel.form import Inputs
    from nbvlm.result import Result
    from nbvlm.widgets import AnswerViewer

__all__ = ["MaskOutliner", "StreamThrottle", "ask", "boxes"]

#: Seconds between two messages with text: smooth to read, and 1,000 tokens in 4 s stay below 60 KB.
TEXT_INTERVAL = 1 / 12
#: Seconds between two messages with masks, and the most masks of one.
MASK_INTERVAL = 1 / 6
_MASKS = 32


class StreamThrottle:
    """Collects the events of a running answer, and sends them to the viewer at a steady pace.

    Events are taken on the loop thread; `close` may be called on any. A closed throttle sends nothing, so an
    answer that was stopped cannot write over the next one. The prompt decides the colours of the boxes.
    """

    def __init__(
        self,
        viewer: AnswerViewer,
        prompt: str,
        outliner: MaskOutliner | None = None,
        interval: float = TEXT_INTERVAL,
    ) -> None:
        self._viewer, self._prompt, self._outliner, self._interval = viewer, prompt, outliner, interval
        self._lock = threading.Lock()
        self._waiting = self._closed = False
        self._sent_at = 0.0
        self._text: list[str] = []
        self._boxes: list[dict[str, Any]] = []
        self._found = 0
        self._phase = self._sent_phase = ""
        self.quota = ""  # what a class gateway still allows, in words
        self._pause = 0.0
        self.pieces = 0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the question was asked."""
        return time.monotonic() - self._began

    def take(self, event: Event) -> None:
        """Take one event of the stream; the first text is sent at once, everything else at the pace."""
        with self._lock:
            first = self._collect(event)
            if first or not self._waiting:
                self._waiting = True
                pause = 0.0 if first else max(0.0, self._sent_at + self._interval - time.monotonic())
                asyncio.get_running_loop().call_later(pause, self._flush)

    def _collect(self, event: Event) -> bool:
        """Collect an event; return whether it is the first text."""
        if isinstance(event, TextDelta):
            self._text.append(event.text)
            self.pieces += bool(event.text)
            return self.pieces == 1 and bool(event.text)
        if isinstance(event, DetectionFound):
            self._boxes += boxes([event.detection], self._prompt)
            if self._outliner is not None:
                self._outliner.want(self._found, [event.detection])
            self._found += 1
        elif isinstance(event, ReasoningDelta):
            self._phase, self._pause = "Thinking", 0.0
        elif event.kind == "quota":
            self.quota = progress_text(event)
        else:
            self._phase = progress_text(event)
            self._pause = event.seconds if event.kind == "retry" else 0.0
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
        shown = f"{phase} · {self.quota}" if phase and self.quota else phase
        new_phase = shown if shown != self._sent_phase else ""
        self._viewer.more("".join(self._text), self._boxes, new_phase, pause)
        self._text, self._boxes, self._phase, self._sent_phase = [], [], phase, shown

    def close(self) -> bool:
        """Send the rest and then nothing more; return whether it was open.

        Only the first caller may show how the answer ended.
        """
        with self._lock:
            was_open = not self._closed
            self._send()
            self._closed = True
            return was_open


class MaskOutliner:
    """Decodes the masks of the answer in the viewer, and sends them there when they are ready.

    The first mask of all may wait for its decoder to be downloaded; boxes and text never wait for it.
    """

    def __init__(self, viewer: AnswerViewer) -> None:
        self._viewer = viewer
        self._lock = threading.Lock()
        self._turn = -1
        self._seen: set[int] = set()
        self._wanted: list[tuple[int, LazyMask]] = []
        self._busy = False

    def want(self, first: int, detections: Iterable[Detection]) -> None:
        """Ask for the masks of some boxes of the answer in the viewer, numbered there from `first` on.

        Those without a mask are skipped, and so are those that were asked for before.
        """
        with self._lock:
            if self._turn != self._viewer.turn:
                self._turn, self._seen, self._wanted = self._viewer.turn, set(), []
            for index, detection in enumerate(detections, first):
                if detection.lazy_mask.known and index not in self._seen:
                    self._seen.add(index)
                    self._wanted.append((index, detection.lazy_mask))
            if self._wanted and not self._busy:
                self._busy = True
                Task(self._work())

    async def _work(self) -> None:
        while (batch := self._take()) is not None:
            turn, masks = batch
            try:
                shapes = await asyncio.to_thread(_shapes, masks)
            except Exception as error:  # noqa: BLE001 - shown below the answer
                self._give_up(turn, error)
            else:
                self._viewer.outline(turn, shapes)
            await asyncio.sleep(MASK_INTERVAL)

    def _take(self) -> tuple[int, list[tuple[int, LazyMask]]] | None:
        with self._lock:
            batch, self._wanted = self._wanted[:_MASKS], self._wanted[_MASKS:]
            self._busy = bool(batch)
            return (self._turn, batch) if batch else None

    def _give_up(self, turn: int, error: Exception) -> None:
        with self._lock:
            if turn == self._turn:
                self._wanted = []
        reason = error.message if isinstance(error, Error) else f"{type(error).__name__} in nbvlm."
        self._viewer.remark(turn, f"The masks are not drawn. {reason}")


def _shapes(wanted: list[tuple[int, LazyMask]]) -> dict[str, str]:
    decode_masks(mask for _, mask in wanted)
    crops = ((index, mask.crop()) for index, mask in wanted)
    return {str(index): mask_svg_path(crop) for index, crop in crops if crop is not None}


def boxes(detections: Iterable[Detection], prompt: str) -> list[dict[str, Any]]:
    """Describe boxes for the browser: label, corners in pixels of the upright picture, colour and ink.

    Where the prompt names the labels, colours depend on it and the label alone, so a box does not change its
    colour when the next one arrives.
    """
    found = list(detections)
    colors = label_colors([*prompts.things(prompt), *(one.label for one in found)])
    return [
        {"label": one.label, "box": [round(float(value), 2) for value in one.box], **colors[one.label]}
        for one in found
    ]


async def ask(
    client: AsyncClient, inputs: Inputs, throttle: StreamThrottle, on_event: Callable[[Event], None]
) -> Result:
    """Stream one answer into `throttle` and return its result; `on_event` takes each event, too."""
    asked = client.stream(inputs.picture, inputs.prompt, route=inputs.route, **inputs.parameters)
    async with asked as stream:
        async for event in stream:
            on_event(event)
            throttle.take(event)
    return stream.result
