"""Masks as shapes: short SVG paths that stay sharp at any zoom, made apart from the text that streams."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nbvlm import prompts
from nbvlm._background import Task
from nbvlm.client import DetectionFound, Status, TextDelta
from nbvlm.draw import assign_colors, css_color, ink_color
from nbvlm.errors import Error
from nbvlm.grounding import decode_masks, mask_loops
from nbvlm.widgets import pause_text, progress_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from nbvlm.client import AsyncClient
    from nbvlm.grounding import Detection, LazyMask, MaskCrop
    from nbvlm.images import Picture
    from nbvlm.result import Result
    from nbvlm.widgets import Stage

__all__ = ["OUTLINE_PACE", "PACE", "Live", "Outliner", "Question", "ask", "boxes", "path"]

#: Seconds between two messages with shapes.
OUTLINE_PACE = 1 / 6
_TOGETHER = 32
_FINEST = 0.75  # pixels that a corner may lie off the true outline, at least
_SHARE = 1 / 400  # … and as a share of the mask's larger side


def path(crop: MaskCrop) -> str:
    """Write the outline of a mask as the data of an SVG path, in pixels of the picture.

    Parameters
    ----------
    crop
        The part of the picture that holds the mask.

    Returns
    -------
    str
        Closed loops of straight lines, holes included: fill them by the even-odd rule. "" for an empty mask.

    Examples
    --------
    >>> from nbvlm.grounding.masks.types import MaskCrop
    >>> path(MaskCrop(10, 20, np.ones((2, 3), bool)))
    'M10 20l3 0 0 2-3 0z'
    """
    tolerance = max(_FINEST, max(crop.pixels.shape) * _SHARE)
    loops = (_simple(np.array(loop), tolerance) for loop in mask_loops(crop))
    return "".join(_drawn(loop) for loop in loops if len(loop) > 2)


def _drawn(loop: npt.NDArray[np.int64]) -> str:
    (x, y), steps = loop[0].tolist(), np.diff(loop, axis=0).tolist()
    numbers = "".join(f"{value}" if value < 0 else f" {value}" for step in steps for value in step)
    return f"M{x} {y}l{numbers.strip()}z"


def _simple(loop: npt.NDArray[np.int64], tolerance: float) -> npt.NDArray[np.int64]:
    """Leave out corners by the algorithm of Douglas and Peucker; the loop begins at its first corner."""
    far = int(np.argmax(((loop - loop[0]) ** 2).sum(axis=1)))
    closed = np.vstack([loop, loop[:1]])
    keep = np.zeros(len(closed), bool)
    keep[[0, far]] = True
    waiting = [(0, far), (far, len(loop))]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        away = _distances(closed[first + 1 : last], closed[first], closed[last])
        most = int(np.argmax(away))
        if away[most] > tolerance:
            middle = first + 1 + most
            keep[middle] = True
            waiting += [(first, middle), (middle, last)]
    return closed[:-1][keep[:-1]]


def _distances(
    points: npt.NDArray[np.int64], start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Measure how far points lie from the line through two others, or from the one if they are the same."""
    (x, y), way = (points - start).T, end - start
    length = float(np.hypot(*way))
    found: npt.NDArray[np.float64] = np.abs(x * way[1] - y * way[0]) / length if length else np.hypot(x, y)
    return found


class Outliner:
    """Decodes the masks of what the stage shows, and sends them there when they are ready.

    The first mask of all may wait for its decoder to be downloaded; boxes and text never wait for it.

    Parameters
    ----------
    stage
        What shows the shapes.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lock = threading.Lock()
        self._turn = -1
        self._seen: set[int] = set()
        self._wanted: list[tuple[int, LazyMask]] = []
        self._busy = False

    def want(self, first: int, detections: Iterable[Detection]) -> None:
        """Ask for the masks of some boxes of the answer on the stage.

        Parameters
        ----------
        first
            Number of the first of them among the stage's boxes.
        detections
            Those without a mask are passed over, and so are those asked for before.
        """
        with self._lock:
            if self._turn != self._stage.turn:
                self._turn, self._seen, self._wanted = self._stage.turn, set(), []
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
            except Exception as error:  # noqa: BLE001 - told where the user looks
                self._give_up(turn, error)
            else:
                self._stage.outline(turn, shapes)
            await asyncio.sleep(OUTLINE_PACE)

    def _take(self) -> tuple[int, list[tuple[int, LazyMask]]] | None:
        with self._lock:
            batch, self._wanted = self._wanted[:_TOGETHER], self._wanted[_TOGETHER:]
            self._busy = bool(batch)
            return (self._turn, batch) if batch else None

    def _give_up(self, turn: int, error: Exception) -> None:
        with self._lock:
            if turn == self._turn:
                self._wanted = []
        reason = error.message if isinstance(error, Error) else f"{type(error).__name__} in nbvlm."
        self._stage.remark(turn, f"The masks are not drawn. {reason}")


def _shapes(wanted: list[tuple[int, LazyMask]]) -> dict[str, str]:
    decode_masks(mask for _, mask in wanted)
    crops = ((index, mask.crop()) for index, mask in wanted)
    return {str(index): path(crop) for index, crop in crops if crop is not None}


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
            self._phase = progress_text(event)
            self._pause = pause_text(event)
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
    colors = assign_colors([*prompts.things(prompt), *(one.label for one in found)])
    return [
        {
            "label": one.label,
            "box": [round(float(value), 2) for value in one.box],
            "color": css_color(colors[one.label]),
            "ink": css_color(ink_color(colors[one.label])),
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
