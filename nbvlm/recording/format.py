"""Read and write recordings: questions, answers and their timing, in one readable JSON file.

A recording contains neither keys nor pictures, and no headers but `ABOUT`: two hashes identify a picture, one
of its file and one of its pixels, so that the same picture encoded by another version of a library is still
recognised.

>>> RecordedQuestion("google/paligemma", "caption en", {"max_tokens": 8}, "0f…").prompt
'caption en'
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from nbvlm._files import expanded, write_atomic
from nbvlm._text import encodable, warn_outside
from nbvlm.client import redact
from nbvlm.errors import ParameterError, ReplayMiss

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbvlm.images import Picture

__all__ = [
    "ABOUT",
    "FORMAT",
    "RecordedAnswer",
    "RecordedQuestion",
    "find",
    "load",
    "question_in",
    "question_of",
    "save",
]

FORMAT = "nbvlm recording 1"
ABOUT = ("nbvlm-model", "nbvlm-notice")
"""Headers in which the embedded models say which of them answers, and what limits its answer."""
_SAMPLING = ("temperature", "top_p", "max_tokens", "seed")
_TAG = re.compile(r'\s*<img src="data:[^;"]+;base64,([^"]*)" />\Z')


@dataclass(frozen=True, slots=True)
class RecordedQuestion:
    """A question, identified by model, prompt, parameters and picture."""

    model: str
    prompt: str
    parameters: Mapping[str, float | int]
    sha256: str  # of the picture's file
    pixels: str | Callable[[], str] = ""  # hash of size and pixels, or a function that computes it
    name: str | None = field(default=None, compare=False)  # of the picture, for readers of the file

    def is_about(self, picture: Picture) -> bool:
        """Check whether a picture is the recorded one: the same file, or the same pixels."""
        return self.sha256 == picture.sha256 or self.pixel_hash() == _pixels(picture)

    def pixel_hash(self) -> str:
        """Return the hash of the pixels."""
        return self.pixels if isinstance(self.pixels, str) else self.pixels()


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """A question and its answer."""

    question: RecordedQuestion
    status: int
    events: Sequence[tuple[float, str]]  # seconds since the request, and text; a refusal has one
    finish_reason: str | None = None
    usage: Mapping[str, int | None] | None = None
    ended: bool = True  # False where the answer was cut off
    error: Any = None  # the error object in the middle of a stream
    endpoint: str | None = None  # its name
    entities: Any = None  # grounded phrases beside the text
    reasoning: Sequence[tuple[float, str]] = ()  # as `events`: thinking beside the text
    about: Mapping[str, str] = field(default_factory=dict)  # headers of an embedded model, see `ABOUT`


def question_of(
    picture: Picture, model: str, prompt: str, parameters: Mapping[str, float | int]
) -> RecordedQuestion:
    """Return the question about a picture as it is recorded."""
    return RecordedQuestion(
        model, redact(prompt), dict(parameters), picture.sha256, lambda: _pixels(picture), picture.name
    )


def question_in(body: bytes, model: str) -> RecordedQuestion:
    """Read a question from the body of another client's request, which may name a model."""
    from nbvlm.images import Picture

    try:
        value = json.loads(body)
        text, data = _content(value["messages"][-1]["content"])
        raw = base64.b64decode(data, validate=True)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, StopIteration):
        raise ParameterError(
            "Only questions about one picture can be recorded.",
            hint="Ask with client.ask(picture, prompt).",
        ) from None
    parameters = {name: value[name] for name in _SAMPLING if name in value}
    return question_of(Picture.load(raw), value.get("model", model), text.strip(), parameters)


def _content(content: Any) -> tuple[str, str]:
    """Return prompt and base64 text of a picture inside the request."""
    if isinstance(content, str):
        found = _TAG.search(content)
        if found is None:
            raise ValueError(content)
        return content[: found.start()], found[1]
    text = "".join(part["text"] for part in content if part["type"] == "text")
    url = next(part["image_url"] for part in content if part["type"] == "image_url")
    address = url if isinstance(url, str) else url["url"]
    return text, address.partition(";base64,")[2]


def _pixels(picture: Picture) -> str:
    image = picture.image()
    return hashlib.sha256(f"{image.width}x{image.height} ".encode() + image.tobytes()).hexdigest()


