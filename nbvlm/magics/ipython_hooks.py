"""Changes to the code of a cell before IPython runs it, so that lines with `%vlm` do as they read."""

from __future__ import annotations

import ast
import re
import tokenize
from typing import Any

from IPython.core.inputtransformer2 import TokenTransformBase

__all__ = ["QuestionLine", "ShownOnce"]

_QUESTION = re.compile(r"(\s*(?:[^#'\"%]*[^=!<>#'\"%]=\s*)?)%vlm[ \t]+(.*\S.*?)\s*$")


class QuestionLine(TokenTransformBase):  # type: ignore[misc] # the base class has no types
    """Sends `%vlm photo.jpg what is this?` to the model; IPython takes a final `?` as a request for help."""

    priority = 1  # HelpEnd has 5

    @classmethod
    def find(cls, tokens_by_line: list[list[Any]]) -> QuestionLine | None:
        """Find the first line of a cell that asks the model and ends in a question mark."""
        for line in tokens_by_line:
            if len(line) > 2 and line[-2].string == "?":
                first = next(token for token in line if token.type not in (tokenize.INDENT, tokenize.DEDENT))
                if _QUESTION.match(first.line):
                    return cls(first.start)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """Replace the line by the call of the magic."""
        found = _QUESTION.match(lines[self.start_line])
        if found is None:
            raise SyntaxError(lines[self.start_line])
        call = f"{found[1]}get_ipython().run_line_magic('vlm', {found[2]!r})\n"
        return [*lines[: self.start_line], call, *lines[self.start_line + 1 :]]


class ShownOnce(ast.NodeTransformer):
    """Keeps IPython from showing the value of a `%vlm` that is a whole statement.

    The magic has shown its result by then, also in a loop and above other lines; as the last line of a cell
    it would be shown a second time.
    """

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """Replace the statement by `if magic: pass`, which has no value to show."""
        match node.value:
            case ast.Call(
                func=ast.Attribute(attr="run_line_magic" | "run_cell_magic"), args=[ast.Constant("vlm"), *_]
            ):
                return ast.copy_location(ast.If(test=node.value, body=[ast.Pass()], orelse=[]), node)
        return node
