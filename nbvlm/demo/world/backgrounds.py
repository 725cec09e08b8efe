"""Paint the backgrounds of the picture-book world: one function for each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from nbvlm.demo.world.canvas import RGB, mix

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from PIL.ImageDraw import ImageDraw as Draw

SKY: tuple[RGB, RGB] = ((142, 200, 240), (228, 243, 250))


@dataclass(frozen=True, slots=True)
class Background:
    """A background: how it is painted and named."""

    paint: Callable[[Draw, int, int, Random], None]
    sky: tuple[RGB, RGB]  # top and bottom
    land: tuple[RGB, RGB]
    horizon: float  # where the land begins, as a share of the height
    phrase: str  # of a caption, "on a meadow"


def _gradient(size: tuple[int, int], top: RGB, bottom: RGB) -> Image.Image:
    strip = Image.new("RGB", (1, 2))
    strip.putpixel((0, 0), top)
    strip.putpixel((0, 1), bottom)
    return strip.resize((1, size[1]), Image.Resampling.BILINEAR, box=(0, 0.5, 1, 1.5)).resize(
        size, Image.Resampling.NEAREST
    )


def _clouds(draw: Draw, w: int, h: int, rng: Random) -> None:
    for _ in range(rng.randrange(1, 4)):
        x, y = rng.uniform(0.05, 0.95) * w, rng.uniform(0.06, 0.28) * h
        r = rng.uniform(0.03, 0.055) * min(w, h)
        for dx, dy, grow in ((-1.6, 0.1, 0.62), (-0.6, -0.35, 0.95), (0.6, -0.2, 0.8), (1.6, 0.15, 0.56)):
            u, v, s = x + dx * r, y + dy * r, r * grow
            draw.ellipse((u - s * 1.2, v - s, u + s * 1.2, v + s), fill=(249, 252, 254))
        draw.rounded_rectangle((x - 2.3 * r, y, x + 2.3 * r, y + 0.66 * r), 0.33 * r, fill=(249, 252, 254))


def _ridge(draw: Draw, w: int, h: int, rng: Random, level: float, rise: float, fill: RGB) -> None:
    """Fill the area below a hilly line at about `level`, with swings of `rise`, in shares of the height."""
    a, b = rng.uniform(0, math.tau), rng.uniform(0, math.tau)
    fast, slow = rng.uniform(5, 8), rng.uniform(2, 4)
    line = [
        (
            w * i / 40,
            h * (level + rise * (0.6 * math.sin(a + slow * i / 40) + 0.4 * math.sin(b + fast * i / 40))),
        )
        for i in range(41)
    ]
    draw.polygon([*line, (w, h), (0, h)], fill=fill)


def _dots(draw: Draw, w: int, h: int, rng: Random, deep: float, count: int, fill: RGB) -> None:
    side = max(0, round(min(w, h) / 360) - 1)
    for _ in range(count):
        x, y = int(rng.random() * w), int(rng.random() * deep * h)
        draw.rectangle((x, y, x + side, y + side), fill=fill)


def _tufts(draw: Draw, w: int, h: int, rng: Random, low: float, count: int, fill: RGB) -> None:
    width = max(1, round(0.004 * min(w, h)))
    for _ in range(count):
        x, y = rng.random() * w, rng.uniform(low, 1.0)
        s = (0.012 + 0.016 * (y - low)) * min(w, h)
        for lean in (-0.6, 0.0, 0.6):
            draw.line((x, y * h, x + lean * s, y * h - s * (1.3 - abs(lean))), fill=fill, width=width)


def _meadow(draw: Draw, w: int, h: int, rng: Random) -> None:
    _clouds(draw, w, h, rng)
    _ridge(draw, w, h, rng, 0.46, 0.05, (176, 216, 160))
    _ridge(draw, w, h, rng, 0.5, 0.04, (160, 208, 130))
    _ridge(draw, w, h, rng, 0.58, 0.03, (148, 200, 112))
    _ridge(draw, w, h, rng, 0.8, 0.03, (134, 190, 98))
    _tufts(draw, w, h, rng, 0.6, 36, (108, 168, 80))


def _sea(draw: Draw, w: int, h: int, rng: Random) -> None:
    _clouds(draw, w, h, rng)
    short, width = min(w, h), max(1, round(0.005 * min(w, h)))
    for _ in range(34):
        deep = rng.random()
        x, y, s = rng.random() * w, (0.45 + 0.54 * deep) * h, (0.02 + 0.035 * deep) * short
        for k in (-1, 1):
            box = (x + k * s - s, y - s * 0.5, x + k * s + s, y + s * 0.5)
            draw.arc(box, 20, 160, fill=(150, 208, 230), width=width)


def _night(draw: Draw, w: int, h: int, rng: Random) -> None:
    _dots(draw, w, h, rng, 0.62, 70, (196, 204, 230))
    _dots(draw, w, h, rng, 0.62, 14, (255, 250, 224))
    _ridge(draw, w, h, rng, 0.66, 0.05, (38, 48, 84))
    _ridge(draw, w, h, rng, 0.74, 0.04, (30, 40, 70))
    _ridge(draw, w, h, rng, 0.88, 0.03, (24, 32, 58))


def _sand(draw: Draw, w: int, h: int, rng: Random) -> None:
    _ridge(draw, w, h, rng, 0.43, 0.03, (238, 216, 172))
    _ridge(draw, w, h, rng, 0.49, 0.04, (232, 206, 156))
    _ridge(draw, w, h, rng, 0.64, 0.04, (226, 198, 144))
    _ridge(draw, w, h, rng, 0.84, 0.03, (219, 189, 132))
    width = max(1, round(0.004 * min(w, h)))
    for _ in range(16):
        x, y, s = rng.random() * w, rng.uniform(0.56, 1.0) * h, rng.uniform(0.05, 0.13) * min(w, h)
        for k in (0, 1):
            box = (x - s + k * s * 0.4, y + k * s * 0.22, x + s + k * s * 0.4, y + s * (0.3 + k * 0.22))
            draw.arc(box, 200, 330, fill=(203, 172, 116), width=width)


def _snow(draw: Draw, w: int, h: int, rng: Random) -> None:
    _ridge(draw, w, h, rng, 0.44, 0.06, (208, 222, 238))
    _ridge(draw, w, h, rng, 0.52, 0.04, (224, 234, 246))
    _ridge(draw, w, h, rng, 0.66, 0.03, (234, 241, 249))
    _ridge(draw, w, h, rng, 0.84, 0.03, (242, 247, 252))
    _dots(draw, w, h, rng, 1.0, 110, (255, 255, 255))


def _city(draw: Draw, w: int, h: int, rng: Random) -> None:
    short = min(w, h)
    for level, tone in ((0.2, (190, 198, 210)), (0.32, (164, 172, 186))):
        x = -rng.random() * 0.1 * short
        while x < w:
            wide, top = rng.uniform(0.1, 0.2) * short, (level + rng.uniform(-0.1, 0.12)) * h
            draw.rectangle((x, top, x + wide, 0.66 * h), fill=tone)
            _panes(draw, (x, top, x + wide, 0.62 * h), short, mix(tone, (255, 250, 220), 0.38))
            x += wide * 1.04
    draw.rectangle((0, 0.64 * h, w, 0.7 * h), fill=(206, 204, 198))
    draw.rectangle((0, 0.7 * h, w, 0.715 * h), fill=(160, 160, 160))
    for i in range(12):
        x = (i + 0.2) * 0.2 * short
        draw.rectangle((x, 0.852 * h, x + 0.1 * short, 0.868 * h), fill=(190, 190, 186))


def _panes(draw: Draw, box: tuple[float, float, float, float], short: int, fill: RGB) -> None:
    x0, y0, x1, y1 = box
    step, side = 0.036 * short, 0.014 * short
    across = max(1, int((x1 - x0 - side) / step))
    left = (x0 + x1 - (across - 1) * step - side) / 2
    for j in range(int((y1 - y0) / step)):
        for i in range(across):
            x, y = left + i * step, y0 + step * (j + 0.5)
            draw.rectangle((x, y, x + side, y + side * 1.2), fill=fill)


def _forest(draw: Draw, w: int, h: int, rng: Random) -> None:
    short = min(w, h)
    for count, foot, thin, tone in ((16, 0.56, 0.022, (66, 98, 84)), (7, 0.62, 0.04, (48, 70, 60))):
        for i in range(count):
            x = (i + rng.random()) / count * w
            s = thin * short * rng.uniform(0.8, 1.3)
            draw.polygon(
                ((x - s / 2, 0), (x + s / 2, 0), (x + s * 0.8, foot * h), (x - s * 0.8, foot * h)), fill=tone
            )
    _ridge(draw, w, h, rng, 0.56, 0.02, (74, 104, 68))
    _ridge(draw, w, h, rng, 0.68, 0.02, (66, 94, 60))
    _ridge(draw, w, h, rng, 0.86, 0.02, (58, 84, 54))
    for tone, deep in (((52, 82, 66), 0.13), ((36, 60, 48), 0.07)):
        for i in range(int(w / short * 9) + 2):
            x, r = i * 0.12 * short, 0.1 * short
            y = deep * h * rng.uniform(0.5, 1.0)
            draw.ellipse((x - r, -2 * r, x + r, y + 0.02 * h), fill=tone)
    _tufts(draw, w, h, rng, 0.62, 34, (96, 132, 78))


def _paper(draw: Draw, w: int, h: int, rng: Random) -> None:
    step = rng.uniform(0.06, 0.1) * min(w, h)
    width = max(1, round(0.003 * min(w, h)))
    for i in range(1, int(h / step) + 1):
        draw.line([(0, i * step), (w, i * step)], fill=(206, 220, 236), width=width)
    draw.line([(1.2 * step, 0), (1.2 * step, h)], fill=(238, 190, 190), width=width)


BACKGROUNDS: dict[str, Background] = {
    "meadow": Background(_meadow, SKY, ((160, 208, 130), (132, 188, 100)), 0.52, "on a meadow"),
    "sea": Background(_sea, SKY, ((116, 186, 220), (62, 138, 190)), 0.42, "on the sea"),
    "night": Background(_night, ((14, 18, 46), (58, 64, 116)), ((30, 38, 60), (22, 28, 46)), 0.7, "at night"),
    "sand": Background(
        _sand, ((150, 208, 236), (252, 240, 214)), ((238, 216, 168), (226, 200, 148)), 0.48, "on the sand"
    ),
    "snow": Background(
        _snow, ((168, 192, 218), (222, 232, 242)), ((236, 242, 250), (226, 234, 244)), 0.52, "in the snow"
    ),
    "city": Background(
        _city, ((206, 216, 228), (238, 238, 234)), ((138, 140, 148), (120, 122, 130)), 0.7, "in the city"
    ),
    "forest": Background(
        _forest, ((72, 112, 92), (140, 172, 128)), ((70, 98, 64), (58, 84, 54)), 0.58, "in the forest"
    ),
    "paper": Background(
        _paper, ((252, 250, 242), (248, 245, 236)), ((248, 245, 236), (244, 240, 228)), 0.5, "on paper"
    ),
}
"""The backgrounds, by name."""


def paint(name: str, size: tuple[int, int], rng: Random) -> Image.Image:
    """Paint an empty background; the same state of `rng` gives the same details at any size."""
    background, (w, h) = BACKGROUNDS[name], size
    picture = _gradient(size, *background.sky)
    land = round(background.horizon * h)
    picture.paste(_gradient((w, h - land), *background.land), (0, land))
    background.paint(ImageDraw.Draw(picture), w, h, rng)
    tone = rng.uniform(-0.1, 0.1)
    return Image.blend(
        picture, Image.new("RGB", size, (255, 250, 235) if tone > 0 else (0, 0, 20)), abs(tone)
    )


@lru_cache(maxsize=64)
def _soft(size: tuple[int, int]) -> Image.Image:
    spot = Image.new("L", (32, 32))
    draw = ImageDraw.Draw(spot)
    for i in range(6):
        draw.ellipse((i * 1.2, i * 1.2, 31 - i * 1.2, 31 - i * 1.2), fill=14 + 10 * i)
    return spot.resize(size, Image.Resampling.BILINEAR)


def shade(picture: Image.Image, center: tuple[int, int], size: tuple[int, int]) -> None:
    """Darken a soft spot of a picture, in place: the shadow that a thing casts on the ground."""
    corner = (center[0] - size[0] // 2, center[1] - size[1] // 2)
    picture.paste((16, 22, 40), corner, _soft(size))
