"""Texts for people: counts, sizes, durations, misspelt names, what is safe to write, and warnings."""

from __future__ import annotations

import difflib
import inspect
import re
import unicodedata
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "count",
    "csv_cell",
    "csv_value",
    "did_you_mean",
    "duration",
    "encodable",
    "ordinal",
    "reason",
    "shorten",
    "size",
    "visible",
    "warn_outside",
]

_SAME = {
    "sheep",
    "fish",
    "deer",
    "aircraft",
    "scissors",
    "glasses",
    "sunglasses",
    "jeans",
    "trousers",
    "pants",
}
_IRREGULAR = {
    "person": "people", "man": "men", "woman": "women", "child": "children", "foot": "feet", "tooth": "teeth",
    "mouse": "mice", "goose": "geese", "knife": "knives", "leaf": "leaves", "shelf": "shelves",
    "wolf": "wolves", "loaf": "loaves", "potato": "potatoes", "tomato": "tomatoes",
}  # fmt: skip
_LABEL = 80


def visible(text: str) -> str:
    r"""Make a text safe for terminals and XML: what neither can hold is shown as its escape.

    >>> visible("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(char if _printable(char) else repr(char)[1:-1] for char in text)


def _printable(char: str) -> bool:
    if char in "\n\u200d":
        return True
    # The two non-characters have no place in XML.
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs"} and char not in "\ufffe\uffff"


def encodable(text: str) -> str:
    r"""Write lone surrogates, which UTF-8 cannot hold, as their escapes; other text stays as it is.

    File names that are not UTF-8 and broken answers of a model contain them.

    >>> encodable("caf\udce9.png"), encodable("🐈")
    ('caf\\udce9.png', '🐈')
    """
    return text.encode("utf-8", "backslashreplace").decode()


_FORMULA = re.compile(r"'*\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
"""Begins like a formula, also after blanks or quotes; the last four are the full-width signs."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def csv_cell(value: object) -> object:
    """Return a value for a CSV file: a text that a spreadsheet takes for a formula gets a `'` in front.

    Numbers, and texts that are numbers, stay as they are. `csv_value` reads the text back.

    >>> csv_cell("=1+1"), csv_cell("a cat"), csv_cell("-5"), csv_cell(-5)
    ("'=1+1", 'a cat', '-5', -5)
    """
    if not isinstance(value, str):
        return value
    text = encodable(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def csv_value(cell: str) -> str:
    """Return the text that `csv_cell` wrote.

    >>> csv_value("'=1+1"), csv_value("'tis"), csv_value("-5")
    ('=1+1', "'tis", '-5')
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def shorten(text: str, most: int) -> str:
    """Cut a text to a number of characters, the last of them "…" if anything is missing.

    >>> shorten("a cat on a mat", 6)
    'a cat…'
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def count(number: int, label: str) -> str:
    """Count things in English, or with × where the plural is not known.

    >>> count(1, "cat"), count(2, "potted plant"), count(3, "猫"), count(2, "")
    ('1 cat', '2 potted plants', '3 × 猫', '2 things')
    """
    label = shorten(" ".join(label.split()), _LABEL) or "thing"
    if number == 1:
        return f"1 {label}"
    head, gap, last = label.rpartition(" ")
    if not last.isascii() or not last.isalpha() or not last.islower():
        return f"{number} × {label}"
    return f"{number} {head}{gap}{_plural(last)}"


def _plural(word: str) -> str:
    if word in _SAME or word in _IRREGULAR.values():
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("man") and word not in {"human", "german", "roman"}:
        return word[:-3] + "men"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def size(count: int) -> str:
    """Write a number of bytes with its unit.

    >>> size(900), size(134_997), size(3_800_000)
    ('900 bytes', '135 kB', '3.8 MB')
    """
    for limit, unit, digits in ((1000, "bytes", 0), (1_000_000, "kB", 0), (1_000_000_000, "MB", 1)):
        if count < limit:
            return f"{count / max(limit / 1000, 1):.{digits}f} {unit}"
    return f"{count / 1e9:.1f} GB"


def duration(seconds: float) -> str:
    """Write a duration with its unit.

    >>> duration(0.0381), duration(1.234), duration(72)
    ('38 ms', '1.23 s', '72 s')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def did_you_mean(name: object, known: Iterable[str], *, cutoff: float = 0.5, form: str = "{!r}") -> str:
    """Guess at a misspelt name: a question with a blank after it, or nothing.

    Parameters
    ----------
    name
        As given.
    known
        The names that exist.
    cutoff
        How alike the two must be, from 0 to 1; see `difflib.get_close_matches`.
    form
        How the name found is written into the question.

    >>> did_you_mean("temprature", ["temperature", "top_p"])
    "Did you mean 'temperature'? "
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=cutoff)
    if not near:
        lower = {one.lower(): one for one in names}
        near = [lower[one] for one in difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=cutoff)]
    return f"Did you mean {form.format(near[0])}? " if near else ""


_OBJECT = re.compile(r"<(?:[\w.]+\.)?(\w+) object at 0x[0-9a-fA-F]+>")


def reason(error: BaseException) -> str:
    """Write the message of a library's error as part of a sentence: on one line, no addresses of objects.

    >>> reason(ValueError("cannot identify <_io.BytesIO object at 0x7f01>."))
    'cannot identify BytesIO'
    """
    said = getattr(error, "strerror", None) or str(error)
    return " ".join(_OBJECT.sub(r"\1", str(said)).split()).rstrip(".") or type(error).__name__


def warn_outside(message: str, package: str = "nbvlm", category: type[Warning] = UserWarning) -> bool:
    """Warn at the line that called the package.

    Parameters
    ----------
    message
        Text of the warning.
    package
        Frames of this package are passed over. Where the next one still belongs to nbvlm, nothing is warned:
        that part shows the message in its own way.
    category
        Kind of the warning.

    Returns
    -------
    bool
        Whether it was warned.
    """
    frame, level = inspect.currentframe(), 1
    while frame is not None and _module(frame.f_globals).startswith((package, __name__)):
        frame, level = frame.f_back, level + 1
    if frame is not None and _module(frame.f_globals).partition(".")[0] != "nbvlm":
        warnings.warn(message, category, stacklevel=level)
        return True
    return False


def _module(names: dict[str, object]) -> str:
    return str(names.get("__name__", ""))


def ordinal(number: int) -> str:
    """Return a number as a place.

    >>> [ordinal(number) for number in (1, 2, 3, 4, 11, 22, 113)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd', '113th']
    """
    teen = 10 <= number % 100 <= 20
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
