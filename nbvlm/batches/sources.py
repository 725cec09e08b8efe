"""Where the pictures of a batch come from: folders, globs, lists, tables, iterators, buckets.

A source is read once, item by item, and never as a whole. The data of an item is read when its turn comes.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from glob import has_magic, iglob
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nbvlm._files import expanded, here
from nbvlm._optional import require
from nbvlm._text import warn_outside
from nbvlm.batches.rows import Position
from nbvlm.client import redact
from nbvlm.errors import ImageError, ParameterError
from nbvlm.images import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["Listing", "PendingPicture", "is_remote", "items", "listed", "listing", "read"]

COLUMNS = ("image", "picture", "path", "file", "filename", "source", "url")
"""Columns of a table that hold the pictures where the caller names no column."""
DESCRIBED = ("source", "name", "stem", "folder", "index")
"""Columns of a row where the source is not a table."""


@dataclass(frozen=True, slots=True, repr=False)
class PendingPicture:
    """A picture still to be read."""

    place: Position
    image: Any
    columns: Mapping[str, Any]  # the values that a prompt may use


@dataclass(frozen=True, slots=True, repr=False)
class Listing:
    """All pictures of a batch."""

    each: Callable[[], Iterator[tuple[Any, Any, Mapping[str, Any] | None]]]  # label, image, its row
    count: Callable[[], int | None]  # None where only walking would show
    names: tuple[str, ...] | None = DESCRIBED  # columns of every row; None where rows may differ
    distinct: bool = False  # no two pictures have one name, as in a folder: then no names are kept


def listing(images: Any, column: str | None = None) -> Listing:
    """Find out what kind of source this is."""
    if isinstance(images, (str, os.PathLike)):
        return _named(os.fspath(images))
    if hasattr(images, "iterrows") and hasattr(images, "columns"):
        return _table(images, column)
    if hasattr(images, "items") and hasattr(images, "index") and hasattr(images, "dtype"):
        return Listing(lambda: ((label, image, None) for label, image in images.items()), lambda: len(images))
    if _single(images):
        return _several([images])
    if isinstance(images, Mapping):
        return _several(_uploads(images))
    if isinstance(images, Iterable):
        size = len(images) if isinstance(images, Sized) else None
        return Listing(lambda: _each(images, column), lambda: size, None)
    raise ImageError(
        f"A value of type {type(images).__name__} holds no pictures.",
        hint="Pass a folder, a glob, a list, a table's column, an iterator or an address such as s3://….",
    )


def items(listed: Listing, folder: str = "") -> Iterator[PendingPicture]:
    """Walk a source and number its items; relative paths begin at the folder."""
    seen: dict[int, int] = {}
    for index, (label, image, columns) in enumerate(listed.each()):
        name, nth = _called(image), 0
        source = name or f"#{index}"
        if name and not listed.distinct:
            nth = seen.get(hash(source), 0)
            seen[hash(source)] = nth + 1
        place = Position(index, source, nth, label, folder)
        found = _in_folder(image, folder) if folder else image
        yield PendingPicture(place, found, columns if columns is not None else _described(source, index))


def _in_folder(image: Any, folder: str) -> Any:
    """Make a relative path absolute, so that a change of the folder during the run does not matter."""
    if isinstance(image, Mapping) and image.get("bytes", b"") is None:
        return _in_folder(image.get("path"), folder)
    if not isinstance(image, (str, os.PathLike)) or (isinstance(image, str) and _ADDRESS.match(image)):
        return image
    return os.path.join(folder, expanded(image)) if os.fspath(image) else image  # noqa: PTH118 - str or bytes


def _named(name: str) -> Listing:
    if name.startswith(("data:", "http://", "https://")):
        return _several([name])
    if is_remote(name):
        return _several(listed(name, SUFFIXES))
    path, start = expanded(name), here()
    if path.is_dir():
        return _filled(name, lambda: _walk(path, start))
    if has_magic(name) and not path.exists():
        return _filled(name, lambda: _matching(path, start))
    if not path.suffix and not path.exists():
        raise ImageError(f"The folder {name!r} does not exist.", hint=f"This runs in {start}.")
    return _several([name])


def _filled(name: str, walk: Callable[[], Iterator[str]]) -> Listing:
    if next(walk(), None) is None:
        raise ImageError(
            f"{name!r} holds no picture.",
            hint=f"This runs in {here()}; a folder is searched with its subfolders, by file extension.",
        )
    return Listing(
        lambda: ((None, path, None) for path in walk()), lambda: sum(1 for _ in walk()), distinct=True
    )


def _walk(folder: Path, start: Path) -> Iterator[str]:
    """Yield the pictures of a folder, then those of the folders in it, by name; hidden ones are left out."""
    for at, files in _folders(str(folder), start, set()):
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122 - a name
                yield os.path.join(at, name)  # noqa: PTH118 - a million of them


def _folders(folder: str, start: Path, seen: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield a folder and all below it with their files, each once; linked ones last, hidden ones not."""
    left = deque([folder])
    while left:
        root = start / left[0]
        for at, folders, files in os.walk(root, onerror=_unreadable_folder):
            name = os.path.join(left[0], at[len(str(root)) :].lstrip(os.sep)) if at != str(root) else left[0]  # noqa: PTH118
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            if (real := os.path.realpath(at)) in seen:  # a link to a folder that was read before, or a circle
                folders.clear()
                continue
            seen.add(real)
            left += [os.path.join(name, one) for one in folders if Path(at, one).is_symlink()]  # noqa: PTH118
            yield name, files
        left.popleft()


