"""Draw the animals and plants of the picture-book world: one function for each kind."""

from __future__ import annotations

import math
from functools import cache

from nbvlm.demo.world.canvas import (
    DARK,
    LEAF,
    RGB,
    WHITE,
    WOOD,
    Canvas,
    Outline,
    mirrored,
    mix,
    oval,
    smooth,
    tube,
)

ROSE: RGB = (244, 150, 160)
BEAK: RGB = (250, 176, 40)
EYE: RGB = (236, 214, 84)


def _eye(c: Canvas, x: float, y: float, r: float, white: RGB = WHITE) -> None:
    c.fill(oval(x, y, r, r, steps=20), white)
    c.fill(oval(x + r * 0.2, y, r * 0.62, r * 0.7, steps=16), DARK)
    c.fill(oval(x + r * 0.36, y - r * 0.28, r * 0.22, r * 0.22, steps=10), WHITE)


CAT_BODY = smooth(
    ((0, -0.2), (0.36, 0.08), (0.5, 0.5), (0.44, 0.9), (0, 0.95), (-0.44, 0.9), (-0.5, 0.5), (-0.36, 0.08))
)
CAT_EAR = ((-0.53, -0.4), (-0.47, -0.95), (-0.08, -0.7))
CAT_TAIL = tube(((0.3, 0.84), (0.62, 0.86), (0.8, 0.58), (0.68, 0.26), (0.52, 0.36)), 0.17)


def cat(c: Canvas) -> None:
    """Draw a sitting cat from the front, its tail curled."""
    c.body((CAT_TAIL, c.color))
    c.body((CAT_BODY, c.color))
    c.fill(oval(0, 0.5, 0.2, 0.3), c.light)
    c.line(((-0.13, 0.6), (-0.13, 0.92)), c.edge, 0.035)
    c.line(((0.13, 0.6), (0.13, 0.92)), c.edge, 0.035)
    c.body((CAT_EAR, c.color), (mirrored(CAT_EAR), c.color), (oval(0, -0.36, 0.56, 0.42), c.color))
    for ear in (((-0.44, -0.58), (-0.42, -0.82), (-0.24, -0.68)),):
        c.fill(ear, ROSE)
        c.fill(mirrored(ear), ROSE)
    for x in (-0.13, 0.0, 0.13):
        c.line(((x, -0.74), (x * 0.8, -0.6)), c.dim, 0.05)
    for x in (-0.23, 0.23):
        c.fill(oval(x, -0.4, 0.11, 0.13, steps=20), EYE)
        c.fill(oval(x, -0.4, 0.055, 0.11, steps=16), DARK)
    c.fill(oval(0, -0.16, 0.16, 0.1, steps=20), c.light)
    c.fill(((-0.07, -0.26), (0.07, -0.26), (0, -0.17)), ROSE)
    for side in (-1, 1):
        c.line(((side * 0.16, -0.17), (side * 0.46, -0.22)), c.edge, 0.022)
        c.line(((side * 0.16, -0.12), (side * 0.44, -0.08)), c.edge, 0.022)


DOG_TRUNK = smooth(
    (
        (-0.74, -0.12),
        (-0.1, -0.14),
        (0.36, -0.18),
        (0.56, 0.1),
        (0.42, 0.44),
        (-0.1, 0.34),
        (-0.7, 0.4),
        (-0.88, 0.14),
    )
)
DOG_NECK = tube(((0.3, 0.12), (0.5, -0.3)), 0.5, 0.44)
DOG_TAIL = tube(((-0.74, 0.0), (-0.96, -0.22), (-1.02, -0.6)), 0.2, 0.1)
DOG_EAR = smooth(((0.36, -0.82), (0.54, -0.74), (0.56, -0.4), (0.44, -0.1), (0.26, -0.24), (0.24, -0.6)))


def _leg(x: float) -> Outline:
    return tube(((x, 0.25), (x, 0.6), (x + 0.01, 0.88), (x + 0.1, 0.89)), 0.18)


