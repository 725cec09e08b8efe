"""A picture made small enough to travel inside a request: sides first, then JPEG quality.

A JPEG is decoded at a half, a quarter or an eighth of its size, which libjpeg does without computing the
other pixels; so a picture of 12 megapixels costs little more than reading it.

The weight of a JPEG is foretold from one encoding: above some 600 bytes of tables it goes with S^-p, S being
libjpeg's scale of the quantisation tables (200 - 2q for quality q from 50, 5000/q below) and p 0.35 to 0.8,
and with the 0.7th to 1.3th power of the number of pixels. The numbers below were fitted to photographs,
screenshots and noise; the second and third encoding measure p on the picture itself.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

from PIL import Image

from nbvlm import convert
from nbvlm.decoding import decoding, opened
from nbvlm.errors import ImageError

__all__ = ["SIDE", "reduced", "shrink"]

SIDE = 896
"""Pixels of the largest side after shrinking: no PaliGemma sees more."""
SHORT = 224
"""The short side of a long strip is not shrunk below this."""
SLACK = 1.25
"""A decoder's own reduction is taken as it is up to this many times the size asked for."""

BEST, FIRST, RESIZED, POOR = 95, 85, 65, 35
_TABLES = 620
_FALLING, _RISING, _STEEP, _FLAT = 0.55, 0.62, 0.75, 0.3
_ENOUGH = 0.9
_ENCODINGS = 3


@dataclass(frozen=True, slots=True)
class _Try:
    size: tuple[int, int]
    quality: int
    data: bytes

    @property
    def content(self) -> int:
        """Bytes beside the tables."""
        return max(len(self.data) - _TABLES, 1)


def shrink(data: bytes, orientation: int, budget: int, subject: str) -> tuple[bytes, tuple[int, int]]:
    """Shrink a PNG or JPEG to a JPEG of at most `budget` bytes.

    Parameters
    ----------
    data
        The whole file.
    orientation
        EXIF orientation to apply.
    budget
        Bytes that the result may have.
    subject
        What to call the picture in an error.

    Returns
    -------
    tuple
        The JPEG, upright, and its (width, height).

    Raises
    ------
    ImageError
        If the pixels are damaged, or the budget is too small for any picture.
    """
    image = reduced(data, orientation, None, subject)
    tries: list[_Try] = []
    size, quality = image.size, FIRST
    while len(tries) < _ENCODINGS:
        tries.append(_encoded(image, size, quality))
        if _is_done(tries, budget):
            break
        size, quality = _next(tries, budget)
    fitting = [one for one in tries if len(one.data) <= budget]
    if not fitting:
        raise ImageError(f"{subject} cannot be shrunk to {budget:,} bytes.", hint="Send it as an asset.")
    best = max(fitting, key=lambda one: len(one.data))
    return best.data, best.size


def reduced(data: bytes, orientation: int, side: int | None, subject: str) -> Image.Image:
    """Decode a PNG or JPEG to a smaller size, upright, in RGB or grey.

    Parameters
    ----------
    data
        The whole file.
    orientation
        EXIF orientation to apply.
    side
        Pixels that the largest side may have; None for what is worth sending to a model.
    subject
        What to call the picture in an error.
    """
    kind = "JPEG" if data.startswith(b"\xff\xd8") else "PNG"
    image = opened(data, kind, subject)
    with decoding(subject, kind):
        size = _worthwhile(image.size) if side is None else _scaled(image.size, side / max(image.size))
        image.draft(None, size)
        image.load()
        image = convert.plain(image)[0]
        if image.width > size[0] * (SLACK if side is None else 1):
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        return convert.turned(image, orientation)


def _worthwhile(size: tuple[int, int]) -> tuple[int, int]:
    long, short = max(size), min(size)
    scale = max(SIDE / long, min(1.0, SHORT / short))
    return _scaled(size, min(scale, SIDE / math.sqrt(long * short)))


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    scale = min(scale, 1.0)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _encoded(image: Image.Image, size: tuple[int, int], quality: int) -> _Try:
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return _Try(size, quality, buffer.getvalue())


def _is_done(tries: list[_Try], budget: int) -> bool:
    last = tries[-1]
    return len(last.data) <= budget and (len(last.data) >= _ENOUGH * budget or last.quality >= BEST)


def _next(tries: list[_Try], budget: int) -> tuple[tuple[int, int], int]:
    """Choose sides and quality from what the tries so far weigh."""
    last = tries[-1]
    lightest = min(len(one.data) for one in tries)
    room = max((0.975 if lightest <= budget else 0.95) * budget - _TABLES, 1) / last.content
    power = _power(tries, room)
    # Flat pictures hardly get lighter with quality: there, and where it would get poor, the sides give way.
    if power > _FLAT:
        for quality in range(BEST, POOR - 1, -1):
            if _factor(last.quality, quality, power) <= room:
                return last.size, quality
    quality = min(last.quality, RESIZED)
    left = room / _factor(last.quality, quality, power)
    return _scaled(last.size, left ** (0.5 / _pixel_power(tries, budget))), quality


def _factor(quality: int, other: int, power: float) -> float:
    """How a change of quality changes the weight."""
    return float((_scale(other) / _scale(quality)) ** -power)


def _scale(quality: int) -> float:
    return 200 - 2 * quality if quality >= 50 else 5000 / quality


def _power(tries: list[_Try], room: float) -> float:
    """How fast weight falls with the scale of quality.

    Between two tries it is measured; beyond them, and after one alone, it is taken so that the next try is
    rather too light than too heavy.
    """
    first, last = tries[0], tries[-1]
    cautious = _FALLING if room < 1 else _RISING
    if len(tries) == 1:
        return cautious
    if first.size != last.size:
        return _STEEP if room > 1 else 0.0
    ratio = _scale(last.quality) / _scale(first.quality)
    measured = -math.log(last.content / first.content) / (math.log(ratio) or 1.0)
    wanted = last.content * room
    if min(first.content, last.content) <= wanted <= max(first.content, last.content):
        return max(measured, 0.05)
    return min(measured, cautious) if room < 1 else max(1.2 * measured, 0.1)


def _pixel_power(tries: list[_Try], budget: int) -> float:
    """How fast weight falls with the pixels: faster for pictures full of noise, which resizing smooths."""
    first, last = tries[0], tries[-1]
    density = 8 * first.content / (first.size[0] * first.size[1])
    power = min(max(0.62 + 0.13 * density, 0.7), 1.3)
    # The last try was foretold too light: trust less.
    return power * 0.8 if len(tries) > 1 and len(last.data) > budget else power
