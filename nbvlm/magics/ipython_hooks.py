"""A line that ends in a question mark asks the model; IPython would take it as a call for its help."""

from __future__ import annotations

import dis
import re
import sys
import tokenize
from typing import TYPE_CHECKING, Any

from IPython.core.inputtransformer2 import TokenTransformBase

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["Asks", "wants_value"]

_ASKS = re.compile(r"(\s*(?:[^#'\"%]*[^=!<>#'\"%]=\s*)?)%vlm[ \t]+(.*\S.*?)\s*$")


class Asks(TokenTransformBase):  # type: ignore[misc] # the base class has no types
    """Turns `%vlm photo.jpg what is this?` into the call that it is without the question mark."""

    priority = 1  # HelpEnd has 5

    @classmethod
    def find(cls, tokens_by_line: list[list[Any]]) -> Asks | None:
        """Find the first such line in a cell."""
        for line in tokens_by_line:
            if len(line) > 2 and line[-2].string == "?":
                first = next(token for token in line if token.type not in (tokenize.INDENT, tokenize.DEDENT))
                if _ASKS.match(first.line):
                    return cls(first.start)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """Write the call in place of the line."""
        found = _ASKS.match(lines[self.start_line])
        if found is None:
            raise SyntaxError(lines[self.start_line])
        call = f"{found[1]}get_ipython().run_line_magic('vlm', {found[2]!r})\n"
        return [*lines[: self.start_line], call, *lines[self.start_line + 1 :]]


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
