"""A line that ends in a question mark asks the model; IPython would take it as a call for its help."""

from __future__ import annotations

import re
import tokenize
from typing import Any

from IPython.core.inputtransformer2 import TokenTransformBase

__all__ = ["Asks"]

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
