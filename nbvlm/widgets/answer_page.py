"""The page of an answer: its text with chips, what limits it, and the status line.

The state of the screen is kept here, on the Python side, and a page that opens late (or twice, or again) asks
for all of it. While an answer streams, only new pieces travel; no growing text is ever in a synced trait.
"""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import traitlets

from nbvlm.widgets._base import PageWidget
from nbvlm.widgets.esm import script

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["AnswerPage"]

# What stands around an answer, in words; lists are replaced, never changed.
_NO_WORDS: Mapping[str, Any] = MappingProxyType(
    {"said": "", "notes": [], "reasoning": "", "by": "", "asked": "", "step": ""}
)


class AnswerPage(PageWidget):
    """Shows streamed text, its notes, and a status line.

    All methods may be called from any thread; the browser sees their effects in the order of the calls.

    Attributes
    ----------
    answer
        The last finished answer, for a page without a kernel.
    group
        Parts of one group light and select the same detections on the page.
    """

    _esm = script("answer", "answer")
    kind = "answer"
    answer = traitlets.Unicode("").tag(sync=True)
    group = traitlets.Unicode("").tag(sync=True)

    def __init__(self) -> None:
        self._text: list[str] = []
        self._picture: dict[str, int] | None = None  # its size
        self._boxes: list[dict[str, Any]] = []
        self._words: dict[str, Any] = dict(_NO_WORDS)
        self._status: dict[str, Any] = {"state": "ready", "parts": []}
        self._until = self._began = 0.0
        super().__init__()

    def clear(self, state: str) -> None:
        """Show no answer; `state` is "ready", or "empty" where a picture is to be chosen first."""
        self._put(text="", boxes=[], status={"state": state, "parts": []}, **_NO_WORDS)
        self.answer = ""

    def begin(self, size: tuple[int, int] | None = None) -> None:
        """Clear the answer: a new one is on its way, about a picture of this width and height."""
        self._began = time.monotonic()
        status = {"state": "running", "parts": ["Asking"]}
        self._put(text="", boxes=[], picture=_facts(size), status=status, **_NO_WORDS)
        self.answer = ""

    def about(self, size: tuple[int, int] | None) -> None:
        """Take the width and height of the picture, by which tokens find their boxes."""
        if size is not None and self._picture != _facts(size):
            self._put(picture=_facts(size))

    def more(self, text: str, boxes: Sequence[Mapping[str, Any]], phase: str = "", wait: float = 0.0) -> None:
        """Add text, the boxes that its tokens mean, and the name of a new phase, in one message.

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

    def finish(
        self,
        text: str,
        boxes: Sequence[Mapping[str, Any]],
        parts: Sequence[Any],
        *,
        size: tuple[int, int] | None = None,
        said: str = "",
        notes: Sequence[str] = (),
        reasoning: str = "",
        by: str = "",
        asked: str = "",
        step: str = "",
    ) -> None:
        """Show the whole answer, once; `size` is that of its picture.

        Parts of the status line are texts, or `text`, `title` and the text to `copy` at a press. `said` is
        one sentence for screen readers. The model that answered (`by`) and the notes stand above the answer;
        below it are the words that were sent, where they are not those of the prompt (`asked`), and
        `reasoning`, folded. With `step` "models", a button below the notes leads to the choice of models.
        """
        words = {"said": said, "notes": list(notes), "reasoning": reasoning}
        words |= {"by": by, "asked": asked, "step": step}
        status = {"state": "done", "parts": list(parts)}
        found = [dict(box) for box in boxes]
        self._put(text=text, boxes=found, picture=_facts(size), status=status, **words)
        self.answer = text

    def stopped(self, parts: Sequence[str]) -> None:
        """Show that the answer was stopped; its pieces stay on the screen."""
        self._put(status={"state": "stopped", "parts": list(parts)})

    def fail(self, note: str = "") -> None:
        """Show that the answer failed, and a note why; its pieces stay on the screen."""
        notes = {"notes": [*self._words["notes"], note]} if note else {}
        self._put(status={"state": "failed", "parts": []}, **notes)

    def send_all(self) -> None:
        """Send the whole answer, to a page that opens."""
        with self._lock:
            shown = {"text": "".join(self._text), "boxes": self._boxes, "picture": self._picture}
            status = {**self._timed_status(), "seconds": round(time.monotonic() - self._began, 1)}
            self.send({"type": "put", **shown, "status": status, **self._words})

    def _timed_status(self) -> dict[str, Any]:
        left = self._until - time.monotonic()
        return {**self._status, "wait": round(left, 2)} if left > 0 else self._status

    def _put(self, **changes: Any) -> None:
        with self._lock:
            if "text" in changes:
                self._text = [changes["text"]]
            if "status" in changes:
                self._status, self._until = changes["status"], 0.0
            self._boxes = changes.get("boxes", self._boxes)
            self._picture = changes.get("picture", self._picture)
            self._words |= {name: value for name, value in changes.items() if name in self._words}
            self.send({"type": "put", **changes})

    def _summary(self) -> str:
        return str(self._status["state"])


def _facts(size: tuple[int, int] | None) -> dict[str, int] | None:
    return None if size is None else {"width": size[0], "height": size[1]}
