"""A picture made small enough to travel inside a request."""

from __future__ import annotations

import io

from PIL import Image

from nbvlm import convert
from nbvlm.errors import ImageError

__all__ = ["SIDE", "shrink"]

SIDE = 896
"""Pixels of the largest side after shrinking: no PaliGemma sees more."""


def shrink(data: bytes, budget: int, subject: str) -> tuple[bytes, int, int]:
    """Shrink a PNG or JPEG to at most `budget` bytes of JPEG.

    Returns
    -------
    tuple
        Bytes, width, height.
    """
    with convert.decode(subject, "picture"):
        image: Image.Image = Image.open(io.BytesIO(data), formats=["PNG", "JPEG"])
        image.draft("RGB", (SIDE, SIDE))
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=1.0)
        image = convert.plain(image)[0]
    for side, quality in ((SIDE, 85), (SIDE, 60), (SIDE // 2, 60)):
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= budget:
            return buffer.getvalue(), *image.size
    raise ImageError(f"{subject} cannot be shrunk to {budget:,} bytes.", hint="Upload it as an asset.")
