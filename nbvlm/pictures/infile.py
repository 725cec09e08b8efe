"""Pictures that stay in their file: looked through in pieces, sent from disk, read whole only when asked for.

A 50 MB picture that is uploaded by its path never needs 50 MB of memory.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nbvlm.errors import ImageError
from nbvlm.pictures import containers

if TYPE_CHECKING:
    from nbvlm.pictures.containers import Header

__all__ = ["InFile", "found"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PIECE = 1024 * 1024
_TAIL = 64 * 1024
LEAST = 1024 * 1024
"""Bytes below which a picture is simply read."""


@dataclass(frozen=True, slots=True)
class InFile:
    """A file as it was when it was looked at.

    Attributes
    ----------
    path
        Where it is.
    size
        Bytes.
    changed
        When it was last written, in nanoseconds.
    """

    path: Path
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> InFile:
        """Return the file as it is now."""
        state = path.stat()
        return cls(path, state.st_size, state.st_mtime_ns)

    def read(self) -> bytes:
        """Return its bytes.

        Raises
        ------
        ImageError
            If it is gone or was written since.
        """
        try:
            if InFile.of(self.path) == self:
                return self.path.read_bytes()
        except OSError:
            pass
        raise ImageError(
            f"{self.path.name!r} was moved or changed since it was uploaded.",
            hint="Load it with Picture.load(…) before uploading, where the file does not stay.",
        )


def found(source: Any) -> tuple[Header, InFile] | None:
    """Return what a large picture file holds, and the file, if it can be sent as it is.

    Parameters
    ----------
    source
        As `Picture.load` takes it; everything but the path of a large, upright PNG or JPEG file gives None.
    """
    if not isinstance(source, (str, os.PathLike)) or str(source).startswith(("http:", "https:", "data:")):
        return None
    try:
        path = Path(source).expanduser().absolute()
        file = InFile.of(path)
        if not path.is_file() or file.size < LEAST:
            return None
        with path.open("rb", buffering=0) as opened:
            header = _header(opened, file.size, path.name)
    except (OSError, ValueError, struct.error, ImageError):
        return None
    return (header, file) if header and not header.reasons and header.orientation == 1 else None


def _header(file: BinaryIO, size: int, name: str) -> Header | None:
    start = file.read(8)
    if start == _PNG:
        return containers.png(_PNG + _without_pixels(file), name)
    if start.startswith(_JPEG):
        head = start + file.read(_PIECE)
        file.seek(max(size - _TAIL, 0))
        if b"\xff\xd9" in file.read(_TAIL):
            return containers.jpeg(head + b"\xff\xd9", name)
    return None


def _without_pixels(file: BinaryIO) -> bytes:
    """Return the chunks of a PNG, its pixels replaced by an empty chunk once their checksums are right."""
    parts = []
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"IDAT" or length > _PIECE:
            checksum = _passed(file, length, zlib.crc32(kind))
            if checksum != struct.unpack(">I", file.read(4))[0]:
                raise ValueError(kind)
            body, checksum = b"", zlib.crc32(kind)
        else:
            body = file.read(length)
            (checksum,) = struct.unpack(">I", file.read(4))
        parts.append(struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", checksum))
        if kind == b"IEND":
            return b"".join(parts)


def _passed(file: BinaryIO, length: int, checksum: int) -> int:
    """Read over so many bytes and return the checksum."""
    while length:
        piece = file.read(min(length, _PIECE))
        if not piece:
            raise ValueError(length)
        checksum = zlib.crc32(piece, checksum)
        length -= len(piece)
    return checksum
