"""Addresses and paths as a person types them: which source they mean, and how to complete them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nbvlm._files import expanded, here
from nbvlm.errors import ImageError

__all__ = ["SUFFIXES", "completions", "resolved", "shown"]

MOST = 50  # completions
_SCHEME = re.compile(r"(?i)[a-z][a-z0-9+.-]+:")

SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
        *(".heic", ".heif", ".avif", ".jp2", ".ppm", ".pgm", ".ico", ".tga"),
    )
)
"""Endings of files that are taken for pictures."""


def resolved(text: str) -> str | Path:
    """Turn typed text into a source: an address as it is, else the path on this machine.

    Raises
    ------
    ImageError
        If the text is empty, or the path leads nowhere or to a folder.

    >>> resolved(" https://example.org/cat.jpg ")
    'https://example.org/cat.jpg'
    """
    place = text.strip().strip("\"'")
    if not place:
        raise ImageError("The address or path is empty.", hint="Type one, such as pictures/cat.jpg.")
    if _is_address(place):
        return place
    path = expanded(place)
    # The functions of os.path return False where those of Path raise, as for a folder that may not be read.
    if os.path.isdir(path):  # noqa: PTH112
        raise ImageError(f"{place!r} is a folder.", hint="Type on; its pictures are listed.")
    if os.path.exists(path):  # noqa: PTH110
        return path
    if os.path.islink(path):  # noqa: PTH114
        raise ImageError(f"{place!r} is a link to a file that does not exist.", hint="Correct the link.")
    raise ImageError(f"There is no file {place!r} on the server.", hint=_nearest(path))


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


def completions(text: str) -> list[str]:
    """Complete a path with folders and pictures on this machine, folders first; no addresses."""
    typed = text.strip()
    if _SCHEME.match(typed):
        return []
    folder, start = os.path.split(typed)
    try:
        entries = sorted(os.scandir(expanded(folder or ".")), key=lambda entry: entry.name.lower())
        found = [_written(folder, entry) for entry in entries if _suits(entry, start)]
    except OSError:
        return []
    return sorted(found, key=lambda place: not place.endswith("/"))[:MOST]


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