def _unreadable_folder(error: OSError) -> None:
    warn_outside(f"The folder {error.filename!r} cannot be read, and is left out: {error.strerror}.")


def _matching(pattern: Path, start: Path) -> Iterator[str]:
    """Yield the files that match a pattern, each once; `**` follows linked folders, and no circle."""
    top, *parts = pattern.parts if pattern.anchor else ("", *pattern.parts)
    return _expand(top, parts, start, defaultdict(set))


def _expand(folder: str, parts: list[str], start: Path, seen: defaultdict[int, set[str]]) -> Iterator[str]:
    part, *rest = parts
    if part == "**":
        # A second walk for the same part, within a first one, has nothing new.
        for below, _ in _folders(folder, start, seen[len(rest)]):
            yield from _expand(below, rest or ["*"], start, seen)
        return
    root = start / folder
    # A folder's own name may hold brackets.
    literal = not has_magic(part) or os.path.lexists(root / part)
    for name in [part] if literal else sorted(iglob(part, root_dir=root)):  # noqa: PTH207 - of one part
        path = os.path.join(folder, name)  # noqa: PTH118 - as it was given
        if rest and (start / path).is_dir():
            yield from _expand(path, rest, start, seen)
        elif not rest and (start / path).is_file():
            yield path


def _several(found: list[Any]) -> Listing:
    return Listing(lambda: ((None, image, None) for image in found), lambda: len(found))


def _table(table: Any, column: str | None) -> Listing:
    names = [str(name) for name in table.columns]
    chosen = _column(names, column)
    if names.count(chosen) > 1:
        raise ParameterError(f"The table has several columns {chosen!r}.", hint="Rename all but one.")

    def each() -> Iterator[tuple[Any, Any, Mapping[str, Any] | None]]:
        for label, *values in table.itertuples(name=None):
            row = dict(zip(names, values, strict=True))
            yield label, row[chosen], row

    return Listing(each, lambda: len(table), tuple(names))


def _column(names: list[str], column: str | None) -> str:
    if column is not None and str(column) in names:  # a table without a head has numbers
        return str(column)
    found = [name for name in COLUMNS if name in names] or (names if len(names) == 1 else [])
    if column is None and found:
        return found[0]
    what = (
        f"The column {column!r} does not exist."
        if column is not None
        else "It is not clear which column holds the pictures."
    )
    raise ParameterError(what, hint=f'Pass column="…"; columns: {", ".join(names)}.')


def _each(images: Iterable[Any], column: str | None) -> Iterator[tuple[Any, Any, Mapping[str, Any] | None]]:
    for image in images:
        if isinstance(image, Mapping) and not _is_upload(image):
            row = {str(name): value for name, value in image.items()}
            yield None, row[_column(list(row), column)], row
        else:
            yield None, image, None


def _is_upload(value: Any) -> bool:
    """Recognise a picture as ipywidgets' FileUpload and Hugging Face's data sets hold it."""
    if not isinstance(value, Mapping):
        return False
    content = value.get("content")
    return isinstance(content, bytes | bytearray | memoryview) or value.keys() == {"bytes", "path"}


