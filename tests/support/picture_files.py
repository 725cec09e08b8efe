"""Picture files made on the spot, for the tests."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

Image.init()
HAS_AVIF = "AVIF" in Image.SAVE  # Pillow 11.3 and later, mostly


def corners(width: int = 64, height: int = 48) -> Image.Image:
    """Red, green, blue and grey quarters, in reading order: every turning shows."""
    image = Image.new("RGB", (width, height), (128, 128, 128))
    image.paste((255, 0, 0), (0, 0, width // 2, height // 2))
    image.paste((0, 255, 0), (width // 2, 0, width, height // 2))
    image.paste((0, 0, 255), (0, height // 2, width // 2, height))
    return image


def noise(width: int, height: int, seed: int = 0, mode: str = "RGB") -> Image.Image:
    """Pixels that no encoder can pack."""
    rng = np.random.default_rng(seed)
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))


def photo(width: int, height: int, seed: int = 0, grain: float = 6.0) -> Image.Image:
    """Clouds of every size and some grain: packs like a photograph."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 128, np.float32)
    for octave in range(1, 9):
        cells = rng.normal(0, 90 / 1.6**octave, (2**octave + 2, 2**octave + 2, 3)).astype(np.float32)
        for channel in range(3):
            cloud = Image.fromarray(cells[:, :, channel]).resize((width, height), Image.Resampling.BICUBIC)
            pixels[:, :, channel] += np.asarray(cloud)
    pixels += rng.normal(0, grain, (height, width, 1)).astype(np.float32)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb(width: int, height: int) -> bytes:
    """A complete PNG whose header promises more pixels than its few bytes hold."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def close(color: tuple[int, ...], other: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(color, other, strict=True))
