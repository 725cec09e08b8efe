"""The line of a magic: its first word is the picture, options may stand anywhere, the rest is the prompt."""

# A prompt is a sentence, not a command: its apostrophes, quotes and semicolons stay as they are typed.

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.utils.text import DollarFormatter, FullEvalFormatter

from nbvlm._text import shorten, visible
from nbvlm.errors import PromptError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["ParsedLine", "Word", "evaluate", "expand", "split", "words"]

_BROKEN = re.compile(r"expected '}'|unmatched|Single '|end of string|unexpected '\{'|expected ':'")


def expand(text: str, names: Mapping[str, Any]) -> str:
    """Replace `{expressions}` and `$names` by their values.

    Doubled braces become single ones, and single ones that are never closed stay. An expression that cannot
    be evaluated is an error; IPython's own magics would send it unchanged.

    Examples
    --------
    >>> expand("detect {' ; '.join(things)}", {"things": ["cat", "dog"]})
    'detect cat ; dog'
    """
    if "{" not in text and "$" not in text and "}" not in text:
        return text
    try:
        if "$" in text:
            try:
                return str(DollarFormatter().vformat(text, (), names))
            except NameError:  # "$word" may be part of a sentence
                pass
        return str(FullEvalFormatter().vformat(text, (), names))
    except ValueError as error:
        if _BROKEN.search(str(error)):
            return text
        raise _refused(text, error) from None
    except Exception as error:  # noqa: BLE001 - the user's own expression may raise anything
        raise _refused(text, error) from None


def evaluate(expression: str, names: Mapping[str, Any]) -> Any:
    """Evaluate one expression of the user's; raise as `expand` does."""
    try:
        return eval(expression, dict(names))  # noqa: S307 - typed by the user, into the user's own kernel
    except Exception as error:  # noqa: BLE001 - the user's own expression may raise anything
        raise _refused("{" + expression + "}", error) from None


def _refused(text: str, error: Exception) -> PromptError:
    shown = visible(shorten(" ".join(text.split()), 80))
    reason = visible(shorten(str(error) or type(error).__name__, 200))
    hint = "Define it first; to send braces as they are, double them: {{…}}."
    return PromptError(f"The expression in braces in {shown!r} cannot be evaluated: {reason}.", hint=hint)


# A word is "quoted", 'quoted', {an expression} alone, or plain with \ before a blank.
_WORD = re.compile(
    r"""(?P<quote>["'])(?P<quoted>.*?)(?P=quote)(?=\s|$)"""
    r"""|(?P<braced>\{[^{}]*\})(?=\s|$)"""
    r"""|(?P<plain>(?:\\\ |\S)+)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line: without its quotes (`text`), as typed (`raw`), and where it stands."""

    text: str
    raw: str
    quoted: bool
    start: int
    end: int

    @property
    def is_option(self) -> bool:
        """Whether it is the name of an option."""
        return not self.quoted and re.match(r"--?[A-Za-z]", self.text) is not None


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """The parts of a line: its first word that is not an option, `--name=value` or `--name`, and the rest."""

    image: Word | None
    options: tuple[str, ...]
    prompt: str


def words(line: str) -> Iterator[Word]:
    """Find the words of a line.

    Examples
    --------
    >>> [word.text for word in words('"my photo.jpg" caption en')]
    ['my photo.jpg', 'caption', 'en']
    """
    for found in _WORD.finditer(line):
        quoted = found["quote"] is not None
        plain = (found["braced"] or found["plain"] or "").replace("\\ ", " ")
        yield Word(found["quoted"] if quoted else plain, found[0], quoted, *found.span())


def split(line: str, valued: Collection[str]) -> ParsedLine:
    """Split a line into picture, options and prompt; `valued` are the options that take a value.

    Examples
    --------
    >>> split("cat.jpg --temperature 0.1 detect cat ; dog", {"--temperature"}).prompt
    'detect cat ; dog'
    """
    image: Word | None = None
    options: list[str] = []
    prompt: list[Word] = []
    left = words(line)
    for word in left:
        if word.raw == "--":
            prompt += left
        elif word.is_option:
            value = next(left, None) if word.text in valued else None
            options.append(word.text if value is None else f"{word.text}={value.text}")
        elif image is None:
            image = word
        else:
            prompt.append(word)
    return ParsedLine(image, tuple(options), _joined(prompt))


def _joined(prompt: list[Word]) -> str:
    """Join the words of a prompt as typed, without quotes around all of it, which are a habit from shells."""
    if len(prompt) == 1 and prompt[0].quoted:
        return prompt[0].text
    return " ".join(word.raw for word in prompt)
