"""The grounds that the things of the picture-book world stand on: one small function a ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from nbvlm.demo.things import RGB, mix

if TYPE_CHECKING:
    from random import Random

    from PIL.ImageDraw import ImageDraw as Canvas

SKY: tuple[RGB, RGB] = ((150, 204, 240), (226, 242, 250))
Tone = Callable[[RGB], RGB]


@dataclass(frozen=True, slots=True)
class Ground:
    """A ground: how it is painted, and how a caption ends with it.

    Attributes
    ----------
    paint
        Called with the canvas, its width and height in pixels, and a source of chance.
    sky, land
        Two colours each, top to bottom.
    horizon
        Where the land begins, as a share of the height.
    phrase
        The words of a caption, "on a meadow".
    """

    paint: Callable[[Canvas, int, int, Random], None]
    sky: tuple[RGB, RGB]
    land: tuple[RGB, RGB]
    horizon: float
    phrase: str


def _gradient(size: tuple[int, int], top: RGB, bottom: RGB) -> Image.Image:
    strip = Image.new("RGB", (1, 2))
    strip.putpixel((0, 0), top)
    strip.putpixel((0, 1), bottom)
    return strip.resize(size, Image.Resampling.BILINEAR, box=(0, 0.5, 1, 1.5))


def _clouds(draw: Canvas, w: int, h: int, chance: Random) -> None:
    for _ in range(chance.randrange(3)):
        x, y, r = (
            chance.uniform(0.05, 0.9) * w,
            chance.uniform(0.04, 0.24) * h,
            chance.uniform(0.03, 0.06) * h,
        )
        for dx, grow in ((-1.3, 0.8), (0, 1.15), (1.4, 0.75)):
            box = (
                x + dx * r - r * grow * 1.3,
                y - r * grow * 0.7,
                x + dx * r + r * grow * 1.3,
                y + r * grow * 0.7,
            )
            draw.ellipse(box, fill=(248, 251, 253))


def _hills(draw: Canvas, w: int, h: int, chance: Random, horizon: float, fill: RGB) -> None:
    for _ in range(chance.randrange(1, 4)):
        x, rx, ry = chance.uniform(0, 1) * w, chance.uniform(0.2, 0.45) * w, chance.uniform(0.06, 0.16) * h
        draw.chord((x - rx, horizon * h - ry, x + rx, horizon * h + ry), 180, 360, fill=fill)


def _dots(
    draw: Canvas, w: int, h: int, chance: Random, low: float, high: float, fill: RGB, count: int = 26
) -> None:
    radius = max(1.0, 0.004 * min(w, h))
    for _ in range(count):
        x, y = chance.random() * w, chance.uniform(low, high) * h
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _meadow(draw: Canvas, w: int, h: int, chance: Random) -> None:
    _clouds(draw, w, h, chance)
    _hills(draw, w, h, chance, 0.5, (150, 200, 128))
    for _ in range(34):
        x, y, s = chance.random() * w, chance.uniform(0.56, 1.0) * h, 0.018 * h
        draw.line(
            [(x - s * 0.6, y - s), (x, y), (x + s * 0.6, y - s)],
            fill=(118, 174, 92),
            width=max(1, round(0.004 * h)),
        )


def _sea(draw: Canvas, w: int, h: int, chance: Random) -> None:
    _clouds(draw, w, h, chance)
    for _ in range(26):
        x, y, s = chance.random() * w, chance.uniform(0.46, 1.0) * h, chance.uniform(0.02, 0.05) * w
        draw.arc(
            (x - s, y - s * 0.3, x + s, y + s * 0.3),
            20,
            160,
            fill=(196, 232, 242),
            width=max(1, round(0.005 * h)),
        )


def _night(draw: Canvas, w: int, h: int, chance: Random) -> None:
    _dots(draw, w, h, chance, 0.0, 0.6, (226, 228, 236), 34)
    _hills(draw, w, h, chance, 0.7, (34, 44, 70))


def _sand(draw: Canvas, w: int, h: int, chance: Random) -> None:
    _clouds(draw, w, h, chance)
    for _ in range(12):
        x, y, s = chance.random() * w, chance.uniform(0.5, 1.0) * h, chance.uniform(0.06, 0.16) * w
        draw.arc(
            (x - s, y - s * 0.12, x + s, y + s * 0.12),
            190,
            340,
            fill=(214, 188, 140),
            width=max(1, round(0.005 * h)),
        )


def _snow(draw: Canvas, w: int, h: int, chance: Random) -> None:
    _hills(draw, w, h, chance, 0.5, (226, 234, 244))
    _dots(draw, w, h, chance, 0.0, 0.5, (252, 253, 255), 40)


def _paper(draw: Canvas, w: int, h: int, chance: Random) -> None:
    step = chance.uniform(0.06, 0.1) * h
    for i in range(1, int(h / step) + 1):
        draw.line([(0, i * step), (w, i * step)], fill=(226, 226, 222), width=max(1, round(0.003 * h)))


GROUNDS: dict[str, Ground] = {
    "meadow": Ground(_meadow, SKY, ((166, 212, 130), (132, 188, 100)), 0.5, "on a meadow"),
    "sea": Ground(_sea, SKY, ((104, 180, 214), (70, 144, 190)), 0.42, "on the sea"),
    "night": Ground(_night, ((16, 22, 48), (48, 56, 100)), ((30, 38, 60), (22, 28, 46)), 0.7, "at night"),
    "sand": Ground(_sand, SKY, ((238, 216, 168), (226, 200, 148)), 0.46, "on the sand"),
    "snow": Ground(
        _snow, ((196, 214, 232), (226, 236, 244)), ((244, 248, 252), (226, 234, 244)), 0.5, "in the snow"
    ),
    "paper": Ground(
        _paper, ((248, 246, 238), (244, 240, 230)), ((244, 240, 230), (240, 235, 222)), 0.5, "on paper"
    ),
}
"""The grounds, by name."""


def paint(name: str, size: tuple[int, int], chance: Random) -> Image.Image:
    """Paint an empty ground.

    Parameters
    ----------
    name
        A key of `GROUNDS`.
    size
        Width and height, pixels.
    chance
        Source of the details: the same state gives the same picture, at any size.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    ground, (w, h) = GROUNDS[name], size
    shade = chance.uniform(-0.08, 0.08)
    picture = _gradient(size, _tone(ground.sky[0], shade), _tone(ground.sky[1], shade))
    land = round(ground.horizon * h)
    picture.paste(
        _gradient((w, h - land), _tone(ground.land[0], shade), _tone(ground.land[1], shade)), (0, land)
    )
    ground.paint(ImageDraw.Draw(picture), w, h, chance)
    return picture


def _tone(color: RGB, shade: float) -> RGB:
    return mix(color, (255, 255, 255), shade) if shade > 0 else mix(color, (0, 0, 0), -shade)
