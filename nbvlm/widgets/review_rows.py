"""The rows of a review: a table of answers, the decisions about them, and the data set that they make."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._files import expanded, replacing
from nbvlm._text import visible
from nbvlm.errors import Error, ImageError
from nbvlm.grounding import Detections
from nbvlm.images import Picture
from nbvlm.result import UNLABELLED, Result, coco_annotations, detections_from_dict, detections_to_dict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ReviewJournal", "ReviewRow", "rows_of", "write_zip"]

FORMAT = "nbvlm-review/1"
DONE = ("kept", "corrected")


@dataclass(slots=True)
class ReviewRow:
    """One picture with an answer, and what was decided about it."""

    source: str
    found: Detections | None  # the model's
    prompt: str = ""
    model: str = ""
    notices: tuple[str, ...] = ()
    error: str = ""
    given: Any = None  # the picture, or where it is
    state: str = "open"  # "kept", "corrected" or "error"
    decided: Detections | None = None
    copy: int = field(default=0)

    @property
    def key(self) -> str:
        """Names the row, by its picture, its question and the model's boxes."""
        boxes = [] if self.found is None else [self.found.labels, self.found.xyxy.round(2).tolist()]
        parts = json.dumps([self.source, self.prompt, self.copy, boxes], default=list)
        return hashlib.sha256(parts.encode("utf-8", "backslashreplace")).hexdigest()[:32]

    def picture(self) -> Picture:
        """Load the picture; an `ImageError` if it is not there, or has another size than its boxes."""
        if self.given is None:
            raise ImageError(
                f"The table does not say where the picture {self.source!r} is.",
                hint="Give the pictures in the order of the rows: Review(table, pictures=[…]).",
            )
        picture = Picture.load(self.given)
        if self.found is not None and self.found.size != (picture.width, picture.height):
            wide, high = self.found.size
            raise ImageError(
                f"The boxes of {self.source!r} refer to a picture of {wide}×{high} pixels, "
                f"this one has {picture.width}×{picture.height}.",
                hint="Give the pictures that were asked about: Review(table, pictures=[…]).",
            )
        return picture

    def fail(self, reason: str) -> None:
        """Mark the row as one that cannot be reviewed."""
        self.state, self.error = "error", reason


def rows_of(table: Any, pictures: Sequence[Any] | None, folder: Path) -> list[ReviewRow]:
    """Read the rows of a batch's table, or results.

    Raises
    ------
    ValueError
        For something else, a table without the columns, and pictures of another number.
    """
    if hasattr(table, "columns") and hasattr(table, "to_dict"):
        missing = [name for name in ("source", "detections") if name not in table.columns]
        if missing:
            raise ValueError(
                f"The table must have the columns 'source' and 'detections', as nbvlm.batch(…) returns them; "
                f"missing: {', '.join(missing)}. A table made with explode=True has one row a detection."
            )
        rows = [_of_record(record, folder) for record in table.to_dict("records")]
    elif isinstance(table, Iterable) and not isinstance(table, Result):
        rows = [_of_value(one, folder) for one in table]
    else:
        rows = [_of_value(table, folder)]
    if pictures is not None:
        given = list(pictures)
        if len(given) != len(rows):
            raise ValueError(f"pictures must have one for each of the {len(rows)} rows, got {len(given)}.")
        for row, one in zip(rows, given, strict=True):
            row.given = one
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        row.copy = seen.get((row.source, row.prompt), 0)
        seen[row.source, row.prompt] = row.copy + 1
    return rows


def _of_value(one: Any, folder: Path) -> ReviewRow:
    if isinstance(one, Result):
        name = one.picture.name or one.picture.sha256[:16]
        return ReviewRow(name, one.detections, one.prompt, one.model, one.notices, given=one.picture)
    if not hasattr(one, "source") or not hasattr(one, "detections"):
        kind = type(one).__name__
        raise ValueError(f"A review takes the table of nbvlm.batch(…), its rows, or results; got {kind}.")
    names = ("source", "detections", "prompt", "model", "notices", "error")
    return _of_record({name: getattr(one, name, None) for name in names}, folder)


def _of_record(record: Mapping[str, Any], folder: Path) -> ReviewRow:
    source, found = str(record["source"]), record["detections"]
    found = found if isinstance(found, Detections) else None
    notices = _text(record.get("notices"))
    row = ReviewRow(
        source,
        found,
        _text(record.get("prompt")),
        _text(record.get("model")),
        (notices,) if notices else (),
        given=_place(source, folder),
    )
    if error := _text(record.get("error")):
        row.fail(error)
    elif found is None:
        row.fail("The row has no detections.")
    return row


def _place(source: str, folder: Path) -> Any:
    if re.match(r"#\d+$", source):  # a picture that was not a file
        return None
    return source if re.match(r"(https?|data):", source) else folder / expanded(source)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""  # pandas has several values for "missing"


