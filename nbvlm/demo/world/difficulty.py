"""Make scenes harder: crowded, overlapping, small, oddly coloured, with look-alikes, blurred."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from nbvlm.demo.world import objects
from nbvlm.demo.world.canvas import mix
from nbvlm.demo.world.layouts import SEEN_AT_LEAST, Layout, Page, Placed, place, shade_of, stamp
from nbvlm.demo.world.lookalikes import GROUPS, LOOKALIKES, drawing_of

if TYPE_CHECKING:
    from nbvlm.demo.world.objects import RGB

__all__ = ["MOST_THINGS", "harder", "noisy", "veiled"]

MOST_THINGS = 10
"""Most things of a hard scene: the largest number that the embedded model has a word for."""
_ADDED, _DECOYS = 7, 4  # at hard=1: things added, and look-alikes that are none of the kinds
_SHRUNK = 0.5  # at hard=1: the share of its height that a thing loses at most
_SEEN_AT_LEAST = 0.38  # at hard=1: the least visible share of a thing
_SMALL = (0.1, 0.17)  # heights of added things, as shares of the shorter side
_MIXED = 0.42  # at hard=1: the greatest share of a neighbouring colour; below a half it stays the nearer one
_BLUR, _HAZE, _NOISE = 0.009, 0.4, 16.0  # at hard=1: radius by the shorter side, share of grey, deviation
_GREY: RGB = (150, 152, 156)
_NEXT = {
    "red": ("orange", "pink", "brown"),
    "orange": ("red", "yellow"),
    "yellow": ("orange", "white"),
    "green": ("blue", "yellow", "black"),
    "blue": ("purple", "green", "black"),
    "purple": ("blue", "pink", "black"),
    "pink": ("purple", "red", "white"),
    "brown": ("red", "black", "orange"),
    "black": ("brown", "blue", "purple"),
    "white": ("yellow", "pink"),
}


def harder(layout: Layout, hard: float, seed: int) -> Layout:
    """Return the layout with smaller, oddly coloured things, more of them, and look-alikes between them.

    Parameters
    ----------
    layout
        From `compose`.
    hard
        Above 0, up to 1.
    seed
        Chooses the changes. The same seed keeps them at every `hard`, as far as the things have room.
    """
    seen = SEEN_AT_LEAST + (_SEEN_AT_LEAST - SEEN_AT_LEAST) * hard
    page = Page.of(layout.aspect, seen)
    rng = Random(f"{seed} hard")
    for placed in layout.placed:
        odd = replace(placed, shade=_odd(placed, hard, rng))
        lost = _SHRUNK * hard * rng.uniform(0.4, 1.0) * (0.3 if placed.text else 1.0)
        small = _shrunk(odd, 1 - lost, layout.aspect)
        if not page.add(small, stamp(small)):
            page.add(odd, stamp(odd))
    room = MOST_THINGS - len(page.entries)
    added, decoys = min(room, round(_ADDED * hard)), round(_DECOYS * hard)
    for n in range(added + decoys):
        _join(page, layout, hard, Random(f"{seed} hard {n}"), decoy=n >= added)
    return replace(layout, placed=tuple(entry.placed for entry in page.entries))


def _shrunk(placed: Placed, share: float, aspect: float) -> Placed:
    """Return a thing at a share of its size, with its foot where it was."""
    size = placed.size * share
    return replace(placed, size=size, y=placed.y + (placed.size - size) / 2 * min(1.0, aspect))


def _odd(placed: Placed, hard: float, rng: Random) -> RGB:
    """Return a shade between a thing's colour and a neighbouring one."""
    other = objects.COLORS[rng.choice(_NEXT[placed.color])]
    return mix(placed.shade, other, _MIXED * hard * rng.random())


def _join(page: Page, layout: Layout, hard: float, rng: Random, *, decoy: bool) -> None:
    """Add a thing that resembles one of the page, often before or behind it."""
    model = rng.choice(page.entries).placed
    group = rng.choice([group for group in GROUPS if model.kind in group] or list(GROUPS))
    kinds = list(LOOKALIKES) if decoy else [kind for kind in objects.KINDS if kind != "sign"]
    alike = [kind for kind in group if kind in kinds]
    kind = rng.choice(alike if alike and rng.random() < 0.7 else kinds)
    color = model.color if rng.random() < 0.5 else rng.choice(tuple(objects.COLORS))
    size = rng.uniform(*_SMALL) / max(1.0, drawing_of(kind).aspect) ** 0.5
    turn = rng.uniform(-0.3, 0.3) if drawing_of(kind).turns else 0.0
    shade = shade_of(rng, objects.COLORS[color])
    placed = Placed(kind, color, shade, 0.5, 0.5, size, rng.random() < 0.5, turn)
    placed = replace(placed, shade=_odd(placed, hard, rng))
    painted = stamp(placed)
    for _ in range(12):
        x, y = place(rng, placed, layout.background, layout.aspect)
        if rng.random() < 0.6:  # so near that one covers a part of the other
            x = min(0.95, max(0.05, model.x + rng.uniform(-0.6, 0.6) * (model.size + size) / 2))
            y = min(0.95, max(0.05, model.y + rng.uniform(-0.6, 0.6) * (model.size + size) / 2))
        if page.add(replace(placed, x=x, y=y), painted):
            return


def veiled(picture: Image.Image, hard: float, seed: int) -> Image.Image:
    """Return the picture with blur, haze and noise."""
    rng = Random(f"{seed} veil")
    radius, grey, sigma = (
        most * hard * rng.uniform(0.4, 1.0) for most in (_BLUR * min(picture.size), _HAZE, _NOISE)
    )
    veil = Image.blend(picture, Image.new("RGB", picture.size, _GREY), grey)
    return noisy(veil.filter(ImageFilter.GaussianBlur(radius)), sigma, rng.getrandbits(32))


def noisy(picture: Image.Image, sigma: float, seed: int) -> Image.Image:
    """Return the picture with noise of a standard deviation."""
    values = np.asarray(picture, np.float32)
    noise = np.random.Generator(np.random.SFC64(seed)).standard_normal(values.shape, np.float32)
    return Image.fromarray(np.clip(values + noise * np.float32(sigma) + 0.5, 0, 255).astype(np.uint8))
