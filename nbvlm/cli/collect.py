"""`nbvlm collect`: gathers the exported results of a class into one table."""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbvlm._files import expanded, write_atomic
from nbvlm._text import csv_cell, encodable, visible
from nbvlm.cli.terminal import print_error
from nbvlm.errors import Error, ParameterError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from nbvlm.result import Result

__all__ = ["COLUMNS", "DETECTION_COLUMNS", "Collected", "arguments", "collect", "run", "table"]

_EPILOG = """\
Each JSON file that the panel or Result.save wrote is a row: who sent it (the
folder or the archive that it is in, else its name), the question, the answer,
the model, and what limits the answer. A file that cannot be read costs that
file alone: it is named on the error stream, with the reason.

examples:
  nbvlm collect handed-in/ --out class.csv
  nbvlm collect ada.zip emil.zip noor.json --detections
"""
COLUMNS = (
    "who", "file", "picture", "prompt", "text", "found", "labels", "model", "endpoint", "temperature",
    "top_p", "finish_reason", "seconds", "notices", "problems", "asked_at",
)  # fmt: skip
DETECTION_COLUMNS = ("who", "file", "picture", "prompt", "label", "x0", "y0", "x1", "y1", "model", "notices")
LARGEST = 32 << 20
"""Bytes of a file that is read at most."""
MOST = 5000
"""Files of one archive that are read at most."""
_ARCHIVE = 512 << 20  # bytes of an archive's files that are read at most


@dataclass(frozen=True, slots=True)
class Collected:
    """One file: the result in it, or the reason why it cannot be read."""

    who: str
    file: str
    result: Result | None = None
    reason: str = ""


@dataclass(slots=True)
class _Budget:
    left: int = _ARCHIVE
    files: int = field(default=MOST)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = _EPILOG
    parser.add_argument("places", metavar="PLACE", nargs="+", help="JSON files, folders and ZIP archives")
    parser.add_argument("--out", metavar="FILE.csv", help="write the table here; by default it is printed")
    parser.add_argument(
        "--detections", action="store_true", help="one row for each box instead of one for each answer"
    )


def run(options: argparse.Namespace) -> int:
    """Write the table; return 1 if no file could be read."""
    found = [one for place in options.places for one in collect(place)]
    for one in found:
        if one.result is None:
            print_error(f"nbvlm collect: {visible(one.file)} is left out: {one.reason}")
    good = [one for one in found if one.result is not None]
    text = table(good, detections=options.detections)
    if options.out:
        try:
            write_atomic(expanded(options.out), text.encode("utf-8-sig"))
        except OSError as error:
            reason = error.strerror or error
            raise ParameterError(
                f"{visible(options.out)} cannot be written: {reason}.", hint="Choose another file."
            ) from None
    elif good:
        sys.stdout.write(text)
    left_out = f"; left out: {len(found) - len(good)}" if len(found) > len(good) else ""
    people = len({one.who for one in good})
    print_error(f"nbvlm collect: answers: {len(good)}; people: {people}{left_out}")
    return 0 if good else 1


def collect(place: str) -> Iterator[Collected]:
    """Read the results of a JSON file, a folder with all below it, or a ZIP archive; never raises.

    Links in a folder are not followed, and archives inside an archive are not opened.
    """
    path = expanded(place)
    try:
        if path.is_dir():
            yield from _of_folder(path)
        elif zipfile.is_zipfile(path):
            yield from _of_archive(path, path.stem)
        else:
            yield _of_file(path, path.stem, path.name)
    except OSError as error:
        yield Collected(path.stem, place, reason=f"it cannot be read ({error.strerror or error}).")


def _of_folder(folder: Path) -> Iterator[Collected]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_symlink() or not path.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        who = inside.parts[0] if len(inside.parts) > 1 else path.stem
        if path.suffix.lower() == ".json":
            yield _of_file(path, who, str(inside))
        elif path.suffix.lower() == ".zip":
            yield from _of_archive(path, who)


def _of_file(path: Path, who: str, name: str) -> Collected:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        return Collected(who, name, reason=f"it cannot be read ({error.strerror or error}).")
    return _read(data, who, name)


def _of_archive(path: Path, who: str) -> Iterator[Collected]:
    budget = _Budget()
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = encodable(entry.filename)
                hidden = any(part.startswith(("._", "__MACOSX")) for part in name.split("/"))
                if entry.is_dir() or hidden or not name.lower().endswith(".json"):
                    continue
                yield _entry(archive, entry, who, f"{path.name}/{name}", budget)
                if budget.files <= 0 or budget.left <= 0:
                    yield Collected(who, path.name, reason="it holds too much; the rest of it is not read.")
                    return
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        yield Collected(who, path.name, reason=f"the archive is damaged ({error}).")


def _entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, who: str, name: str, budget: _Budget
) -> Collected:
    budget.files -= 1
    if entry.flag_bits & 1:
        return Collected(who, name, reason="it is encrypted.")
    try:
        with archive.open(entry) as file:
            data = file.read(LARGEST + 1)  # an archive may state any size
    except Exception as error:  # noqa: BLE001 - zipfile and its decompressors raise many kinds
        return Collected(who, name, reason=f"it is damaged ({type(error).__name__}).")
    budget.left -= len(data)
    return _read(data, who, name)


def _read(data: bytes, who: str, name: str) -> Collected:
    from nbvlm.result import Result

    if len(data) > LARGEST:
        return Collected(who, name, reason=f"it is larger than {LARGEST >> 20} MiB.")
    try:
        return Collected(who, name, Result.from_json(data))
    except Error as error:
        return Collected(who, name, reason=visible(error.message))
    except (ValueError, RecursionError, MemoryError) as error:
        return Collected(who, name, reason=f"it is not a result ({type(error).__name__}).")


def table(found: list[Collected], *, detections: bool = False) -> str:
    """Return results as CSV, a row each, or a row for each of their detections."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(DETECTION_COLUMNS if detections else COLUMNS)
    for one in found:
        if one.result is not None:
            made = _boxes(one, one.result) if detections else [_row(one, one.result)]
            writer.writerows(map(csv_cell, row) for row in made)
    return rows.getvalue()


def _row(one: Collected, result: Result) -> list[object]:
    labels = Counter(result.detections.labels)
    counted = ", ".join(f"{count} {label}" if count > 1 else label for label, count in labels.items())
    parameters, total = result.parameters, result.timing.total_s
    return [
        one.who,
        one.file,
        result.picture.name or result.picture.sha256[:12],
        result.prompt,
        result.text,
        len(result.detections),
        counted,
        result.model,
        result.endpoint,
        parameters.get("temperature"),
        parameters.get("top_p"),
        result.finish_reason,
        None if total is None else round(total, 3),
        " ".join(result.notices),
        " ".join(map(str, result.problems)),
        result.created,
    ]


def _boxes(one: Collected, result: Result) -> Iterator[list[object]]:
    for detection in result.detections:
        box = [round(edge, 1) for edge in detection.box]
        picture = result.picture.name or result.picture.sha256[:12]
        yield [
            one.who, one.file, picture, result.prompt, detection.label, *box, result.model,
            " ".join(result.notices),
        ]  # fmt: skip
