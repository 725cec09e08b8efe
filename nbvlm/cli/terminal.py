"""The standard streams of the process; imports little, so that `nbvlm --help` starts quickly."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from nbvlm.errors import Error

__all__ = ["finish_output", "is_terminal", "prepare_streams", "print_error", "print_line"]


def prepare_streams() -> None:
    """Make all three streams usable.

    A closed one becomes the null device; in its place the next file opened would be written to. Pipes and
    files are UTF-8 whatever the locale is, and characters that the encoding lacks are written as escapes.
    """
    for name, mode in (
        ("stdin", "r"),
        ("stdout", "w"),
        ("stderr", "w"),
    ):  # a new file takes the lowest number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for good
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            errors = "strict" if stream is sys.stdin else "backslashreplace"
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors=errors)


def print_line(line: str, *, end: str = "\n") -> None:
    """Write a line to the output at once.

    Raises
    ------
    BrokenPipeError
        The reader of the pipe has gone.
    Error
        The output cannot be written.
    """
    try:
        sys.stdout.write(line + end)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Error(f"The output cannot be written: {error.strerror or error}.") from None


def print_error(line: str) -> None:
    """Write a line to the error stream, if that can be written; control characters become escapes."""
    from nbvlm._text import visible

    with suppress(OSError):
        sys.stderr.write(visible(line) + "\n")
        sys.stderr.flush()


def is_terminal() -> bool:
    """Whether the output is a terminal, not a pipe or a file."""
    return sys.stdout.isatty()


def finish_output() -> str | None:
    """Flush the buffers; if that fails, discard them and return why, "" for a closed pipe."""
    reason: str | None = None
    for stream in (sys.stderr, sys.stdout):
        try:
            stream.flush()
        except OSError as error:
            # At its end Python would try again, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            reason = "" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
    return reason
