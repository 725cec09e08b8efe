"""Picture files opened with care: headers, completeness, limits; every failure is an `ImageError`."""

from __future__ import annotations

import importlib.util
import io
import re
import struct
import threading
import time
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from nbvlm._optional import require
from nbvlm._text import reason
from nbvlm.errors import Error, ImageError
from nbvlm.images import formats

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_PIXELS",
    "ORIENTATION",
    "Header",
    "check_pixels",
    "decoding",
    "header",
    "opened",
    "unsupported",
]

ORIENTATION = 0x0112
"""EXIF tag."""

MAX_PIXELS = 120_000_000
"""Pictures with more pixels are refused: decoded they take 4 bytes a pixel, and 8 while they are turned."""

MAX_SECONDS = 20.0
"""Seconds of computing after which decoding is given up; a photograph of 100 megapixels takes 1 to 5."""

_WASTEFUL = {"WEBP": 60_000_000, "JPEG2000": 50_000_000, "HEIF": 60_000_000}
_SMALL = 1024 * 1024
"""These decoders take 16 to 20 bytes a pixel, so a file of fewer bytes than `_SMALL` must have fewer pixels.
A photograph of 100 megapixels is larger."""

MAX_SCANS = 500
"""Scans of one JPEG: a decoder goes through all pixels for each. Encoders write 10, or some dozens."""

_SHRINK = "Shrink it first; models see 224 to 896 pixels a side."
_AGAIN = "Download or copy it again."
_SAVE_AS = formats.SAVE_AS
_READERS = {
    "HEIF": "Install a reader: pip install pillow-heif. Or save the picture as JPEG.",
    "AVIF": "Update Pillow to 11.3 or later: pip install -U pillow. Or save the picture as JPEG.",
}


def opened(data: bytes, kind: str, subject: str) -> Image.Image:
    """Open a file by Pillow's reader for `kind` alone, so by none that calls other programs; read its header.

    All files are opened here, so limits and error messages are the same everywhere.

    Raises
    ------
    ImageError
        If Pillow cannot read it, or it has too many pixels; it begins with the `subject`.
    """
    Image.init()
    if kind == "HEIF" and importlib.util.find_spec("pillow_heif"):
        try:
            require("pillow_heif", purpose="A HEIC picture").register_heif_opener()
        except Error as error:
            raise ImageError(error.message, hint=error.hint) from error
    if kind not in Image.OPEN:
        raise ImageError(
            f"{subject} is in the format {formats.words(kind)}, which Pillow cannot read here.",
            hint=_READERS.get(kind, _SAVE_AS),
        )
    with decoding(subject, kind):
        if kind == "TIFF":
            _check_tiff(data, subject)
        elif kind == "ICO":
            for width, height in _icon_sizes(data):
                check_pixels(width, height, subject)
        elif kind == "PNG":
            head, pixels = _png_parts(io.BytesIO(data), subject)
            view = memoryview(data)
            data = b"".join([head, *(view[start:end] for start, end in pixels), _PNG_END])
        image: Any = _open(_Timed(data), kind)
    most = _WASTEFUL.get(kind, MAX_PIXELS) if len(data) < _SMALL else MAX_PIXELS
    check_pixels(image.width, image.height, subject, min(most, MAX_PIXELS))
    if "progressive" in image.info:
        # A scan takes time, and a small piece of the file may hold many: the time is checked between pieces.
        image.decodermaxblock = 2048
    return image  # type: ignore[no-any-return]


def _open(file: Any, kind: str) -> Image.Image:
    return Image.open(file, formats=[kind])


class _TooSlow(Exception):
    """Decoding takes too long."""


