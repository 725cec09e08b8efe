"""Pictures: load anything, know its size, send it untouched where that is possible.

>>> picture = Picture.load("cat.jpg")  # doctest: +SKIP
>>> picture.width, picture.height, picture.mime  # doctest: +SKIP
(640, 480, 'image/jpeg')
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from nbvlm import containers, convert, shrink, sniff, sources
from nbvlm.errors import ImageError

if TYPE_CHECKING:
    from typing import BinaryIO, TypeAlias

    import numpy as np

    ImageSource: TypeAlias = (
        "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | Picture"
        " | np.ndarray[Any, Any]"
    )

__all__ = ["Fitted", "Picture", "fit"]

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG"}
_WORDS = {"WEBP": "WebP", "HEIF": "HEIC", "JPEG2000": "JPEG 2000"}


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """A picture as it is sent: upright, 8 bits a channel, PNG or JPEG.

    Two pictures are equal when their bytes, type and size are.

    Attributes
    ----------
    data
        The file's bytes, untouched wherever they can be sent as they are; None for a mere reference.
    mime
        `"image/png"` or `"image/jpeg"`, found from the bytes.
    width, height
        Pixels of the upright picture; boxes and masks refer to them.
    name
        File name without folders, or None.
    sha256
        Hash of `data`, in hexadecimal.
    changes
        What was done to the source, in words; empty if nothing.

    Examples
    --------
    >>> import PIL.Image
    >>> Picture.load(PIL.Image.new("RGB", (4, 2)), name="black.png")
    Picture('black.png', 4×2, image/png, 68 bytes)
    """

    data: bytes | None = field(compare=False)
    mime: str
    width: int
    height: int
    name: str | None = field(compare=False)
    sha256: str
    changes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def load(cls, source: ImageSource, *, name: str | None = None, allow_private: bool = False) -> Picture:
        """Load a picture from nearly anything.

        Parameters
        ----------
        source
            A path, an http(s) URL, a data URI, bytes, a binary file, a PIL image, a numpy array (H×W, H×W×3
            or H×W×4, uint8) or a picture. What it is, its bytes say, never its name.
        name
            Name to show; by default the file's.
        allow_private
            Whether a URL may lead to this machine or its private network.

        Returns
        -------
        Picture
            PNG and JPEG files that need no change keep their bytes; everything else is converted, and
            `changes` says how.

        Raises
        ------
        ImageError
            If the source is missing, is no picture, is cut off or damaged, or has far too many pixels.
        """
        return _load(source, name, allow_private)

    @classmethod
    def reference(cls, sha256: str, mime: str, width: int, height: int, name: str | None = None) -> Picture:
        """Stand for a picture whose bytes are elsewhere, as in a result read from JSON."""
        return cls(None, mime, width, height, name, sha256)

    def image(self) -> Image.Image:
        """Decode to an upright RGB image.

        Raises
        ------
        ImageError
            If this is a mere reference, or the pixels are damaged.
        """
        subject = _subject(self.name)
        with convert.decode(subject, _FORMATS.get(self.mime, self.mime)):
            return Image.open(io.BytesIO(self.bytes_()), formats=list(_FORMATS.values())).convert("RGB")

    @property
    def base64_length(self) -> int:
        """Characters of the bytes as base64."""
        return -(-len(self.bytes_()) // 3) * 4

    def data_uri(self) -> str:
        """Return the picture as a `data:` URI."""
        return f"data:{self.mime};base64,{base64.b64encode(self.bytes_()).decode('ascii')}"

    def __repr__(self) -> str:
        weight = "bytes elsewhere" if self.data is None else _weight(len(self.data))
        name = f"{self.name!r}, " if self.name else ""
        return f"Picture({name}{self.width}×{self.height}, {self.mime}, {weight})"

    def bytes_(self) -> bytes:
        """Return the bytes, or raise an `ImageError` that says why they are not here."""
        if self.data is None:
            raise ImageError(
                f"The bytes of {_subject(self.name)} are not here: it is known by its hash only.",
                hint="Load the file with Picture.load(…) and use that picture.",
            )
        return self.data


@dataclass(frozen=True, slots=True)
class Fitted:
    """A picture made to fit, and what that took.

    Attributes
    ----------
    picture
        The smaller picture, or the same if it fitted.
    before, after
        (width, height, bytes) of either.
    notice
        One sentence for the reader; empty if nothing was done.
    """

    picture: Picture
    before: tuple[int, int, int]
    after: tuple[int, int, int]
    notice: str = ""


def fit(picture: Picture, limit_chars: int) -> Fitted:
    """Shrink a picture until its base64 text is shorter than a limit.

    Parameters
    ----------
    picture
        What to shrink; returned as it is where it fits.
    limit_chars
        The text must be shorter than this; `Endpoint.inline_limit`.

    Returns
    -------
    Fitted
        The picture that fits, with sizes before and after.

    Raises
    ------
    ImageError
        If the limit leaves no room for a picture.
    """
    before = (picture.width, picture.height, len(picture.bytes_()))
    if picture.base64_length < limit_chars:
        return Fitted(picture, before, before)
    data, width, height = shrink.shrink(picture.bytes_(), (limit_chars - 1) // 4 * 3, _subject(picture.name))
    after = (width, height, len(data))
    notice = (
        f"Shrunk from {before[0]}×{before[1]} ({_weight(before[2])}) to {width}×{height} "
        f"({_weight(after[2])}) to fit into the request."
    )
    smaller = _picture(data, "image/jpeg", (width, height), picture.name, (*picture.changes, notice))
    return Fitted(smaller, before, after, notice)


def _load(source: Any, name: str | None, allow_private: bool) -> Picture:
    if isinstance(source, Picture):
        return source if name is None else replace(source, name=name)
    if isinstance(source, Image.Image):
        return _from_pil(source, name)
    if sources.is_array(source):
        return _from_pil(sources.from_array(source), name)
    data, found = sources.read(source, allow_private)
    return _from_bytes(data, name or found)


def _from_bytes(data: bytes, name: str | None) -> Picture:
    subject = _subject(name)
    if not data:
        raise ImageError(f"{subject} is empty: it has 0 bytes.", hint="Download or copy it again.")
    kind = sniff.picture_format(data)
    if kind is None:
        words, hint = sniff.describe(data)
        raise ImageError(f"{subject} is {words}.", hint=hint)
    if kind not in ("PNG", "JPEG"):
        return _converted(data, kind, None, name)
    header = (containers.png if kind == "PNG" else containers.jpeg)(data, subject)
    convert.check_pixels(header.width, header.height, subject)
    if header.reasons or header.orientation != 1:
        return _converted(data, kind, header, name)
    mime = f"image/{kind.lower()}"
    return _picture(data, mime, (header.width, header.height), name, ())


def _converted(data: bytes, kind: str, header: containers.Header | None, name: str | None) -> Picture:
    subject = _subject(name)
    image = convert.opened(data, kind, subject)
    with convert.decode(subject, kind):
        frames = getattr(image, "n_frames", 1)
        turn = header.orientation if header else image.getexif().get(0x0112, 1)
        image.load()
    changes = [f"first of {frames} pictures"] if frames > 1 and kind not in ("JPEG", "PNG") else []
    changes += header.reasons if header else ()
    return _from_image(image, turn, kind, changes, name)


def _from_pil(image: Image.Image, name: str | None) -> Picture:
    name = name or os.path.basename(getattr(image, "filename", "")) or None  # noqa: PTH119 - it may be no path
    subject = _subject(name)
    if not image.width or not image.height:
        raise ImageError(
            f"{subject} has {image.width} × {image.height} pixels.", hint="Pass one with pixels."
        )
    convert.check_pixels(*image.size, subject)
    with convert.decode(subject, image.format or "picture"):
        turn = image.getexif().get(0x0112, 1)
        image.load()
    return _from_image(image, turn, image.format or "pixels", [], name)


def _from_image(image: Image.Image, turn: Any, kind: str, changes: list[str], name: str | None) -> Picture:
    with convert.decode(_subject(name), kind):
        flat, words = convert.plain(image)
        flat = convert.turned(flat, turn)
        lossless = kind not in ("JPEG", "MPO", "HEIF", "AVIF", "WEBP", "JPEG2000")
        data, mime, target = convert.encode(flat, lossless=lossless)
    changes += [word for word in words if word not in changes]
    if flat is not image and turn in range(2, 9):
        changes.append(f"turned upright (EXIF orientation {turn})")
    changes.append(f"{_WORDS.get(kind, kind)} to {target}" if kind != target else f"{kind} encoded again")
    return _picture(data, mime, flat.size, name, tuple(changes))


def _picture(
    data: bytes, mime: str, size: tuple[int, int], name: str | None, changes: tuple[str, ...]
) -> Picture:
    return Picture(data, mime, *size, name, hashlib.sha256(data).hexdigest(), changes)


def _subject(name: str | None) -> str:
    return repr(name) if name else "The picture"


def _weight(count: int) -> str:
    return (
        f"{count} bytes"
        if count < 1000
        else f"{count / 1000:.0f} kB"
        if count < 1e6
        else f"{count / 1e6:.1f} MB"
    )
