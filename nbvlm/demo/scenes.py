"""Picture-book scenes with their ground truth: what the embedded model was taught with, and is tested on.

>>> scene = sample(7)
>>> scene.picture.mode, len(scene.things) > 0
('RGB', True)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nbvlm.demo import grounds, things
from nbvlm.demo.things import RGB, Brush

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLORS", "GROUNDS", "KINDS", "Layout", "Placed", "Scene", "Thing", "compose", "render", "sample"]

KINDS: tuple[str, ...] = tuple(things.KINDS)
COLORS: tuple[str, ...] = tuple(things.COLORS)
GROUNDS: tuple[str, ...] = tuple(grounds.GROUNDS)

MOST_THINGS = 5
SEEN_AT_LEAST = 0.4
APART = 0.03
"""Least distance of two things' middles, as a share of the width: their order from left to right is clear."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a thing goes, in shares of width and height; `size`: its height in shares of the shorter side."""

    kind: str
    color: str
    shade: RGB
    x: float
    y: float
    size: float
    flip: bool
    turn: float


@dataclass(frozen=True, slots=True)
class Layout:
    """A scene before it is drawn; it can be drawn at any size of about the same aspect ratio."""

    ground: str
    detail: int
    aspect: float
    placed: tuple[Placed, ...]


@dataclass(frozen=True)
class Thing:
    """One thing of a scene, as it is seen.

    Attributes
    ----------
    kind, color
        English words, of `KINDS` and `COLORS`.
    box
        (x0, y0, x1, y1) in pixels: bounds what is visible.
    mask
        Height × width bool array: the visible pixels, at least 30 % of the thing.
    text
        What a sign says; None for other things.
    """

    kind: str
    color: str
    box: tuple[float, float, float, float]
    mask: NDArray[np.bool_]
    text: str | None = None


@dataclass(frozen=True)
class Scene:
    """A picture and the truth about it.

    Attributes
    ----------
    picture
        RGB image.
    things
        From left to right.
    ground
        One of `GROUNDS`.
    """

    picture: Image.Image
    things: list[Thing]
    ground: str

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.picture.size


def sample(seed: int, *, pixels: int | None = None) -> Scene:
    """Draw the scene of a seed.

    Parameters
    ----------
    seed
        Any integer: the same seed gives the same scene.
    pixels
        Length of the longer side; by default it varies from 320 to 960.

    Returns
    -------
    Scene
        Picture, things with boxes and masks, ground.
    """
    chance = Random(seed)
    layout = compose(chance)
    longer = pixels or chance.randrange(320, 961, 16)
    w, h = _size(layout.aspect, longer)
    picture, plan = render(layout, (2 * w, 2 * h))
    picture = picture.resize((w, h), Image.Resampling.BOX)
    seen = np.asarray(plan.resize((w, h), Image.Resampling.NEAREST))
    return Scene(picture, _things(layout, seen), layout.ground)


def _size(aspect: float, longer: int) -> tuple[int, int]:
    return (longer, round(longer / aspect)) if aspect >= 1 else (round(longer * aspect), longer)


def _things(layout: Layout, seen: NDArray[np.uint8]) -> list[Thing]:
    found = []
    for number, placed in enumerate(layout.placed, 1):
        mask = seen == number
        found.append(Thing(placed.kind, placed.color, bounds(mask), mask))
    return sorted(found, key=lambda thing: thing.box[0] + thing.box[2])


def bounds(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Smallest box (x0, y0, x1, y1) around the true pixels, at their outer edges."""
    x, y = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return float(x[0]), float(y[0]), float(x[-1] + 1), float(y[-1] + 1)


def compose(chance: Random) -> Layout:
    """Choose ground, things and places: each thing well seen, their order from left to right clear."""
    ground, detail = chance.choice(GROUNDS), chance.randrange(1 << 30)
    aspect = chance.choice((1.0, 4 / 3, 4 / 3, 3 / 2, 3 / 4, 2 / 3))
    wanted = chance.randrange(1, MOST_THINGS + 1)
    placed: tuple[Placed, ...] = ()
    for _ in range(60):
        if len(placed) == wanted:
            break
        more = (*placed, _place(chance, aspect))
        layout = Layout(ground, detail, aspect, _back_to_front(more))
        if _clear(layout):
            placed = more
    return Layout(ground, detail, aspect, _back_to_front(placed))


def _back_to_front(placed: tuple[Placed, ...]) -> tuple[Placed, ...]:
    return tuple(sorted(placed, key=lambda p: p.y))


def _place(chance: Random, aspect: float) -> Placed:
    name, color = chance.choice(KINDS), chance.choice(COLORS)
    kind = things.KINDS[name]
    size = chance.uniform(0.17, 0.4) / max(1.0, kind.aspect) ** 0.5
    shorter_w, shorter_h = min(1.0, 1 / aspect), min(1.0, aspect)
    half_x, half_y = size * kind.aspect * shorter_w / 2, size * shorter_h / 2
    slack = 1.25 if kind.turns else 1.04
    return Placed(
        name,
        color,
        _shade(chance, things.COLORS[color]),
        chance.uniform(half_x * slack, 1 - half_x * slack),
        chance.uniform(half_y * slack, 1 - half_y * slack),
        size,
        chance.random() < 0.5,
        chance.uniform(-0.3, 0.3) if kind.turns else 0.0,
    )


def _shade(chance: Random, color: RGB) -> RGB:
    light = chance.uniform(-10, 10)
    r, g, b = (min(255, max(0, round(c + light + chance.uniform(-7, 7)))) for c in color)
    return r, g, b


def _clear(layout: Layout) -> bool:
    """Whether every thing is seen well and no two begin at the same place from the left."""
    size = _size(layout.aspect, 96)
    alone = [
        np.count_nonzero(np.asarray(_plan(layout, size, [number])))
        for number in range(1, len(layout.placed) + 1)
    ]
    seen = np.asarray(_plan(layout, size))
    counts = np.bincount(seen.ravel(), minlength=len(layout.placed) + 1)[1:]
    if any(part < SEEN_AT_LEAST * whole for part, whole in zip(counts, alone, strict=True)):
        return False
    middles = sorted(sum(bounds(seen == n + 1)[::2]) / 2 / size[0] for n in range(len(alone)))
    return all(b - a >= APART for a, b in pairwise(middles))


def _plan(layout: Layout, size: tuple[int, int], only: list[int] | None = None) -> Image.Image:
    plan = Image.new("L", size)
    for number, placed in enumerate(layout.placed, 1):
        if only is None or number in only:
            _draw(placed, None, plan, number)
    return plan


def render(layout: Layout, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """Draw a layout.

    Parameters
    ----------
    layout
        From `compose`.
    size
        Width and height in pixels.

    Returns
    -------
    picture, plan
        RGB picture; 8-bit plan: the number (from 1, as in `layout.placed`) of the thing seen at each pixel.
    """
    picture = grounds.paint(layout.ground, size, Random(layout.detail))
    plan = Image.new("L", size)
    for number, placed in enumerate(layout.placed, 1):
        _draw(placed, picture, plan, number)
    return picture, plan


def _draw(placed: Placed, picture: Image.Image | None, plan: Image.Image, number: int) -> None:
    w, h = plan.size
    kind = things.KINDS[placed.kind]
    half_y = placed.size * min(w, h) / 2
    center = (placed.x * w, placed.y * h)
    half = (half_y * kind.aspect, half_y)
    kind.draw(Brush(picture, plan, number, center, half, placed.shade, placed.flip, placed.turn))
