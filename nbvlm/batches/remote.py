"""Pictures behind an address that fsspec knows: `s3://…`, `gs://…`, `memory://…`, `zip://…`."""

from __future__ import annotations

import re
from glob import has_magic
from typing import TYPE_CHECKING, Any

from nbvlm.client.secrets import redact
from nbvlm.errors import Error, ImageError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["is_remote", "listed", "read"]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)(://|::)", re.IGNORECASE)
_OWN = ("http", "https", "file")


def is_remote(name: str) -> bool:
    """Return whether fsspec is needed to read this."""
    scheme = _SCHEME.match(name)
    return scheme is not None and scheme[1].lower() not in _OWN


def listed(url: str, suffixes: Collection[str]) -> list[str]:
    """Return the pictures at an address: one file, a folder with all below it, or a glob.

    Raises
    ------
    ImageError
        If there is none, or the place cannot be reached.
    """
    system, path = _at(url)
    try:
        found = _found(system, path, suffixes)
    except Exception as error:  # noqa: BLE001 - every file system has errors of its own
        raise _unreachable(url, error) from None
    if not found:
        raise ImageError(
            f"There is no picture at {redact(url)!r}.", hint="Check the address and your rights there."
        )
    return [str(system.unstrip_protocol(name)) for name in sorted(found)]


def read(url: str) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    ImageError
        If they cannot be had.
    """
    system, path = _at(url)
    try:
        return bytes(system.cat_file(path))
    except FileNotFoundError:
        raise ImageError(f"There is no file {redact(url)!r}.") from None
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
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise Error(
            f"Addresses like {redact(url)!r} need fsspec, which is not installed.",
            hint='Run: pip install "nbvlm[s3]" (for others, fsspec and their package).',
        ) from None
    try:
        system, path = url_to_fs(url)
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
        hint="Check the address and your rights there.",
    )