def _uploads(images: Mapping[Any, Any]) -> list[Any]:
    """Return the pictures of a FileUpload of ipywidgets 7, which has them by name."""
    if images and all(map(_is_upload, images.values())):
        return [{"name": str(name)} | dict(one) for name, one in images.items()]
    raise ImageError(
        "One mapping is not a list of pictures.",
        hint="A mapping is a row: pass [row]. Columns make a table: pass pandas.DataFrame(columns).",
    )


def _single(images: Any) -> bool:
    """Return whether this is one picture, which should stand in a list."""
    from nbvlm.images import Picture, is_array

    if _is_upload(images):
        return True
    if isinstance(images, (bytes, bytearray, memoryview, Picture)) or hasattr(images, "getexif"):
        return True
    return hasattr(images, "read") or (is_array(images) and getattr(images, "ndim", 4) < 4)


def _called(image: Any) -> str | None:
    """Name an item; one in memory may have no name."""
    if isinstance(image, (str, os.PathLike)):
        path = os.fsdecode(image)
        if path.startswith("data:"):
            return None
        return str(redact(path)) if "://" in path else path
    if isinstance(image, Mapping):
        name = image.get("name") or image.get("path")
    else:
        name = getattr(image, "filename", None) or getattr(image, "name", None)
    if isinstance(name, os.PathLike):
        name = os.fspath(name)
    is_path = isinstance(name, str) and not name.startswith("<")  # "<stdin>", "<_io.BytesIO …>"
    return name if is_path else None


def _described(source: str, index: int) -> dict[str, Any]:
    scheme, mark, rest = source.partition("://")
    web = scheme.lower() in ("http", "https")
    path = Path(urlsplit(source).path if web else rest if mark else source)
    return dict(zip(DESCRIBED, (source, path.name, path.stem, path.parent.name, index), strict=True))


_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)(://|::)", re.IGNORECASE)
_OWN = ("http", "https", "file")
_ADDRESS = re.compile(r"\s*(data:|[a-z][a-z0-9+.-]+(://|::))", re.IGNORECASE)


def is_remote(name: str) -> bool:
    """Return whether fsspec is needed to read this."""
    scheme = _SCHEME.match(name)
    return scheme is not None and scheme[1].lower() not in _OWN


def listed(url: str, suffixes: Collection[str]) -> list[str]:
    """Return the pictures at an address: one file, a folder with all below it, or a glob."""
    system, path = _at(url)
    try:
        found = _found(system, path, suffixes)
    except Exception as error:  # noqa: BLE001 - every file system has its own errors
        raise _unreachable(url, error) from None
    if not found:
        raise ImageError(
            f"{redact(url)!r} holds no picture.", hint="Check the address and your permissions there."
        )
    return [str(system.unstrip_protocol(name)) for name in sorted(found)]


def read(url: str) -> bytes:
    """Return the bytes of a file."""
    system, path = _at(url)
    try:
        return bytes(system.cat_file(path))
    except FileNotFoundError:
        raise ImageError(f"The file {redact(url)!r} does not exist.") from None
    except Exception as error:  # noqa: BLE001 - as above
        raise _unreachable(url, error) from None


def _found(system: Any, path: str, suffixes: Collection[str]) -> list[str]:
    if has_magic(path):
        return [name for name in system.glob(path) if system.isfile(name)]
    if system.isdir(path):
        return [name for name in system.find(path) if _suffix(name) in suffixes]
    return [path] if system.exists(path) else []


def _suffix(name: str) -> str:
    last = name.rpartition("/")[2]
    return f".{last.rpartition('.')[2].lower()}" if "." in last else ""


def _at(url: str) -> tuple[Any, str]:
    purpose, note = f"The address {redact(url)!r}", "For others than s3://…: fsspec and their package."
    fsspec = require("fsspec.core", extra="s3", purpose=purpose, note=note)
    try:
        system, path = fsspec.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ImageError(
            f"{redact(url)!r} cannot be read here: {redact(str(error)).rstrip('.')}.",
            hint='For s3://… run: pip install "nbvlm[s3]".',
        ) from None
    return system, str(path)


def _unreachable(url: str, error: Exception) -> ImageError:
    said = " ".join(str(error).split()) or type(error).__name__
    return ImageError(
        f"{redact(url)!r} cannot be read: {redact(said).rstrip('.')}.",
        hint="Check the address and your permissions there.",
    )
