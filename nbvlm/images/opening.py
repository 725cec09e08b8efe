"""Picture files opened for decoding, in one place for all, with the same limits and error messages."""

from __future__ import annotations

import importlib.util
from typing import Any

from PIL import Image

from nbvlm._optional import require
from nbvlm.errors import Error, ImageError
from nbvlm.images import formats
from nbvlm.images.guard import TimedBytes, check_pixels, decoding, open_file
from nbvlm.images.headers import check_tiff, icon_sizes, without_side_chunks

__all__ = ["opened"]

_WASTEFUL = {"WEBP": 60_000_000, "JPEG2000": 50_000_000, "HEIF": 60_000_000}
_SMALL = 1024 * 1024
"""These decoders take 16 to 20 bytes a pixel, so a file of fewer bytes than `_SMALL` must have fewer pixels.
A photograph of 100 megapixels is larger."""

_READERS = {
    "HEIF": "Install a reader: pip install pillow-heif. Or save the picture as JPEG.",
    "AVIF": "Update Pillow to 11.3 or later: pip install -U pillow. Or save the picture as JPEG.",
}


def opened(data: bytes, kind: str, subject: str) -> Image.Image:
    """Open a file by Pillow's reader for `kind` alone, so by none that calls other programs; read its header.

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
            hint=_READERS.get(kind, formats.SAVE_AS),
        )
    with decoding(subject, kind):
        if kind == "TIFF":
            check_tiff(data, subject)
        elif kind == "ICO":
            for width, height in icon_sizes(data):
                check_pixels(width, height, subject)
        elif kind == "PNG":
            data = without_side_chunks(data, subject)
        image: Any = open_file(TimedBytes(data), kind)
    check_pixels(image.width, image.height, subject, _WASTEFUL.get(kind) if len(data) < _SMALL else None)
    if "progressive" in image.info:
        # A scan takes time, and a small piece of the file may hold many: the time is checked between pieces.
        image.decodermaxblock = 2048
    return image  # type: ignore[no-any-return]
