"""One finished picture: a value for people, a line for the journal."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nbvlm import errors
from nbvlm._files import expanded
from nbvlm._optional import require
from nbvlm._text import encodable
from nbvlm.client import redact
from nbvlm.errors import Error
from nbvlm.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from nbvlm.endpoints import Endpoint
    from nbvlm.grounding import Detections
    from nbvlm.images import Picture

__all__ = [
    "COLUMNS",
    "Position",
    "Row",
    "Table",
    "decode",
    "encode",
    "failed",
    "is_final",
    "key_of",
    "pandas",
    "row_of",
]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a picture stands in a run."""

    index: int
    source: str  # a path, an address, or `#` with its number
    copy: int = 0  # how often this source came before in the run
    label: Any = None  # in the index of a pandas object
    folder: str = ""  # where a relative path begins


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """The outcome for one picture of a batch.

    Attributes
    ----------
    index, source
        Its number in the input, from 0, and its path, address or `#` with the number.
    prompt
        The prompt as asked; if none could be made, the template, or None for a function.
    text
        The answer; None after an error.
    detections
        Boxes and masks of the answer; None after an error.
    error
        Kind and sentence of what went wrong, else None.
    seconds
        From the start of the question to the end of the answer.
    tokens
        Tokens of question, picture and answer as the service counted them, else None.
    request_id
        The service's id of the request, else None.
    resumed
        True where the answer was in the journal already.
    label
        Its label in the index of a pandas object, else None.
    kind
        Name of the error's class, else None.
    copy
        How often this source came before in the run.
    model, endpoint
        Model and endpoint that answered; None after an error.
    notices
        Notices for the reader of the answer, as one text; "" without notices, None after an error.
    """

    index: int
    source: str
    prompt: str | None
    text: str | None
    detections: Detections | None
    error: str | None
    seconds: float | None
    tokens: int | None
    request_id: str | None
    resumed: bool = False
    label: Any = None
    kind: str | None = None
    copy: int = 0
    model: str | None = None
    endpoint: str | None = None
    notices: str | None = None
    _line: bytes = field(default=b"", compare=False)
    _folder: str = field(default="", compare=False)

    @property
    def result(self) -> Result | None:
        """The whole `Result`, its picture read from the file where that is still the same; else None.

        A picture that is elsewhere is known by its hash only: the result cannot be drawn then.
        """
        if self.error is not None:
            return None
        sha256 = decode(self._line)["picture"]["sha256"]
        return self.result_with(_picture(self.path, sha256))

    def result_with(self, picture: Picture | None) -> Result | None:
        """Return the whole `Result` with a picture that is at hand; None after an error."""
        return Result.from_json(self._line, picture) if self.error is None else None

    @property
    def path(self) -> Path:
        """The file, if the source is one; a relative path begins in the folder where the run began."""
        return Path(self._folder, expanded(self.source))

    def __repr__(self) -> str:
        said = self.error if self.error is not None else self.text
        return f"<Row {self.index} {self.source!r}: {said!r}>"


