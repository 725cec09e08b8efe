"""An answer below its cell: one display that is updated while the answer arrives and ends as the result."""

# An update carries only the end of the text, and there are a few each second, so that the bytes sent grow
# with the time that an answer takes and not with the square of its length.

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from IPython.display import display

from nbvlm._text import count, shorten, visible
from nbvlm.cli import TextWriter, status_line
from nbvlm.client import DetectionFound, ReasoningDelta, Status, TextDelta
from nbvlm.result import html_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.client import Event
    from nbvlm.result import Result

__all__ = ["EVERY_S", "TAIL", "AnswerDisplay", "NotebookDisplay", "TerminalDisplay", "display_for"]

EVERY_S = 0.25
"""Shortest time between two updates, in seconds."""

TAIL = 2000
"""Characters of the answer's end that an update shows."""

_LABELS = 12


class AnswerDisplay(Protocol):
    """Shows an answer from its first event to its end."""

    def show_event(self, event: Event | None) -> None:
        """Show an event; None says that none came for a while."""

    def show_result(self, result: Result) -> None:
        """Show the result in place of the events."""

    def show_end(self, reason: str) -> None:
        """Keep the text that has arrived, and show why no more comes."""


def display_for(shell: Any, model: str) -> AnswerDisplay:
    """Choose the display that fits the shell: updated output in a notebook, lines in a terminal."""
    return NotebookDisplay(model) if getattr(shell, "kernel", None) is not None else TerminalDisplay()


class NotebookDisplay:
    """A display in a notebook."""

    def __init__(self, model: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._model = model
        self._clock = clock
        self._id = uuid.uuid4().hex
        self._last: float | None = None
        self._text = ""
        self._length = 0
        self._labels: list[str] = []
        self._state = "waiting"
        self._began = clock()
        self._has_news = False

    def show_event(self, event: Event | None) -> None:
        """Record an event, and update the display unless the last update was a moment ago."""
        self._record(event)
        if self._last is None or (self._has_news and self._clock() - self._last >= EVERY_S):
            self._show(self._state if self._text else f"{self._state}{self._waited()}")

    def _record(self, event: Event | None) -> None:
        self._has_news = self._has_news or event is not None or self._has_new_second()
        match event:
            case TextDelta():
                self._text = (self._text + event.text)[-TAIL:]
                self._length += len(event.text)
                self._state = "answering"
            case DetectionFound():
                self._labels.append(event.detection.label)
            case Status() | ReasoningDelta():
                self._state = status_line(event) or self._state

    def _has_new_second(self) -> bool:
        """Whether the display shows seconds, and their number has changed."""
        if self._text or self._last is None:
            return False
        return int(self._clock() - self._began) > int(self._last - self._began)

    def _waited(self) -> str:
        seconds = int(self._clock() - self._began)
        return f", {seconds} s" if seconds else ""

    def show_result(self, result: Result) -> None:
        """Replace the display by the result."""
        display(result, display_id=self._id, update=self._last is not None)

    def show_end(self, reason: str) -> None:
        """Keep the text that has arrived, if any is shown."""
        if self._last is not None:
            self._show(reason)

    def _show(self, state: str) -> None:
        bundle = {"text/plain": self._plain(state), "text/html": self._html(state)}
        display(bundle, raw=True, display_id=self._id, update=self._last is not None)
        self._last, self._has_news = self._clock(), False

    @property
    def _shown(self) -> str:
        return f"…{self._text}" if self._length > len(self._text) else self._text

    def _facts(self, state: str) -> str:
        found = len(self._labels)
        labels = [shorten(label, 40) or "?" for label in dict.fromkeys(self._labels)]
        more = ", …" if len(labels) > _LABELS else ""
        boxes = f"{count(found, 'box')}: {', '.join(labels[:_LABELS])}{more}" if found else ""
        return " · ".join(part for part in (self._model, state, boxes) if part)

    def _plain(self, state: str) -> str:
        return visible(f"{self._shown}\n({self._facts(state)})".lstrip())

    def _html(self, state: str) -> str:
        style = "white-space:pre-wrap;overflow-wrap:anywhere;max-width:640px;margin:0"
        text = f'<pre style="{style}">{html_text(self._shown)}</pre>' if self._text else ""
        facts = f"<p><small>{html_text(self._facts(state))}</small></p>"
        return f'<div class="nbvlm-live mathjax_ignore tex2jax_ignore">{text}{facts}</div>'


class TerminalDisplay:
    """Lines in a terminal, the same as those of `nbvlm ask`."""

    def __init__(self) -> None:
        self._writer = TextWriter()

    def show_event(self, event: Event | None) -> None:
        """Write text as it arrives."""
        if event is not None:
            self._writer.event(event)

    def show_result(self, result: Result) -> None:
        """Write the facts that the text alone does not show."""
        self._writer.result(result)

    def show_end(self, reason: str) -> None:  # noqa: ARG002 - the error that follows names the reason
        """End the current line."""
        self._writer.end_line()
