"""How the things of the picture-book world are drawn: one small function a kind.

Every function draws on a `Brush`, whose coordinates are those of the thing: x from -1 to 1 across
its width, y from -1 (top) to 1 (bottom). A brush paints two images with the same strokes: the picture, in
colour, and the plan, where each pixel holds the number of the thing that is seen there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PIL import ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL import Image

RGB = tuple[int, int, int]
Point = tuple[float, float]

COLORS: dict[str, RGB] = {
    "red": (212, 46, 48),
    "orange": (242, 138, 36),
    "yellow": (247, 212, 62),
    "green": (58, 158, 72),
    "blue": (48, 106, 204),
    "purple": (134, 72, 176),
    "pink": (246, 140, 184),
    "brown": (128, 82, 46),
}
"""The named colours, as the RGB value that a thing's own shade varies about."""

WHITE: RGB = (250, 250, 246)
DARK: RGB = (44, 46, 54)
WOOD: RGB = (110, 78, 52)
GLASS: RGB = (206, 232, 246)


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """Blend two colours; `share` (0 to 1) is how much of `b` there is."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


@dataclass(slots=True)
class Brush:
    """Paint one thing on a picture and on the plan of who is seen where.

    Parameters
    ----------
    picture
        RGB image to paint, or None to paint the plan alone.
    plan
        8-bit image that receives `number` wherever the thing covers a pixel.
    number
        The thing's number in the plan.
    center
        Pixel coordinates of the thing's middle.
    half
        Half its width and half its height, pixels.
    color
        Its shade.
    flip
        True to mirror it left to right.
    turn
        Rotation in radians, used by the plain shapes.
    """

    picture: Image.Image | None
    plan: Image.Image
    number: int
    center: Point
    half: Point
    color: RGB
    flip: bool = False
    turn: float = 0.0
    _canvases: list[tuple[ImageDraw.ImageDraw, bool]] = field(init=False)

    def __post_init__(self) -> None:
        self._canvases = [(ImageDraw.Draw(self.plan), False)]
        if self.picture is not None:
            self._canvases.append((ImageDraw.Draw(self.picture), True))

    @property
    def edge(self) -> RGB:
        """The darker shade of outlines."""
        return mix(self.color, DARK, 0.45)

    @property
    def light(self) -> RGB:
        """The lighter shade of highlights."""
        return mix(self.color, WHITE, 0.38)

    def _line(self) -> int:
        return max(1, round(min(self.half) * 0.055))

    def _at(self, point: Point) -> Point:
        x, y = point
        return self.center[0] + (-x if self.flip else x) * self.half[0], self.center[1] + y * self.half[1]

    def polygon(self, points: Sequence[Point], fill: RGB, outline: RGB | None = None) -> None:
        """Fill a polygon."""
        corners = [self._at(p) for p in points]
        for draw, colored in self._canvases:
            if not colored:
                draw.polygon(corners, fill=self.number)
            elif outline is None:
                draw.polygon(corners, fill=fill)
            else:
                draw.polygon(corners, fill=fill, outline=outline, width=self._line())

    def ellipse(self, center: Point, radii: Point, fill: RGB, outline: RGB | None = None) -> None:
        """Fill an ellipse."""
        (x, y), rx, ry = self._at(center), radii[0] * self.half[0], radii[1] * self.half[1]
        box = (x - rx, y - ry, x + rx, y + ry)
        for draw, colored in self._canvases:
            if not colored:
                draw.ellipse(box, fill=self.number)
            else:
                draw.ellipse(box, fill=fill, outline=outline, width=self._line())

    def rectangle(
        self, x0: float, y0: float, x1: float, y1: float, fill: RGB, outline: RGB | None = None
    ) -> None:
        """Fill an upright rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, outline)

    def round(self, points: Sequence[Point]) -> list[Point]:
        """Rotate points about the middle by `turn`, keeping the true shape for any width and height."""
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        return [(x * cos - y * sin, x * sin + y * cos) for x, y in points]


def _house(b: Brush) -> None:
    b.rectangle(0.36, -0.86, 0.58, -0.3, mix(WOOD, DARK, 0.2))
    b.rectangle(-0.82, -0.12, 0.82, 1, b.color, b.edge)
    b.polygon([(-1, -0.08), (0, -1), (1, -0.08)], mix(b.color, DARK, 0.5), mix(b.color, DARK, 0.7))
    b.rectangle(-0.16, 0.38, 0.2, 1, WOOD, DARK)
    for x in (-0.62, 0.38):
        b.rectangle(x, 0.12, x + 0.28, 0.46, GLASS, b.edge)


