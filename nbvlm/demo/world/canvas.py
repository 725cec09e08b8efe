"""The canvas of the picture-book world, its colours, and functions that make outlines.

A `Canvas` paints one thing, in the thing's own coordinates: y from -1 (top) to 1 (bottom), and x in the same
unit. The body of a thing is painted twice: on the picture, in colour, and on the plan, where each pixel holds
the number of the visible thing. Details lie inside the body and are painted on the picture alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from PIL import ImageDraw, ImageFont

from nbvlm.draw import BUNDLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

RGB = tuple[int, int, int]
Point = tuple[float, float]
Outline = tuple[Point, ...]

WHITE: RGB = (252, 252, 248)
DARK: RGB = (40, 42, 50)
WOOD: RGB = (126, 88, 58)
LEAF: RGB = (66, 140, 62)
GLASS: RGB = (204, 232, 248)


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """Blend two colours; `share` (0 to 1) is the share of `b`."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def brightness(color: RGB) -> float:
    """How bright a colour looks, 0 to 255 (the luma of Rec. 601)."""
    return 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]


@cache
def oval(x: float, y: float, rx: float, ry: float, turn: float = 0.0, steps: int = 40) -> Outline:
    """Outline of an ellipse about (x, y), turned by `turn` radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    turns = (math.tau * i / steps for i in range(steps))
    ring = [(rx * math.cos(t), ry * math.sin(t)) for t in turns]
    return tuple((x + u * cos - v * sin, y + u * sin + v * cos) for u, v in ring)


@cache
def smooth(points: Outline, *, closed: bool = True, steps: int = 7) -> Outline:
    """Outline of a smooth curve through points (Catmull and Rom's spline), back to the first if `closed`."""
    n = len(points)
    path = []
    for i in range(n if closed else n - 1):
        near = [points[(i + k) % n] if closed else points[min(max(i + k, 0), n - 1)] for k in (-1, 0, 1, 2)]
        path += [_between(near, s / steps) for s in range(steps)]
    return tuple(path if closed else [*path, points[-1]])


def _between(near: Sequence[Point], t: float) -> Point:
    a = (-t + 2 * t * t - t**3, 2 - 5 * t * t + 3 * t**3, t + 4 * t * t - 3 * t**3, t**3 - t * t)
    return (
        sum(k * p[0] for k, p in zip(a, near, strict=True)) / 2,
        sum(k * p[1] for k, p in zip(a, near, strict=True)) / 2,
    )


@cache
def tube(points: Outline, width: float, tip: float | None = None) -> Outline:
    """Outline of a round-ended line through points; it narrows to the width `tip` if one is given."""
    path = smooth(points, closed=False)
    last = len(path) - 1
    left, right = [], []
    for i, (x, y) in enumerate(path):
        (x0, y0), (x1, y1) = path[max(0, i - 1)], path[min(last, i + 1)]
        long = math.hypot(x1 - x0, y1 - y0) or 1.0
        half = (width + ((width if tip is None else tip) - width) * i / last) / 2
        nx, ny = -(y1 - y0) / long * half, (x1 - x0) / long * half
        left.append((x + nx, y + ny))
        right.append((x - nx, y - ny))
    return (*left, *_cap(left[-1], right[-1]), *right[::-1], *_cap(right[0], left[0]))


def _cap(a: Point, b: Point) -> list[Point]:
    x, y, u, v = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[0] - b[0]) / 2, (a[1] - b[1]) / 2
    turns = [math.pi * k / 6 for k in range(1, 6)]
    return [(x + u * math.cos(t) + v * math.sin(t), y + v * math.cos(t) - u * math.sin(t)) for t in turns]


@cache
def rounded(corners: Outline, radius: float) -> Outline:
    """Round the corners of a polygon; each curve begins `radius` before its corner."""
    n = len(corners)
    path: list[Point] = []
    for i, corner in enumerate(corners):
        a, b = _towards(corner, corners[i - 1], radius), _towards(corner, corners[(i + 1) % n], radius)
        for t in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            p, q, r = (1 - t) ** 2, 2 * t * (1 - t), t * t
            path.append((p * a[0] + q * corner[0] + r * b[0], p * a[1] + q * corner[1] + r * b[1]))
    return tuple(path)


def _towards(a: Point, b: Point, distance: float) -> Point:
    share = min(0.5, distance / (math.dist(a, b) or 1.0))
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def block(x0: float, y0: float, x1: float, y1: float) -> Outline:
    """Outline of an upright rectangle."""
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def mirrored(points: Outline) -> Outline:
    """Mirror an outline left to right."""
    return tuple((-x, y) for x, y in points)