class ReviewJournal:
    """The decisions of a review as lines of a file, so that another review of the same rows goes on there."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def restore(self, rows: Iterable[ReviewRow]) -> None:
        """Give rows the decisions that stand in the file; the last about a row counts."""
        lines = self._lines()
        for row in rows:
            if row.state != "error" and row.found is not None and (line := lines.get(row.key)):
                try:
                    row.decided = detections_from_dict(line["detections"], row.found.size)
                    row.state = line["state"]
                except Error:  # a damaged line: the row is open again
                    continue

    def _lines(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for text in self._bytes().splitlines():
            try:
                line = json.loads(text)
            except ValueError:  # cut off where the kernel ended
                continue
            if (
                isinstance(line, dict)
                and line.get("format") == FORMAT
                and line.get("state") in (*DONE, "open")
            ):
                found[str(line.get("row"))] = line
        return {key: line for key, line in found.items() if line["state"] in DONE}

    def _bytes(self) -> bytes:
        try:
            return b"" if self.path is None else self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except (OSError, ValueError) as error:  # ValueError: a null character in the name
            raise Error(
                f"The journal {_shown(self.path)} cannot be read: {_reason(error)}.",
                hint='Name a file: Review(table, journal="review.jsonl").',
            ) from None

    def add(self, row: ReviewRow) -> None:
        """Write the decision about a row."""
        if self.path is None:
            return
        found = None if row.decided is None else detections_to_dict(row.decided)
        line = {
            "format": FORMAT,
            "row": row.key,
            "source": row.source,
            "state": row.state,
            "detections": found,
        }
        try:
            with self.path.open("ab") as file:
                file.write(json.dumps(line).encode() + b"\n")
        except (OSError, ValueError) as error:
            raise Error(
                f"The decision could not be written to {_shown(self.path)}: {_reason(error)}.",
                hint="Choose a journal in a folder that can be written.",
            ) from None


def write_zip(rows: Sequence[ReviewRow], path: Path) -> int:
    """Write the decided rows as COCO annotations with their pictures; return how many.

    The zip holds `annotations.json` and the folder `images`; it is whole or absent.
    """
    if "\0" in str(path) or path.is_dir():
        raise Error(
            f"{_shown(path)} cannot be the name of a file.", hint='Name a file: review.save("reviewed.zip").'
        )
    done = [row for row in rows if row.state in DONE and row.decided is not None]
    labels = dict.fromkeys(label or UNLABELLED for row in done if row.decided for label in row.decided.labels)
    names = list(labels)
    coco: dict[str, Any] = {
        "info": {
            "description": "Reviewed answers",
            "contributor": ", ".join(_unique(row.model for row in done)),
        },
        "licenses": [],
        "images": [],
        "annotations": [],
        "categories": [{"id": at, "name": name, "supercategory": ""} for at, name in enumerate(names, 1)],
    }
    try:
        with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
            used: set[str] = set()
            for number, row in enumerate(done, 1):
                _add(archive, coco, row, number, names, used)
            text = json.dumps(coco, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
            archive.writestr("annotations.json", text, zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise Error(
            f"The file {_shown(path)} could not be written: {_reason(error)}.",
            hint="Choose a folder that can be written: review.save(path).",
        ) from None
    return len(done)


def _add(
    archive: zipfile.ZipFile,
    coco: dict[str, Any],
    row: ReviewRow,
    number: int,
    names: Sequence[str],
    used: set[str],
) -> None:
    picture, found = row.picture(), row.decided
    if found is None or picture.data is None:
        return
    name = _file_name(picture, row.source, used)
    archive.writestr(f"images/{name}", picture.data)  # a picture is packed already
    facts: dict[str, Any] = {"source": row.source, "review": row.state}
    facts |= {"prompt": row.prompt} if row.prompt else {}
    facts |= {"notices": list(row.notices)} if row.notices else {}
    size = {"width": picture.width, "height": picture.height}
    coco["images"].append({"id": number, "file_name": f"images/{name}", **size, **facts})
    first = len(coco["annotations"]) + 1
    coco["annotations"] += coco_annotations(found, names, image_id=number, first=first, notices=row.notices)


def _file_name(picture: Picture, source: str, used: set[str]) -> str:
    ending = ".png" if picture.mime == "image/png" else ".jpg"
    stem = re.sub(r"[^\w.-]+", "-", Path(picture.name or source).stem).strip("-.") or "picture"
    name, count = f"{stem}{ending}", 1
    while name.lower() in used:
        count += 1
        name = f"{stem}-{count}{ending}"
    used.add(name.lower())
    return name


def _shown(path: Path | None) -> str:
    return repr(visible(str(path)))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, texts)))