def _car(b: Brush) -> None:
    b.polygon([(-0.62, -0.1), (-0.36, -1), (0.3, -1), (0.62, -0.1)], b.color, b.edge)
    b.polygon([(-0.48, -0.12), (-0.3, -0.78), (-0.04, -0.78), (-0.04, -0.12)], GLASS)
    b.polygon([(0.06, -0.12), (0.06, -0.78), (0.25, -0.78), (0.46, -0.12)], GLASS)
    b.polygon([(-1, 0.02), (-0.94, -0.14), (0.7, -0.14), (1, 0.12), (1, 0.62), (-1, 0.62)], b.color, b.edge)
    b.rectangle(-0.98, 0.12, 0.98, 0.22, b.light)
    b.ellipse((0.93, 0.16), (0.06, 0.12), (255, 240, 170))
    for x in (-0.52, 0.54):
        b.ellipse((x, 0.58), (0.23, 0.42), DARK)
        b.ellipse((x, 0.58), (0.1, 0.18), (190, 194, 200))


def _tree(b: Brush) -> None:
    b.polygon([(-0.15, 1), (-0.1, 0.1), (0.1, 0.1), (0.17, 1)], WOOD, mix(WOOD, DARK, 0.5))
    for x, y, r in ((-0.5, 0.0, 0.48), (0.5, 0.02, 0.48), (0, -0.5, 0.56)):
        b.ellipse((x, y), (r, r * 0.86), b.color, b.edge)
    b.ellipse((0, -0.12), (0.66, 0.42), b.color)
    for x, y, r in ((-0.4, -0.1, 0.14), (0.1, -0.62, 0.16), (0.42, 0.02, 0.12)):
        b.ellipse((x, y), (r, r * 0.8), b.light)


def _fish(b: Brush) -> None:
    b.polygon([(-0.42, 0), (-1, -0.72), (-0.84, 0), (-1, 0.72)], mix(b.color, DARK, 0.2), b.edge)
    b.polygon([(-0.2, -0.5), (0.2, -1), (0.36, -0.5)], mix(b.color, DARK, 0.2), b.edge)
    b.ellipse((0.22, 0), (0.78, 0.72), b.color, b.edge)
    b.ellipse((0.16, 0.26), (0.5, 0.3), b.light)
    b.polygon([(0.0, 0.1), (0.26, 0.02), (0.06, 0.48)], mix(b.color, DARK, 0.2))
    b.ellipse((0.62, -0.2), (0.13, 0.17), WHITE)
    b.ellipse((0.65, -0.2), (0.065, 0.09), DARK)


def _boat(b: Brush) -> None:
    b.rectangle(-0.05, -1, 0.05, 0.45, WOOD)
    b.polygon([(0.1, -0.92), (0.86, 0.22), (0.1, 0.22)], WHITE, (150, 156, 166))
    b.polygon([(-0.1, -0.74), (-0.1, 0.22), (-0.68, 0.22)], mix(b.color, WHITE, 0.72), (150, 156, 166))
    b.polygon([(-1, 0.36), (1, 0.36), (0.68, 1), (-0.66, 1)], b.color, b.edge)
    b.polygon([(-0.94, 0.44), (0.96, 0.44), (0.92, 0.56), (-0.87, 0.56)], b.light)


def _star(b: Brush) -> None:
    tips = [(i * math.pi / 5, 1.0 if i % 2 == 0 else 0.44) for i in range(10)]
    points = b.round([(r * math.sin(a), -r * math.cos(a)) for a, r in tips])
    b.polygon(points, b.color, b.edge)
    b.polygon([(x * 0.45, y * 0.45) for x, y in points], b.light)


def _heart(b: Brush) -> None:
    turns = [i * math.tau / 48 for i in range(48)]
    curve = [
        (
            math.sin(t) ** 3,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16 - 0.14,
        )
        for t in turns
    ]
    b.polygon(b.round(curve), b.color, b.edge)
    b.ellipse((-0.42, -0.52), (0.16, 0.13), b.light)


def _circle(b: Brush) -> None:
    b.ellipse((0, 0), (1, 1), b.color, b.edge)
    b.ellipse((-0.34, -0.38), (0.2, 0.17), b.light)


def _square(b: Brush) -> None:
    corners = b.round([(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)])
    b.polygon(corners, b.color, b.edge)
    b.polygon(b.round([(-0.66, -0.66), (0.1, -0.66), (-0.66, 0.1)]), b.light)


def _triangle(b: Brush) -> None:
    b.polygon(b.round([(0, -0.98), (0.96, 0.86), (-0.96, 0.86)]), b.color, b.edge)
    b.polygon(b.round([(0, -0.56), (0.12, -0.32), (-0.4, 0.6), (-0.58, 0.6)]), b.light)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing.

    Attributes
    ----------
    draw
        Paints it on a brush.
    aspect
        Width divided by height.
    turns
        True where it may lean to a side.
    """

    draw: Callable[[Brush], None]
    aspect: float = 1.0
    turns: bool = False


KINDS: dict[str, Kind] = {
    "house": Kind(_house, 1.0),
    "car": Kind(_car, 1.9),
    "tree": Kind(_tree, 0.82),
    "fish": Kind(_fish, 1.6),
    "boat": Kind(_boat, 1.15),
    "star": Kind(_star, 1.0, turns=True),
    "heart": Kind(_heart, 1.0, turns=True),
    "circle": Kind(_circle),
    "square": Kind(_square, turns=True),
    "triangle": Kind(_triangle, turns=True),
}
"""The kinds, by their English name."""