@lru_cache(maxsize=256)
def font(pixels: int) -> ImageFont.FreeTypeFont:
    """Load the bundled font at a size in pixels."""
    return ImageFont.truetype(BUNDLED.path, pixels, layout_engine=ImageFont.Layout.BASIC)


CAPITAL = 0.729
"""Height of the bundled font's capital letters, as a share of its size."""


@lru_cache(maxsize=4096)
def text_width(text: str) -> float:
    """Width of a text in the bundled font, in heights of its capital letters."""
    return float(font(400).getlength(text)) / (400 * CAPITAL)


@dataclass(slots=True)
class Canvas:
    """Paints one thing on a picture, and its number on the plan of visible things."""

    picture: Image.Image | None  # None to paint the plan alone
    plan: Image.Image  # 8 bits; receives `number` wherever the thing covers a pixel
    number: int
    center: Point  # of the thing, in pixels
    half: float  # half its height in pixels: the unit of its coordinates
    color: RGB
    flip: bool = False  # left to right; texts stay as they are
    turn: float = 0.0  # radians
    text: str | None = None  # of a sign
    _plan: ImageDraw.ImageDraw = field(init=False)
    _draw: ImageDraw.ImageDraw | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._plan = ImageDraw.Draw(self.plan)
        if self.picture is not None:
            self._draw = ImageDraw.Draw(self.picture)

    @property
    def edge(self) -> RGB:
        """The shade of outlines: darker than the thing, or lighter for black things."""
        bright = brightness(self.color)
        if bright < 60:
            return mix(self.color, WHITE, 0.5)
        return (138, 142, 154) if bright > 225 else mix(self.color, DARK, 0.52)

    @property
    def dim(self) -> RGB:
        """The shade of parts at the back: a little darker."""
        bright = brightness(self.color)
        if bright < 60:
            return mix(self.color, WHITE, 0.13)
        return mix(self.color, (120, 130, 160), 0.22) if bright > 225 else mix(self.color, DARK, 0.2)

    @property
    def light(self) -> RGB:
        """The shade of highlights."""
        bright = brightness(self.color)
        return mix(self.color, (150, 160, 186), 0.22) if bright > 225 else mix(self.color, WHITE, 0.36)

    def near(self, other: RGB) -> bool:
        """Whether the thing's colour is close to another one."""
        return sum(abs(a - b) for a, b in zip(self.color, other, strict=True)) < 130

    def body(self, *parts: tuple[Outline, RGB], edge: RGB | None = None) -> None:
        """Paint parts of the body with one common edge around them."""
        line = max(1, round(self.half * 0.05))
        placed = [(self._at(points), fill) for points, fill in parts]
        for corners, _ in placed:
            self._grown(self._plan, corners, self.number, line)
        if self._draw is None:
            return
        for corners, _ in placed:
            self._grown(self._draw, corners, edge or self.edge, line)
        for corners, fill in placed:
            self._draw.polygon(corners, fill=fill)

    def fill(self, points: Outline, color: RGB) -> None:
        """Paint a detail inside the body."""
        if self._draw is not None:
            self._draw.polygon(self._at(points), fill=color)

    def line(self, points: Outline, color: RGB, width: float = 0.05) -> None:
        """Draw a line of a width inside the body."""
        if self._draw is not None:
            self._draw.line(self._at(points), fill=color, width=max(1, round(width * self.half)))

    def write(self, text: str, base: Point, height: float, color: RGB) -> None:
        """Write inside the body; `base` is the middle of the base line, `height` that of the letters."""
        if self._draw is not None:
            face = font(max(4, round(height * self.half / CAPITAL)))
            self._draw.text(self._at((base,))[0], text, fill=color, font=face, anchor="ms")

    @staticmethod
    def _grown(draw: ImageDraw.ImageDraw, corners: list[Point], fill: RGB | int, line: int) -> None:
        draw.polygon(corners, fill=fill)
        joint = "curve" if line > 1 else None
        draw.line([*corners, *corners[:2]], fill=fill, width=2 * line, joint=joint)

    def _at(self, points: Outline) -> list[Point]:
        (x, y), half = self.center, self.half
        wide = -half if self.flip else half
        if not self.turn:
            return [(x + u * wide, y + v * half) for u, v in points]
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        return [(x + (u * cos - v * sin) * wide, y + (u * sin + v * cos) * half) for u, v in points]
