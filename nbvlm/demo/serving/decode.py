"""Bytes that claim to be a picture → a picture, or a sentence that says why not."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PIXEL_LIMIT", "NotAPicture", "from_base64", "from_bytes"]

PIXEL_LIMIT = 64_000_000
_TOO_MANY = f"The picture has more than {PIXEL_LIMIT} pixels"


class NotAPicture(ValueError):
    """The bytes are no picture that the service takes; the message says why."""


def from_base64(text: str) -> Image.Image:
    """Decode the base64 text of a PNG or JPEG picture; white space is a fault, as at the hosted service.

    Raises
    ------
    NotAPicture
        When the text is not base64, or what it holds is no picture.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotAPicture(f"Invalid base64: {error}") from None
    return from_bytes(data)


def from_bytes(data: bytes) -> Image.Image:
    """Decode a PNG or JPEG picture to RGB, as it is stored: EXIF orientation is the sender's business.

    Raises
    ------
    NotAPicture
        When the bytes are of another kind, cut short, or hold too many pixels.
    """
    from PIL import Image

    if not data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        raise NotAPicture("The picture is neither PNG nor JPEG")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
            _check_size(*picture.size)
            return picture.convert("RGB")
    except NotAPicture:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAPicture(_TOO_MANY) from error
    except Exception as error:  # decoders raise whatever they stumble over
        raise NotAPicture(f"The picture cannot be decoded: {type(error).__name__}") from error


def _check_size(width: int, height: int) -> None:
    if width * height > PIXEL_LIMIT:
        raise NotAPicture(_TOO_MANY)
