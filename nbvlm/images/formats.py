"""PNG and JPEG files read as containers: size, kind of pixels, orientation, completeness.

No pixel is decoded. Sources: the PNG specification (third edition, §5 and §11), ITU-T T.81 annex B for JPEG
markers, TIFF 6.0 §2 for the directory that holds the EXIF orientation.
"""

from __future__ import annotations

import codecs
import re
import struct
import zlib
from dataclasses import dataclass

from nbvlm.errors import ImageError

__all__ = ["Header", "describe", "jpeg", "orientation", "picture_format", "png", "words"]

_WORDS = {"WEBP": "WebP", "HEIF": "HEIC", "JPEG2000": "JPEG 2000", "MPO": "JPEG"}

_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (8, b"WEBP", "WEBP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG2000"),
    (0, b"\0\0\1\0", "ICO"),
)
_BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

_SAVE_AS = "Save it as PNG or JPEG first."
_UNPACK = "Unpack it and pass the picture inside."
_FRAME = "Pass one frame of it, saved as PNG or JPEG."
_RAW = "Export it from the camera's software as JPEG."
_OTHERS = (
    (0, b"%PDF", "a PDF document", "Export the page as PNG, for instance with pdftoppm -png."),
    (0, b"%!PS", "a PostScript file", _SAVE_AS),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript file", _SAVE_AS),
    (0, b"8BPS", "a Photoshop document", _SAVE_AS),
    (0, b"\xff\x0a", "a JPEG XL picture, which is not supported", _SAVE_AS),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture, which is not supported", _SAVE_AS),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file", _RAW),
    (128, b"DICM", "a DICOM file", "Read it with pydicom and pass the pixels as a uint8 array."),
    (0, b"SIMPLE  =", "a FITS file", "Read it with astropy and pass the pixels as a uint8 array."),
    (0, b"\x93NUMPY", "a NumPy file", "Pass the array: numpy.load(path)."),
    (0, b"\x89HDF\r\n", "an HDF5 file", "Read the pixels from it and pass them as a uint8 array."),
    (0, b"PK\3\4", "a ZIP archive (or an office document)", _UNPACK),
    (0, b"PK\5\6", "an empty ZIP archive", _UNPACK),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\x1aE\xdf\xa3", "a video (Matroska or WebM)", _FRAME),
    (8, b"AVI ", "a video (AVI)", _FRAME),
    (8, b"WAVE", "a sound file", "Pass a picture."),
    (0, b"ID3", "a sound file", "Pass a picture."),
    (0, b"OggS", "a sound or video file (Ogg)", _FRAME),
    (0, b"PAR1", "a Parquet table", "Pass the bytes of one picture in it."),
    (0, b"\x80\4\x95", "a pickle", "Pass the picture inside."),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file it stands for", "Run git lfs pull."),
)
# Atomic: a comment is read once, however many of them a file piles up.
_PROLOGUE = rb"(?si)(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s+svg.*?>)*+"
_SVG = re.compile(_PROLOGUE + rb"<(?:\w+:)?svg[\s>]")
_HTML = re.compile(_PROLOGUE + rb"<(?:!DOCTYPE\s+html|html|head|body|script)\b")
_XML = re.compile(rb"\s*<\?xml\b")
_BASE64 = re.compile(rb"(?:iVBORw0KGgo|/9j/|R0lGOD|UklGR)[A-Za-z0-9+/=\s]*")
_CONTROLS = bytes(set(range(32)) - {7, 8, 9, 10, 12, 13, 27})


def picture_format(data: bytes) -> str | None:
    """Name the picture format of `data` in Pillow's words, or None.

    Examples
    --------
    >>> picture_format(b"GIF89a...")
    'GIF'
    """
    for offset, magic, name in _MAGIC:
        if data.startswith(magic, offset) and (name != "WEBP" or data.startswith(b"RIFF")):
            return name
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BITMAP_HEADERS:
        return "BMP"
    if re.match(rb"P[1-6]\s", data):
        return "PPM"
    return _boxed_format(data)


def _boxed_format(data: bytes) -> str | None:
    if data[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[place : place + 4] for place in range(8, size, 4)}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIF" if brands & _HEIC_BRANDS else None


