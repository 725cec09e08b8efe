"""Things of hard scenes that are in no ground truth: their shapes resemble known kinds."""

from __future__ import annotations

from nbvlm.demo.world.canvas import (
    DARK,
    LEAF,
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
from nbvlm.demo.world.objects import KINDS, Kind

__all__ = ["GROUPS", "LOOKALIKES", "drawing_of"]

PEAR = smooth(
    (
        (0, -0.62),
        (0.24, -0.5),
        (0.34, -0.08),
        (0.62, 0.34),
        (0.5, 0.84),
        (0, 0.94),
        (-0.5, 0.84),
        (-0.62, 0.34),
        (-0.34, -0.08),
        (-0.24, -0.5),
    )
)
TRAPEZOID = rounded(((-0.44, -0.8), (0.44, -0.8), (0.94, 0.82), (-0.94, 0.82)), 0.06)
KITE = rounded(((0, -0.95), (0.62, -0.15), (0, 0.95), (-0.62, -0.15)), 0.05)
CAP = smooth(((-0.95, 0.1), (-0.7, -0.55), (0, -0.92), (0.7, -0.55), (0.95, 0.1), (0.4, 0.2), (-0.4, 0.2)))
LEAF_SHAPE = smooth(((-1.3, 0.0), (-0.6, -0.55), (0.3, -0.6), (1.3, 0.0), (0.3, 0.6), (-0.6, 0.55)))


def _plain(outline: Outline) -> Kind:
    def draw(c: Canvas) -> None:
        c.body((outline, c.color))

    return Kind(draw, 1.0, turns=True)


def _pear(c: Canvas) -> None:
    wood = mix(WOOD, DARK, 0.4)
    c.body((PEAR, c.color))
    c.body((tube(((0, -0.52), (0.02, -0.74), (0.12, -0.94)), 0.11), wood), edge=mix(wood, DARK, 0.6))


def _mushroom(c: Canvas) -> None:
    stem = WHITE if not c.near(WHITE) else c.dim
    c.body((block(-0.24, 0.0, 0.24, 0.94), stem))
    c.body((CAP, c.color))
    for x, y in ((-0.4, -0.3), (0.1, -0.55), (0.45, -0.2)):
        c.fill(oval(x, y, 0.12, 0.12, steps=16), c.light)


def _leaf(c: Canvas) -> None:
    c.body((LEAF_SHAPE, c.color))
    c.line(((-1.2, 0.0), (1.2, 0.0)), c.edge if not c.near(LEAF) else c.dim, 0.06)


LOOKALIKES: dict[str, Kind] = {
    "oval": _plain(oval(0, 0, 0.62, 0.93)),
    "kite": _plain(KITE),
    "trapezoid": _plain(TRAPEZOID),
    "pear": Kind(_pear, 0.7),
    "mushroom": Kind(_mushroom, 1.0, stands=True),
    "leaf": Kind(_leaf, 2.0, turns=True),
}
"""The kinds that resemble others, by their English name."""

GROUPS: tuple[tuple[str, ...], ...] = (
    ("circle", "balloon", "apple", "oval", "pear"),
    ("square", "sign", "house", "kite"),
    ("triangle", "tree", "boat", "trapezoid"),
    ("star", "flower", "heart"),
    ("cat", "dog"),
    ("bird", "fish", "leaf"),
    ("umbrella", "mushroom", "balloon"),
    ("car", "boat"),
)
"""Kinds that resemble each other; signs carry texts and are never added."""


def drawing_of(kind: str) -> Kind:
    """Return how a thing or a look-alike is drawn."""
    return KINDS.get(kind) or LOOKALIKES[kind]
