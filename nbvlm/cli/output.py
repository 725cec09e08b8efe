"""An answer as output: text for a person, JSON lines for a program."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Protocol

from nbvlm._text import count, size, visible
from nbvlm.cli.terminal import is_terminal, print_error, print_line
from nbvlm.client import DetectionFound, ReasoningDelta, Status, TextDelta
from nbvlm.result import facts, plain_text

if TYPE_CHECKING:
    from nbvlm.client import Event
    from nbvlm.errors import Error
    from nbvlm.result import Result

__all__ = ["AnswerWriter", "JsonWriter", "TextWriter", "status_line"]

_ROWS = 1000
_LATE_S = 2.0


class AnswerWriter(Protocol):
    """Writes an answer to the output."""

    def event(self, event: Event) -> None:
        """Write an event of a stream, or a status."""

    def result(self, result: Result) -> None:
        """Write the whole answer."""

    def error(self, error: Error) -> None:
        """Write an error; its sentence goes to the error stream too."""


class TextWriter:
    """Writes an answer as text for a person; `raw` leaves its control characters, as a pipe takes them."""

    def __init__(self, *, raw: bool = False) -> None:
        self._raw = raw
        self._wrote = False
        self._last_status = ""

    def event(self, event: Event) -> None:
        """Write text to the output, and what takes long to the error stream."""
        if isinstance(event, TextDelta):
            self._wrote = True
            self.text(event.text, end="")
        elif (line := status_line(event)) and line != self._last_status:
            self._last_status = line
            print_error(f"  {line}")

    def result(self, result: Result) -> None:
        """Write the answer, or after a stream its detections; then model, route and time."""
        if self._wrote:
            print_line("")
        elif not len(result.detections):
            self.text(result.text.strip() or "(The answer is empty.)")
        if len(result.detections):
            print_line(plain_text(result, rows=_ROWS))
            return
        problems = [f"problem at {problem.position}: {problem.kind}" for problem in result.problems]
        for line in (*problems, *result.notices, f"({', '.join(facts(result))})"):
            self.text(f"  {line}")

    def heading(self, image: str) -> None:
        """Name the picture that is asked about next."""
        self._wrote = False
        self.text(f"{image}:")

    def text(self, text: str, *, end: str = "\n") -> None:
        """Write a text from outside."""
        print_line(text if self._raw else visible(text), end=end)

    def error(self, error: Error) -> None:  # noqa: ARG002 - as AnswerWriter has it
        """End the current line."""
        self.end_line()

    def end_line(self) -> None:
        """End the current line, if any text was written."""
        if self._wrote:
            print_line("")


def status_line(event: Event) -> str:
    """Describe an event that is not text in a sentence; "" for a box, and while a status is young.

    >>> status_line(Status("retry", 2.0, 1, 3))
    'The service is busy; the next try is in 2 s.'
    """
    if isinstance(event, ReasoningDelta):
        return "The model is thinking."
    if not isinstance(event, Status):
        return ""
    match event.kind:
        case "retry":
            return f"The service is busy; the next try is in {event.seconds:.0f} s."
        case "download" | "loading":
            return _loading(event)
        case "queued":
            return "The service has queued the question."
        case "upload" if event.seconds >= _LATE_S:
            return "Still uploading the picture."
        case "waiting" if event.seconds >= _LATE_S:
            return "Still waiting for the answer."
        case _:
            return ""


def _loading(status: Status) -> str:
    """Describe how far a model is, in steps of ten percent."""
    what = "Downloading the model" if status.kind == "download" else "Loading the model"
    if not status.total:
        return f"{what}."
    files = f" in {count(status.files, 'file')}" if status.files else ""
    return f"{what}: {10 * (10 * (status.done or 0) // status.total)} % of {size(status.total)}{files}."


class JsonWriter:
    """Writes an answer for a program: as one line of JSON, or with `stream` as one line for each event."""

    def __init__(self, *, stream: bool) -> None:
        self._stream = stream

    def event(self, event: Event) -> None:
        """Write an event as a line."""
        if not self._stream:
            return
        match event:
            case TextDelta():
                _write_json({"event": "text", "text": event.text})
            case ReasoningDelta():
                _write_json({"event": "reasoning", "text": event.text})
            case DetectionFound():
                found = event.detection
                _write_json({"event": "detection", "label": found.label, "box": list(map(float, found.box))})
            case Status():
                fields = {
                    name: getattr(event, name) for name in ("kind", "seconds", "done", "total", "files")
                }
                _write_json({"event": "status"} | fields)

    def result(self, result: Result) -> None:
        """Write the result as `Result.to_json` returns it."""
        written = result.to_json()
        _print_json(f'{{"event": "result", "result": {written}}}' if self._stream else written)

    def error(self, error: Error) -> None:
        """Write the error as a line."""
        fields: dict[str, Any] = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
        fields |= {"status": error.status, "request_id": error.request_id}
        _write_json({"event": "error"} | fields if self._stream else {"error": fields})


def _write_json(value: dict[str, Any]) -> None:
    _print_json(json.dumps(value, ensure_ascii=False))


def _print_json(written: str) -> None:
    """Write a line of JSON; on a terminal, what that cannot show is escaped as JSON escapes it."""
    if is_terminal():
        unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
        shown = (char.isprintable() and (unicode or char.isascii()) for char in written)
        written = "".join(char if fine else _escape(char) for char, fine in zip(written, shown, strict=True))
    print_line(written)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
