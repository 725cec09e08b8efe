"""Pixels into bytes that every endpoint takes: an upright 8-bit RGB or grey PNG or JPEG.

What is converted, and why. Palettes, 16-bit channels and transparency: services differ in what they make of
them, and most drop transparency and show whatever lies under it; so it is laid on white here. CMYK: few
services know it. An EXIF orientation: whether a service obeys it is not known, and boxes need one answer.
Animations and multi-page files: the first picture counts. Everything else that is not PNG or JPEG: services
refuse it.
"""

from __future__ import annotations

import importlib.util
import io
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from PIL import Image

from nbvlm.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_PIXELS", "decode", "encode", "opened", "plain", "quiet", "turned"]

MAX_PIXELS = 178_956_970
"""Pictures with more pixels are refused: as RGB they would take 512 MiB. Pillow's own limit is the same."""

LOSSLESS_PIXELS = 2_000_000
LOSSLESS_BYTES = 131_072
QUALITY = 95
_JPEG_SIDE = 65_500

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def opened(data: bytes, kind: str, subject: str) -> Image.Image:
    """Open `data` with Pillow's reader for `kind` alone; reads the header.

    Raises
    ------
    ImageError
        If Pillow cannot read it, or it has more than `MAX_PIXELS`.
    """
    if kind == "HEIF":
        _register_heif()
    Image.init()
    if kind not in Image.OPEN:
        raise ImageError(
            f"{subject} is {_kind(kind)}, which Pillow cannot read here.", hint=_READERS.get(kind)
        )
    with decode(subject, kind):
        image = Image.open(io.BytesIO(data), formats=[kind])
    check_pixels(*image.size, subject)
    return image


_READERS = {
    "HEIF": "Install its reader: pip install pillow-heif. Or save the picture as JPEG.",
    "AVIF": "Update Pillow to 11.3 or later: pip install -U pillow. Or save the picture as JPEG.",
}


def _register_heif() -> None:
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()


def _kind(kind: str) -> str:
    return {"HEIF": "a HEIC picture", "AVIF": "an AVIF picture"}.get(kind, f"a {kind} picture")


def check_pixels(width: int, height: int, subject: str) -> None:
    """Refuse what would fill the memory.

    Raises
    ------
    ImageError
        If there are more than `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{subject} has {width:,} × {height:,} pixels: so many look like a decompression bomb.",
            hint="Shrink it first; models see 224 to 896 pixels a side.",
        )


@contextmanager
def decode(subject: str, kind: str) -> Iterator[None]:
    """Run a decoder: silently, and with every failure as an `ImageError`."""
    try:
        with quiet():
            yield
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(
            f"{subject} has so many pixels that it is taken for a decompression bomb.",
            hint="Shrink it first; models see 224 to 896 pixels a side.",
        ) from None
    except MemoryError:
        raise ImageError(f"{subject} does not fit into memory.", hint="Shrink it first.") from None
    except Exception as error:
        # Damaged bytes raise nearly anything in a decoder.
        raise ImageError(
            f"{subject} is a truncated or damaged {kind}: {str(error) or type(error).__name__}.",
            hint="Download or copy it again.",
        ) from error


class _Quiet:
    """Silence Pillow's warnings while somebody is inside.

    `warnings.catch_warnings` restores what it found, so two threads that overlap can leave a filter behind;
    here only the first one in and the last one out touch the filters.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: Any = None

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL(\.|$)")

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(None, None, None)


_QUIET = _Quiet()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings: what they say is either an `ImageError` or of no use to the reader."""
    _QUIET.enter()
    try:
        yield
    finally:
        _QUIET.leave()


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
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image, ()
    if image.mode.startswith(("I", "F")):
        return _narrow(image)
    if image.has_transparency_data:
        base = ("palette to RGB",) if image.mode in ("P", "PA") else ()
        return _on_white(image.convert("RGBA")), (*base, "transparency laid on white")
    if image.mode == "1":
        return image.convert("L"), ("1 bit a pixel to 8",)
    words = {"P": "palette to RGB"}.get(image.mode, f"{image.mode} to RGB")
    return image.convert("RGB"), (words,)


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _narrow(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """16- and 32-bit grey to 8 bits.

    Full-range values keep their meaning (65535 is white). Cameras and microscopes that fill only the lower 12
    bits or less would come out black, so their largest value becomes white, and the words say so.
    """
    import numpy as np

    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" and low >= 0 and high <= 1:
        bottom, top = 0.0, 1.0
    elif low >= 0 and 4096 <= high <= 65535:
        bottom, top = 0.0, 65535.0
    else:
        bottom, top = min(low, 0.0), max(high, 1.0)
    scaled = np.round((values - bottom) * (255 / (top - bottom))).astype(np.uint8)
    name = "32-bit grey" if image.mode in ("I", "F") else "16-bit grey"
    return Image.fromarray(scaled), (f"{name} to 8 bits ({bottom:g} is black, {top:g} is white)",)


def encode(image: Image.Image, *, lossless: bool, **options: Any) -> tuple[bytes, str, str]:
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
        Bytes, MIME type, and the format in words.
    """
    best: tuple[bytes, str, str] | None = None
    huge = max(image.size) > _JPEG_SIDE
    if huge or (lossless and image.width * image.height <= LOSSLESS_PIXELS):
        best = _saved(image, "PNG"), "image/png", "PNG"
        if huge or len(best[0]) <= LOSSLESS_BYTES:
            return best
    options = options or {"quality": QUALITY, "subsampling": 0 if lossless else 2}
    jpeg = _saved(image, "JPEG", **options), "image/jpeg", "JPEG"
    return best if best and len(best[0]) <= len(jpeg[0]) else jpeg


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
