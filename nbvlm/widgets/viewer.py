"""The viewer: the picture with its boxes and masks, the answer and the status line, in one widget.

The state of the screen is kept here, on the Python side, and a page that opens late (or twice, or again) asks
for all of it. While an answer streams, only new pieces travel; no bytes and no growing text are ever in a
synced trait.

The public `Viewer` and `DetectionList` are widgets of their own, with the same modules of the page. A panel
made of those two and an answer would have 25 kB more in its saved state, which is to stay below 200 kB.
"""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm.widgets._base import PageWidget
from nbvlm.widgets._boxes import Region, clipped
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import REREAD, Message, items, number, optional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Viewer"]

# What stands around an answer, in words; lists are replaced, never changed.
_NO_WORDS: Mapping[str, Any] = MappingProxyType(
    {"alt": "", "said": "", "notes": [], "reasoning": "", "by": "", "asked": "", "step": "", "reading": None}
)


class Viewer(PageWidget):
    """Shows a picture, boxes, masks, streamed text and a status line.

    All methods may be called from any thread; the browser sees their effects in the order of the calls.

    Parameters
    ----------
    on_region
        Called with the box that was drawn after `pick_region`, `(x0, y0, x1, y1)` in pixels of the picture;
        with None if the drawing was cancelled.
    on_message
        Called with the message "reread": in which `order` the numbers of the answer are to be read, and on
        which `scale` of both sides (None: as now).

    Attributes
    ----------
    answer
        The last finished answer, for a page without a kernel.
    turn
        Counts answers, so that late pieces of an earlier one are recognised.
    """

    _esm = script("viewer_root", "viewer_root", "picture_view", "detections_list")
    kind = "viewer_root"
    messages = MappingProxyType(
        {
            "region": Message(box=optional(items(number, 4))),
            "reread": REREAD,
        }
    )
    answer = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        on_region: Callable[[Region | None], None] | None = None,
        on_message: Callable[[Mapping[str, Any]], Any] | None = None,
    ) -> None:
        self._preview: list[bytes] = []
        self._picture: dict[str, Any] | None = None
        self._text: list[str] = []
        self._boxes: list[dict[str, Any]] = []
        self._shapes: dict[str, str] = {}
        self._words: dict[str, Any] = dict(_NO_WORDS)
        self._pick: dict[str, Any] = {"picking": False, "region": None}
        self._status: dict[str, Any] = {"state": "empty", "parts": []}
        self._until = 0.0
        self._on_region = on_region
        self.turn = 0
        super().__init__(on_message)

    def take(self, message: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take a box that a page drew, or another reading of the numbers."""
        if message["type"] == "region":
            self.take_region(message.get("box"))
        else:
            super().take(message, buffers)

    def picture(self, facts: Mapping[str, Any] | None, preview: bytes | None) -> None:
        """Show another picture, or none, without boxes and answer.

        `facts` are `name`, `width`, `height` and the `mime` of the preview, whose size in pixels may differ.
        """
        with self._lock:
            self._picture = None if facts is None else dict(facts)
            self._preview = [] if preview is None else [preview]
            self._text = []
            self._pick = {"picking": False, "region": None}
            self._clear()
            self._status = {"state": "empty" if facts is None else "ready", "parts": []}
            self.answer = ""
            self.send_all()

    def begin(self) -> None:
        """Clear answer, boxes and masks: a new answer is on its way."""
        with self._lock:
            self._clear()
            status = {"state": "running", "parts": ["Asking"]}
            self._put(text="", boxes=[], status=status, **self._words)
        self.answer = ""

    def more(self, text: str, boxes: Sequence[Mapping[str, Any]], phase: str = "", wait: float = 0.0) -> None:
        """Add text, boxes and the name of a new phase, in one message.

        `wait` is how many seconds the phase will last, counted down on the page; 0 if unknown.
        """
        message: dict[str, Any] = {"type": "more"}
        with self._lock:
            if text:
                message["text"] = text
                self._text.append(text)
            if boxes:
                message["boxes"] = [dict(box) for box in boxes]
                self._boxes += message["boxes"]
            if phase:
                self._status = {"state": "running", "parts": [phase]}
                self._until = time.monotonic() + wait if wait else 0.0
                message["status"] = self._timed_status()
            if len(message) > 1:
                self.send(message)

    def outline(self, turn: int, shapes: Mapping[str, str]) -> None:
        """Add masks to the boxes of an answer, see `turn`, if it is still on the screen.

        Shapes are data of SVG paths in pixels of the picture, by the numbers of the boxes, as text.
        """
        with self._lock:
            if turn == self.turn and shapes:
                self._shapes |= shapes
                self.send({"type": "shapes", "shapes": dict(shapes)})

    def remark(self, turn: int, text: str) -> None:
        """Add a note to the answer on the screen."""
        with self._lock:
            if turn == self.turn and text not in self._words["notes"]:
                self._put(notes=[*self._words["notes"], text])

    def finish(
        self,
        text: str,
        boxes: Sequence[Mapping[str, Any]],
        parts: Sequence[Any],
        *,
        alt: str = "",
        said: str = "",
        notes: Sequence[str] = (),
        reasoning: str = "",
        by: str = "",
        asked: str = "",
        step: str = "",
        reading: Mapping[str, Any] | None = None,
    ) -> None:
        """Show the whole answer, once.

        Parts of the status line are texts, or `text`, `title` and the text to `copy` at a press. `alt` is the
        picture with its boxes in words, `said` one sentence for screen readers. The model that answered
        (`by`) and the notes stand above the answer; below it are the words that were sent, where they are not
        those of the prompt (`asked`), and `reasoning`, folded. With `step` "models", a button below the notes
        leads to the choice of models. `reading` is the order and the scale of the
        numbers, if they can be read again.
        """
        with self._lock:
            found = [dict(box) for box in boxes]
            if found != self._boxes:
                self._shapes, self.turn = {}, self.turn + 1
            status = {"state": "done", "parts": list(parts)}
            notes = [*self._words["notes"], *notes] if found == self._boxes else list(notes)
            words: dict[str, Any] = {"alt": alt, "said": said, "notes": notes, "reasoning": reasoning}
            words |= {
                "by": by,
                "asked": asked,
                "step": step,
                "reading": None if reading is None else dict(reading),
            }
            self._put(text=text, boxes=found, status=status, **words)
        self.answer = text

    def stopped(self, parts: Sequence[str]) -> None:
        """Show that the answer was stopped; its pieces stay on the screen."""
        self._put(status={"state": "stopped", "parts": list(parts)})

    def fail(self) -> None:
        """Show that the answer failed; its pieces stay on the screen."""
        self._put(status={"state": "failed", "parts": []})

    def restore(self) -> None:
        """Send everything but the picture again."""
        # A press on Run has cleared it on the page, but asks nothing.
        with self._lock:
            self.send({"type": "put", **self._shown()})
            self._send_shapes()

    def pick_region(self, on: bool) -> None:
        """Let a box be drawn on the picture, by pointer or keyboard, or end that.

        One box ends it by itself, and so does another picture.
        """
        self._put(picking=on and self._picture is not None)

    def take_region(self, box: Sequence[Any] | None) -> None:
        """Take a box that was drawn on a page, cut it to the picture, and pass it on."""
        with self._lock:
            facts = self._picture
            size = None if facts is None else (facts["width"], facts["height"])
            region = None if box is None else clipped([float(value) for value in box], size)
            self._pick |= {"picking": False, "region": region or self._pick["region"]}
            self._put(**self._pick)
        if self._on_region is not None:
            self._on_region(region)

    def send_all(self) -> None:
        """Send the whole screen, to a page that opens."""
        with self._lock:
            self.send({"type": "all", "picture": self._picture, **self._shown()}, buffers=self._preview)
            self._send_shapes()

    def _send_shapes(self) -> None:
        if self._shapes:
            self.send({"type": "shapes", "shapes": self._shapes})

    def _shown(self) -> dict[str, Any]:
        answer = {"text": "".join(self._text), "boxes": self._boxes}
        return {**answer, "status": self._timed_status(), **self._words, **self._pick}

    def _timed_status(self) -> dict[str, Any]:
        left = self._until - time.monotonic()
        return {**self._status, "wait": round(left, 2)} if left > 0 else self._status

    def _clear(self) -> None:
        self._boxes, self._shapes, self.turn, self._until = [], {}, self.turn + 1, 0.0
        self._words = dict(_NO_WORDS)

    def _put(self, **changes: Any) -> None:
        with self._lock:
            if "text" in changes:
                self._text = [changes["text"]]
            if "status" in changes:
                self._status, self._until = changes["status"], 0.0
            self._boxes = changes.get("boxes", self._boxes)
            for held in (self._words, self._pick):
                held.update({name: value for name, value in changes.items() if name in held})
            self.send({"type": "put", **changes})

    def _summary(self) -> str:
        return str(self._status["state"])
