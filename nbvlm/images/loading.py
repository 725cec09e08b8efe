"""Any source → bytes that can be sent, and the changes made."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from typing import Any

from PIL import Image

from nbvlm._text import encodable
from nbvlm.errors import ImageError
from nbvlm.images import codec, formats, headers, sources
from nbvlm.images.guard import check_pixels, decoding
from nbvlm.images.opening import opened

__all__ = ["Loaded", "bare", "load", "subject"]

_LOSSY = ("JPEG", "MPO", "HEIF", "AVIF", "WEBP", "JPEG2000")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The parts of a picture; where `pending`, a JPEG that has still to be turned or brought to RGB."""

    data: bytes
    mime: str
    size: tuple[int, int]  # width and height of the upright picture
    name: str | None
    changes: tuple[str, ...] = ()  # in words, those still to be made too
    pending: bool = False
    orientation: int = 1  # of the data, as in EXIF


def subject(name: str | None) -> str:
    """Name a picture at the start of a sentence."""
    return repr(name) if name else "The picture"


_FOLDER = re.compile(r"/|\\(?!ud[89a-f][0-9a-f]{2})")  # the escape of a surrogate is not a folder


def bare(name: str | None) -> str | None:
    """Take the folders off a name, whichever system wrote it; what UTF-8 cannot hold becomes its escape."""
    return name and (_FOLDER.split(encodable(name).rstrip("/\\"))[-1] or None)


def load(source: Any, name: str | None, allow_private: bool) -> Loaded:
    """Load everything but a `Picture`; parameters and errors as `Picture.load`."""
    source, found = sources.unwrapped(source)
    name = bare(name or found)
    if isinstance(source, Image.Image):
        return _from_pil(source, name or bare(_file_name(source)))
    if sources.is_array(source):
        return _from_pil(sources.from_array(source), name)
    data, found = sources.read(source, allow_private)
    return _from_bytes(data, name or bare(found))


def _from_bytes(data: bytes, name: str | None) -> Loaded:
    if not data:
        raise ImageError(f"{subject(name)} is empty: it has 0 bytes.", hint="Download or copy it again.")
    kind = formats.picture_format(data)
    if kind is None:
        noun, hint = formats.describe(data)
        raise ImageError(f"{subject(name)} is {noun}.", hint=hint)
    if kind not in ("PNG", "JPEG"):
        return _converted(opened(data, kind, subject(name)), kind, name)
    header = headers.header(io.BytesIO(data), kind, subject(name))
    size, mime = (header.width, header.height), f"image/{kind.lower()}"
    if header.plain:
        return Loaded(data, mime, size, name)
    if kind == "PNG":
        image = opened(data, kind, subject(name))
        return _converted(image, kind, name, header.reasons, header.orientation)
    if header.orientation >= 5:
        size = size[::-1]
    changes = (*header.reasons, *_turning(header.orientation), "JPEG encoded again")
    return Loaded(data, mime, size, name, changes, pending=True, orientation=header.orientation)


def _from_pil(image: Image.Image, name: str | None) -> Loaded:
    if not image.width or not image.height:
        message = f"{subject(name)} has {image.width} × {image.height} pixels."
        raise ImageError(message, hint="Pass one with pixels.")
    check_pixels(*image.size, subject(name))
    return _converted(image, image.format or "pixels", name)


def _converted(
    image: Image.Image, kind: str, name: str | None, reasons: tuple[str, ...] = (), turn: int | None = None
) -> Loaded:
    """Decode, flatten, turn and encode; `reasons` and `turn` come from the header where one was read."""
    with decoding(subject(name), kind):
        frames = getattr(image, "n_frames", 1) if kind not in ("PNG", "JPEG", "MPO") else 1
        turn = turn or _orientation(image)
        image.load()
        # Pillow's TIFF reader turns the picture already and removes the tag.
        left = turn if kind == "PNG" or turn == 1 else _orientation(image)
        flat, words = codec.plain(image)
        data, target = codec.encode(codec.turned(flat, left), lossless=kind not in _LOSSY)
    size = flat.size[::-1] if left >= 5 else flat.size
    page = image.tell() + 1 if frames > 1 else 1  # of a PIL image, the caller may have chosen another one
    pages = (f"{'first' if page == 1 else f'number {page}'} of {frames} pictures",) if frames > 1 else ()
    known = tuple(word for word in reasons if not (words and word.startswith("16 bits")))
    extra = tuple(word for word in words if word not in known)
    source = formats.words(kind)
    coding = f"{source} to {target}" if source != target else f"{source} encoded again"
    changes = (*pages, *known, *extra, *_turning(turn), coding)
    return Loaded(data, f"image/{target.lower()}", size, name, changes)


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(headers.ORIENTATION, 1)
    return value if value in range(2, 9) else 1


def _turning(orientation: int) -> tuple[str, ...]:
    return (f"turned upright (EXIF orientation {orientation})",) if orientation != 1 else ()


def _file_name(image: Image.Image) -> str | None:
    name = getattr(image, "filename", "")
    return os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else None
