"""Random pictures that are not picture-book scenes: the embedded model learns to recognise them."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from nbvlm.draw.fonts import BUNDLED

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from numpy.typing import NDArray

__all__ = ["SORTS", "picture"]

Array = np.ndarray[Any, np.dtype[np.float32]]
Size = tuple[int, int]


def picture(rng: Random) -> Image.Image:
    """Make a picture of a random sort (RGB, 120 to 420 pixels a side); some are blurred or compressed."""
    size = (rng.randrange(120, 420), rng.randrange(120, 420))
    made = rng.choice(SORTS)(size, rng)
    if rng.random() < 0.2:
        made = made.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 4)))
    if rng.random() < 0.4:
        packed = io.BytesIO()
        made.save(packed, "JPEG", quality=rng.randrange(30, 95))
        made = Image.open(packed).convert("RGB")
    return made


def _image(values: NDArray[Any], size: Size) -> Image.Image:
    small = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return small.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def _numbers(rng: Random) -> np.random.Generator:
    return np.random.default_rng(rng.getrandbits(63))


def _clouds(rng: Random, side: int = 128, power: float | None = None) -> Array:
    """Return noise whose strength falls with frequency, mean 0 and deviation 1."""
    wave = np.fft.rfft2(_numbers(rng).standard_normal((side, side)))
    fall = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    fall[0, 0] = 1
    field = np.fft.irfft2(wave / fall ** (power or rng.uniform(0.6, 2.2)))
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def _color(rng: Random) -> tuple[int, int, int]:
    """Return a random colour or, as often, a muted one."""
    if rng.random() < 0.5:
        return rng.randrange(256), rng.randrange(256), rng.randrange(256)
    light = rng.gauss(120, 55)
    r, g, b = (min(255, max(0, round(light + rng.gauss(0, 18)))) for _ in range(3))
    return r, g, b


def _mapped(values: Array, rng: Random) -> Array:
    """Return colours for numbers, from a gradient of three random ones."""
    stops = np.array([_color(rng) for _ in range(3)], np.float32)
    at = np.clip((values + 2) / 4, 0, 1) * 2
    low = np.minimum(at.astype(int), 1)
    share = (at - low)[..., None]
    return np.asarray(stops[low] * (1 - share) + stops[low + 1] * share, np.float32)


def _noise(size: Size, rng: Random) -> Image.Image:
    side = rng.choice((16, 48, 128, 256))
    color = _numbers(rng).normal(rng.uniform(60, 190), rng.uniform(20, 90), (side, side, 3))
    return _image(color.mean(2) if rng.random() < 0.3 else color, size)


def _haze(size: Size, rng: Random) -> Image.Image:
    return _image(_mapped(_clouds(rng), rng), size)


def _landscape(size: Size, rng: Random) -> Image.Image:
    """Draw lit hills below a sky, with the grain of a photograph."""
    height = _clouds(rng, power=rng.uniform(1.5, 2.2))
    light = np.gradient(height, axis=0) * 20 + np.gradient(height, axis=1) * rng.uniform(-20, 20)
    color = _mapped(height, rng) + light[..., None] * rng.uniform(2, 9)
    sky = np.linspace(rng.uniform(-1, 1), rng.uniform(-1, 1), 128, dtype=np.float32)[:, None]
    edge = rng.uniform(0.2, 0.8) + 0.05 * _clouds(rng, power=2)[0]
    above = np.linspace(0, 1, 128)[:, None] < edge[None]
    color[above] = _mapped(sky + 0.2 * _clouds(rng, power=2), rng)[above]
    return _image(color + _numbers(rng).normal(0, rng.uniform(0, 12), color.shape), size)


def _portrait(size: Size, rng: Random) -> Image.Image:
    """Draw round, shaded bodies before a blurred background."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    color = _mapped(_clouds(rng, power=2), rng)
    for _ in range(rng.randrange(1, 6)):
        cx, cy, rx, ry = (rng.uniform(a, b) for a, b in ((-0.8, 0.8), (-0.8, 0.8), (0.1, 0.7), (0.1, 0.7)))
        away = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2
        light = np.clip(1 - away, 0, 1) ** 0.5 * (1 + 0.4 * rng.uniform(-1, 1) * (x - cx) / rx)
        inside = away + 0.12 * _clouds(rng, power=1.6) < 1
        body = np.array(_color(rng))[None, None] * (0.3 + 0.9 * light[..., None])
        color[inside] = body[inside] + rng.uniform(0, 25) * _clouds(rng, power=1.0)[inside][:, None]
    return _image(color + _numbers(rng).normal(0, rng.uniform(0, 10), color.shape), size)