def dog(c: Canvas) -> None:
    """Draw a standing dog from the side, with hanging ears."""
    c.body((_leg(-0.48), c.dim), (_leg(0.18), c.dim))
    c.body(
        (DOG_TAIL, c.color),
        (_leg(-0.7), c.color),
        (_leg(0.4), c.color),
        (DOG_TRUNK, c.color),
        (DOG_NECK, c.color),
        (oval(0.6, -0.52, 0.36, 0.33), c.color),
        (oval(0.86, -0.38, 0.26, 0.19), c.color),
    )
    c.fill(oval(-0.3, 0.04, 0.26, 0.13, 0.1), c.light)
    c.line(
        ((0.24, -0.14), (0.44, 0.0), (0.7, -0.06)),
        (60, 110, 190) if not c.near((48, 106, 204)) else (220, 70, 60),
        0.1,
    )
    c.fill(oval(1.02, -0.47, 0.1, 0.085, steps=20), (160, 160, 168) if c.near(DARK) else DARK)
    c.line(smooth(((0.72, -0.28), (0.86, -0.24), (1.02, -0.3)), closed=False), c.edge, 0.035)
    _eye(c, 0.72, -0.6, 0.085)
    c.body((DOG_EAR, c.dim))


BIRD_BODY = smooth(
    (
        (0.86, -0.52),
        (0.7, -0.84),
        (0.36, -0.84),
        (0.08, -0.46),
        (-0.4, -0.2),
        (-0.66, 0.06),
        (-0.42, 0.48),
        (0.1, 0.64),
        (0.6, 0.42),
        (0.8, -0.1),
    )
)
BIRD_TAIL = ((-0.4, -0.16), (-1.1, -0.34), (-1.0, -0.1), (-1.14, 0.06), (-0.5, 0.3))
BIRD_WING = smooth(
    (
        (0.34, -0.1),
        (0.0, -0.24),
        (-0.5, -0.06),
        (-0.86, 0.24),
        (-0.5, 0.3),
        (-0.3, 0.42),
        (0.06, 0.38),
        (0.32, 0.2),
    )
)


def bird(c: Canvas) -> None:
    """Draw a small bird on its two legs."""
    beak = BEAK if not c.near(BEAK) else (150, 90, 40)
    for x in (-0.02, 0.26):
        c.body(
            (tube(((x, 0.5), (x - 0.02, 0.8), (x - 0.02, 0.93)), 0.07), beak),
            (tube(((x - 0.04, 0.93), (x + 0.18, 0.94)), 0.06), beak),
            edge=mix(beak, DARK, 0.4),
        )
    c.body((((0.74, -0.66), (1.14, -0.5), (0.76, -0.38)), beak), edge=mix(beak, DARK, 0.4))
    c.body((BIRD_TAIL, c.dim), (BIRD_BODY, c.color))
    c.fill(oval(0.5, 0.12, 0.24, 0.34, 0.35), c.light)
    c.body((BIRD_WING, c.dim))
    for x, y in ((-0.3, 0.1), (-0.1, 0.2)):
        c.line(smooth(((x - 0.26, y + 0.06), (x, y + 0.1), (x + 0.2, y - 0.06)), closed=False), c.edge, 0.035)
    _eye(c, 0.58, -0.58, 0.11)


FISH_BODY = smooth(
    (
        (1.46, 0.04),
        (1.16, -0.4),
        (0.5, -0.66),
        (-0.3, -0.5),
        (-0.98, -0.02),
        (-0.3, 0.5),
        (0.5, 0.66),
        (1.16, 0.44),
    )
)
FISH_TAIL = smooth(((-0.76, -0.02), (-1.2, -0.6), (-1.5, -0.62), (-1.32, -0.02), (-1.5, 0.6), (-1.2, 0.58)))
FISH_FIN = smooth(((-0.34, -0.42), (-0.2, -0.9), (0.2, -0.92), (0.7, -0.5), (0.2, -0.4)))


