"""Pixels into bytes that every endpoint takes: an upright 8-bit RGB or grey PNG or JPEG.

Conversions, and why. Palettes, 16-bit channels and transparency: services differ in how they read them, and
most drop transparency and show the pixels under it; so it is laid on white here. CMYK: few services know it.
An EXIF orientation: a service may obey it or not, and boxes need one answer. Animations and multi-page files:
the first picture counts. Everything else that is not PNG or JPEG: services refuse it.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image, JpegImagePlugin

from nbvlm.errors import ImageError
from nbvlm.images.guard import decoding
from nbvlm.images.opening import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "JPEG_SIDE",
    "encode",
    "encode_within",
    "encoded",
    "jpeg_within",
    "plain",
    "scaled",
    "turned",
    "upright_jpeg",
]

LOSSLESS_PIXELS = 2_000_000
LOSSLESS_BYTES = 131_072
QUALITY = 95
SHOWN = 82
JPEG_SIDE = 65_500
"""Pixels of the longest side that a JPEG can have."""
_SIDEWAYS = (5, 6, 7, 8)
_BITS, _PHOTOMETRIC, _FORMAT, _NO_DATA = 258, 262, 339, 42113  # tags of a TIFF

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Turn pixels as an EXIF orientation (1 to 8) says."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def plain(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Bring any mode of Pillow's to RGB or L; the changes in words come along."""
    if image.mode.startswith(("I", "F")):
        return _narrow(image)
    if image.has_transparency_data:
        base = ("palette to RGB",) if image.mode in ("P", "PA") else ()
        return _on_white(image), (*base, "transparency laid on white")
    if image.mode in ("RGB", "L"):
        return image, ()
    if image.mode == "1":
        return image.convert("L"), ("1 bit a pixel to 8",)
    change = "palette to RGB" if image.mode == "P" else f"{image.mode} to RGB"
    return image.convert("RGB"), (change,)


_AT_ONCE = 4_000_000  # pixels


