"""Compose random layouts of scenes in which every thing can be recognised."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nbvlm.demo.world import backgrounds, objects, signs
from nbvlm.demo.world.lookalikes import drawing_of
from nbvlm.demo.world.objects import RGB, Canvas

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

__all__ = [
    "APART",
    "MOST_THINGS",
    "SEEN_AT_LEAST",
    "Layout",
    "Page",
    "Placed",
    "compose",
    "paint",
    "place",
    "shade_of",
    "stamp",
]

MOST_THINGS = 8
COUNTS = (2, 3, 4, 4, 3, 2, 1, 1)
ASPECTS = {1 / 2: 1, 2 / 3: 2, 3 / 4: 3, 1.0: 4, 4 / 3: 4, 3 / 2: 3, 2.0: 1}
SMALL = (0.15, 0.22)
LARGE = (0.26, 0.45)
SIGNS = (0.27, 0.38)
MOST_SIGNS = 2
SEEN_AT_LEAST = 0.5
"""Least visible share of a thing."""
SIGN_SEEN = 0.97
APART = 0.03
"""Least distance of two things' middles, as a share of the width, so that their order is clear."""
PROBE = 72
"""Shorter side, in pixels, of the coarse plans on which a layout is checked."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The place of a thing, in shares of width and height; `size`: its height by the shorter side."""

    kind: str
    color: str
    shade: RGB
    x: float
    y: float
    size: float
    flip: bool
    turn: float
    text: str | None = None

    @property
    def aspect(self) -> float:
        """Width divided by height; a sign is as wide as its text needs."""
        return signs.aspect(self.text) if self.text else drawing_of(self.kind).aspect


@dataclass(frozen=True, slots=True)
class Layout:
    """A scene before it is drawn; it can be drawn at any size of about the same aspect ratio."""

    background: str
    detail: int
    aspect: float
    placed: tuple[Placed, ...]


@dataclass(slots=True)
class _Entry:
    placed: Placed
    foot: float
    mask: NDArray[np.bool_]
    area: int


@dataclass(slots=True)
class Page:
    """The things placed so far, as masks on a coarse plan; each is visible to the share `seen` at least."""

    size: tuple[int, int]
    seen: float = SEEN_AT_LEAST
    entries: list[_Entry] = field(default_factory=list)

    @classmethod
    def of(cls, aspect: float, seen: float = SEEN_AT_LEAST) -> Page:
        """Return an empty page for a picture of an aspect ratio."""
        return cls((round(PROBE * max(1.0, aspect)), round(PROBE * max(1.0, 1 / aspect))), seen)

    def add(self, placed: Placed, painted: NDArray[np.bool_]) -> bool:
        """Add a thing if all can still be recognised."""
        w, h = self.size
        tall, wide = painted.shape
        x, y = round(placed.x * w - wide / 2), round(placed.y * h - tall / 2)
        mask = np.zeros((h, w), bool)
        top, left = max(0, y), max(0, x)
        part = painted[top - y : h - y, left - x : w - x]
        mask[top : top + part.shape[0], left : left + part.shape[1]] = part
        foot = placed.y * h + placed.size * min(w, h) / 2
        entry = _Entry(placed, foot, mask, int(np.count_nonzero(mask)))
        entries = sorted([*self.entries, entry], key=lambda e: e.foot)
        if not _clear(entries, w, self.seen):
            return False
        self.entries = entries
        return True


def _clear(entries: list[_Entry], width: int, least: float) -> bool:
    """Whether every thing is visible enough, in one piece, and the middles of all have different x."""
    above = np.zeros_like(entries[0].mask)
    middles = []
    for entry in reversed(entries):
        seen = entry.mask & ~above
        count = int(np.count_nonzero(seen))
        if count < (SIGN_SEEN if entry.placed.text else least) * entry.area:
            return False
        columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
        if count < entry.area and not (_unbroken(columns) and _unbroken(rows)):
            return False
        middles.append((columns[0] + columns[-1]) / 2)
        above |= entry.mask
    return all(b - a >= APART * 1.2 * width for a, b in pairwise(sorted(middles)))


def _unbroken(places: NDArray[np.intp]) -> bool:
    return len(places) == int(places[-1] - places[0]) + 1