def fish(c: Canvas) -> None:
    """Draw a fish with a forked tail."""
    under = smooth(((-0.2, 0.4), (-0.28, 0.86), (0.06, 0.86), (0.36, 0.5)))
    c.body((FISH_TAIL, c.dim), (FISH_FIN, c.dim), (under, c.dim))
    c.body((FISH_BODY, c.color))
    c.fill(smooth(((-0.4, 0.3), (0.4, 0.36), (1.1, 0.3), (0.9, 0.5), (0.45, 0.58), (-0.1, 0.48))), c.light)
    for x, y in ((-0.4, -0.1), (-0.05, -0.26), (-0.05, 0.1), (0.3, -0.36), (0.3, -0.06)):
        c.line(smooth(((x, y - 0.14), (x - 0.12, y), (x, y + 0.14)), closed=False), c.dim, 0.05)
    c.line(smooth(((0.74, -0.48), (0.6, 0.0), (0.74, 0.46)), closed=False), c.edge, 0.045)
    c.body((smooth(((0.42, 0.08), (0.2, 0.0), (-0.1, 0.16), (0.06, 0.36), (0.32, 0.3))), c.dim))
    _eye(c, 1.02, -0.16, 0.15)
    c.line(smooth(((1.38, 0.16), (1.24, 0.2), (1.14, 0.14)), closed=False), c.edge, 0.04)


def _lit(c: Canvas, *spots: tuple[float, float, float]) -> None:
    for x, y, r in spots:
        c.fill(oval(x, y, r, r * 0.8, steps=24), c.light)


def tree(c: Canvas) -> None:
    """Draw a tree with a round crown."""
    bark = mix(WOOD, DARK, 0.35) if c.near(WOOD) or c.near((124, 78, 44)) else WOOD
    c.body(
        (((-0.2, 0.96), (-0.11, 0.7), (-0.1, 0.1), (0.1, 0.1), (0.12, 0.7), (0.22, 0.96)), bark),
        edge=mix(bark, DARK, 0.5),
    )
    crown = (
        (-0.46, 0.06, 0.4),
        (0.48, 0.06, 0.4),
        (-0.42, -0.36, 0.38),
        (0.42, -0.36, 0.38),
        (0, -0.6, 0.36),
        (0, 0.12, 0.38),
        (0, -0.2, 0.5),
    )
    c.body(*((oval(x, y, r, r), c.color) for x, y, r in crown))
    for x, y, r in ((-0.46, 0.1, 0.28), (0.08, 0.2, 0.26), (0.5, 0.04, 0.26)):
        c.line(tuple(oval(x, y, r, r)[3:17]), c.dim, 0.06)
    _lit(
        c,
        (-0.4, -0.42, 0.13),
        (-0.06, -0.74, 0.12),
        (0.34, -0.4, 0.1),
        (-0.58, -0.02, 0.09),
        (0.1, -0.16, 0.1),
    )


@cache
def _petal(i: int) -> Outline:
    a = math.tau * i / 6 + math.pi / 6
    return oval(0.35 * math.cos(a), -0.36 + 0.35 * math.sin(a), 0.28, 0.2, a)


def flower(c: Canvas) -> None:
    """Draw a flower with six petals, a stem and two leaves."""
    leaf = mix(LEAF, DARK, 0.3) if c.near((52, 156, 70)) else LEAF
    stem, rim = tube(((0, -0.1), (0.03, 0.4), (0, 0.95)), 0.09), mix(leaf, DARK, 0.45)
    left = smooth(((0, 0.8), (-0.2, 0.48), (-0.5, 0.4), (-0.36, 0.7)))
    right = smooth(((0.01, 0.72), (0.2, 0.4), (0.48, 0.34), (0.34, 0.6)))
    c.body((stem, leaf), (left, leaf), (right, leaf), edge=rim)
    for i in range(6):
        c.body((_petal(i), c.color))
    c.fill(oval(0, -0.36, 0.3, 0.3), c.color)
    for i in range(6):
        a = math.tau * i / 6 + math.pi / 6
        c.line(
            (
                (0.24 * math.cos(a), -0.36 + 0.24 * math.sin(a)),
                (0.46 * math.cos(a), -0.36 + 0.46 * math.sin(a)),
            ),
            c.dim,
            0.05,
        )
    heart = (150, 92, 44) if c.near((250, 214, 54)) or c.near((244, 134, 28)) else (252, 206, 60)
    c.body((oval(0, -0.36, 0.17, 0.17), heart), edge=mix(heart, DARK, 0.4))
    for x, y in ((-0.06, -0.4), (0.06, -0.42), (0.0, -0.3), (0.08, -0.32), (-0.07, -0.31)):
        c.fill(oval(x, y, 0.022, 0.022, steps=8), mix(heart, DARK, 0.35))
