"""Batches for training: scenes drawn on the fly, each with its four questions."""

from __future__ import annotations

import io
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nbvlm.demo import language, scenes
from nbvlm.demo import vocabulary as v

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Batch", "Example", "Texts", "batches", "example", "facts_of"]

CELLS = 8
PIXELS = 128


@dataclass(frozen=True, slots=True)
class Example:
    """One scene: 128 × 128 × 3 uint8 pixels, its facts from left to right, and its long and short lessons."""

    pixels: NDArray[np.uint8]
    facts: tuple[language.Fact, ...]
    lessons: tuple[list[language.Lesson], list[language.Lesson]]


@dataclass(frozen=True, slots=True)
class Texts:
    """Questions with their answers, the same number for each picture.

    Attributes
    ----------
    tokens
        N × T int64: `<bos>`, prompt, newline, answer, padded.
    prefix, length
        N: tokens before the answer, and all tokens.
    """

    tokens: NDArray[np.int64]
    prefix: NDArray[np.int64]
    length: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrays of a training step.

    Attributes
    ----------
    pixels
        B × 128 × 128 × 3 uint8.
    texts
        Long and short ones.
    cells
        B × 64 × 7 float32: whether a thing's middle is there, its box (x0, y0, x1, y1), kind and colour.
    """

    pixels: NDArray[np.uint8]
    texts: tuple[Texts, Texts]
    cells: NDArray[np.float32]


def example(seed: int) -> Example:
    """Draw and question the scene of a seed, at some size and some with the noise of JPEG copies."""
    chance = Random(seed)
    layout = scenes.compose(chance)
    longer = chance.randrange(208, 400, 8)
    size = (
        (longer, round(longer / layout.aspect))
        if layout.aspect >= 1
        else (round(longer * layout.aspect), longer)
    )
    picture, plan = scenes.render(layout, size)
    facts = facts_of(layout, np.asarray(plan))
    pixels = np.asarray(_noisy(picture, chance).resize((PIXELS, PIXELS), Image.Resampling.BILINEAR))
    return Example(pixels, facts, language.lessons(facts, layout.ground, chance))


def _noisy(picture: Image.Image, chance: Random) -> Image.Image:
    if chance.random() < 0.75:
        return picture
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=chance.randrange(40, 95))
    return Image.open(packed)


def facts_of(layout: scenes.Layout, plan: NDArray[np.uint8]) -> tuple[language.Fact, ...]:
    """What is true of a drawn layout: each thing, from left to right, with its box in shares of the sides."""
    h, w = plan.shape
    facts = []
    for number, placed in enumerate(layout.placed, 1):
        x0, y0, x1, y1 = scenes.bounds(plan == number)
        facts.append(language.Fact(placed.kind, placed.color, (x0 / w, y0 / h, x1 / w, y1 / h)))
    return tuple(sorted(facts, key=lambda fact: fact.box[0] + fact.box[2]))


def batches(seed: int, size: int, first: int, count: int) -> Iterator[Batch]:
    """Steps `first` to `first + count` of a training run; a step depends on `seed` and its number alone."""
    for step in range(first, first + count):
        yield collate([example(seed * 1_000_000_007 + step * size + n) for n in range(size)])


def collate(examples: list[Example]) -> Batch:
    """Arrays of some examples."""
    long, short = ([lesson for one in examples for lesson in one.lessons[n]] for n in (0, 1))
    return Batch(
        np.stack([one.pixels for one in examples]),
        (_texts(long), _texts(short)),
        np.stack([_cells(one.facts) for one in examples]),
    )


def _texts(lessons: list[language.Lesson]) -> Texts:
    texts = [_tokens(lesson) for lesson in lessons]
    tokens = np.full((len(texts), max(len(t) for t, _ in texts)), v.PAD, np.int64)
    for row, (text, _) in zip(tokens, texts, strict=True):
        row[: len(text)] = text
    return Texts(
        tokens, np.array([prefix for _, prefix in texts]), np.array([len(text) for text, _ in texts])
    )


def _tokens(lesson: language.Lesson) -> tuple[list[int], int]:
    prompt = [v.BOS, *v.encode(lesson.prompt), v.NEWLINE]
    return [*prompt, *lesson.answer], len(prompt)


def _cells(facts: tuple[language.Fact, ...]) -> NDArray[np.float32]:
    cells = np.zeros((CELLS * CELLS, 7), np.float32)
    for fact in facts:
        x0, y0, x1, y1 = fact.box
        cell = int((y0 + y1) / 2 * CELLS) * CELLS + int((x0 + x1) / 2 * CELLS)
        cells[cell] = 1, *fact.box, scenes.KINDS.index(fact.kind), scenes.COLORS.index(fact.color)
    return cells
