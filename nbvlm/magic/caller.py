"""Whether somebody waits for the value of a magic: `answer = %vlm …` does, `%vlm …` alone does not."""

from __future__ import annotations

import dis
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["wants_value"]

_BETWEEN = ("IPython", "nbvlm", "functools")
# What follows a call whose value is dropped, or shown by IPython.
_UNUSED = {"POP_TOP", "PRINT_EXPR", "CALL_INTRINSIC_1"}


def wants_value() -> bool:
    """Look at what the code that called the magic does next."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - its public name reads all source lines
    while frame is not None and _package(frame) in _BETWEEN:
        frame = frame.f_back
    if frame is None:
        return False
    later = (step for step in dis.get_instructions(frame.f_code) if step.offset > frame.f_lasti)
    after = next(later, None)
    return after is not None and after.opname not in _UNUSED


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
