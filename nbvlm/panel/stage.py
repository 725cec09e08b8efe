"""The stage: the picture with its boxes, the answer and the status line, in one widget.

What the screen shows is kept here, on the Python side, and a page that opens late (or twice, or again) asks
for all of it. While an answer streams, only what is new travels; no bytes and no growing text are ever in a
synced trait.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Stage"]

_HERE = Path(__file__).parent


class Stage(anywidget.AnyWidget):  # type: ignore[misc] # the base class has no types
    """Shows a picture, boxes, streamed text and a status line.

    All methods may be called from any thread; the browser sees their effects in the order of the calls.

    Attributes
    ----------
    answer
        The last finished answer: what a page without a kernel shows.
    """

    _esm = _HERE / "stage.js"
    _css = _HERE / "stage.css"
    answer = traitlets.Unicode("").tag(sync=True)

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._preview: list[bytes] = []
        self._picture: dict[str, Any] | None = None
        self._text: list[str] = []
        self._boxes: list[dict[str, Any]] = []
        self._status: dict[str, Any] = {"state": "empty", "parts": []}
        super().__init__()
        self.on_msg(_received)

    def picture(self, facts: Mapping[str, Any] | None, preview: bytes | None) -> None:
        """Show another picture, without boxes and answer.

        Parameters
        ----------
        facts
            `name`, `width`, `height`, `mime` of the preview; None for no picture.
        preview
            What the browser draws; its size in pixels may differ from `width` and `height`.
        """
        with self._lock:
            self._picture = None if facts is None else dict(facts)
            self._preview = [] if preview is None else [preview]
            self._text, self._boxes = [], []
            self._status = {"state": "empty" if facts is None else "ready", "parts": []}
            self._forget_answer()
            self._send_all()

    def begin(self) -> None:
        """Clear answer and boxes: a new answer is on its way."""
        self._put(text="", boxes=[], status={"state": "running", "parts": ["Asking"]})
        self._forget_answer()

    def more(self, text: str, boxes: Sequence[Mapping[str, Any]], phase: str = "") -> None:
        """Add text, boxes and the name of a new phase, in one message."""
        message: dict[str, Any] = {"type": "more"}
        with self._lock:
            if text:
                message["text"] = text
                self._text.append(text)
            if boxes:
                message["boxes"] = [dict(box) for box in boxes]
                self._boxes += message["boxes"]
            if phase:
                self._status = message["status"] = {"state": "running", "parts": [phase]}
            if len(message) > 1:
                self.send(message)

    def finish(self, text: str, boxes: Sequence[Mapping[str, Any]], parts: Sequence[str]) -> None:
        """Show the whole answer, once."""
        self._put(
            text=text, boxes=[dict(box) for box in boxes], status={"state": "done", "parts": list(parts)}
        )
        self.answer = text

    def stopped(self, parts: Sequence[str]) -> None:
        """Say that the answer was stopped; what came of it stays on the screen."""
        self._put(status={"state": "stopped", "parts": list(parts)})

    def fail(self) -> None:
        """Say that no answer came, or not all of it; what came stays on the screen."""
        self._put(status={"state": "failed", "parts": []})

    def stay(self) -> None:
        """Say everything again but the picture: a press that asks nothing has cleared it on the page."""
        with self._lock:
            self._put(**self._shown())

    def send_all(self) -> None:
        """Send everything that the screen shows, to a page that asks for it."""
        with self._lock:
            self._send_all()

    def _send_all(self) -> None:
        self.send({"type": "all", "picture": self._picture, **self._shown()}, buffers=self._preview)

    def _shown(self) -> dict[str, Any]:
        text = "".join(self._text)
        return {"text": text, "boxes": self._boxes, "status": self._status}

    def _put(self, **changes: Any) -> None:
        with self._lock:
            if "text" in changes:
                self._text = [changes["text"]]
            for name in ("boxes", "status"):
                if name in changes:
                    setattr(self, f"_{name}", changes[name])
            self.send({"type": "put", **changes})

    def _forget_answer(self) -> None:
        self.answer = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._status['state']}>"


def _received(stage: Stage, content: Mapping[str, Any], _buffers: Sequence[Any]) -> None:
    if content.get("type") == "hello":
        stage.send_all()
