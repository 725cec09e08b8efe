"""Pictures of requests: checked by their headers at once, decoded when it is their turn, and then small."""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PIL import Image

from nbvlm.demo.service.limits import SERVED
from nbvlm.errors import ImageError
from nbvlm.images import decoding, open_encoded, read_header

if TYPE_CHECKING:
    from typing import Any

    from nbvlm.images import Header

__all__ = ["PIXEL_LIMIT", "EncodedPicture", "InvalidPicture", "from_base64"]

PIXEL_LIMIT = SERVED.pixels
SCAN_LIMIT = 200  # a progressive JPEG has about ten; each costs as much as decoding a picture
_STARTS = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff"}
SIDE = 1280  # twice the longest side that the embedded model reads
_LARGE = 2_000_000  # pixels
_ROWS = 2_000_000  # pixels that are converted at a time


class InvalidPicture(ValueError):
    """The bytes are not a picture that the service accepts; the message says why."""


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A PNG or JPEG with a header that makes sense."""

    data: bytes = field(repr=False)
    header: Header

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        return self.header.width, self.header.height

    @property
    def large(self) -> bool:
        """Whether it needs so much memory that one such picture is decoded at a time."""
        return self.size[0] * self.size[1] > _LARGE

    @classmethod
    def of(cls, data: bytes, pixels: int = PIXEL_LIMIT) -> EncodedPicture:
        """Check kind, completeness and size, at most so many `pixels`, without decoding one.

        Raises
        ------
        InvalidPicture
            If the data is not a PNG or JPEG, is damaged, or has too many pixels.
        """
        kind = next((kind for kind, start in _STARTS.items() if data.startswith(start)), None)
        if kind is None:
            raise InvalidPicture("The picture is neither PNG nor JPEG")
        try:
            header = read_header(io.BytesIO(data), kind, "The picture")
        except ImageError as error:
            raise InvalidPicture(error.message) from None
        if header.width * header.height > pixels:
            raise InvalidPicture(f"The picture has more than {pixels:,} pixels")
        if header.coefficients > 4 * pixels:  # bytes: as many as the pixels of the largest PNG take
            raise InvalidPicture(
                "The picture is a progressive JPEG of too many pixels; save it as a baseline JPEG"
            )
        if header.scans > SCAN_LIMIT:
            raise InvalidPicture(f"The picture has more than {SCAN_LIMIT} scans")
        return cls(data, header)

    def decode(self, side: int | None = SIDE) -> Image.Image:
        """Decode to RGB, and shrink by a whole factor what is larger than `side` pixels; None keeps the size.

        The EXIF orientation is ignored, as at the hosted service.

        Raises
        ------
        InvalidPicture
            If the pixels are damaged.
        """
        try:
            kind = self.header.format
            with decoding("The picture", kind):
                return _small(open_encoded(self.data, kind, "The picture"), side)
        except ImageError as error:
            raise InvalidPicture(error.message) from None


def _small(picture: Any, side: int | None) -> Image.Image:
    """Decode a picture, a large one at a fraction of its size; only that much is ever held as RGB."""
    if side is None:
        return picture.convert("RGB")  # type: ignore[no-any-return]
    share = side / max(picture.size)
    if share < 1:
        picture.draft(None, tuple(max(1, round(side * share)) for side in picture.size))
    factor = max(picture.size) // side
    if factor < 2:
        return picture.convert("RGB")  # type: ignore[no-any-return]
    width, height = picture.size
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, _ROWS // (width * factor))
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(top + rows, height)))
        if strip.mode not in ("L", "RGB", "RGBA"):  # palettes and others cannot be averaged
            strip = strip.convert("RGB")
        small.paste(strip.reduce(factor).convert("RGB"), (0, top // factor))
    return small


def from_base64(text: str, pixels: int = PIXEL_LIMIT) -> EncodedPicture:
    """Check the base64 text of a picture; white space is an error, as at the hosted service."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidPicture(f"Invalid base64: {error}") from None
    return EncodedPicture.of(data, pixels)
