"""Completion in `%vlm` and `%%vlm`: pictures and folders, tasks and languages, options and their values."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.core.completer import SimpleCompletion, context_matcher

from nbvlm import endpoints, prompts
from nbvlm.images import path_completions
from nbvlm.magics import line as lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nbvlm.magics.line import Word

__all__ = ["TASKS", "Found", "complete", "matcher"]

TASKS = ("caption", "describe", "detect", "segment", "ocr", "answer", "question", "cap")
"""First words of a prompt."""

_WITH_LANGUAGE = {"caption", "describe", "answer", "question", "cap"}
_LINE = re.compile(r"(?:[^#'\"]*=)?\s*%vlm(?=\s)")
_CELL = re.compile(r"\s*%%vlm(?=\s)")
_OPEN = re.compile(r"""(?<!\S)(["'])(?:(?!\1).)*$""")
_PICTURES = {"Picture", "Asset", "ndarray", "Image"}


class Found(NamedTuple):
    """Completions of the text right before the cursor.

    Attributes
    ----------
    fragment
        What they replace.
    kind
        What they are, as a front end shows it.
    texts
        The completions.
    """

    fragment: str
    kind: str
    texts: list[str]


def matcher(options: Mapping[str, bool], names: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Make a matcher for IPython's completer.

    Parameters
    ----------
    options
        The magic's options, and whether each is followed by a value.
    names
        The user's variables.
    """

    @context_matcher(identifier="nbvlm.vlm")  # type: ignore[untyped-decorator] # IPython has no types here
    def vlm_matcher(context: Any) -> Any:
        before = context.full_text.split("\n")[: context.cursor_line + 1]
        before[-1] = context.text_until_cursor
        found = complete("\n".join(before), options, names)
        if found is None:
            return {"completions": [], "suppress": False}
        completions = [SimpleCompletion(text, type=found.kind) for text in found.texts]
        return {
            "completions": completions,
            "matched_fragment": found.fragment,
            "suppress": True,
            "ordered": True,
        }

    return vlm_matcher  # type: ignore[no-any-return]


def complete(before: str, options: Mapping[str, bool], names: Mapping[str, Any]) -> Found | None:
    """Complete what stands before the cursor; None where that is no magic of ours.

    Examples
    --------
    >>> complete("%vlm cat.jpg capt", {}, {})
    Found(fragment='capt', kind='task', texts=['caption'])
    """
    *above, last = before.split("\n")
    if above and _CELL.match(before):
        return _in_prompt(last.lstrip() if not "".join(above[1:]).strip() else None)
    head = _LINE.match(last) or (_CELL.match(last) if not above else None)
    return _in_line(last[head.end() :], options, names) if head else None


def _in_line(text: str, options: Mapping[str, bool], names: Mapping[str, Any]) -> Found:
    if (opened := _OPEN.search(text)) and not _plain(list(lines.words(text[: opened.start()])), options):
        return _pictures(opened[0], names)
    words = list(lines.words(text))
    typed = words.pop() if words and words[-1].end == len(text) and text[-1:] not in "\"'" else None
    fragment = typed.raw if typed else ""
    option = _open_option(words, options)
    if option:
        return _values(option, fragment, names)
    if typed and fragment.startswith("-"):
        return _starting(fragment, "option", (f"{name} " if options[name] else name for name in options))
    plain = _plain(words, options)
    if not plain:
        return _pictures(fragment, names)
    return _in_prompt(" ".join([*(word.raw for word in plain[1:]), fragment]))


def _open_option(words: list[Word], options: Mapping[str, bool]) -> str | None:
    """Return the option that still wants its value."""
    open_option = None
    for word in words:
        wants = open_option is None and word.is_option and options.get(word.text, False)
        open_option = word.text if wants else None
    return open_option


def _plain(words: list[Word], options: Mapping[str, bool]) -> list[Word]:
    """Return the words that are neither options nor their values."""
    left = iter(words)
    plain = []
    for word in left:
        if not word.is_option:
            plain.append(word)
        elif options.get(word.text, False):
            next(left, None)
    return plain


def _in_prompt(text: str | None) -> Found:
    """Complete a prompt; None stands for one that cannot be completed."""
    if text is None:
        return Found("", "task", [])
    first, blank, rest = text.partition(" ")
    if not blank:
        return _starting(first, "task", (task for task in TASKS))
    if first in _WITH_LANGUAGE and " " not in rest:
        return _starting(rest, "language", sorted(prompts.LANGUAGES, key=lambda code: (code != "en", code)))
    return Found("", "task", [])


def _values(option: str, fragment: str, names: Mapping[str, Any]) -> Found:
    match option:
        case "--route":
            return _starting(fragment, "route", ("auto", "inline", "asset"))
        case "--endpoint":
            clients = _held(names, {"Client", "AsyncClient"})
            return _starting(fragment, "endpoint", [*clients, *endpoints.ENDPOINTS])
        case "--key-from":
            return _starting(fragment, "variable", (name for name in os.environ if "KEY" in name))
        case _:
            return Found(fragment, "value", [])


def _starting(fragment: str, kind: str, texts: Iterable[str]) -> Found:
    return Found(fragment, kind, [text for text in texts if text.startswith(fragment)])


def _held(names: Mapping[str, Any], kinds: set[str]) -> list[str]:
    """List the variables that hold one of these types, found by their classes' names: nothing is imported."""
    return sorted(
        name
        for name, value in list(names.items())
        if not name.startswith("_") and kinds & {kind.__name__ for kind in type(value).__mro__}
    )


def _pictures(fragment: str, names: Mapping[str, Any]) -> Found:
    quote = fragment[:1] if fragment[:1] in ("'", '"') else ""
    typed = fragment.removeprefix(quote).replace("\\ ", " ")
    held = [] if quote else [name for name in _held(names, _PICTURES) if name.startswith(typed)]
    return Found(fragment, "path", [*held, *(_quoted(path, quote) for path in path_completions(typed))])


def _quoted(path: str, quote: str) -> str:
    """Put a path with blanks in quotes; those of a folder stay open."""
    quote = quote or ('"' if " " in path else "")
    return f"{quote}{path}{'' if path.endswith('/') else quote}"
