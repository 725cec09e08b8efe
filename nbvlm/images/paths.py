"""Addresses and paths as a person types them: which source they mean, and how to complete them."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from nbvlm._files import expanded, here
from nbvlm._text import shorten, visible
from nbvlm.errors import ImageError

__all__ = ["SUFFIXES", "completions", "folder_at", "in_folder", "inside", "resolved", "shown"]

MOST = 50  # completions
_SCHEME = re.compile(r"(?i)[a-z][a-z0-9+.-]+:")

SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
        *(".heic", ".heif", ".avif", ".jp2", ".ppm", ".pgm", ".ico", ".tga"),
    )
)
"""Endings of files that are taken for pictures."""


def resolved(text: str, within: Path | None = None) -> str | Path:
    """Turn typed text into a source: an address as it is, else the path on this machine.

    With a folder `within`, the text is taken for a path that begins there; see `inside`.

    Raises
    ------
    ImageError
        If the text is empty, or the path leads nowhere, to a folder, or out of `within`.

    >>> resolved(" https://example.org/cat.jpg ")
    'https://example.org/cat.jpg'
    """
    place = text.strip().strip("\"'")
    if not place:
        raise ImageError("The address or path is empty.", hint="Type one, such as pictures/cat.jpg.")
    if within is not None:
        path = inside(within, place)
        if os.path.isfile(path):  # noqa: PTH113 - as below
            return path
        fault = "is a folder" if os.path.isdir(path) else "does not exist"  # noqa: PTH112
        raise ImageError(
            f"{shorten(visible(place), 80)!r} {fault}.",
            hint="Keep typing; the pictures of the folder are listed.",
        )
    if _is_address(place):
        return place
    path = expanded(place)
    # The functions of os.path return False where those of Path raise, as for a folder that may not be read.
    if os.path.isdir(path):  # noqa: PTH112
        raise ImageError(f"{place!r} is a folder.", hint="Keep typing; its pictures are listed.")
    if os.path.exists(path):  # noqa: PTH110
        return path
    if os.path.islink(path):  # noqa: PTH114
        raise ImageError(f"{place!r} is a link to a file that does not exist.", hint="Correct the link.")
    raise ImageError(f"The file {place!r} does not exist on the server.", hint=_nearest(path))


def folder_at(text: str, within: Path | None = None) -> Path | None:
    """Return the folder that typed text names, None where it names something else; see `resolved`.

    Raises
    ------
    ImageError
        If the path leads out of `within`.
    """
    place = text.strip().strip("\"'")
    if not place or (within is None and _is_address(place)):
        return None
    path = expanded(place) if within is None else inside(within, place)
    return path if os.path.isdir(path) else None  # noqa: PTH112 - it never raises


def in_folder(folder: Path, within: Path | None = None) -> list[Path]:
    """Return the pictures of a folder, by their names, `2.png` before `10.png`; not those of folders in it.

    With a folder `within`, links that lead out of it are left out.

    Raises
    ------
    ImageError
        If the folder cannot be read, or holds no picture.
    """
    try:
        with os.scandir(folder) as entries:
            found = [
                Path(entry.path)
                for entry in entries
                if not entry.name.startswith(".")
                and Path(entry.name).suffix.lower() in SUFFIXES
                and not _is_folder(entry)
                and (within is None or _is_inside(within, entry))
            ]
    except OSError as error:
        raise ImageError(
            f"The folder {folder.name!r} cannot be read: {error.strerror}.", hint="Change its permissions."
        ) from None
    if not found:
        raise ImageError(
            f"The folder {folder.name or '.'!r} contains no picture.",
            hint="Choose another one; pictures are recognised by their extensions, such as .png and .jpg.",
        )
    return sorted(found, key=lambda path: _natural(path.name))


def _natural(name: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", name.lower())
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def inside(folder: Path, text: str) -> Path:
    """Return the path that a text names in a folder, with all links followed.

    A path that leads elsewhere is refused before the disk is touched, one that follows a link out of the
    folder after that, with the same message.

    Raises
    ------
    ImageError
        If the path is absolute, begins with `~`, climbs with `..`, or a link in it leads out.
    """
    parts = re.split(r"[/\\]", text)
    if parts[0] and not text.startswith("~") and ".." not in parts:
        root = folder.resolve()
        with suppress(OSError, RuntimeError, ValueError):  # a circle of links, a name that is too long
            if (path := (root / text).resolve()).is_relative_to(root):
                return path
    raise ImageError(
        f"{shorten(visible(text), 80)!r} is not in the folder of pictures that is offered here.",
        hint="Choose one of the paths that are listed.",
    )


def _is_address(place: str) -> bool:
    # One letter and a colon is a drive of Windows.
    return bool(_SCHEME.match(place)) and not os.path.exists(place)  # noqa: PTH110 - it never raises


def _nearest(path: Path) -> str:
    folder = next((above for above in path.parents if os.path.isdir(above)), Path())  # noqa: PTH112 - as above
    begin = "" if path.is_absolute() else f" Paths begin at {here()}."
    return f"The folder {str(folder)!r} exists; look for the file from there.{begin}"


def shown(text: str) -> str:
    """Return a short name for a source while it is fetched, without its query, which may be a secret.

    >>> shown("https://example.org/a/cat.jpg?token=1")
    'cat.jpg'
    """
    place = text.strip()
    if place[:5].lower() == "data:":
        return "picture"
    bare = re.split(r"[?#]", place)[0] if _is_address(place) else place
    return bare.replace("\\", "/").rstrip("/").rpartition("/")[2] or "picture"


def completions(text: str, within: Path | None = None) -> list[str]:
    """Complete a path with folders and pictures on this machine, folders first; no addresses.

    With a folder `within`, paths begin there, and nothing outside it is read or listed.
    """
    typed = text.strip()
    if _SCHEME.match(typed):
        return []
    folder, start = os.path.split(typed)
    try:
        place = expanded(folder or ".") if within is None else inside(within, folder or ".")
        entries = sorted(os.scandir(place), key=lambda entry: entry.name.lower())
        if within is not None:
            entries = [entry for entry in entries if _is_inside(within, entry)]
        found = [_written(folder, entry) for entry in entries if _suits(entry, start)]
    except (OSError, ValueError, ImageError):
        return []
    return sorted(found, key=lambda place: not place.endswith("/"))[:MOST]


def _is_inside(folder: Path, entry: os.DirEntry[str]) -> bool:
    with suppress(OSError, RuntimeError):
        return Path(entry.path).resolve().is_relative_to(folder.resolve())
    return False


def _suits(entry: os.DirEntry[str], start: str) -> bool:
    if not entry.name.lower().startswith(start.lower()) or (entry.name[0] == "." and start[:1] != "."):
        return False
    return _is_folder(entry) or Path(entry.name).suffix.lower() in SUFFIXES


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, or into a folder that may not be read
        return False


def _written(folder: str, entry: os.DirEntry[str]) -> str:
    place = f"{folder.rstrip('/')}/{entry.name}" if folder else entry.name
    return f"{place}/" if _is_folder(entry) else place
