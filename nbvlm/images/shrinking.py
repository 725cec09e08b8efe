"""A picture made small enough to travel inside a request: sides first, then JPEG quality.

A JPEG is decoded at a half, a quarter or an eighth of its size, which libjpeg does without computing the
other pixels; so a picture of 12 megapixels costs little more than reading it.

The weight of a JPEG is foretold from one encoding: above some 600 bytes of tables it goes with S^-p, S being
libjpeg's scale of the quantisation tables (200 - 2q for quality q from 50, 5000/q below) and p 0.35 to 1, and
with the 0.7th to 1.3th power of the number of pixels. The numbers below were fitted to photographs,
screenshots and noise; the second and third encoding measure p on the picture itself.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

from PIL import Image

from nbvlm.errors import ImageError
from nbvlm.images import codec
from nbvlm.images.opening import decoding, opened

__all__ = ["SIDE", "reduced", "shrink"]

SIDE = 896
"""Pixels of the largest side after shrinking: no PaliGemma sees more."""
SHORT = 224
"""The short side of a long strip is not shrunk below this."""
SLACK = 1.25
"""A decoder's own reduction is taken as it is up to this many times the size asked for."""

BEST, FIRST, RESIZED, POOR = 10.0, 30.0, 70.0, 143.0
"""Scales of the tables: quality 95, 85, 65 and 35 in libjpeg's counting."""
_TABLES = 620
_FALLING, _RISING, _STEEP, _FLAT, _CURVE = 0.5, 0.65, 0.8, 0.3, 0.15
_ENOUGH = 0.9
_ENCODINGS = 3

# ITU-T T.81, tables K.1 and K.2, in reading order.
_LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)


@dataclass(frozen=True, slots=True)
class _Try:
    size: tuple[int, int]
    scale: float
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
    size, scale = image.size, FIRST
    while len(tries) < _ENCODINGS:
        tries.append(_encoded(image, size, scale))
        if _is_done(tries[-1], budget):
            break
        size, scale = _next(tries, budget)
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
        stored = image.size
        size = _worthwhile(stored) if side is None else _scaled(stored, side / max(stored))
        image.draft(None, size)
        image.load()
        image = codec.plain(image)[0]
        if image.width > size[0] * (SLACK if side is None and image.size != stored else 1):
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        return codec.turned(image, orientation)


def _worthwhile(size: tuple[int, int]) -> tuple[int, int]:
    long, short = max(size), min(size)
    scale = max(SIDE / long, min(1.0, SHORT / short))
    return _scaled(size, min(scale, SIDE / math.sqrt(long * short)))


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    scale = min(scale, 1.0)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _encoded(image: Image.Image, size: tuple[int, int], scale: float) -> _Try:
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # Tables of our own, since libjpeg's whole steps of quality change the weight by up to an eighth.
    image.save(
        buffer, "JPEG", qtables=[_table(_LUMINANCE, scale), _table(_CHROMINANCE, scale)], subsampling=2
    )
    return _Try(size, scale, buffer.getvalue())


def _table(base: tuple[int, ...], scale: float) -> list[int]:
    return [min(max(int((value * scale + 50) / 100), 1), 255) for value in base]


def _is_done(last: _Try, budget: int) -> bool:
    return len(last.data) <= budget and (len(last.data) >= _ENOUGH * budget or last.scale <= BEST)


def _next(tries: list[_Try], budget: int) -> tuple[tuple[int, int], float]:
    """Choose sides and scale from what the tries so far weigh."""
    last = tries[-1]
    lightest = min(len(one.data) for one in tries)
    room = max((0.975 if lightest <= budget else 0.95) * budget - _TABLES, 1) / last.content
    power = _power(tries, room)
    # Flat pictures hardly get lighter with quality: there, and where it would get poor, the sides give way.
    if power > _FLAT:
        scale = max(last.scale * _bent(tries, room, power) ** (-1 / power), BEST)
        if scale <= POOR:
            return last.size, scale
    scale = max(last.scale, RESIZED)
    left = room * (scale / last.scale) ** power
    return _scaled(last.size, left ** (0.5 / _pixel_power(tries, budget))), scale


def _power(tries: list[_Try], room: float) -> float:
    """How fast weight falls with the scale.

    Between two tries it is measured; beyond them, and after one alone, it is taken so that the next try is
    rather too light than too heavy.
    """
    first, last = tries[0], tries[-1]
    cautious = _FALLING if room < 1 else _RISING
    if len(tries) == 1:
        return cautious
    if first.size != last.size:
        return _STEEP if room > 1 else 0.0
    measured = -math.log(last.content / first.content) / (math.log(last.scale / first.scale) or 1.0)
    if _is_between(tries, room):
        return max(measured, 0.05)
    return min(measured, cautious) if room < 1 else max(1.2 * measured, 0.1)


def _is_between(tries: list[_Try], room: float) -> bool:
    low, high = sorted(one.content for one in (tries[0], tries[-1]))
    return tries[0].size == tries[-1].size and low <= tries[-1].content * room <= high


def _bent(tries: list[_Try], room: float, power: float) -> float:
    """Allow for the bend of the curve between two tries: weight lies above the straight line."""
    if len(tries) == 1 or not _is_between(tries, room):
        return room
    whole, part = math.log(tries[-1].scale / tries[0].scale), -math.log(room) / power
    return room * math.exp(-_CURVE * abs(part * (whole + part)))


def _pixel_power(tries: list[_Try], budget: int) -> float:
    """How fast weight falls with the pixels: faster for pictures full of noise, which resizing smooths."""
    first, last = tries[0], tries[-1]
    density = 8 * first.content / (first.size[0] * first.size[1])
    power = min(max(0.62 + 0.13 * density, 0.7), 1.3)
    # The last try was foretold too light: trust less.
    return power * 0.8 if len(tries) > 1 and len(last.data) > budget else power
