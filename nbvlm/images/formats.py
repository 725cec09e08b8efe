"""Kinds of files, found from their first bytes: formats of pictures, and names for everything else."""

from __future__ import annotations

import codecs
import re

__all__ = ["RAW", "SAVE_AS", "describe", "picture_format", "words"]

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

SAVE_AS = (
    "Save it as PNG or JPEG first; WebP, GIF, TIFF, BMP, PPM, TGA, ICO, JPEG 2000, AVIF and HEIC work too."
)
_UNPACK = "Unpack it and pass the picture inside."
_FRAME = "Pass one frame of it, saved as PNG or JPEG."
RAW = "Export it from the camera's software as JPEG."
_RAW_FILE = "a camera's raw file"
_OTHERS = (
    (0, b"%PDF", "a PDF document", "Export the page as PNG, for instance with pdftoppm -png."),
    (0, b"%!PS", "a PostScript file", SAVE_AS),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript file", SAVE_AS),
    (0, b"8BPS", "a Photoshop document", SAVE_AS),
    (0, b"\xff\x0a", "a JPEG XL picture, which is not supported", SAVE_AS),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture, which is not supported", SAVE_AS),
    (8, b"CR\2\0", _RAW_FILE, RAW),
    (0, b"FUJIFILMCCD-RAW", _RAW_FILE, RAW),
    (6, b"HEAPCCDR", _RAW_FILE, RAW),  # Canon CRW
    (0, b"IIU\0", _RAW_FILE, RAW),  # Panasonic
    (0, b"IIRO", _RAW_FILE, RAW),  # Olympus
    (0, b"IIRS", _RAW_FILE, RAW),
    (0, b"MMOR", _RAW_FILE, RAW),
    (0, b"\0MRM", _RAW_FILE, RAW),  # Minolta
    (0, b"FOVb", _RAW_FILE, RAW),  # Sigma
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

    >>> picture_format(b"GIF89a...")
    'GIF'
    """
    if data.startswith(b"CR\2\0", 8):
        return None  # a camera's raw file in the clothes of a TIFF
    for offset, magic, name in _MAGIC:
        if data.startswith(magic, offset) and (name != "WEBP" or data.startswith(b"RIFF")):
            return name
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BITMAP_HEADERS:
        return "BMP"
    if re.match(rb"P[1-6]\s", data):
        return "PPM"
    return _boxed_format(data) or ("TGA" if _is_targa(data[:18]) else None)


def _boxed_format(data: bytes) -> str | None:
    if data[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[place : place + 4] for place in range(8, size, 4)}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIF" if brands & _HEIC_BRANDS else None


def _is_targa(head: bytes) -> bool:
    """Recognise a Targa file, which begins with no signature, by a header that makes sense as a whole."""
    if len(head) < 18:
        return False
    mapped, coding, depth = head[1], head[2], head[16]
    kinds = {1: (8,), 2: (16, 24, 32), 3: (8, 16), 9: (8,), 10: (16, 24, 32), 11: (8, 16)}
    return (
        depth in kinds.get(coding, ())
        and mapped == (coding in (1, 9))
        and (mapped == 1 or not any(head[3:8]))
        and 0 not in (head[12] + head[13], head[14] + head[15])
        and head[17] & 0xC0 == 0
    )


def words(kind: str) -> str:
    """Name a format as people write it."""
    return _WORDS.get(kind, kind)


def describe(data: bytes) -> tuple[str, str]:
    """Describe data that are not a picture: a noun phrase that follows "is", and how to get a picture.

    >>> describe(b"%PDF-1.7")[0]
    'a PDF document'
    """
    for offset, magic, noun, hint in _OTHERS:
        if data.startswith(magic, offset):
            return noun, hint
    if data[4:8] == b"ftyp":
        raw = data.startswith(b"crx ", 8)
        return (_RAW_FILE, RAW) if raw else ("a video (MP4 or QuickTime)", _FRAME)
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
    return f"not in a known picture format (it starts with {start})", SAVE_AS


def _is_utf8(head: bytes) -> bool:
    try:
        # Incremental, since a character may be cut where the head ends.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