def _gradient(size: Size, rng: Random) -> Image.Image:
    corners = np.array([[_color(rng), _color(rng)], [_color(rng), _color(rng)]], np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)


def _stripes(size: Size, rng: Random) -> Image.Image:
    y, x = np.mgrid[0:1:160j, 0:1:160j]
    turn, count = rng.uniform(0, math.pi), rng.uniform(3, 40)
    wave = np.sin(math.tau * count * (x * math.cos(turn) + y * math.sin(turn)))
    if rng.random() < 0.4:
        wave = wave * np.sin(math.tau * count * (y * math.cos(turn) - x * math.sin(turn)))
    return _image(_mapped(np.asarray(2 * np.sign(wave) if rng.random() < 0.5 else 2 * wave), rng), size)


def _letters(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], rng: Random) -> None:
    height = rng.uniform(7, 18)
    font, ink = ImageFont.truetype(BUNDLED.path, round(height)), _color(rng)
    y = box[1]
    while y < box[3] - height:
        words = " ".join(
            "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(2, 9))) for _ in range(12)
        )
        draw.text((box[0], y), words[: int((box[2] - box[0]) / height * 1.9)], fill=ink, font=font)
        y += height * rng.uniform(1.3, 1.8)


def _page(size: Size, rng: Random) -> Image.Image:
    paper = rng.choice(((255, 255, 255), (250, 248, 240), (30, 32, 38), _color(rng)))
    page = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(page)
    for _ in range(rng.randrange(1, 4)):
        x, y = rng.uniform(0, size[0] * 0.6), rng.uniform(0, size[1] * 0.7)
        _letters(draw, (x, y, size[0], rng.uniform(y, size[1])), rng)
    return page


def _screen(size: Size, rng: Random) -> Image.Image:
    page = _page(size, rng)
    draw = ImageDraw.Draw(page)
    for _ in range(rng.randrange(3, 14)):
        x, y = rng.uniform(-20, size[0]), rng.uniform(-20, size[1])
        box = (x, y, x + rng.uniform(5, size[0] / 1.5), y + rng.uniform(5, size[1] / 3))
        draw.rectangle(box, fill=_color(rng), outline=_color(rng) if rng.random() < 0.5 else None)
    return page


def _plot(size: Size, rng: Random) -> Image.Image:
    page = Image.new("RGB", size, rng.choice(((255, 255, 255), (234, 234, 242), (20, 20, 24))))
    draw = ImageDraw.Draw(page)
    w, h = size
    draw.line([(w * 0.1, h * 0.05), (w * 0.1, h * 0.9), (w * 0.97, h * 0.9)], fill=(120, 120, 120), width=2)
    for _ in range(rng.randrange(1, 5)):
        ink, way = _color(rng), rng.random()
        values = np.cumsum(_numbers(rng).normal(0, 0.06, 40)) + rng.random()
        points = [(w * (0.1 + 0.87 * n / 39), h * (0.9 - 0.8 * float(v % 1))) for n, v in enumerate(values)]
        if way < 0.4:
            draw.line(points, fill=ink, width=rng.randrange(1, 4))
            continue
        for x, y in points:
            spot = (x, y, x + w / 50, h * 0.9) if way < 0.7 else (x - 3, y - 3, x + 3, y + 3)
            (draw.rectangle if way < 0.7 else draw.ellipse)(spot, fill=ink)
    return page


def _heap(size: Size, rng: Random) -> Image.Image:
    """Draw many flat shapes on top of each other."""
    page = Image.new("RGB", size, _color(rng))
    draw = ImageDraw.Draw(page)
    for _ in range(rng.randrange(25, 120)):
        points = [(rng.uniform(-0.1, 1.1) * size[0], rng.uniform(-0.1, 1.1) * size[1]) for _ in range(3)]
        if rng.random() < 0.5:
            draw.polygon(points, fill=_color(rng))
        else:
            draw.line(points, fill=_color(rng), width=rng.randrange(1, 12))
    return page


def _plain(size: Size, rng: Random) -> Image.Image:
    return Image.new("RGB", size, _color(rng))


SORTS: tuple[Callable[[Size, Random], Image.Image], ...] = (
    _noise, _haze, _haze, _landscape, _landscape, _landscape, _portrait, _portrait, _portrait,
    _gradient, _stripes, _page, _screen, _screen, _plot, _heap, _plain,
)  # fmt: skip
"""The functions that draw each sort; photograph-like sorts are listed more often."""