def _strips(image: Image.Image) -> Iterator[tuple[tuple[int, int, int, int], Image.Image]]:
    """Cut a picture into strips of full width, with their places: converting the whole takes much memory."""
    rows = max(1, _AT_ONCE // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        yield box, image.crop(box)


def _on_white(image: Image.Image) -> Image.Image:
    flat = Image.new("RGB", image.size, "white")
    for box, strip in _strips(image):
        clear = (strip.convert("LA") if strip.mode == "La" else strip).convert("RGBA")
        flat.paste(clear, box, mask=clear.getchannel("A"))
    return flat


def _narrow(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Bring 16- and 32-bit grey to 8 bits."""
    import numpy as np

    # Full-range values keep their meaning (65535 is white). Cameras and microscopes that fill only the lower
    # 12 bits or less would come out black, so their largest value becomes white, and the words say so.
    tags = getattr(image, "tag_v2", {})
    ends = [(values.min(), values.max()) for _, values in _values(image, tags)]
    bottom, top = _range(
        float(min(low for low, _ in ends)), float(max(high for _, high in ends)), image.mode == "F"
    )
    grey = np.empty((image.height, image.width), np.uint8)
    for box, values in _values(image, tags):
        grey[box[1] : box[3]] = np.round((values - bottom) * (255 / (top - bottom))).clip(0, 255)
    if image.mode == "F" and tags.get(_PHOTOMETRIC) == 0:
        grey, bottom, top = 255 - grey, top, bottom  # the lowest is white
    name = "32-bit grey" if image.mode in ("I", "F") else "16-bit grey"
    return Image.fromarray(grey), (f"{name} to 8 bits ({bottom:g} is black, {top:g} is white)",)


def _values(image: Image.Image, tags: Any) -> Iterator[tuple[tuple[int, int, int, int], Any]]:
    import numpy as np

    return ((box, _measured(np.asarray(strip, dtype=np.float64), tags)) for box, strip in _strips(image))


def _measured(values: Any, tags: Any) -> Any:
    """Undo Pillow's reading of two kinds of TIFF, and make points without data black."""
    import numpy as np

    if tags.get(_BITS) == (32,) and tags.get(_FORMAT, (1,)) == (1,):
        values = np.where(values < 0, values + 2**32, values)  # unsigned, read as signed
    if tags.get(_PHOTOMETRIC) == 0 and tags.get(_BITS) == (16,):
        values = 65535 - values  # 0 is white
    # Maps of heights and satellite pictures write -9999, the largest numbers, or what a tag says at points
    # without data.
    known = np.isfinite(values) & (np.abs(values) < 1e30) & (values != -9999) & (values != _no_data(tags))
    return np.where(known, values, 0)


def _no_data(tags: Any) -> float:
    try:
        return float(str(tags.get(_NO_DATA, "nan")).strip("\0 "))
    except ValueError:
        return math.nan


def _range(low: float, high: float, fractions: bool) -> tuple[float, float]:
    if fractions and low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and 4096 <= high <= 65535:
        return 0.0, 65535.0
    return min(low, 0.0), max(high, 1.0)


def encode(image: Image.Image, *, lossless: bool) -> tuple[bytes, str]:
    """Encode an RGB or L image to bytes, as `"PNG"` or `"JPEG"`."""
    # Pixels of a lossless source become PNG where that packs well. A picture that PNG packs badly is a
    # photograph, and it would travel at ten times the size for a difference that no model sees.
    png = b""
    huge = max(image.size) > JPEG_SIDE
    if huge or (lossless and image.width * image.height <= LOSSLESS_PIXELS):
        png = encoded(image, "PNG", icc_profile=None)
        if huge or len(png) <= LOSSLESS_BYTES:
            return png, "PNG"
    jpeg = encoded(image, "JPEG", quality=QUALITY, subsampling=0 if lossless else 2)
    return (png, "PNG") if png and len(png) <= len(jpeg) else (jpeg, "JPEG")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Encode with Pillow's writer for `kind`, and its options."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encode_within(image: Image.Image, budget: int) -> tuple[bytes, str]:
    """Encode an RGB picture for showing: PNG where that is small, else JPEG; with its MIME type."""
    jpeg, _ = jpeg_within(image, budget, quality=SHOWN)
    if _is_flat(image):
        png = encoded(image, "PNG", compress_level=6)
        if len(png) <= min(budget, 2 * len(jpeg)):
            return png, "image/png"
    return jpeg, "image/jpeg"


def _is_flat(image: Image.Image) -> bool:
    """Guess from a sample whether few colours make up the picture, as in drawings and screenshots."""
    import numpy as np

    size = max(1, image.width // 8), max(1, image.height // 8)
    sample = np.asarray(image.resize(size, Image.Resampling.NEAREST)).astype(np.uint32)
    colors = sample[..., 0] << 16 | sample[..., 1] << 8 | sample[..., 2]
    return len(np.unique(colors)) < max(64, colors.size // 8)


class _Try(NamedTuple):
    size: tuple[int, int]
    quality: int
    data: bytes


def jpeg_within(
    image: Image.Image, budget: int, *, quality: int, fill: bool = False, subject: str = "The picture"
) -> tuple[bytes, tuple[int, int]]:
    """Encode RGB or L as JPEG of at most `budget` bytes, of less quality first, then of fewer pixels.

    Its size comes along. `quality` is the first; `fill` raises it where a tenth of the budget is left.

    Raises
    ------
    ImageError
        If the budget is too small for any picture.
    """
    # At most three encodings, except where all of them are too heavy.
    tries: list[_Try] = []
    size = scaled(image.size, JPEG_SIDE / max(image.size))
    best = None
    while len(tries) < 3 or (best is None and max(size) > 1):
        resized = image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
        last = _Try(size, quality, encoded(resized, "JPEG", quality=quality, subsampling=2))
        tries.append(last)
        if len(last.data) <= budget:
            best = last if best is None or len(last.data) > len(best.data) else best
            if not fill or len(last.data) >= 0.9 * budget or quality >= QUALITY:
                break
        size, quality = _next(tries, budget)
    if best is None:
        raise ImageError(f"{subject} cannot be shrunk to {budget:,} bytes.", hint="Send it as an asset.")
    return best.data, best.size


# A bisection of the quality takes up to seven encodings of a large picture, and these steps at most three.
# The weight of a JPEG goes with S^-p, S being libjpeg's scale of the quantisation tables and p 0.3 to 1. The
# first step takes p from photographs, the second one measures it.
_TABLES = 620  # bytes of any JPEG
_AIM = 0.96
_FALLING, _RISING, _RESIZED, _FLAT = 0.6, 0.65, 0.8, 0.3
_POOR, _POOREST = 35, 20


def _next(tries: list[_Try], budget: int) -> tuple[tuple[int, int], int]:
    """Choose size and quality from the weights of the tries so far."""
    first, last = tries[0], tries[-1]
    content = max(len(last.data) - _TABLES, 1)
    room = max(_AIM * budget - _TABLES, 1) / content
    resized = last.size != first.size
    if resized:
        power = _RESIZED
    elif len(tries) == 1:
        power = _FALLING if room < 1 else _RISING
    else:
        lighter = math.log(max(len(first.data) - _TABLES, 1) / content)
        power = max(lighter / math.log(_scale(last.quality) / _scale(first.quality)), 0.05)
    scale = _scale(last.quality) * min(room ** (-1 / power), 1e6)
    quality = min(int((200 - scale) / 2 if scale <= 100 else 5000 / scale), QUALITY)
    if quality == last.quality:
        quality += 1 if room > 1 else -1
    poorest = _POOR if len(tries) == 1 else _POOREST
    if quality >= poorest and power > _FLAT and not (resized and room < 1):
        return last.size, quality
    # Flat pictures hardly get lighter with quality: there, and where it would get poor, the sides give way.
    quality = min(last.quality, 65)
    left = room * (_scale(quality) / _scale(last.quality)) ** power
    return scaled(last.size, left**0.55 * (0.95 if resized else 1.0)), quality


def _scale(quality: int) -> float:
    return 200 - 2 * quality if quality >= 50 else 5000 / quality


def scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Make a size smaller by a factor; one above 1 counts as 1, and no side gets less than a pixel."""
    factor = min(factor, 1.0)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def upright_jpeg(data: bytes, orientation: int, subject: str) -> bytes:
    """Encode a turned or CMYK JPEG again, upright and in RGB or grey."""
    source = opened(data, "JPEG", subject)
    with decoding(subject, "JPEG"):
        options = _coding(source, orientation in _SIDEWAYS)
        image = turned(plain(source)[0], orientation)
        return encoded(image, "JPEG", **options)


def _coding(source: Image.Image, sideways: bool) -> dict[str, Any]:
    # With the source's own tables (mirrored where the picture is laid on its side) the second encoding loses
    # next to nothing, and weighs as much as the first.
    tables = getattr(source, "quantization", {})
    if source.mode not in ("RGB", "L") or not tables:
        return {"quality": QUALITY, "subsampling": 0}
    sampling = JpegImagePlugin.get_sampling(source)
    if sideways:
        tables = {key: [table[8 * (i % 8) + i // 8] for i in range(64)] for key, table in tables.items()}
        sampling = 0 if sampling == 1 else sampling  # 4:2:2 on its side has no number in Pillow
    return {"qtables": tables, "subsampling": sampling}
