"""The containers of PNG, JPEG, TIFF and ICO: facts and faults that are found without decoding a pixel."""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from nbvlm.errors import ImageError
from nbvlm.images import formats
from nbvlm.images.guard import (
    TimedBytes,
    TooSlow,
    check_pixels,
    damaged,
    decoding,
    open_file,
    truncated,
    unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ORIENTATION", "Header", "check_tiff", "header", "icon_sizes", "without_side_chunks"]

ORIENTATION = 0x0112
"""EXIF tag."""

MAX_SCANS = 500
"""Scans of one JPEG: a decoder goes through all pixels for each. Encoders write 10, or some dozens."""


@dataclass(frozen=True, slots=True)
class Header:
    """Facts about a PNG or JPEG, found without decoding a pixel."""

    format: str  # "PNG" or "JPEG"
    width: int  # stored pixels, before any turning
    height: int
    orientation: int = 1  # as in EXIF, 1 (upright) to 8
    reasons: tuple[str, ...] = ()  # why the bytes cannot be sent as they are, the orientation aside
    scans: int = 1  # of a JPEG
    coefficients: int = 0  # bytes that a JPEG in several scans takes to be decoded, beside its pixels

    @property
    def plain(self) -> bool:
        """Whether the bytes can be sent as they are: upright, 8 bits, RGB or grey."""
        return not self.reasons and self.orientation == 1


MAX_PARTS = 100_000
"""Chunks or segments of one file; real ones have a few thousand at most."""

_PIECE = 1024 * 1024


def header(file: BinaryIO, kind: str, subject: str) -> Header:
    """Read the header of a PNG or JPEG and check that its end is there; bytes behind the end are tolerated.

    Only pieces of the file are held in memory.

    Raises
    ------
    ImageError
        If the file is cut off or damaged, or has more than `MAX_PIXELS`.
    """
    with decoding(subject, kind):
        found = _png(file, subject) if kind == "PNG" else _jpeg(file, subject)
    check_pixels(found.width, found.height, subject)
    return found


def _orientation(exif: bytes) -> int:
    """Read the orientation from EXIF data; 1 (upright) where it is missing or makes no sense.

    >>> _orientation(bytes.fromhex("4d4d002a00000008 0001 0112 0003 00000001 0006 0000 00000000"))
    6
    """
    tags = Image.Exif()
    try:
        # Not by Pillow's getexif(), which decodes a PNG to look behind its pixels.
        tags.load(exif)
        value = tags.get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged tags raise nearly anything
        return 1
    return int(value) if value in range(2, 9) else 1


_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_PNG_NO_PIXELS = b"\0\0\0\0IDAT5\xaf\x06\x1e"
_PNG_HEAD = (b"IHDR", b"PLTE", b"tRNS", b"eXIf")
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_LONGEST = 65_536 + 12


def _png(file: BinaryIO, subject: str) -> Header:
    head, _ = _png_parts(file, subject)
    image = open_file(io.BytesIO(head + _PNG_NO_PIXELS), "PNG")
    depth, color = head[24], head[25]
    if color == 3 and b"PLTE" not in head:
        raise damaged(subject, "PNG", "its palette is missing")
    checks = (
        (color == 3, "palette to RGB"),
        (depth == 16, "16 bits a channel to 8"),
        (color in (4, 6) or "transparency" in image.info, "transparency laid on white"),
    )
    reasons = tuple(words for applies, words in checks if applies)
    return Header("PNG", image.width, image.height, _orientation(image.info.get("exif", b"")), reasons)


def _png_parts(file: BinaryIO, subject: str) -> tuple[bytes, list[tuple[int, int]]]:
    """Return a PNG's start without side chunks, and the places of the chunks with pixels.

    Side chunks (texts, colour profiles) say nothing that is needed here, and Pillow refuses the whole file
    where one of them is large or wrong.
    """
    head: dict[bytes, bytes] = {}
    pixels = []
    for kind, start, end in _png_chunks(file, subject):
        if kind == b"CgBI":
            raise ImageError(
                f"{subject} is a PNG in Apple's form for the iPhone (from Xcode), which is not supported.",
                hint="Convert it with pngcrush -revert-iphone-optimizations, or save it as JPEG.",
            )
        if not head and kind != b"IHDR":
            raise damaged(subject, "PNG", "it does not begin with its header")
        if kind == b"IDAT":
            pixels.append((start, end))
        elif kind in _PNG_HEAD and kind not in head and end - start <= _LONGEST:
            file.seek(start)
            head[kind] = file.read(end - start)
    if not pixels:
        raise damaged(subject, "PNG", "it holds no pixels")
    return b"".join([_PNG_START, *(head[kind] for kind in _PNG_HEAD if kind in head)]), pixels


def without_side_chunks(data: bytes, subject: str) -> bytes:
    """Return a PNG without the chunks that say nothing about pixels."""
    head, pixels = _png_parts(io.BytesIO(data), subject)
    view = memoryview(data)
    return b"".join([head, *(view[start:end] for start, end in pixels), _PNG_END])


def _png_chunks(file: BinaryIO, subject: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the chunks up to IEND; critical ones have their checksums verified."""
    position = len(_PNG_START)
    for _ in range(MAX_PARTS):
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
        if kind in _CRITICAL:
            checksum = zlib.crc32(kind)
            for left in range(length, 0, -_PIECE):
                checksum = zlib.crc32(file.read(min(left, _PIECE)), checksum)
        else:
            checksum = None
            file.seek(length, io.SEEK_CUR)
        stored = file.read(4)
        if len(stored) < 4:
            raise truncated(subject, "PNG", file)
        if checksum not in (None, int.from_bytes(stored)):
            raise damaged(subject, "PNG", f"the checksum of its {kind.decode()} chunk is wrong")
        yield kind, position, position + 12 + length
        if kind == b"IEND":
            return
        position += 12 + length
    raise damaged(subject, "PNG", f"it has more than {MAX_PARTS:,} chunks")


def _jpeg(file: BinaryIO, subject: str) -> Header:
    end = _last(b"\xff\xd9", file)
    if end < 0:
        raise truncated(subject, "JPEG", file)
    bounded: Any = _Bounded(file)
    try:
        image: Any = open_file(bounded, "JPEG")
    except UnidentifiedImageError:
        # Pillow's reason is lost here.
        file.seek(0)
        if words := _rare_jpeg(file.read(_PIECE)):
            raise unsupported(subject, words) from None
        raise
    if not image.tile:
        raise damaged(subject, "JPEG", "it holds no pixels")
    pixels = file.tell()
    # Coded pixels never hold a bare marker, so an end marker behind the first scan's start is the real one.
    if end < pixels:
        raise truncated(subject, "JPEG", file)
    scans = 1 + _count(b"\xff\xda", file, pixels)
    if scans > MAX_SCANS:
        raise ImageError(
            f"{subject} is a JPEG of more than {MAX_SCANS} scans.", hint="Save it again as JPEG."
        )
    # Pillow does not report the coding, which stands before the precision, the size and the components.
    file.seek(0)
    head = file.read(pixels)
    frame = struct.pack(">BHHB", image.bits, image.height, image.width, image.layers)
    coding = re.search(rb"\xff([\xc0-\xcf])[\0-\xff]{2}" + re.escape(frame), head)
    if coding is not None and coding[1] in _LOSSLESS:
        raise unsupported(subject, "a JPEG in a lossless or hierarchical coding, which is not supported")
    if max(image.size) > _JPEG_SIDE:
        raise unsupported(subject, f"a JPEG of {max(image.size):,} pixels a side, more than can be decoded")
    checks = (
        (image.layers == 4, "CMYK to RGB"),
        # Baseline, extended and progressive are read everywhere; arithmetic coding hardly ever.
        (coding is None or coding[1] not in b"\xc0\xc1\xc2", "rare coding to baseline"),
    )
    reasons = tuple(words for applies, words in checks if applies)
    exif = image.info.get("exif", b"")
    in_scans = "progressive" in image.info or head[head.rfind(b"\xff\xda") + 4] < image.layers
    coefficients = _coefficients(image) if in_scans else 0
    return Header("JPEG", image.width, image.height, _orientation(exif), reasons, scans, coefficients)


def _coefficients(image: Any) -> int:
    """Return the bytes of all coefficients of a JPEG, two each; a decoder of several scans holds them all."""
    factors = [(across, down) for _, across, down, _ in image.layer]
    most = max(across for across, _ in factors) * max(down for _, down in factors)
    values: int = image.width * image.height * sum(across * down for across, down in factors) // max(most, 1)
    return 2 * values


_JPEG_SIDE = 65_500  # libjpeg's limit
_LOSSLESS = b"\xc3\xc5\xc6\xc7\xcb\xcd\xce\xcf"


def _rare_jpeg(head: bytes) -> str:
    """Say which part of the standard a JPEG uses that Pillow does not read; "" where it is damaged."""
    place = 2
    while place + 10 <= len(head) and head[place] == 0xFF:
        marker, length = head[place + 1], int.from_bytes(head[place + 2 : place + 4], "big")
        if marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            bits, layers = head[place + 4], head[place + 9]
            if length != 8 + 3 * layers:
                return ""
            if bits in (12, 16):
                return f"a JPEG with {bits} bits a channel, which is not supported"
            return f"a JPEG with {layers} channels, which is not supported" if layers in (2, 5) else ""
        place += 2 + max(length, 2)
    return ""


def _count(marker: bytes, file: BinaryIO, start: int) -> int:
    """Count a two-byte marker from a place on."""
    file.seek(start)
    found, before = 0, b""
    while piece := file.read(_PIECE):
        found += (before + piece).count(marker)
        before = piece[-1:]
    return found


def _last(marker: bytes, file: BinaryIO) -> int:
    """Return the place of a two-byte marker's last occurrence, or -1."""
    end = file.seek(0, io.SEEK_END)
    while end > 0:
        begin = max(end - _PIECE, 0)
        file.seek(begin)
        if (found := file.read(end - begin + 1).rfind(marker)) >= 0:
            return begin + found
        end = begin
    return -1


class _Bounded:
    """A file that can be read in so many pieces only: Pillow would follow millions of empty segments."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._read, self._left = file.read, 4 * MAX_PARTS  # Pillow reads a segment in four pieces

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"it has more than {MAX_PARTS:,} segments")
        return self._read(size)


def check_tiff(data: bytes, subject: str) -> None:
    """Refuse a camera's raw file, whose first picture is a mere preview, and what fills memory or time."""
    tags = _tiff_tags(data)
    preview = _MAKE in tags and _SUB_IFDS in tags and tags.get(_SUBFILE) == 1
    if _DNG_VERSION in tags or preview or tags.get(_PHOTOMETRIC) in _SENSOR:
        raise ImageError(f"{subject} is a camera's raw file.", hint=formats.RAW)
    check_pixels(int(tags.get(_TILE_WIDTH, 0)), int(tags.get(_TILE_LENGTH, 0)), subject)
    parts = len(tags.get(_TILES) or tags.get(_STRIPS) or (0,))
    # The whole is decoded at once here, so the time cannot be checked in between.
    if tags.get(_COMPRESSION) in (6, 7) and data.count(b"\xff\xda") > _TIFF_SCANS * parts:
        raise ImageError(
            f"{subject} is a TIFF with too many scans of a JPEG.", hint="Save it again as PNG or JPEG."
        )


_DNG_VERSION, _MAKE, _SUB_IFDS, _SUBFILE, _PHOTOMETRIC = 50706, 271, 330, 254, 262  # tags of a TIFF
_TILE_WIDTH, _TILE_LENGTH, _TILES, _STRIPS, _COMPRESSION = 322, 323, 324, 273, 259
_TIFF_SCANS = 20  # of a strip or tile; encoders write one or three
_SENSOR = (32803, 34892)  # a colour filter array, and its values without a curve


def _tiff_tags(data: bytes) -> Any:
    from PIL import TiffImagePlugin

    file = TimedBytes(data)
    head = file.read(8)
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(
            head + (file.read(8) if head[2:4] in (b"\0+", b"+\0") else b"")
        )
        file.seek(tags.next)
        tags.load(file)
        return dict(tags)
    except TooSlow:
        raise
    except Exception:  # noqa: BLE001 - damaged tags raise nearly anything; the reader reports the damage
        return {}


def icon_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the sizes of the pictures in an icon, from their own headers: the icon's list may say less."""
    for entry in range(int.from_bytes(data[4:6], "little")):
        start = int.from_bytes(data[18 + 16 * entry : 22 + 16 * entry], "little")
        order: Any = "big" if data.startswith(_PNG_START, start) else "little"
        place = start + (16 if order == "big" else 4)
        yield (
            int.from_bytes(data[place : place + 4], order),
            int.from_bytes(data[place + 4 : place + 8], order),
        )