def words(kind: str) -> str:
    """Name a format as people write it.

    Examples
    --------
    >>> words("WEBP")
    'WebP'
    """
    return _WORDS.get(kind, kind)


def describe(data: bytes) -> tuple[str, str]:
    """Say what `data`, which is no picture, is; and what to do about it.

    Returns
    -------
    tuple of str
        A noun phrase that follows "is", and a sentence.

    Examples
    --------
    >>> describe(b"%PDF-1.7")[0]
    'a PDF document'
    """
    for offset, magic, noun, hint in _OTHERS:
        if data.startswith(magic, offset):
            return noun, hint
    if data[4:8] == b"ftyp":
        raw = data.startswith(b"crx ", 8)
        return ("a camera's raw file", _RAW) if raw else ("a video (MP4 or QuickTime)", _FRAME)
    return _describe_text(data[:4096].removeprefix(b"\xef\xbb\xbf"), data)


def _describe_text(head: bytes, data: bytes) -> tuple[str, str]:
    if _SVG.match(head):
        return "an SVG drawing, which has no pixels yet", "Export it as PNG, for instance with rsvg-convert."
    if _HTML.match(head):
        return "an HTML page, not a picture", "Pass the address or file of the picture itself."
    if _XML.match(head):
        return "an XML document", "Pass a picture."
    if b"%PDF" in head[:1024]:
        return "a PDF document", "Export the page as PNG, for instance with pdftoppm -png."
    if _BASE64.match(head):
        return "a picture written as base64 text", "Decode it first: base64.b64decode(text)."
    if head.translate(None, _CONTROLS) == head and _is_utf8(head):
        return "text, not a picture", "Pass the picture's path, address or bytes."
    start = " ".join(f"{byte:02x}" for byte in data[:8])
    return f"in no picture format that is known here (it starts with {start})", _SAVE_AS


