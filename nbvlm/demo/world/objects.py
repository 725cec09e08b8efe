"""The kinds and colours of the picture-book world, and the drawing of its objects and shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from nbvlm.demo.world import creatures, signs
from nbvlm.demo.world.canvas import (
    DARK,
    GLASS,
    LEAF,
    RGB,
    WHITE,
    WOOD,
    Canvas,
    Outline,
    block,
    mix,
    oval,
    rounded,
    smooth,
    tube,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COLORS", "KINDS", "RGB", "Canvas", "Kind", "mix"]

COLORS: dict[str, RGB] = {
    "red": (214, 40, 46),
    "orange": (246, 134, 26),
    "yellow": (251, 217, 56),
    "green": (54, 160, 72),
    "blue": (44, 106, 210),
    "purple": (130, 64, 176),
    "pink": (248, 150, 194),
    "brown": (126, 80, 46),
    "black": (34, 34, 40),
    "white": (247, 247, 244),
}
"""The named colours: the mean RGB value of each, about which the shades of things vary."""

STEEL: RGB = (196, 200, 208)
LAMP: RGB = (255, 238, 160)


def _window(c: Canvas, x0: float, y0: float, x1: float, y1: float) -> None:
    c.fill(block(x0 - 0.05, y0 - 0.05, x1 + 0.05, y1 + 0.05), WHITE if not c.near(WHITE) else c.edge)
    c.fill(block(x0, y0, x1, y1), GLASS)
    c.fill(((x0, y1), (x0, y0), (x0 + (x1 - x0) * 0.7, y0)), mix(GLASS, WHITE, 0.6))
    frame = WHITE if not c.near(WHITE) else c.edge
    c.line((((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)), frame, 0.035)
    c.line(((x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)), frame, 0.035)


ROOF = rounded(((-0.97, -0.1), (0, -0.93), (0.97, -0.1)), 0.06)


def _house(c: Canvas) -> None:
    brick = (168, 96, 78) if not c.near((168, 96, 78)) else (120, 110, 108)
    c.body((block(0.38, -0.86, 0.6, -0.3), brick), edge=mix(brick, DARK, 0.5))
    c.body((block(-0.78, -0.16, 0.78, 0.95), c.color))
    c.fill(block(-0.78, 0.84, 0.78, 0.95), c.dim)
    c.body((ROOF, c.dim))
    for y in (-0.3, -0.5):
        wide = (y + 0.86) * 0.98
        c.line(((-wide, y), (wide, y)), c.edge, 0.03)
    c.fill(oval(0, -0.42, 0.13, 0.13, steps=24), WHITE if not c.near(WHITE) else c.edge)
    c.fill(oval(0, -0.42, 0.09, 0.09, steps=24), GLASS)
    door = mix(WOOD, DARK, 0.45) if c.near(WOOD) else WOOD
    c.fill(block(-0.2, 0.3, 0.2, 0.97), mix(door, DARK, 0.5))
    c.fill(block(-0.15, 0.35, 0.15, 0.97), door)
    c.fill(oval(0.08, 0.66, 0.035, 0.035, steps=10), LAMP)
    _window(c, -0.62, 0.2, -0.34, 0.52)
    _window(c, 0.34, 0.2, 0.62, 0.52)


CABIN = rounded(((-1.16, 0.0), (-0.8, -0.88), (0.34, -0.88), (0.98, 0.0)), 0.26)
HULL = rounded(((-1.74, 0.56), (-1.76, -0.12), (0.96, -0.16), (1.66, 0.04), (1.76, 0.56)), 0.22)
WINDOWS = (
    rounded(((-0.88, -0.12), (-0.7, -0.7), (-0.3, -0.7), (-0.3, -0.12)), 0.08),
    rounded(((-0.16, -0.12), (-0.16, -0.7), (0.26, -0.7), (0.66, -0.12)), 0.08),
)


def _car(c: Canvas) -> None:
    c.body((CABIN, c.color), (HULL, c.color))
    for pane in WINDOWS:
        c.fill(pane, GLASS)
        c.line((*pane, pane[0]), c.edge, 0.04)
    c.line(((-0.76, -0.3), (-0.6, -0.64)), WHITE, 0.05)
    c.line(((-0.02, -0.3), (0.1, -0.64)), WHITE, 0.05)
    c.fill(block(-1.7, 0.36, 1.68, 0.42), c.dim)
    c.line(((-0.23, -0.08), (-0.23, 0.36)), c.edge, 0.03)
    c.line(((-0.1, 0.06), (0.08, 0.06)), c.edge, 0.06)
    c.line(((-1.6, 0.0), (-1.2, 0.0)), c.light, 0.06)
    c.fill(oval(1.58, 0.16, 0.1, 0.1, steps=20), LAMP)
    c.fill(block(-1.76, 0.06, -1.64, 0.22), (226, 70, 60) if not c.near((214, 40, 46)) else LAMP)
    for x in (-0.98, 0.96):
        c.body((oval(x, 0.58, 0.34, 0.34), DARK), edge=(104, 106, 116) if c.near(DARK) else DARK)
        c.fill(oval(x, 0.58, 0.18, 0.18, steps=24), STEEL)
        c.fill(oval(x, 0.58, 0.06, 0.06, steps=12), DARK)


SAIL = smooth(
    ((0.06, -0.84), (0.34, -0.5), (0.62, -0.12), (0.84, 0.3), (0.44, 0.34), (0.06, 0.34), (0.08, 0))
)
JIB = smooth(((-0.1, -0.7), (-0.08, -0.2), (-0.12, 0.34), (-0.4, 0.33), (-0.72, 0.3), (-0.4, -0.14)))


def _boat(c: Canvas) -> None:
    c.body((block(-0.04, -0.96, 0.02, 0.5), WOOD), edge=mix(WOOD, DARK, 0.4))
    c.body((SAIL, c.color))
    c.line(((0.1, 0.06), (0.7, 0.06)), c.light, 0.07)
    pale = mix(c.color, WHITE, 0.62) if not c.near(WHITE) else c.dim
    c.body((JIB, pale))
    c.body((rounded(((-1.0, 0.46), (1.02, 0.46), (0.68, 0.96), (-0.7, 0.96)), 0.14), c.color))
    c.line(((-0.9, 0.58), (0.92, 0.58)), c.light, 0.07)
    for x in (-0.4, 0.0, 0.4):
        c.fill(oval(x, 0.76, 0.07, 0.07, steps=16), c.edge)
        c.fill(oval(x, 0.76, 0.045, 0.045, steps=16), GLASS)


@cache
def _points(outer: float, inner: float) -> Outline:
    turns = [i * math.pi / 5 for i in range(10)]
    return tuple(
        (r * math.sin(t), 0.06 - r * math.cos(t)) for t, r in zip(turns, (outer, inner) * 5, strict=True)
    )


def _star(c: Canvas) -> None:
    c.body((_points(0.98, 0.46), c.color))
    corners = _points(0.84, 0.38)
    for i in range(0, 10, 2):
        c.fill(((0.0, 0.06), corners[i], corners[i - 1]), c.light if i in (0, 8) else c.dim)


@cache
def _curve() -> Outline:
    turns = (i * math.tau / 48 for i in range(48))
    return tuple(
        (
            0.98 * math.sin(t) ** 3,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16.5 - 0.12,
        )
        for t in turns
    )


def _heart(c: Canvas) -> None:
    c.body((_curve(), c.color))
    c.fill(tube(((-0.74, -0.2), (-0.7, -0.46), (-0.48, -0.64)), 0.13), c.light)
    c.fill(oval(-0.27, -0.66, 0.07, 0.06, steps=16), c.light)


def _circle(c: Canvas) -> None:
    c.body((oval(0, 0, 0.95, 0.95, steps=64), c.color))
    c.fill(tube(((-0.7, -0.06), (-0.6, -0.42), (-0.28, -0.66)), 0.13), c.light)
    c.fill(oval(-0.06, -0.72, 0.07, 0.065, steps=16), c.light)


def _square(c: Canvas) -> None:
    c.body((rounded(block(-0.84, -0.84, 0.84, 0.84), 0.1), c.color))
    c.fill(tube(((-0.64, 0.1), (-0.64, -0.2), (-0.64, -0.5)), 0.12), c.light)
    c.fill(oval(-0.64, -0.68, 0.07, 0.07, steps=16), c.light)


def _triangle(c: Canvas) -> None:
    c.body((rounded(((0, -0.96), (1.04, 0.84), (-1.04, 0.84)), 0.12), c.color))
    c.fill(tube(((-0.72, 0.58), (-0.45, 0.1), (-0.22, -0.3)), 0.12), c.light)
    c.fill(oval(-0.09, -0.53, 0.065, 0.07, steps=16), c.light)


AIR = smooth(
    (
        (0, -0.96),
        (0.42, -0.82),
        (0.6, -0.42),
        (0.4, 0.0),
        (0.08, 0.26),
        (-0.08, 0.26),
        (-0.4, 0.0),
        (-0.6, -0.42),
        (-0.42, -0.82),
    )
)
STRING = tube(((0, 0.34), (0.1, 0.5), (-0.08, 0.72), (0.04, 0.96)), 0.04)


def _balloon(c: Canvas) -> None:
    c.body((STRING, (120, 122, 134)), edge=(120, 122, 134))
    c.body((((0, 0.2), (0.12, 0.38), (-0.12, 0.38)), c.dim), (AIR, c.color))
    c.fill(tube(((-0.42, -0.36), (-0.38, -0.6), (-0.2, -0.76)), 0.12), c.light)
    c.fill(oval(-0.02, -0.81, 0.055, 0.05, steps=16), c.light)


@cache
def _canopy(left: float, right: float) -> Outline:
    """One panel of an umbrella between two shares of its half width."""
    arc = [i / 10 for i in range(11)]
    rise = [(left + (right - left) * s, 0.12 - 0.1 * math.sin(math.pi * s)) for s in arc]
    side = [math.pi / 2 * s for s in arc]
    up = [(right * math.cos(a), 0.12 - 0.98 * math.sin(a)) for a in side]
    down = [(left * math.cos(a), 0.12 - 0.98 * math.sin(a)) for a in reversed(side)]
    return (*rise, *up, *down)


def _umbrella(c: Canvas) -> None:
    stick = tube(((0, -0.96), (0, -0.2), (0, 0.74), (0.13, 0.9), (0.29, 0.8), (0.3, 0.68)), 0.09)
    wood = mix(WOOD, DARK, 0.4) if c.near(WOOD) else WOOD
    c.body((stick, wood), edge=mix(wood, DARK, 0.5))
    ribs = (-0.95, -0.5, 0.0, 0.5, 0.95)
    panels = [_canopy(left, right) for left, right in pairwise(ribs)]
    c.body(*((panel, c.color) for panel in panels))
    c.fill(panels[1], mix(c.color, c.light, 0.5))
    c.fill(panels[3], c.dim)
    for panel in panels[:3]:
        c.line(panel[11:22], c.edge, 0.03)


APPLE = smooth(
    (
        (0, -0.46),
        (0.26, -0.6),
        (0.62, -0.54),
        (0.88, -0.1),
        (0.72, 0.52),
        (0.36, 0.92),
        (0, 0.84),
        (-0.36, 0.92),
        (-0.72, 0.52),
        (-0.88, -0.1),
        (-0.62, -0.54),
        (-0.26, -0.6),
    )
)


def _apple(c: Canvas) -> None:
    green = mix(LEAF, DARK, 0.35) if c.near(LEAF) else LEAF
    wood = mix(WOOD, DARK, 0.4)
    leaf = smooth(((0.06, -0.62), (0.24, -0.9), (0.7, -0.95), (0.5, -0.68)))
    c.body((APPLE, c.color))
    c.fill(smooth(((-0.26, -0.48), (0, -0.4), (0.26, -0.48), (0.1, -0.3), (-0.1, -0.3))), c.dim)
    c.body((tube(((0, -0.36), (0.0, -0.64), (-0.08, -0.92)), 0.11), wood), edge=mix(wood, DARK, 0.6))
    c.body((leaf, green), edge=mix(green, DARK, 0.5))
    c.line(((0.12, -0.68), (0.54, -0.88)), mix(green, WHITE, 0.4), 0.03)
    c.fill(tube(((-0.66, 0.1), (-0.62, -0.18), (-0.44, -0.36)), 0.13), c.light)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing."""

    draw: Callable[[Canvas], None]
    aspect: float = 1.0  # width divided by height; of a sign see `signs.aspect`
    turns: bool = False  # whether it may lean to a side
    stands: bool = False  # whether it mostly stands on the ground


KINDS: dict[str, Kind] = {
    "cat": Kind(creatures.cat, 0.8, stands=True),
    "dog": Kind(creatures.dog, 1.14, stands=True),
    "bird": Kind(creatures.bird, 1.16),
    "fish": Kind(creatures.fish, 1.5),
    "car": Kind(_car, 1.8, stands=True),
    "boat": Kind(_boat, 1.02, stands=True),
    "house": Kind(_house, 1.0, stands=True),
    "tree": Kind(creatures.tree, 0.9, stands=True),
    "flower": Kind(creatures.flower, 0.64, stands=True),
    "star": Kind(_star, 1.0, turns=True),
    "heart": Kind(_heart, 1.0, turns=True),
    "circle": Kind(_circle),
    "square": Kind(_square, 0.9, turns=True),
    "triangle": Kind(_triangle, 1.06, turns=True),
    "balloon": Kind(_balloon, 0.64),
    "umbrella": Kind(_umbrella, 1.0),
    "apple": Kind(_apple, 0.92),
    "sign": Kind(signs.draw, 1.2, stands=True),
}
"""The kinds, by their English name."""
