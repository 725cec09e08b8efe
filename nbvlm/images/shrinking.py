"""Pictures made small enough to travel inside a request: sides first, then JPEG quality.

A JPEG is decoded at a half, a quarter or an eighth of its size, which libjpeg does without computing the
other pixels; so a picture of 12 megapixels costs little more than reading it.
"""

from __future__ import annotations

import math

from PIL import Image

from nbvlm.images import codec
from nbvlm.images.guard import decoding
from nbvlm.images.opening import opened

__all__ = ["SIDE", "reduced", "shrink"]

SIDE = 896  # pixels of the largest side after shrinking: no PaliGemma sees more
SHORT = 224  # the short side of a long strip is not shrunk below this
SLACK = 1.25  # a decoder's own reduction is taken as it is up to this many times the size asked for
FIRST = 85  # JPEG quality of the first encoding


def shrink(data: bytes, orientation: int, budget: int, subject: str) -> tuple[bytes, tuple[int, int]]:
    """Shrink a PNG or JPEG file to an upright JPEG of at most `budget` bytes, with its size.

    Raises
    ------
    ImageError
        If the pixels are damaged, or the budget is too small for any picture.
    """
    image = reduced(data, orientation, None, subject)
    return codec.jpeg_within(image, budget, quality=FIRST, fill=True, subject=subject)


def reduced(data: bytes, orientation: int, side: int | None, subject: str) -> Image.Image:
    """Decode a PNG or JPEG file upright, in RGB or grey, its largest side at most `side` pixels.

    Without a `side` it keeps as many pixels as are worth sending to a model.
    """
    kind = "JPEG" if data.startswith(b"\xff\xd8") else "PNG"
    image = opened(data, kind, subject)
    with decoding(subject, kind):
        stored = image.size
        size = _worthwhile(stored) if side is None else codec.scaled(stored, side / max(stored))
        image.draft(None, size)
        image.load()
        image = codec.plain(image)[0]
        if max(image.size) > max(size) * (SLACK if side is None and image.size != stored else 1):
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        return codec.turned(image, orientation)


def _worthwhile(size: tuple[int, int]) -> tuple[int, int]:
    long, short = max(size), min(size)
    scale = max(SIDE / long, min(1.0, SHORT / short))
    return codec.scaled(size, min(scale, SIDE / math.sqrt(long * short), codec.JPEG_SIDE / long))