def _is_utf8(head: bytes) -> bool:
    try:
        # Incremental, since a character may be cut where the head ends.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Header:
    """What the container says.

    Attributes
    ----------
    format
        `"PNG"` or `"JPEG"`.
    width, height
        Stored pixels, before any turning.
    orientation
        EXIF orientation, 1 (upright) to 8.
    reasons
        Why the bytes cannot be sent as they are, the orientation aside.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    reasons: tuple[str, ...] = ()


MAX_PARTS = 100_000
"""Chunks or segments of one file; real ones have a few thousand at most."""

_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def png(data: bytes, subject: str) -> Header:
    """Read a PNG's chunks up to IEND; bytes behind it are tolerated.

    Parameters
    ----------
    data
        The whole file.
    subject
        What to call the picture in an error.

    Raises
    ------
    ImageError
        If a chunk is cut off, missing, out of order, or a critical one fails its checksum.
    """
    found: dict[bytes, bytes] = {}
    position, view = 8, memoryview(data)
    for _ in range(MAX_PARTS):
        position, kind, body = _chunk(view, position, subject)
        if not found and kind != b"IHDR":
            raise _damaged(subject, "PNG", "it does not begin with its header")
        found.setdefault(kind, bytes(body[:65_536]) if kind in (b"IHDR", b"eXIf") else b"")
        if kind == b"IEND":
            break
    else:
        raise _damaged(subject, "PNG", f"it has more than {MAX_PARTS:,} chunks")
    if b"IDAT" not in found:
        raise _damaged(subject, "PNG", "it holds no pixels")
    return _png_header(found, subject)


def _chunk(view: memoryview, position: int, subject: str) -> tuple[int, bytes, memoryview]:
    if position + 12 > len(view):
        raise _truncated(subject, "PNG", len(view))
    length, kind = struct.unpack_from(">I4s", view, position)
    end = position + 12 + length
    if end > len(view):
        raise _truncated(subject, "PNG", len(view))
    if kind in _CRITICAL:
        (checksum,) = struct.unpack_from(">I", view, end - 4)
        if zlib.crc32(view[position + 4 : end - 4]) != checksum:
            raise _damaged(subject, "PNG", f"the checksum of its {kind.decode()} chunk is wrong")
    return end, kind, view[position + 8 : end - 4]


def _png_header(found: dict[bytes, bytes], subject: str) -> Header:
    if len(found[b"IHDR"]) != 13:
        raise _damaged(subject, "PNG", "its header has a wrong length")
    width, height, depth, color = struct.unpack_from(">IIBB", found[b"IHDR"])
    if depth not in _PNG_DEPTHS.get(color, ()) or (color == 3 and b"PLTE" not in found):
        raise _damaged(subject, "PNG", "its header names no known kind of pixels")
    _check_size(width, height, subject, "PNG")
    checks = (
        (color == 3, "palette to RGB"),
        (depth == 16, "16 bits a channel to 8"),
        (color in (4, 6) or b"tRNS" in found, "transparency laid on white"),
    )
    turn = orientation(found.get(b"eXIf", b""))
    return Header("PNG", width, height, turn, tuple(words for applies, words in checks if applies))


_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_BARE = {0x01, 0xD8}  # no length follows
_PLAIN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; all Huffman-coded
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")


def jpeg(data: bytes, subject: str) -> Header:
    """Read a JPEG's markers up to its end marker; bytes behind it are tolerated.

    Parameters
    ----------
    data
        The whole file.
    subject
        What to call the picture in an error.

    Raises
    ------
    ImageError
        If the end marker is missing, a segment is cut off, or there is no frame or scan.
    """
    position, frame, turn = 2, None, 1
    for _ in range(MAX_PARTS):
        code, start, end = _segment(data, position, subject)
        if code in _FRAMES and frame is None:
            frame = (code, data[start:end])
        elif code == _APP1 and turn == 1 and data.startswith(b"Exif\0", start):
            turn = orientation(data[start + 6 : end])
        elif code in (_SOS, _EOI):
            break
        position = end
    if frame is None or code != _SOS:
        raise _damaged(subject, "JPEG", "it holds no pixels")
    # Coded pixels never hold a bare marker, so an end marker behind the first scan's start is the real one.
    if data.rfind(b"\xff\xd9", end) < 0:
        raise _truncated(subject, "JPEG", len(data))
    return _jpeg_header(*frame, turn, subject)


def _segment(data: bytes, position: int, subject: str) -> tuple[int, int, int]:
    """Find the next marker: its code, and where its content starts and ends."""
    # Decoders skip stray bytes between segments, so they are no reason to refuse.
    match = _NEXT_MARKER.search(data, position)
    if match is None:
        raise _truncated(subject, "JPEG", len(data))
    code, start = data[match.end() - 1], match.end()
    if code == _EOI or code in _BARE:
        return code, start, start
    length = int.from_bytes(data[start : start + 2], "big")
    if start + max(length, 2) > len(data):
        raise _truncated(subject, "JPEG", len(data))
    if length < 2:
        raise _damaged(subject, "JPEG", f"its segment {code:02X} has no length")
    return code, start + 2, start + length


def _jpeg_header(code: int, frame: bytes, turn: int, subject: str) -> Header:
    if len(frame) < 6:
        raise _damaged(subject, "JPEG", "its frame header is too short")
    precision, height, width, components = struct.unpack_from(">BHHB", frame)
    _check_size(width, height, subject, "JPEG")
    checks = (
        (components == 4, "CMYK to RGB"),
        (
            code not in _PLAIN_FRAMES or precision != 8 or components not in (1, 3, 4),
            "rare coding to baseline",
        ),
    )
    return Header("JPEG", width, height, turn, tuple(words for applies, words in checks if applies))


def orientation(exif: bytes) -> int:
    """Read the orientation from EXIF data; 1 (upright) where there is none or it makes no sense.

    Examples
    --------
    >>> orientation(bytes.fromhex("4d4d002a00000008 0001 0112 0003 00000001 0006 0000"))
    6
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (place,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, place)
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == 0x0112:
                (value,) = struct.unpack_from(order + ("I" if kind == 4 else "H"), exif, entry + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def _check_size(width: int, height: int, subject: str, kind: str) -> None:
    if not width or not height:
        raise _damaged(subject, kind, f"its size is {width} × {height} pixels")


def _truncated(subject: str, kind: str, size: int) -> ImageError:
    return ImageError(
        f"{subject} is a truncated {kind}: its end is missing (it stops after {size:,} bytes).",
        hint="Download or copy it again.",
    )


def _damaged(subject: str, kind: str, what: str) -> ImageError:
    return ImageError(f"{subject} is a damaged {kind}: {what}.", hint="Download or copy it again.")
