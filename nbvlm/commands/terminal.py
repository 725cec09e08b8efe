"""Lines for a person or a program on the two output streams."""

from __future__ import annotations

import os
import sys

__all__ = ["complain", "is_watched", "prepare", "say", "silence", "write"]


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
