"""The events of an answer, collected and sent to a page at a steady pace."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from nbvlm import prompts
from nbvlm._background import Task, shared_loop
from nbvlm.client import DetectionFound, ReasoningDelta, TextDelta
from nbvlm.grounding import Detections
from nbvlm.widgets.status_text import progress_text
from nbvlm.widgets.thumbnails import described_boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nbvlm.client import Event
    from nbvlm.grounding import Detection
    from nbvlm.widgets.answer_page import AnswerPage
    from nbvlm.widgets.viewer import Viewer

__all__ = ["DetectionFeed", "StreamThrottle", "boxes", "show"]

_LOGGER = logging.getLogger("nbvlm")
#: Seconds between two messages with text: smooth to read, and 1,000 tokens in 4 s stay below 60 KB.
TEXT_INTERVAL = 1 / 12
#: Seconds between two messages with boxes alone: with text and masks, 25 messages a second at most.
BOX_INTERVAL = 1 / 3


class StreamThrottle:
    """Collects the events of a running answer, and shows them at a steady pace.

    Methods may be called from any thread. A closed throttle shows nothing, so an answer that was stopped
    cannot write over the next one. The prompt decides the colours of the boxes. A `feed` shows the detections
    in a viewer.
    """

    def __init__(
        self,
        page: AnswerPage,
        prompt: str,
        feed: DetectionFeed | None = None,
        interval: float = TEXT_INTERVAL,
    ) -> None:
        self._page, self._prompt, self._feed, self._interval = page, prompt, feed, interval
        self._lock = threading.Lock()
        self._waiting = self._closed = False
        self._sent_at = 0.0
        self._text: list[str] = []
        self._boxes: list[dict[str, Any]] = []
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
            if self._feed is not None:
                self._feed.take(event.detection)
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

    def close(self) -> bool:
        """Send the rest and then nothing more; return whether it was open.

        Only the first caller may show how the answer ended.
        """
        with self._lock:
            was_open = not self._closed
            self._send()
            self._closed = True
        if self._feed is not None:
            self._feed.close()
        return was_open


class DetectionFeed:
    """Shows the detections of a running answer in a viewer, at a steady pace.

    Methods may be called from any thread. The viewer changes on a thread of its own, without a lock, for
    observers of `detections` may take their time, and may end the answer. Of several feeds of a viewer the
    last one shows its detections there.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._lock = threading.Lock()
        self._found: list[Detection] = []
        self._shown = 0  # detections in the viewer
        self._shown_at = 0.0
        self._waiting = self._closed = False
        self._showing: threading.Thread | None = None
        self._idle = threading.Event()
        self._idle.set()
        viewer.feed = self

    def take(self, detection: Detection) -> None:
        """Take one detection; the first is shown at once."""
        with self._lock:
            self._found.append(detection)
            self._plan()

    def _plan(self) -> None:
        """Show the detections when their turn comes."""
        if not self._waiting and not self._closed and self._shown < len(self._found):
            self._waiting = True
            _later(max(0.0, self._shown_at + BOX_INTERVAL - time.monotonic()), lambda: Task(self._turn()))

    async def _turn(self) -> None:
        with self._lock:
            self._waiting = False
            if self._closed:
                return
            self._idle.clear()
        try:
            await asyncio.to_thread(self._show)
        finally:
            self._idle.set()  # where it was cancelled
        with self._lock:
            self._shown_at = time.monotonic()
            self._plan()

    def _show(self) -> None:
        self._showing = threading.current_thread()
        try:
            self._draw()
        finally:
            self._showing = None
            self._idle.set()  # here, for the loop itself may be waiting

    def _draw(self) -> None:
        """Show the detections so far, unless the viewer shows another answer or another picture now."""
        found = list(self._found)
        if self._viewer.feed is not self or self._shown == len(found):
            return
        size = self._viewer.size or found[0].size
        if size is None or any(one.size not in (size, None) for one in found):
            return
        self._shown = len(found)
        show(self._viewer, detections=Detections.of(found, size))

    def close(self) -> None:
        """Show the rest, and nothing more; what is being shown is on the screen when this returns."""
        with self._lock:
            self._closed = True
        if self._showing is not threading.current_thread():  # else an observer ends the answer
            self._idle.wait()
        self._draw()
        if self._viewer.feed is self:
            self._viewer.feed = None


def show(viewer: Any, **traits: Any) -> None:
    """Set traits of a viewer; an observer that fails ends nothing."""
    for name, value in traits.items():
        try:
            setattr(viewer, name, value)
        except Exception:
            _LOGGER.exception("A viewer, or an observer of it, failed.")


def _later(pause: float, call: Callable[[], Any]) -> None:
    """Call a function after so many seconds, on the loop of the package."""
    shared_loop().call(lambda: asyncio.get_running_loop().call_later(pause, call))


def boxes(detections: Iterable[Detection], prompt: str) -> list[dict[str, Any]]:
    """Describe boxes for the browser, as `described_boxes` does.

    Where the prompt names the labels, colours depend on it and the label alone, so a box does not change its
    colour when the next one arrives.
    """
    found = list(detections)
    return described_boxes([one.label for one in found], [one.box for one in found], prompts.things(prompt))
