"""Completion in `%vlm` and `%%vlm`: pictures and folders, tasks and languages, options and their values."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.core.completer import SimpleCompletion, context_matcher

from nbvlm import endpoints, prompts
from nbvlm.images import path_completions
from nbvlm.magics.line import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nbvlm.magics.line import Word

__all__ = ["TASKS", "Completions", "complete", "matcher"]

TASKS = ("caption", "describe", "detect", "segment", "ocr", "answer", "question", "cap")
"""First words of a prompt."""

_WITH_LANGUAGE = {"caption", "describe", "answer", "question", "cap"}
_LINE = re.compile(r"(?:[^#'\"]*=)?\s*%vlm(?=\s)")
_CELL = re.compile(r"\s*%%vlm(?=\s)")
_OPEN_QUOTE = re.compile(r"""(?<!\S)(["'])(?:(?!\1).)*$""")
_PICTURE_TYPES = {"Picture", "Asset", "ndarray", "Image"}
_CLIENT_TYPES = {"Client", "AsyncClient"}


class Completions(NamedTuple):
    """Completions of the text right before the cursor."""

    fragment: str  # the text that they replace
    kind: str  # that a front end shows beside them
    texts: list[str]


def matcher(options: Mapping[str, bool], variables: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Make a matcher for IPython's completer, from the options (whether each takes a value) and variables."""

    @context_matcher(identifier="nbvlm.vlm")  # type: ignore[untyped-decorator] # IPython has no types here
    def vlm_matcher(context: Any) -> Any:
        before = context.full_text.split("\n")[: context.cursor_line + 1]
        before[-1] = context.text_until_cursor
        found = complete("\n".join(before), options, variables)
        if found is None:
            return {"completions": [], "suppress": False}
        return {
            "completions": [SimpleCompletion(text, type=found.kind) for text in found.texts],
            "matched_fragment": found.fragment,
            "suppress": True,
            "ordered": True,
        }

    return vlm_matcher  # type: ignore[no-any-return]


def complete(before: str, options: Mapping[str, bool], variables: Mapping[str, Any]) -> Completions | None:
    """Complete the text before the cursor; return None outside of `%vlm` and `%%vlm`.

    Examples
    --------
    >>> complete("%vlm cat.jpg capt", {}, {})
    Completions(fragment='capt', kind='task', texts=['caption'])
    """
    *above, last = before.split("\n")
    if above and _CELL.match(before):
        is_first = not "".join(above[1:]).strip()
        return _in_prompt(last.lstrip()) if is_first else Completions("", "task", [])
    head = _LINE.match(last) or (_CELL.match(last) if not above else None)
    return _in_line(last[head.end() :], options, variables) if head else None


def _in_line(text: str, options: Mapping[str, bool], variables: Mapping[str, Any]) -> Completions:
    if (opened := _OPEN_QUOTE.search(text)) and not _plain(list(words(text[: opened.start()])), options):
        return _pictures(opened[0], variables)
    complete_words = list(words(text))
    ends_in_word = complete_words and complete_words[-1].end == len(text) and text[-1:] not in "\"'"
    fragment = complete_words.pop().raw if ends_in_word else ""
    if option := _open_option(complete_words, options):
        return _values(option, fragment, variables)
    if fragment.startswith("-"):
        return _starting(fragment, "option", (f"{name} " if options[name] else name for name in options))
    plain = _plain(complete_words, options)
    if not plain:
        return _pictures(fragment, variables)
    return _in_prompt(" ".join([*(word.raw for word in plain[1:]), fragment]))


def _open_option(line: list[Word], options: Mapping[str, bool]) -> str | None:
    """Return the option at the end of a line that still lacks its value."""
    option = None
    for word in line:
        takes_value = option is None and word.is_option and options.get(word.text, False)
        option = word.text if takes_value else None
    return option


def _plain(line: list[Word], options: Mapping[str, bool]) -> list[Word]:
    """Return the words that are neither options nor values of options."""
    left = iter(line)
    plain = []
    for word in left:
        if not word.is_option:
            plain.append(word)
        elif options.get(word.text, False):
            next(left, None)
    return plain


def _in_prompt(text: str) -> Completions:
    first, blank, rest = text.partition(" ")
    if not blank:
        return _starting(first, "task", TASKS)
    if first in _WITH_LANGUAGE and " " not in rest:
        return _starting(rest, "language", sorted(prompts.LANGUAGES, key=lambda code: (code != "en", code)))
    return Completions("", "task", [])


def _values(option: str, fragment: str, variables: Mapping[str, Any]) -> Completions:
    match option:
        case "--route":
            return _starting(fragment, "route", ("auto", "inline", "asset"))
        case "--endpoint":
            clients = _of_type(variables, _CLIENT_TYPES)
            return _starting(fragment, "endpoint", [*clients, *endpoints.ENDPOINTS, *endpoints.SERVICES])
        case "--key-from":
            return _starting(fragment, "variable", (name for name in os.environ if "KEY" in name))
        case _:
            return Completions(fragment, "value", [])


def _starting(fragment: str, kind: str, texts: Iterable[str]) -> Completions:
    return Completions(fragment, kind, [text for text in texts if text.startswith(fragment)])


def _of_type(variables: Mapping[str, Any], types: set[str]) -> list[str]:
    """List the variables whose class, or a base of it, has one of these names."""
    # Names are compared, so that completing imports neither numpy nor Pillow.
    return sorted(
        name
        for name, value in list(variables.items())
        if not name.startswith("_") and types & {kind.__name__ for kind in type(value).__mro__}
    )


def _pictures(fragment: str, variables: Mapping[str, Any]) -> Completions:
    quote = fragment[:1] if fragment[:1] in ("'", '"') else ""
    typed = fragment.removeprefix(quote).replace("\\ ", " ")
    named = [] if quote else [name for name in _of_type(variables, _PICTURE_TYPES) if name.startswith(typed)]
    return Completions(
        fragment, "path", [*named, *(_quoted(path, quote) for path in path_completions(typed))]
    )


def _quoted(path: str, quote: str) -> str:
    """Put a path with blanks in quotes; the quote of a folder stays open, so that typing can go on."""
    quote = quote or ('"' if " " in path else "")
    return f"{quote}{path}{'' if path.endswith('/') else quote}"