def key_of(
    content: str, prompt: str, parameters: Mapping[str, float | int], endpoint: Endpoint, form: str = ""
) -> str:
    """Name a question: the same picture, prompt and parameters to the same model have the same key."""
    asked = [content, prompt, sorted(parameters.items()), endpoint.name, endpoint.model]
    text = json.dumps([*asked, form] if form else asked, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def answered(place: Position, key: str, result: Result) -> dict[str, Any]:
    """Write an answer as plain data; masks stay codes."""
    return _head(place, key) | {"error": None} | result.to_dict(masks=False)


def failed(place: Position, key: str, prompt: str | None, error: Error) -> dict[str, Any]:
    """Write a failure as plain data."""
    described = {"kind": type(error).__name__, "message": redact(error.message), "hint": redact(error.hint)}
    described |= {"status": error.status, "request_id": error.request_id}
    return _head(place, key) | {"error": described, "prompt": prompt}


def is_final(kind: str, status: int | None) -> bool:
    """Return whether a failure that was written down would only be repeated; others are asked again."""
    return kind in errors.__all__ and bool(getattr(errors, kind)("", status=status).final)


def moved(data: dict[str, Any], place: Position) -> dict[str, Any]:
    """Return the same answer for a picture at another place."""
    return data | _head(place, data["key"])


def row_of(
    line: bytes, result: Result | None = None, *, resumed: bool = False, place: Position | None = None
) -> Row:
    """Read a line of the journal as a row; `result` is its answer, where that is at hand."""
    data = decode(line)
    error = data["error"]
    if error is None and result is None:
        try:
            result = Result.from_json(line)
        except ValueError as damage:
            raise Error(
                f"The journal's line of {data['source']!r} is damaged: {damage}",
                hint="Remove that line, then run the same again.",
            ) from None
    usage = result.usage if result is not None else None
    return Row(
        index=data["index"],
        source=data["source"],
        prompt=data["prompt"],
        text=result.text if result is not None else None,
        detections=result.detections if result is not None else None,
        error=None if error is None else _sentence(error),
        seconds=result.timing.total_s if result is not None else None,
        tokens=usage.total_tokens if usage is not None else None,
        request_id=result.request_id if result is not None else error["request_id"],
        resumed=resumed,
        label=place and place.label,
        kind=None if error is None else error["kind"],
        copy=data["copy"],
        model=result.model if result is not None else None,
        endpoint=result.endpoint if result is not None else None,
        notices=" ".join(result.notices) if result is not None else None,
        _line=line,
        _folder=place.folder if place is not None else "",
    )


def encode(data: dict[str, Any]) -> bytes:
    """Write plain data as one line of JSON."""
    try:
        return msgspec.json.encode(data) + b"\n"
    except (UnicodeEncodeError, OverflowError):  # a lone surrogate, or a number beyond 64 bits
        return json.dumps(data).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Read one line."""
    data: dict[str, Any] = json.loads(line)
    return data


def _head(place: Position, key: str) -> dict[str, Any]:
    return {"key": key, "index": place.index, "source": place.source, "copy": place.copy}


def _sentence(error: Mapping[str, Any]) -> str:
    hint = f" {error['hint']}" if error.get("hint") else ""
    return f"{error['kind']}: {error['message']}{hint}"


def _picture(path: Path, sha256: str) -> Any:
    """Return the picture in this file, if it is the one with this hash."""
    from nbvlm.images import Picture

    try:
        picture = Picture.load(path) if path.is_file() else None
    except (Error, OSError, ValueError):
        return None
    return picture if picture is not None and picture.sha256 == sha256 else None


COLUMNS = (
    "source", "prompt", "text", "detections", "error", "seconds", "tokens", "request_id",
    "model", "endpoint", "notices",
)  # fmt: skip
_EXPLODED = (*COLUMNS[:3], "label", "x0", "y0", "x1", "y1", *COLUMNS[4:])
_KINDS = (
    dict.fromkeys(
        ("source", "prompt", "text", "label", "error", "request_id", "model", "endpoint", "notices"), "string"
    )
    | dict.fromkeys(("x0", "y0", "x1", "y1", "seconds"), "float64")
    | {"tokens": "Int64", "detections": "object"}
)


def pandas() -> Any:
    """Return the module, or raise an `Error` with the line that installs it."""
    note = "nbvlm.ibatch(…) works without it."
    return require("pandas", extra="batch", purpose="A table of answers", note=note)


class Table:
    """Gathers rows as they come, and puts them in the order of the pictures."""

    def __init__(self, *, explode: bool = False) -> None:
        pandas()
        self._explode = explode
        self._rows: list[tuple[int, tuple[Any, ...]]] = []

    def add(self, row: Row) -> None:
        """Take a row; its picture is not kept."""
        self._rows.append((row.index, tuple(_cell(getattr(row, name)) for name in COLUMNS)))

    def frame(self, index: pd.Index | None = None) -> pd.DataFrame:
        """Make the table; its rows keep their places in the index of a pandas object, or are numbered."""
        pd = pandas()
        self._rows.sort(key=lambda row: row[0])
        places: list[int] = []
        values: list[tuple[Any, ...]] = []
        for number, (place, row) in enumerate(self._rows):
            found = _exploded(row) if self._explode else [row]
            places += [number if index is None else place] * len(found)
            values += found
        # Names, levels and types of the index stay, so that tables can be joined.
        kept = pd.Index(places) if index is None else index.take(places)
        columns = _EXPLODED if self._explode else COLUMNS
        series = {
            name: pd.Series([row[at] for row in values], index=kept, dtype=_KINDS[name])
            for at, name in enumerate(columns)
        }
        return pd.DataFrame(series, index=kept, columns=list(columns))  # type: ignore[no-any-return]


def _cell(value: Any) -> Any:
    """Write a text as a column can hold it: columns of texts are UTF-8."""
    return encodable(value) if isinstance(value, str) else value


def frame(found: Iterable[Row], *, explode: bool = False) -> pd.DataFrame:
    """Make a table of rows, in their order."""
    table = Table(explode=explode)
    for row in found:
        table.add(row)
    return table.frame()


def _exploded(row: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Return one row a detection; a picture without any has one row, so that none is missing."""
    source, prompt, text, found, *others = row
    boxes = list(zip(found.labels, found.xyxy.tolist(), strict=True)) if found is not None else []
    cells = [(_cell(label), box) for label, box in boxes] or [(None, (None,) * 4)]
    return [(source, prompt, text, label, *box, *others) for label, box in cells]