def compose(rng: Random) -> Layout:
    """Compose a scene of one to eight things; those in front are drawn last."""
    background = rng.choice(tuple(backgrounds.BACKGROUNDS))
    aspect = rng.choices(tuple(ASPECTS), tuple(ASPECTS.values()))[0]
    page = Page.of(aspect)
    for _ in range(rng.choices(range(1, MOST_THINGS + 1), COUNTS)[0]):
        for attempt in range(7):
            if _join(rng, page, background, aspect, crowded=attempt > 2):
                break
    placed = tuple(entry.placed for entry in page.entries)
    return Layout(background, rng.randrange(1 << 30), aspect, placed)


def _join(rng: Random, page: Page, background: str, aspect: float, *, crowded: bool) -> bool:
    kind = _kind(rng, page, crowded=crowded)
    color = rng.choice(tuple(objects.COLORS))
    shade = shade_of(rng, objects.COLORS[color])
    text = signs.words(rng) if kind == "sign" else None
    size = _measure(rng, kind, text, crowded=crowded)
    flip = rng.random() < 0.5
    turn = rng.uniform(-0.3, 0.3) if objects.KINDS[kind].turns else 0.0
    origin = Placed(kind, color, shade, 0.5, 0.5, size, flip, turn, text)
    if origin.aspect * size > 0.94 * max(1.0, aspect) * min(1.0, 1 / min(1.0, aspect)):
        return False
    painted = stamp(origin)
    for _ in range(5):
        x, y = place(rng, origin, background, aspect)
        if page.add(replace(origin, x=x, y=y), painted):
            return True
    return False


def _kind(rng: Random, page: Page, *, crowded: bool) -> str:
    """Choose a kind, often one that the scene has already, for questions that count."""
    there = [entry.placed.kind for entry in page.entries]
    repeated = bool(there) and rng.random() < 0.25
    kind = rng.choice(there if repeated else tuple(objects.KINDS))
    full = crowded or there.count("sign") >= MOST_SIGNS
    return "apple" if kind == "sign" and full else kind


def _measure(rng: Random, kind: str, text: str | None, *, crowded: bool) -> float:
    if text is not None:
        return rng.uniform(*SIGNS)
    size = rng.uniform(*(SMALL if crowded or rng.random() < 0.4 else LARGE))
    return float(size / max(1.0, objects.KINDS[kind].aspect) ** 0.5)


def shade_of(rng: Random, color: RGB) -> RGB:
    """Return a random shade of a colour."""
    light = rng.uniform(-7, 7)
    r, g, b = (min(255, max(0, round(c + light + rng.uniform(-6, 6)))) for c in color)
    return r, g, b


def place(rng: Random, placed: Placed, background: str, aspect: float) -> tuple[float, float]:
    """Choose a middle: mostly on the ground for standing things, anywhere for others."""
    kind = drawing_of(placed.kind)
    slack = 1.25 if kind.turns else 1.03
    half_y = placed.size * min(1.0, aspect) / 2
    half_x = placed.size * placed.aspect * min(1.0, 1 / aspect) / 2 * slack
    low, high = half_y * slack, 1 - half_y * slack
    if kind.stands and rng.random() < 0.94:
        low = min(high, max(low, backgrounds.BACKGROUNDS[background].horizon + 0.03 - half_y))
    x = rng.uniform(min(half_x, 0.5), max(0.5, 1 - half_x))
    return x, rng.uniform(min(low, high), high)


def stamp(placed: Placed) -> NDArray[np.bool_]:
    """Return the pixels of a thing on the coarse plan, itself in the middle."""
    kind = drawing_of(placed.kind)
    half = placed.size * PROBE / 2
    reach = 1.3 if kind.turns else 1.1
    wide = 2 * round(half * placed.aspect * reach + 1)
    tall = 2 * round(half * reach + 1)
    plan = Image.new("L", (wide, tall))
    kind.draw(_canvas(placed, None, plan, 1, (wide / 2, tall / 2), half))
    return np.asarray(plan) > 0


def _canvas(
    placed: Placed,
    picture: Image.Image | None,
    plan: Image.Image,
    number: int,
    center: tuple[float, float],
    half: float,
) -> Canvas:
    return Canvas(picture, plan, number, center, half, placed.shade, placed.flip, placed.turn, placed.text)


def paint(placed: Placed, picture: Image.Image, plan: Image.Image, number: int) -> None:
    """Paint a thing on a picture, and its number on the plan of the same size."""
    w, h = plan.size
    center = (placed.x * w, placed.y * h)
    drawing_of(placed.kind).draw(_canvas(placed, picture, plan, number, center, placed.size * min(w, h) / 2))