class _Timed(io.BytesIO):
    """A file in memory that can be read for `MAX_SECONDS` of this thread's computing only."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._end = time.thread_time() + MAX_SECONDS

    def read(self, size: int | None = -1) -> bytes:
        if time.thread_time() > self._end:
            raise _TooSlow
        return super().read(size)


def check_pixels(width: int, height: int, subject: str, most: int | None = None) -> None:
    """Refuse a picture of more than `most` pixels, by default `MAX_PIXELS`: it would fill the memory."""
    if width * height > (MAX_PIXELS if most is None else most):
        message = f"{subject} has {width:,} × {height:,} pixels: so many look like a decompression bomb."
        raise ImageError(message, hint=_SHRINK)


@contextmanager
def decoding(subject: str, kind: str) -> Iterator[None]:
    """Run a decoder: silently, and with every failure as an `ImageError` that begins with the `subject`."""
    try:
        with _QUIET:
            yield
    except ImageError:
        raise
    except Image.DecompressionBombError:
        message = f"{subject} has so many pixels that it looks like a decompression bomb."
        raise ImageError(message, hint=_SHRINK) from None
    except UnidentifiedImageError:
        if kind in ("PNG", "JPEG"):
            raise _damaged(subject, kind, "its header makes no sense") from None
        raise unsupported(subject, f"a kind of {formats.words(kind)} that Pillow cannot read") from None
    except MemoryError:
        raise ImageError(f"{subject} does not fit into memory.", hint=_SHRINK) from None
    except _TooSlow:
        message = f"{subject} takes more than {MAX_SECONDS:g} s to decode."
        raise ImageError(message, hint="Save it again as PNG or JPEG, and smaller.") from None
    except Exception as error:
        # Damaged bytes raise nearly anything in a decoder.
        words = reason(error)
        if isinstance(error, NotImplementedError) or _UNSUPPORTED.search(words):
            kind = f"a kind of {formats.words(kind)} that Pillow cannot read ({words})"
            raise unsupported(subject, kind) from error
        message = f"{subject} is a truncated or damaged {formats.words(kind)} ({words})."
        raise ImageError(message, hint=_AGAIN) from error


_UNSUPPORTED = re.compile(
    r"(?i)unsupported|not supported|not available|unknown (?:raw mode|pixel mode|compression)"
)


def unsupported(subject: str, words: str) -> ImageError:
    """Return the error for a whole file that is not supported; the hint names the formats that are."""
    return ImageError(f"{subject} is {words}.", hint=_SAVE_AS)


def _check_tiff(data: bytes, subject: str) -> None:
    """Refuse a camera's raw file, whose first picture is a mere preview, and tiles that fill the memory."""
    tags = _tiff_tags(data)
    preview = _MAKE in tags and _SUB_IFDS in tags and tags.get(_SUBFILE) == 1
    if _DNG_VERSION in tags or preview or tags.get(_PHOTOMETRIC) in _SENSOR:
        raise ImageError(f"{subject} is a camera's raw file.", hint=formats.RAW)
    check_pixels(int(tags.get(_TILE_WIDTH, 0)), int(tags.get(_TILE_LENGTH, 0)), subject)


_DNG_VERSION, _MAKE, _SUB_IFDS, _SUBFILE, _PHOTOMETRIC = 50706, 271, 330, 254, 262  # tags of a TIFF
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_SENSOR = (32803, 34892)  # a colour filter array, and its values without a curve


def _tiff_tags(data: bytes) -> Any:
    from PIL import TiffImagePlugin

    file = _Timed(data)
    head = file.read(8)
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(
            head + (file.read(8) if head[2:4] in (b"\0+", b"+\0") else b"")
        )
        file.seek(tags.next)
        tags.load(file)
        return dict(tags)
    except _TooSlow:
        raise
    except Exception:  # noqa: BLE001 - damaged tags raise nearly anything; the reader reports the damage
        return {}


def _icon_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the sizes of the pictures in an icon, from their own headers: the icon's list may say less."""
    for entry in range(int.from_bytes(data[4:6], "little")):
        start = int.from_bytes(data[18 + 16 * entry : 22 + 16 * entry], "little")
        order: Any = "big" if data.startswith(_PNG_START, start) else "little"
        place = start + (16 if order == "big" else 4)
        yield (
            int.from_bytes(data[place : place + 4], order),
            int.from_bytes(data[place + 4 : place + 8], order),
        )


