"""Output and error stream of the process; imports nothing, so that `nbvlm --help` starts quickly."""

from __future__ import annotations

import os
import sys

__all__ = ["discard_output", "escape_unprintable", "is_terminal", "print_error", "print_line"]


def escape_unprintable() -> None:
    """Make output and error stream write characters that their encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_line(line: str, *, end: str = "\n") -> None:
    """Write a line to the output at once."""
    sys.stdout.write(line + end)
    sys.stdout.flush()


def print_error(line: str) -> None:
    """Write a line to the error stream."""
    sys.stderr.write(line + "\n")


def is_terminal() -> bool:
    """Whether the output is a terminal, not a pipe or a file."""
    return sys.stdout.isatty()


def discard_output() -> None:
    """Discard the rest of the output after the reader of a pipe has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
