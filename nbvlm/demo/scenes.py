"""Draw picture-book scenes with their ground truth, for training and testing the embedded model.

>>> scene = sample(7)
>>> scene.picture.mode, len(scene.things) > 0
('RGB', True)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from nbvlm.demo.world import backgrounds, difficulty, layouts, lookalikes, objects
from nbvlm.demo.world.layouts import APART, MOST_THINGS, Layout, Placed, compose
from nbvlm.errors import ParameterError
from nbvlm.images import encoded, open_encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "APART",
    "BACKGROUNDS",
    "COLORS",
    "KINDS",
    "MOST_THINGS",
    "Layout",
    "Placed",
    "Scene",
    "Thing",
    "bounds",
    "compose",
    "packed",
    "render",
    "sample",
    "spoil",
]

KINDS: tuple[str, ...] = tuple(objects.KINDS)
"""English words for the kinds of things."""
COLORS: tuple[str, ...] = tuple(objects.COLORS)
"""English words for their colours."""
BACKGROUNDS: tuple[str, ...] = tuple(backgrounds.BACKGROUNDS)
"""English words for the backgrounds."""

LONGER = (160, 2000)
"""Least and greatest length of a sampled picture's longer side, pixels."""
TWICE_UP_TO = 1200
"""Pictures whose longer side has at most so many pixels are drawn at twice their size, and reduced."""


@dataclass(frozen=True)
class Thing:
    """One thing of a scene, as far as it is visible.

    Attributes
    ----------
    kind, color
        English words, of `KINDS` and `COLORS`.
    box
        (x0, y0, x1, y1) in pixels, around the visible part.
    mask
        Height × width bool array: the visible pixels, at least 30 % of the thing.
    text
        Of a sign; None for other things.
    """

    kind: str
    color: str
    box: tuple[float, float, float, float]
    mask: NDArray[np.bool_]
    text: str | None = None


@dataclass(frozen=True)
class Scene:
    """A picture and its ground truth.

    Attributes
    ----------
    picture
        RGB image.
    things
        From left to right.
    background
        One of `BACKGROUNDS`.
    """

    picture: Image.Image
    things: list[Thing]
    background: str

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.picture.size


def sample(seed: int, *, pixels: int | None = None, clean: bool = False, hard: float = 0.0) -> Scene:
    """Draw the scene of a seed.

    Parameters
    ----------
    seed
        Any integer: the same seed gives the same scene.
    pixels
        Length of the longer side; by default it varies from 160 to 2000. The layout does not depend on it.
    clean
        True to skip `spoil`, and the blur, haze and noise of hard scenes.
    hard
        From 0.0, the scene as it is, to 1.0: more, smaller and overlapping things (at most ten) in unusual
        shades, look-alikes that are in no truth, then blur, haze and noise. `docs/embedded-model.md` has the
        rates at which the embedded model fails.

    Returns
    -------
    Scene
        Picture, things with boxes and masks, background.

    Raises
    ------
    ParameterError
        If `hard` is not between 0 and 1.

    Examples
    --------
    >>> sample(7, pixels=320).size == sample(7, pixels=320, clean=True).size
    True
    """
    if isinstance(hard, bool) or not isinstance(hard, (int, float)) or not 0 <= hard <= 1:
        raise ParameterError(f"hard must be a number from 0.0 to 1.0, got {hard!r}.")
    rng = Random(seed)
    layout = compose(rng)
    drawn = round(LONGER[0] * (LONGER[1] / LONGER[0]) ** rng.random())
    if hard:
        layout = difficulty.harder(layout, hard, seed)
    w, h = _size(layout.aspect, pixels or drawn)
    if max(w, h) <= TWICE_UP_TO:
        picture, plan = render(layout, (2 * w, 2 * h))
        picture, plan = picture.reduce(2), plan.resize((w, h), Image.Resampling.NEAREST)
    else:
        picture, plan = render(layout, (w, h))
    if not clean:
        picture = difficulty.veiled(picture, hard, seed) if hard else spoil(picture, rng)
    return Scene(picture, _things(layout, np.asarray(plan)), layout.background)


def _size(aspect: float, longer: int) -> tuple[int, int]:
    return (longer, round(longer / aspect)) if aspect >= 1 else (round(longer * aspect), longer)


def _things(layout: Layout, seen: NDArray[np.uint8]) -> list[Thing]:
    masks = [
        (placed, seen == number) for number, placed in enumerate(layout.placed, 1) if placed.kind in KINDS
    ]
    found = [Thing(placed.kind, placed.color, bounds(mask), mask, placed.text) for placed, mask in masks]
    return sorted(found, key=lambda thing: thing.box[0] + thing.box[2])


def bounds(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return the smallest box (x0, y0, x1, y1) around the true pixels, at their outer edges."""
    x, y = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return float(x[0]), float(y[0]), float(x[-1] + 1), float(y[-1] + 1)


def render(layout: Layout, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """Draw a layout; return the picture and a plan with the number of each pixel's visible thing, from 1."""
    picture = backgrounds.paint(layout.background, size, Random(layout.detail))
    plan = Image.new("L", size)
    for number, placed in enumerate(layout.placed, 1):
        _shadow(layout, placed, picture)
        layouts.paint(placed, picture, plan, number)
    return picture, plan


def _shadow(layout: Layout, placed: Placed, picture: Image.Image) -> None:
    """Darken the ground below a standing thing."""
    w, h = picture.size
    half = placed.size * min(w, h) / 2
    foot = placed.y * h + half * 0.95
    kind = lookalikes.drawing_of(placed.kind)
    if not kind.stands or foot < backgrounds.BACKGROUNDS[layout.background].horizon * h:
        return
    wide = max(2, round(half * min(1.0, placed.aspect) * 2.0))
    backgrounds.shade(picture, (round(placed.x * w), round(foot)), (wide, max(2, round(half * 0.26))))


def spoil(picture: Image.Image, rng: Random) -> Image.Image:
    """Degrade a picture slightly by blur, noise or JPEG; about half of all pictures stay as they are."""
    if rng.random() < 0.5:
        return picture
    blurred, noisy, compressed = (rng.random() < share for share in (0.45, 0.45, 0.6))
    if blurred:
        radius = rng.uniform(0.0008, 0.0035) * min(picture.size)
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    if noisy:
        picture = difficulty.noisy(picture, rng.uniform(2, 7), rng.getrandbits(32))
    if compressed or not (blurred or noisy):
        picture = packed(picture, rng.randrange(50, 93))
    return picture


def packed(picture: Image.Image, quality: int) -> Image.Image:
    """Return a picture with the traces of JPEG."""
    return open_encoded(encoded(picture, "JPEG", quality=quality), "JPEG", "The scene").convert("RGB")


def __dir__() -> list[str]:
    return sorted(__all__)
