"""The events of an answer, collected and sent to a page at a steady pace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from nbvlm import prompts
from nbvlm._background import shared_loop
from nbvlm.client import DetectionFound, ReasoningDelta, TextDelta
from nbvlm.grounding import Detections
from nbvlm.widgets.status_text import progress_text
from nbvlm.widgets.thumbnails import label_colors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nbvlm.client import Event
    from nbvlm.grounding import Detection

__all__ = ["DetectionFeed", "StreamThrottle", "boxes"]

_LOGGER = logging.getLogger("nbvlm")
#: Seconds between two messages with text: smooth to read, and 1,000 tokens in 4 s stay below 60 KB.
TEXT_INTERVAL = 1 / 12
#: Seconds between two messages with boxes alone: with text and masks, 25 messages a second at most.
BOX_INTERVAL = 1 / 3


class Target(Protocol):
    """What shows an answer."""

    def more(self, text: str, boxes: Sequence[Mapping[str, Any]], phase: str, wait: float, /) -> None:
        """Show more text, more boxes, and another phase."""


class StreamThrottle:
    """Collects the events of a running answer, and shows them at a steady pace.

    Methods may be called from any thread. A closed throttle shows nothing, so an answer that was stopped
    cannot write over the next one. The prompt decides the colours of the boxes. A `viewer` gets the
    detections so far, on the loop of the package.
    """

    def __init__(
        self,
        page: Target,
        prompt: str,
        viewer: Viewing | None = None,
        interval: float = TEXT_INTERVAL,
    ) -> None:
        self._page, self._prompt, self._viewer, self._interval = page, prompt, viewer, interval
        self._lock = threading.Lock()
        self._waiting = self._viewing = self._closed = False  # whether text, or boxes, wait for their turn
        self._sent_at = 0.0
        self._text: list[str] = []
        self._boxes: list[dict[str, Any]] = []
        self._found: list[Detection] = []
        self._shown_at = 0.0
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
                _later(pause, self._flush)

    def _collect(self, event: Event) -> bool:
        """Collect an event; return whether it is the first text."""
        if isinstance(event, TextDelta):
            self._text.append(event.text)
            self.pieces += bool(event.text)
            return self.pieces == 1 and bool(event.text)
        if isinstance(event, DetectionFound):
            self._boxes += boxes([event.detection], self._prompt)
            self._found.append(event.detection)
            if self._viewer is not None and not self._viewing:
                self._viewing = True
                _later(max(0.0, self._shown_at + BOX_INTERVAL - time.monotonic()), self._view)
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
        self._page.more("".join(self._text), self._boxes, new_phase, pause)
        self._text, self._boxes, self._phase, self._sent_phase = [], [], phase, shown

    def _view(self) -> None:
        with self._lock:
            self._draw()

    def _draw(self) -> None:
        """Show the detections so far in the viewer, if there are new ones."""
        if self._closed or not self._viewing or self._viewer is None:
            return
        self._viewing, self._shown_at = False, time.monotonic()
        _put(self._viewer, self._found)

    def close(self) -> bool:
        """Send the rest and then nothing more; return whether it was open.

        Only the first caller may show how the answer ended.
        """
        with self._lock:
            was_open = not self._closed
            self._send()
            self._draw()
            self._closed = True
            return was_open


class Viewing(Protocol):
    """What shows detections."""

    detections: Any


class DetectionFeed:
    """Shows the detections of a running answer in a viewer, at a steady pace.

    Its methods are called on the package's loop. The viewer changes on another thread, for observers of
    `detections` may take their time.
    """

    def __init__(self, viewer: Viewing, interval: float = BOX_INTERVAL) -> None:
        self._viewer, self._interval = viewer, interval
        self._found: list[Detection] = []
        self._shown_at = 0.0
        self._ended = asyncio.Event()
        self._showing: asyncio.Task[None] | None = None

    def take(self, detection: Detection) -> None:
        """Take one detection; the first is shown at once."""
        self._found.append(detection)
        if self._showing is None or self._showing.done():
            pause = max(0.0, self._shown_at + self._interval - time.monotonic())
            self._showing = asyncio.get_running_loop().create_task(self._show(pause))

    async def _show(self, pause: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), pause)
        if not self._ended.is_set():
            self._shown_at = time.monotonic()
            await asyncio.to_thread(_put, self._viewer, list(self._found))

    async def end(self) -> None:
        """Show nothing more; what is being shown is on the screen when this returns."""
        self._ended.set()
        if self._showing is not None:
            await self._showing


def _later(pause: float, call: Callable[[], None]) -> None:
    """Call a function after so many seconds, on the loop of the package."""
    shared_loop().call(lambda: asyncio.get_running_loop().call_later(pause, call))


def _put(viewer: Viewing, found: list[Detection]) -> None:
    try:
        viewer.detections = Detections.of(found, found[0].size or (1, 1))
    except Exception:  # an observer's: the answer goes on
        _LOGGER.exception("An observer of a viewer failed.")


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
