"""An answer on the output: in words for a person, as JSON lines for a program."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

from nbvlm._text import visible
from nbvlm.client import DetectionFound, Status, TextDelta
from nbvlm.result import facts, plain_text

if TYPE_CHECKING:
    from nbvlm.client import Event
    from nbvlm.errors import Error
    from nbvlm.result import Result

__all__ = [
    "Json",
    "Voice",
    "Words",
    "complain",
    "is_watched",
    "prepare",
    "say",
    "silence",
    "status_line",
    "write",
]


def prepare() -> None:
    """Show what a terminal's encoding lacks as escapes, rather than fail over it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """Write a line, at once."""
    write(line + "\n")


def write(text: str) -> None:
    """Write text, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def complain(line: str) -> None:
    """Write a line to the error stream."""
    sys.stderr.write(line + "\n")


def is_watched() -> bool:
    """Whether a person sees the output: a terminal, not a pipe or a file."""
    return sys.stdout.isatty()


def silence() -> None:
    """Send what is still unwritten nowhere: whoever read the pipe has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_ROWS = 1000
_LATE_S = 2.0


class Voice(Protocol):
    """Tells what comes."""

    def event(self, event: Event) -> None:
        """Tell an event of a stream, or a status."""

    def result(self, result: Result) -> None:
        """Tell the whole answer."""

    def error(self, error: Error) -> None:
        """Tell what ended it; the sentence itself goes to the error stream."""


class Words:
    """For a person.

    Parameters
    ----------
    stream
        Whether text is shown as it comes.
    """

    def __init__(self, stream: bool) -> None:
        self._stream = stream
        self._wrote = False
        self._told = ""

    def event(self, event: Event) -> None:
        """Write text, and what takes long to the error stream."""
        if isinstance(event, TextDelta):
            self._wrote = True
            write(visible(event.text))
        elif isinstance(event, Status) and (line := status_line(event)) and line != self._told:
            self._told = line
            complain(f"  {line}")

    def result(self, result: Result) -> None:
        """Write the answer, or after a stream what it found; then how it came."""
        if self._wrote:
            say("")
        elif not len(result.detections):
            say(visible(result.text.strip()) or "(The answer is empty.)")
        if len(result.detections):
            say(plain_text(result, rows=_ROWS))
            return
        for line in (*_remarks(result), f"({', '.join(facts(result))})"):
            say(visible(f"  {line}"))

    def error(self, error: Error) -> None:  # noqa: ARG002 - the shape of a voice
        """End the line that was begun."""
        self.end()

    def end(self) -> None:
        """End the line that was begun, if one was."""
        if self._wrote:
            say("")


def _remarks(result: Result) -> list[str]:
    problems = [f"problem at {problem.position}: {problem.kind}" for problem in result.problems]
    return [*problems, *result.notices]


def status_line(status: Status) -> str:
    """Say what the client is doing, if that takes long; "" if not.

    >>> status_line(Status("retry", 2.0, 1, 3))
    'The service is busy; trying again in 2 s.'
    """
    match status.kind:
        case "retry":
            return f"The service is busy; trying again in {status.seconds:.0f} s."
        case "queued":
            return "The service has queued the question."
        case "upload" if status.seconds >= _LATE_S:
            return "Still uploading the picture."
        case "waiting" if status.seconds >= _LATE_S:
            return "Still waiting for the answer."
        case _:
            return ""


class Json:
    """For a program: one line of JSON, or one line an event.

    Parameters
    ----------
    stream
        Whether events are written.
    """

    def __init__(self, *, stream: bool) -> None:
        self._stream = stream

    def event(self, event: Event) -> None:
        """Write an event as a line."""
        if not self._stream:
            return
        match event:
            case TextDelta():
                _line({"event": "text", "text": event.text})
            case DetectionFound():
                found = event.detection
                _line(
                    {"event": "detection", "label": found.label, "box": [float(edge) for edge in found.box]}
                )
            case Status():
                told = {name: getattr(event, name) for name in ("kind", "seconds", "done", "total")}
                _line({"event": "status"} | told)

    def result(self, result: Result) -> None:
        """Write the result, as `Result.to_json` has it."""
        if self._stream:
            say(f'{{"event": "result", "result": {result.to_json()}}}')
        else:
            say(result.to_json())

    def error(self, error: Error) -> None:
        """Write the error as a line."""
        told: dict[str, Any] = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
        told |= {"status": error.status, "request_id": error.request_id}
        _line({"event": "error"} | told if self._stream else {"error": told})


def _line(value: dict[str, Any]) -> None:
    say(json.dumps(value, ensure_ascii=False))
