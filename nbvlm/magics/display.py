"""An answer while it comes, below the cell: one display that is updated, and at the end becomes the result.

An update carries the end of the text only, and there are a few a second, so what travels grows with the time
that an answer takes and not with the square of its length. In a terminal the text is simply written.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from IPython.display import display

from nbvlm._text import count, shorten, visible
from nbvlm.cli import Words, status_line
from nbvlm.client import DetectionFound, Status, TextDelta
from nbvlm.result import html_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.client import Event
    from nbvlm.result import Result

__all__ = ["EVERY_S", "TAIL", "Cell", "Show", "Terminal", "for_shell"]

EVERY_S = 0.25
"""Seconds between two updates at least."""

TAIL = 2000
"""Characters of the answer's end that an update shows."""

_LABELS = 12


class Show(Protocol):
    """Shows an answer from its first event to its end."""

    def take(self, event: Event | None) -> None:
        """Show an event, or that none came for a while."""

    def finish(self, result: Result) -> None:
        """Show the result in place of all before."""

    def leave(self, why: str) -> None:
        """Keep what came until now, and say why there is no more."""


def for_shell(shell: Any, asked: str) -> Show:
    """Return what fits the shell: a display in a notebook, lines in a terminal."""
    return Cell(asked) if getattr(shell, "kernel", None) is not None else Terminal()


class Cell:
    """A display in a notebook.

    Parameters
    ----------
    asked
        Who is asked, in words.
    clock
        Tells seconds.
    """

    def __init__(self, asked: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._asked = asked
        self._clock = clock
        self._id = uuid.uuid4().hex
        self._last: float | None = None
        self._text = ""
        self._length = 0
        self._labels: list[str] = []
        self._state = "waiting"
        self._began = clock()
        self._fresh = False

    def take(self, event: Event | None) -> None:
        """Note an event, and show it unless the last update was a moment ago."""
        self._note(event)
        if self._last is None or (self._fresh and self._clock() - self._last >= EVERY_S):
            self._show(self._state if self._text else f"{self._state}{self._waited()}")

    def _note(self, event: Event | None) -> None:
        self._fresh = self._fresh or event is not None or self._is_late()
        match event:
            case TextDelta():
                self._text = (self._text + event.text)[-TAIL:]
                self._length += len(event.text)
                self._state = "answering"
            case DetectionFound():
                self._labels.append(event.detection.label)
            case Status():
                self._state = status_line(event) or self._state

    def _is_late(self) -> bool:
        """Whether seconds are shown, and have changed."""
        if self._text or self._last is None:
            return False
        return int(self._clock() - self._began) > int(self._last - self._began)

    def _waited(self) -> str:
        seconds = int(self._clock() - self._began)
        return f", {seconds} s" if seconds else ""

    def finish(self, result: Result) -> None:
        """Put the result in the display's place."""
        display(result, display_id=self._id, update=self._last is not None)

    def leave(self, why: str) -> None:
        """Keep what came, if anything was shown."""
        if self._last is not None:
            self._show(why)

    def _show(self, state: str) -> None:
        bundle = {"text/plain": self._plain(state), "text/html": self._html(state)}
        display(bundle, raw=True, display_id=self._id, update=self._last is not None)
        self._last, self._fresh = self._clock(), False

    @property
    def _shown(self) -> str:
        return f"…{self._text}" if self._length > len(self._text) else self._text

    def _facts(self, state: str) -> str:
        found = len(self._labels)
        named = [shorten(label, 40) or "?" for label in dict.fromkeys(self._labels)]
        more = ", …" if len(named) > _LABELS else ""
        boxes = f"{count(found, 'box')}: {', '.join(named[:_LABELS])}{more}" if found else ""
        return " · ".join(part for part in (self._asked, state, boxes) if part)

    def _plain(self, state: str) -> str:
        return visible(f"{self._shown}\n({self._facts(state)})".lstrip())

    def _html(self, state: str) -> str:
        style = "white-space:pre-wrap;overflow-wrap:anywhere;max-width:640px;margin:0"
        text = f'<pre style="{style}">{html_text(self._shown)}</pre>' if self._text else ""
        facts = f"<p><small>{html_text(self._facts(state))}</small></p>"
        return f'<div class="nbvlm-live mathjax_ignore tex2jax_ignore">{text}{facts}</div>'


class Terminal:
    """Lines in a terminal, as `nbvlm ask` writes them."""

    def __init__(self) -> None:
        self._words = Words(stream=True)

    def take(self, event: Event | None) -> None:
        """Write text as it comes."""
        if event is not None:
            self._words.event(event)

    def finish(self, result: Result) -> None:
        """Write what the text alone does not tell."""
        self._words.result(result)

    def leave(self, why: str) -> None:  # noqa: ARG002 - the sentence that follows says it
        """End the line that was begun."""
        self._words.end()