SHIPPED = Path(__file__).parent / "data"
"""Folder of the recordings that are part of the package."""


def _file_of(path: str | os.PathLike[str]) -> Path:
    """Return the file of a path, or of the name of a recording that is part of the package."""
    file, shipped = expanded(path), SHIPPED / f"{os.fspath(path)}.json"
    plain = isinstance(path, str) and path.isidentifier()
    return shipped if plain and not file.exists() and shipped.is_file() else file


def load(path: str | os.PathLike[str]) -> list[RecordedAnswer]:
    """Read a recording; a damaged exchange is left out, with a warning that names its line."""
    try:
        if not (file := _file_of(path)).is_file() and file.exists():
            raise ParameterError(f"The recording {os.fspath(path)!r} is not a file.", hint=_HINT)
        data = file.read_bytes()
    except FileNotFoundError:
        raise ParameterError(
            f"The recording {os.fspath(path)!r} does not exist.", hint="Make one with nbvlm.record(path)."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"The recording {os.fspath(path)!r} cannot be read: {reason}."
        raise ParameterError(message, hint=_HINT) from None
    found, damaged = _exchanges(data)
    if damaged and not found:
        raise ParameterError(
            f"{os.fspath(path)!r} is not a recording that this version can read: see line {damaged[0]}.",
            hint="Record it again.",
        )
    if damaged:
        where = ", ".join(map(str, damaged[:5])) + (", …" if len(damaged) > 5 else "")
        one = "line" if len(damaged) == 1 else "lines"
        warn_outside(f"The recording {os.fspath(path)!r} is damaged at {one} {where}: that is left out.")
    return found


_HINT = "Pass a file that nbvlm.record wrote and that this process can read."


def _exchanges(data: bytes) -> tuple[list[RecordedAnswer], list[int]]:
    """Return the answers that can be read, and the lines where others begin or the damage is."""
    try:
        value = _loaded(data)
    except (ValueError, RecursionError) as error:
        before = data[: error.start] if isinstance(error, UnicodeDecodeError) else b""
        return _salvaged(data, getattr(error, "lineno", before.count(b"\n") + 1))
    items = value.get("exchanges") if isinstance(value, dict) and value.get("format") == FORMAT else None
    if not isinstance(items, list):
        return [], [1]
    found, damaged = [], []
    begins = [number for number, line in enumerate(data.splitlines(), 1) if line == b"{"][1:]
    for number, item in enumerate(items):
        try:
            found.append(_answered(item))
        except (ValueError, RecursionError):
            damaged.append(begins[number] if len(begins) == len(items) else 1)
    return found, damaged


def _loaded(data: bytes) -> Any:
    return json.loads(data, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and infinities, which are not JSON


def _salvaged(data: bytes, line: int) -> tuple[list[RecordedAnswer], list[int]]:
    """Read the complete exchanges of a file that is not JSON: each begins and ends on its own line."""
    rows = data.splitlines(keepends=True)
    found: list[RecordedAnswer] = []
    damaged: list[int] = []
    if len(rows) < 3 or json.dumps(FORMAT).encode() not in rows[1]:
        return [], [line]
    begin = 0
    for number, row in enumerate(rows):
        if row.strip() == b"{":
            begin = number
        elif row.strip() in (b"}", b"},") and begin:
            try:
                found.append(_answered(_loaded(b"".join(rows[begin:number]) + b"}")))
            except (ValueError, RecursionError):
                damaged.append(begin + 1)
            begin = 0
    if begin:  # the last one was cut off
        damaged.append(begin + 1)
    return found, damaged or [line]


class _Picture(msgspec.Struct):
    sha256: str
    pixels: str
    name: str | None = None


_Event = tuple[Annotated[float, msgspec.Meta(ge=0, le=1e6)], str]


class _Exchange(msgspec.Struct):
    """An exchange as the file has it; numbers are in the ranges that can be played."""

    model: str
    prompt: str
    parameters: dict[str, int | float]
    picture: _Picture
    status: Annotated[int, msgspec.Meta(ge=200, le=599)]
    finish_reason: str | None
    usage: dict[str, int | None] | None
    ended: bool
    events: list[_Event]
    error: Any = None
    endpoint: str | None = None
    entities: Any = None
    reasoning: list[_Event] = []
    about: dict[str, Annotated[str, msgspec.Meta(pattern=r"^[ -~]*\Z")]] = {}


def _answered(item: Any) -> RecordedAnswer:
    found = msgspec.structs.asdict(msgspec.convert(item, _Exchange))
    model, prompt, parameters, picture = map(found.pop, ("model", "prompt", "parameters", "picture"))
    question = RecordedQuestion(model, prompt, parameters, picture.sha256, picture.pixels, picture.name)
    return RecordedAnswer(question, **found)


def save(path: str | os.PathLike[str], answers: Sequence[RecordedAnswer]) -> None:
    """Write a recording; the file is replaced as a whole, so that it is always complete."""
    target = Path(path)
    text = '{\n"format": %s,\n"exchanges": [\n%s\n]\n}\n'
    written = text % (json.dumps(FORMAT), ",\n".join(map(_written, answers)))
    write_atomic(target, written.encode())


def _written(answer: RecordedAnswer) -> str:
    question = answer.question
    head = {
        "endpoint": answer.endpoint,
        "model": question.model,
        "prompt": question.prompt,
        "parameters": dict(question.parameters),
        "picture": {"sha256": question.sha256, "pixels": question.pixel_hash(), "name": question.name},
        "status": answer.status,
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
        "ended": answer.ended,
        "error": answer.error,
    }
    if answer.entities is not None:
        head["entities"] = answer.entities
    if answer.about:
        head["about"] = dict(answer.about)
    lines = [f"  {json.dumps(name)}: {_dumped(value)}" for name, value in head.items()]
    if answer.reasoning:
        lines.append(f'  "reasoning": {_events(answer.reasoning)}')
    return "{\n" + ",\n".join([*lines, f'  "events": {_events(answer.events)}']) + "\n}"


def _events(events: Sequence[tuple[float, str]]) -> str:
    lines = ",\n".join(f"    [{seconds:.4f}, {_dumped(text)}]" for seconds, text in events)
    return f"[\n{lines}\n  ]"


def _dumped(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # A lone surrogate, which broken text can hold, has no UTF-8 form; its escape has.
    return text if encodable(text) == text else json.dumps(value)


def find(answers: Sequence[RecordedAnswer], question: RecordedQuestion) -> list[int]:
    """Return the places of all answers to a question, or raise `ReplayMiss` with the nearest prompt."""
    same_text = [
        index
        for index, answer in enumerate(answers)
        if (answer.question.model, answer.question.prompt) == (question.model, question.prompt)
        and dict(answer.question.parameters) == dict(question.parameters)
    ]
    same_file = [index for index in same_text if answers[index].question.sha256 == question.sha256]
    if same_file or not same_text:
        found = same_file
    else:
        pixels = question.pixel_hash()
        found = [index for index in same_text if answers[index].question.pixel_hash() == pixels]
    if not found:
        raise _miss(answers, question)
    return found


def _miss(answers: Sequence[RecordedAnswer], question: RecordedQuestion) -> ReplayMiss:
    same = [answer for answer in answers if answer.question.sha256 == question.sha256]
    if answers and not same:  # the same picture in another file
        pixels = question.pixel_hash()
        same = [answer for answer in answers if answer.question.pixel_hash() == pixels]
    answers = same or answers
    prompts = list(dict.fromkeys(answer.question.prompt for answer in answers))
    near = difflib.get_close_matches(question.prompt, prompts, n=1, cutoff=0.0)
    if not near:
        return ReplayMiss("The recording is empty.", hint="Record it with nbvlm.record(path).")
    nearest = next(answer.question for answer in answers if answer.question.prompt == near[0])
    missed = ReplayMiss(
        f"The recording has no answer to {question.prompt!r} for this picture and these parameters.",
        hint=f"The nearest recorded prompt is {near[0]!r}{_difference(nearest, question)}.",
    )
    missed.nearest = nearest
    return missed


def _difference(recorded: RecordedQuestion, asked: RecordedQuestion) -> str:
    other = []
    if recorded.model != asked.model:
        other.append(f"model {recorded.model}")
    other += [
        f"{name}={value}"
        for name, value in recorded.parameters.items()
        if asked.parameters.get(name) != value
    ]
    if recorded.sha256 != asked.sha256:
        other.append(f"picture {recorded.name!r}" if recorded.name else "another picture")
    return f", with {', '.join(other)}" if other else ""