class _Quiet:
    """Silence Pillow's warnings while any thread is inside: each is an `ImageError` or of no use."""

    # `warnings.catch_warnings` restores the filters that it found, so two threads that overlap can leave one
    # behind; here only the first one in and the last one out touch the filters.

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL(\.|$)")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_QUIET = _Quiet()


@dataclass(frozen=True, slots=True)
class Header:
    """Facts about a PNG or JPEG, found without decoding a pixel."""

    format: str  # "PNG" or "JPEG"
    width: int  # stored pixels, before any turning
    height: int
    orientation: int = 1  # as in EXIF, 1 (upright) to 8
    reasons: tuple[str, ...] = ()  # why the bytes cannot be sent as they are, the orientation aside


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
    image = _open(io.BytesIO(head + _PNG_NO_PIXELS), "PNG")
    depth, color = head[24], head[25]
    if color == 3 and b"PLTE" not in head:
        raise _damaged(subject, "PNG", "its palette is missing")
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
                hint="Turn it back with pngcrush -revert-iphone-optimizations, or save it as JPEG.",
            )
        if not head and kind != b"IHDR":
            raise _damaged(subject, "PNG", "it does not begin with its header")
        if kind == b"IDAT":
            pixels.append((start, end))
        elif kind in _PNG_HEAD and kind not in head and end - start <= _LONGEST:
            file.seek(start)
            head[kind] = file.read(end - start)
    if not pixels:
        raise _damaged(subject, "PNG", "it holds no pixels")
    return b"".join([_PNG_START, *(head[kind] for kind in _PNG_HEAD if kind in head)]), pixels


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
            raise _truncated(subject, "PNG", file)
        if checksum not in (None, int.from_bytes(stored)):
            raise _damaged(subject, "PNG", f"the checksum of its {kind.decode()} chunk is wrong")
        yield kind, position, position + 12 + length
        if kind == b"IEND":
            return
        position += 12 + length
    raise _damaged(subject, "PNG", f"it has more than {MAX_PARTS:,} chunks")


def _jpeg(file: BinaryIO, subject: str) -> Header:
    end = _last(b"\xff\xd9", file)
    if end < 0:
        raise _truncated(subject, "JPEG", file)
    bounded: Any = _Bounded(file)
    try:
        image: Any = _open(bounded, "JPEG")
    except UnidentifiedImageError:
        # Pillow's reason is lost here.
        file.seek(0)
        if words := _rare_jpeg(file.read(_PIECE)):
            raise unsupported(subject, words) from None
        raise
    if not image.tile:
        raise _damaged(subject, "JPEG", "it holds no pixels")
    pixels = file.tell()
    # Coded pixels never hold a bare marker, so an end marker behind the first scan's start is the real one.
    if end < pixels:
        raise _truncated(subject, "JPEG", file)
    if _count(b"\xff\xda", file, pixels) > MAX_SCANS:
        raise ImageError(
            f"{subject} is a JPEG of more than {MAX_SCANS} scans.", hint="Save it again as JPEG."
        )
    # Pillow does not report the coding, which stands before the precision, the size and the components.
    file.seek(0)
    frame = struct.pack(">BHHB", image.bits, image.height, image.width, image.layers)
    coding = re.search(rb"\xff([\xc0-\xcf])[\0-\xff]{2}" + re.escape(frame), file.read(pixels))
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
    return Header("JPEG", image.width, image.height, _orientation(image.info.get("exif", b"")), reasons)


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


def _truncated(subject: str, kind: str, file: BinaryIO) -> ImageError:
    length = f"it stops after {file.seek(0, io.SEEK_END):,} bytes"
    return ImageError(f"{subject} is a truncated {kind}: its end is missing ({length}).", hint=_AGAIN)


def _damaged(subject: str, kind: str, fault: str) -> ImageError:
    return ImageError(f"{subject} is a damaged {kind}: {fault}.", hint=_AGAIN)
