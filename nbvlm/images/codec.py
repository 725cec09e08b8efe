"""Pixels into bytes that every endpoint takes: an upright 8-bit RGB or grey PNG or JPEG.

What is converted, and why. Palettes, 16-bit channels and transparency: services differ in what they make of
them, and most drop transparency and show whatever lies under it; so it is laid on white here. CMYK: few
services know it. An EXIF orientation: whether a service obeys it is not known, and boxes need one answer.
Animations and multi-page files: the first picture counts. Everything else that is not PNG or JPEG: services
refuse it.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, JpegImagePlugin

from nbvlm.images.opening import decoding, opened

__all__ = ["encode", "plain", "turned", "upright_jpeg"]

LOSSLESS_PIXELS = 2_000_000
LOSSLESS_BYTES = 131_072
QUALITY = 95
_JPEG_SIDE = 65_500
_SIDEWAYS = (5, 6, 7, 8)

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
    """Bring any mode of Pillow's to RGB or L.

    Returns
    -------
    tuple
        The image, and what was done in words; nothing for RGB and L without transparency.
    """
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


def _on_white(image: Image.Image) -> Image.Image:
    clear = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(clear, mask=clear.getchannel("A"))
    return white


def _narrow(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """16- and 32-bit grey to 8 bits.

    Full-range values keep their meaning (65535 is white). Cameras and microscopes that fill only the lower 12
    bits or less would come out black, so their largest value becomes white, and the words say so.
    """
    import numpy as np

    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    bottom, top = _range(float(values.min()), float(values.max()), image.mode == "F")
    scaled = np.round((values - bottom) * (255 / (top - bottom))).clip(0, 255).astype(np.uint8)
    name = "32-bit grey" if image.mode in ("I", "F") else "16-bit grey"
    return Image.fromarray(scaled), (f"{name} to 8 bits ({bottom:g} is black, {top:g} is white)",)


def _range(low: float, high: float, fractions: bool) -> tuple[float, float]:
    if fractions and low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and 4096 <= high <= 65535:
        return 0.0, 65535.0
    return min(low, 0.0), max(high, 1.0)


def encode(image: Image.Image, *, lossless: bool, **options: Any) -> tuple[bytes, str]:
    """Encode an RGB or L image.

    Parameters
    ----------
    image
        What to encode.
    lossless
        Whether the pixels come from a lossless source. Those become PNG where that packs well (128 KiB or
        less), else JPEG of quality 95: what PNG packs badly is a photograph, and it would travel at ten times
        the size for a difference that no model sees.
    **options
        For Pillow's JPEG writer.

    Returns
    -------
    tuple
        Bytes, and `"PNG"` or `"JPEG"`.
    """
    png = b""
    huge = max(image.size) > _JPEG_SIDE
    if huge or (lossless and image.width * image.height <= LOSSLESS_PIXELS):
        png = _saved(image, "PNG", icc_profile=None)
        if huge or len(png) <= LOSSLESS_BYTES:
            return png, "PNG"
    jpeg = _saved(image, "JPEG", **(options or {"quality": QUALITY, "subsampling": 0 if lossless else 2}))
    return (png, "PNG") if png and len(png) <= len(jpeg) else (jpeg, "JPEG")


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def upright_jpeg(data: bytes, orientation: int, subject: str) -> bytes:
    """Encode a turned or CMYK JPEG again, upright and in RGB or grey.

    The source's own quantisation tables are used (mirrored where the picture is laid on its side), so that
    the second encoding loses next to nothing and weighs as much as the first.
    """
    source = opened(data, "JPEG", subject)
    with decoding(subject, "JPEG"):
        options = _coding(source, orientation in _SIDEWAYS)
        image = turned(plain(source)[0], orientation)
        return _saved(image, "JPEG", **options)


def _coding(source: Image.Image, sideways: bool) -> dict[str, Any]:
    tables = getattr(source, "quantization", {})
    if source.mode not in ("RGB", "L") or not tables:
        return {"quality": QUALITY, "subsampling": 0}
    sampling = JpegImagePlugin.get_sampling(source)
    if sideways:
        tables = {key: [table[8 * (i % 8) + i // 8] for i in range(64)] for key, table in tables.items()}
        sampling = 0 if sampling == 1 else sampling  # 4:2:2 on its side has no number in Pillow
    return {"qtables": tables, "subsampling": sampling}
