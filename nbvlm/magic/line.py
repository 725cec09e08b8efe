"""The line of a magic: a picture, options wherever they stand, and all other words the prompt.

A prompt is a sentence, not a command: its apostrophes, quotes and semicolons stay as they are typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["Line", "Word", "split", "words"]

# What a word may be: "quoted", 'quoted', {an expression} alone, or plain with \ before a blank.
_WORD = re.compile(
    r"""(?P<quote>["'])(?P<quoted>.*?)(?P=quote)(?=\s|$)"""
    r"""|(?P<braced>\{[^{}]*\})(?=\s|$)"""
    r"""|(?P<plain>(?:\\\ |\S)+)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line.

    Attributes
    ----------
    text
        Without its quotes.
    raw
        As typed.
    quoted
        Whether it stood in quotes.
    start, end
        Where it stands.
    """

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
class Line:
    """A line, taken apart.

    Attributes
    ----------
    image
        The first word that is no option, or None.
    options
        As `--name=value` or `--name`.
    prompt
        All other words.
    """

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


def split(line: str, valued: Collection[str]) -> Line:
    """Take a line apart.

    Parameters
    ----------
    line
        What stands behind `%vlm`.
    valued
        Options that are followed by a value.

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
    return Line(image, tuple(options), _joined(prompt))


def _joined(prompt: list[Word]) -> str:
    """Join the words of a prompt as typed; quotes around all of it are the shell's habit, and go."""
    if len(prompt) == 1 and prompt[0].quoted:
        return prompt[0].text
    return " ".join(word.raw for word in prompt)
