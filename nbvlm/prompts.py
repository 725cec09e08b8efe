"""Tasks as functions, in PaliGemma's words; `translate` puts them into those of other models.

A prompt of PaliGemma is a short prefix that names the task; "detect" and "segment" need it exactly, with ` ;
` between the things. The server adds the closing line break of the prefix. Sources: Google's prompt page for
PaliGemma, arXiv 2407.07726 §3.2.5, and big_vision's `coco35l.py` for the languages.

>>> detect("cat", "traffic light")
'detect cat ; traffic light'
>>> answer("How many boats?")
'answer en How many boats?'
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from nbvlm.errors import PromptError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbvlm.grounding.dialects import Dialect

__all__ = [
    "LANGUAGES",
    "Task",
    "answer",
    "cap",
    "caption",
    "caption_region",
    "check",
    "count",
    "counted",
    "describe",
    "detect",
    "ocr",
    "point",
    "question",
    "segment",
    "task",
    "things",
    "translate",
    "unlike_asked",
]

_NAMES = {
    "ar": "Arabic", "bn": "Bengali", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fil": "Filipino", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "mi": "Maori", "nl": "Dutch", "no": "Norwegian", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "sw": "Swahili", "te": "Telugu",
    "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
LANGUAGES: Mapping[str, str] = MappingProxyType(_NAMES)
"""Codes of the languages that captions were trained with, and their English names."""

_SEPARATOR = " ; "
_TAG = re.compile(r"<\s*/?\s*ima?g", re.IGNORECASE)
_MARKS = re.compile(r"[%&\\]")  # with which an escape begins
_ESCAPE = re.compile(r"\\(?:u00|x)([0-7][0-9a-f])", re.IGNORECASE)
_PLACES = re.compile(
    # "point to the dog" and "count the cats" are sentences, not lists of things.
    r"\s*(detect|segment|point(?!\s+(?:to|at|out)\b)|count(?!\s+(?:the|all|how|every|each|from|up|to)\b))\s(.*)",
    re.DOTALL | re.IGNORECASE,
)
_LANGUAGE_TASK = re.compile(r"(caption|cap|describe)\s+([a-z]{2,3})", re.IGNORECASE)
_ANSWER = re.compile(r"answer\s+([a-z]{2,3})\s+(.+)", re.DOTALL | re.IGNORECASE)
_TOKEN = re.compile(r"<(?:loc\d|seg\d|eos|bos|pad)", re.IGNORECASE)


def cap(lang: str = "en") -> str:
    """Ask for a raw, very short caption in `lang`, a task of pre-trained checkpoints, not of the hosted one.

    Examples
    --------
    >>> cap("fr")
    'cap fr'
    """
    return f"cap {_language(lang)}"


def caption(lang: str = "en") -> str:
    """Ask for a short caption.

    Parameters
    ----------
    lang
        A code of `LANGUAGES`.

    Raises
    ------
    PromptError
        If the language is unknown; the message names the nearest.

    Examples
    --------
    >>> caption("es")
    'caption es'
    """
    return f"caption {_language(lang)}"


def describe(lang: str = "en") -> str:
    """Ask for a longer description in `lang`; errors as `caption`.

    Examples
    --------
    >>> describe()
    'describe en'
    """
    return f"describe {_language(lang)}"


def ocr() -> str:
    """Ask for all text in the picture, in reading order."""
    return "ocr"


def answer(question: str, lang: str = "en") -> str:
    """Ask a question about the picture.

    Parameters
    ----------
    question
        The question; line breaks become spaces, since a line break ends a prefix.
    lang
        Language of the answer, a code of `LANGUAGES`.

    Raises
    ------
    PromptError
        If the question is empty, holds an `<img` tag, or the language is unknown.

    Examples
    --------
    >>> answer("What colour is the car?")
    'answer en What colour is the car?'
    """
    return f"answer {_language(lang)} {_line(question, 'question')}"


def question(answer: str, lang: str = "en") -> str:
    """Ask for a question, in `lang`, whose answer is `answer`; errors as the function `answer`.

    Examples
    --------
    >>> question("two boats")
    'question en two boats'
    """
    return f"question {_language(lang)} {_line(answer, 'answer')}"


def detect(*things: str) -> str:
    """Ask for boxes around things.

    Parameters
    ----------
    *things
        What to look for, one or several; quality falls beyond about ten at once.

    Raises
    ------
    PromptError
        If no thing is given, or one is empty, holds `;`, an `<img` tag or a model token.

    Examples
    --------
    >>> detect("cat", "dog")
    'detect cat ; dog'
    """
    return f"detect {_list(things, 'detect')}"


def point(*things: str) -> str:
    """Ask for points on `things`; errors as `detect`.

    PaliGemma and other families without points are asked for boxes.

    Examples
    --------
    >>> point("cat")
    'point cat'
    """
    return f"point {_list(things, 'point')}"


def count(*things: str) -> str:
    """Ask how many `things` there are; errors as `detect`.

    Places are asked for and counted: a notice of the result says the numbers.

    Examples
    --------
    >>> count("cat", "dog")
    'count cat ; dog'
    """
    return f"count {_list(things, 'count')}"


def segment(*things: str) -> str:
    """Ask for boxes and masks of `things`; errors as `detect`.

    Examples
    --------
    >>> segment("left wheel")
    'segment left wheel'
    """
    return f"segment {_list(things, 'segment')}"


def caption_region(box: Sequence[float], size: tuple[int, int], bins: int = 1023) -> str:
    """Ask for a caption of one region.

    Parameters
    ----------
    box
        (x0, y0, x1, y1) in pixels of the upright picture; clamped to it.
    size
        (width, height) of the picture in pixels.
    bins
        A position v in [0, 1] becomes token round(v · bins), halves to even, as in big_vision's training.

    Raises
    ------
    PromptError
        If the size is not positive, the box is not four finite numbers, or no part of it lies in the picture.

    Examples
    --------
    >>> caption_region((0, 50, 100, 100), (200, 100))
    'caption <loc0512><loc0000><loc1023><loc0512>'
    """
    width, height = _size(size)
    x0, y0, x1, y1 = _box(box, width, height)
    places = ((y0, height), (x0, width), (y1, height), (x1, width))
    return "caption " + "".join(f"<loc{_bin(value / extent, bins):04d}>" for value, extent in places)


def things(prompt: str | None) -> tuple[str, ...]:
    """List the things that a `detect`, `segment`, `point` or `count` prompt names, each once.

    Examples
    --------
    >>> things("detect cat ; big dog"), things("caption en")
    (('cat', 'big dog'), ())
    """
    task = _PLACES.match(prompt or "")
    names = (" ".join(name.split()) for name in re.split("[;\n]", task[2])) if task else ()
    return tuple(dict.fromkeys(filter(None, names)))


@dataclass(frozen=True, slots=True)
class Task:
    """A prompt by its parts.

    Attributes
    ----------
    name
        "detect", "segment", "point", "count", "caption", "cap", "describe", "ocr" or "answer".
    things
        The thing to look for.
    lang
        Code of the answer's language.
    question
        The question of "answer".
    """

    name: str
    things: tuple[str, ...] = ()
    lang: str = "en"
    question: str = ""


@functools.lru_cache(maxsize=256)
def task(prompt: str) -> Task | None:
    """Read a prompt that is a task; None for any other words.

    Examples
    --------
    >>> task("count cat ; dog")
    Task(name='count', things=('cat', 'dog'), lang='en', question='')
    >>> task("What is in the picture?") is None
    True
    """
    text = prompt.strip()
    if text.lower() == "ocr":
        return Task("ocr")
    if found := _LANGUAGE_TASK.fullmatch(text):
        return Task(found[1].lower(), lang=found[2].lower()) if found[2].lower() in LANGUAGES else None
    if found := _ANSWER.fullmatch(text):
        return (
            Task("answer", lang=found[1].lower(), question=found[2])
            if found[1].lower() in LANGUAGES
            else None
        )
    places = _PLACES.match(text)
    names = things(text)
    return Task(places[1].lower(), names) if places and names and not _TOKEN.search(text) else None


def translate(prompt: str, dialect: Dialect, size: tuple[int, int] = (1000, 1000)) -> str:
    """Put a task into the words of another family of models; other prompts stay as they are.

    Parameters
    ----------
    prompt
        A prompt of these functions, or any words.
    dialect
        The family: `nbvlm.grounding.dialects.of(model)`.
    size
        Width and height of the picture as it is sent, which some families want to know.

    Examples
    --------
    >>> from nbvlm.grounding import dialects
    >>> translate("point cat", dialects.of("allenai/Molmo-7B-D-0924"))
    'Point to the cat.'
    >>> translate("detect cat ; dog", dialects.of("google/paligemma2-3b-mix-448"))
    'detect cat ; dog'
    """
    asked = task(prompt)
    if asked is None or (dialect.form == "loc" and asked.name not in ("point", "count")):
        return prompt
    return dialect.ask(
        asked.name,
        asked.things,
        language=LANGUAGES[asked.lang],
        code=asked.lang,
        question=asked.question,
        size=size,
    )


def counted(prompt: str, labels: Sequence[str] | None) -> str | None:
    """Say how often each thing of a `count` prompt was found, and that places were counted.

    Parameters
    ----------
    prompt
        As a person wrote it; the result is None for other tasks.
    labels
        Of the detections in the answer; None where it says nothing about places.

    Examples
    --------
    >>> counted("count cat ; dog", ["cat", "cat"])
    'Counted from the places in the answer: cat 2, dog 0.'
    """
    asked = task(prompt)
    if asked is None or asked.name != "count":
        return None
    if labels is None:
        return "The answer names no places that could be counted."
    names = dict.fromkeys((*asked.things, *filter(None, labels)))
    listed = ", ".join(f"{name} {list(labels).count(name)}" for name in names)
    return f"Counted from the places in the answer: {listed}."


def unlike_asked(
    prompt: str, dialect: Dialect, *, places: int, masks: int = 0, points: int = 0
) -> str | None:
    """Say what a family cannot return: masks, points or boxes, or the language of a caption.

    Parameters
    ----------
    prompt
        As a person wrote it; the result is None if the answer has everything asked for.
    dialect
        The family that answered: `nbvlm.grounding.dialects.of(model)`.
    places, masks, points
        How many detections the answer has, and how many of these have a mask, or are a point.

    Examples
    --------
    >>> from nbvlm.grounding import dialects
    >>> unlike_asked("detect cat", dialects.of("molmo-7b"), places=2, points=2)
    'The answer has no boxes: models of the family molmo give points.'
    """
    asked = task(prompt)
    name = asked.name if asked is not None else ""
    # Of a model that is not known, only its answer shows what it gives.
    models = f": models of the family {dialect.name} give" if dialect.matches else ", but"
    given = "points" if places and points == places else "boxes"
    if name == "segment" and not masks and dialect.masks is None and (places or dialect.matches):
        return f"The answer has no masks{models} {given} only. {_WHO_MASKS}"
    if name == "segment" and places and not masks:
        return f"The answer has no masks, but {given} only. Name one thing at a time, or ask again."
    if name == "point" and places and not points:
        return f"The answer has no points{models} boxes."
    if name == "detect" and places and points == places:
        return f"The answer has no boxes{models} points."
    if asked is not None and asked.lang != "en" and not dialect.names_language(name):
        wanted = LANGUAGES[asked.lang]
        return f"Models of the family {dialect.name} take no language: this may not be in {wanted}."
    return None


_WHO_MASKS = (
    "PaliGemma and Gemini give masks; without a key, the embedded model does in picture-book scenes: "
    'Client("demo").'
)


def check(prompt: str) -> str:
    """Return `prompt` stripped, if it can be sent as it is.

    Raises
    ------
    PromptError
        If it is not a string, is empty, or holds an `<img` tag, plain or encoded, which the service might
        take for a picture.

    Examples
    --------
    >>> check(" caption en ")
    'caption en'
    """
    if not isinstance(prompt, str):
        raise PromptError(
            f"The prompt must be text, got {type(prompt).__name__}.", hint='For example "caption en".'
        )
    stripped = prompt.strip()
    if not stripped:
        raise PromptError("The prompt is empty.", hint='Write a task, such as "caption en" or "detect cat".')
    if _TAG.search(stripped) or _TAG.search(_unveiled(stripped)):
        raise PromptError(
            "The prompt holds an <img> tag, which the service would take for a picture.",
            hint="Remove the tag; the picture is passed as its own argument.",
        )
    return stripped


def _unveiled(text: str) -> str:
    """Return a text as a lenient reader might read it: without escapes and look-alikes."""
    if text.isascii() and text.isprintable() and not _MARKS.search(text):
        return text
    import html
    import unicodedata
    from urllib.parse import unquote

    for _ in range(3):  # An escape may be escaped itself.
        text = html.unescape(unquote(text))
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    plain = unicodedata.normalize("NFKC", text)
    # Only line breaks, blanks and visible characters separate.
    return "".join(one for one in plain if one.isspace() or unicodedata.category(one) not in ("Cc", "Cf"))


def _line(text: str, what: str) -> str:
    if isinstance(text, str) and not text.strip():
        raise PromptError(f"The {what} is empty.", hint="Write it as a short sentence.")
    return re.sub(r"\s*[\r\n\t\v\f\x85\u2028\u2029]+\s*", " ", check(text))


def _list(things: tuple[str, ...], task: str) -> str:
    if not things:
        raise PromptError(
            f"{task} needs at least one thing, got none.", hint=f'For example {task}("cat", "dog").'
        )
    return _SEPARATOR.join(_thing(thing, task) for thing in things)


def _thing(thing: str, task: str) -> str:
    if not isinstance(thing, str):
        raise PromptError(
            f"A thing to {task} must be text, got {type(thing).__name__}.",
            hint=f'Write {task}("cat", "dog").',
        )
    text = _line(thing, f"thing to {task}")
    if ";" in text:
        names = ", ".join(f'"{part.strip()}"' for part in text.split(";") if part.strip())
        raise PromptError(
            f"A thing must not hold a semicolon, got {text!r}.",
            hint=f"Pass each thing separately: {task}({names}).",
        )
    if _TOKEN.search(text):
        raise PromptError(
            f"A thing must not hold a token of the model, got {text!r}.", hint="Name the thing in words."
        )
    return text


def _language(lang: str) -> str:
    code = lang.strip().lower() if isinstance(lang, str) else str(lang)
    if code in LANGUAGES:
        return code
    message = f"lang must be a language code that the model knows, got {lang!r}."
    raise PromptError(message, hint=_nearest_language(code))


def _nearest_language(code: str) -> str:
    by_name = {name.lower(): key for key, name in LANGUAGES.items()}
    near = difflib.get_close_matches(code, [*LANGUAGES, *by_name], n=1, cutoff=0.5)
    stem = re.split(r"[-_]", code)[0]
    key = stem if stem in LANGUAGES else by_name.get(near[0], near[0]) if near else None
    known = f"Known: {' '.join(LANGUAGES)}."
    return f"Did you mean {key!r} ({LANGUAGES[key]})? {known}" if key else known


def _size(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    if width <= 0 or height <= 0:
        raise PromptError(
            f"size must be (width, height) above 0, got ({width}, {height}).",
            hint="Pass the picture's size.",
        )
    return width, height


def _box(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    values = [float(value) for value in box]
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise PromptError(
            f"A region must be four finite numbers, got {values}.", hint="Pass (x0, y0, x1, y1) in pixels."
        )
    x0, x1 = (min(max(values[index], 0), width) for index in (0, 2))
    y0, y1 = (min(max(values[index], 0), height) for index in (1, 3))
    if x1 <= x0 or y1 <= y0:
        raise PromptError(
            f"The region {tuple(values)} covers no part of the {width} × {height} picture.",
            hint="Pass (x0, y0, x1, y1) with x0 < x1 and y0 < y1.",
        )
    return x0, y0, x1, y1


def _bin(value: float, bins: int) -> int:
    return min(max(round(value * bins), 0), bins)


def __dir__() -> list[str]:
    return sorted(__all__)
