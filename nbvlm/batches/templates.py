"""The prompt of each picture: a text, a template over the row's columns, or a function of the row.

>>> Prompt("detect {thing}").of({"thing": "cat"})
'detect cat'
"""

from __future__ import annotations

import difflib
from string import Formatter
from typing import TYPE_CHECKING, Any

from nbvlm import prompts
from nbvlm.errors import Error, PromptError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["Prompt"]


class Prompt:
    """Writes prompts.

    Parameters
    ----------
    source
        A text; a text with `{column}` in it, doubled braces standing for themselves; or a function that
        takes the row as a mapping and returns a text.

    Raises
    ------
    PromptError
        If it is none of these, or the template cannot be read.

    Attributes
    ----------
    fixed
        The prompt where it is the same for all pictures, else None.
    """

    def __init__(self, source: str | Callable[[Mapping[str, Any]], str]) -> None:
        if not isinstance(source, str) and not callable(source):
            raise PromptError(
                f"A {type(source).__name__} is no prompt.",
                hint="Pass a text, a text with {column} in it, or a function of the row.",
            )
        self._source = source
        self._names = _fields(source) if isinstance(source, str) else ()
        self.fixed: str | None = None
        if isinstance(source, str) and not self._names:
            self.fixed = prompts.check(source.format() if "{" in source or "}" in source else source)

    def of(self, row: Mapping[str, Any]) -> str:
        """Write the prompt of a row.

        Raises
        ------
        PromptError
            If the row lacks a column, the function fails, or the prompt cannot be sent.
        """
        if self.fixed is not None:
            return self.fixed
        if isinstance(self._source, str):
            return prompts.check(self._filled(self._source, row))
        try:
            made = self._source(row)
        except Error:
            raise
        except Exception as error:  # noqa: BLE001 - the caller's own function
            raise PromptError(
                f"The function that writes the prompt failed: {type(error).__name__}: {error}.",
                hint=f"It was given a row with: {', '.join(row)}.",
            ) from None
        if not isinstance(made, str):
            raise PromptError(
                f"The function that writes the prompt returned a {type(made).__name__}, not a text."
            )
        return prompts.check(made)

    def _filled(self, template: str, row: Mapping[str, Any]) -> str:
        self.check(row)
        try:
            return template.format_map(row)
        except (ValueError, TypeError) as error:
            raise PromptError(f"The prompt cannot be written for this row: {error}.") from None

    def check(self, names: Collection[str]) -> None:
        """Check a template against the names of the columns.

        Raises
        ------
        PromptError
            If it names another.
        """
        for name in self._names:
            if name not in names:
                near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.4)
                meant = f"Did you mean {{{near[0]}}}? " if near else ""
                raise PromptError(
                    f"The prompt names {{{name}}}, which the row does not have.",
                    hint=f"{meant}There are: {', '.join(names)}. Double braces that stand for themselves.",
                )


def _fields(template: str) -> tuple[str, ...]:
    try:
        names = tuple(name for _, name, _, _ in Formatter().parse(template) if name is not None)
    except ValueError as error:
        raise _unreadable(str(error)) from None
    for name in names:
        if not name or "." in name or "[" in name:
            raise _unreadable(f"{{{name}}} names no column")
    return names


def _unreadable(reason: str) -> PromptError:
    return PromptError(
        f"The prompt is no template: {reason}.",
        hint="{column} stands for a value of the row; double braces that stand for themselves.",
    )
