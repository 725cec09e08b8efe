"""Lessons as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import torch

from nbvlm.demo.model import tokenizer as w
from nbvlm.demo.model.decoder import BOX_FEATURES, PLACES, PROMPT_MOST, box_features, told
from nbvlm.demo.model.vision import MOST_REGIONS
from nbvlm.demo.scenes import COLORS, KINDS
from nbvlm.demo.training.lessons import Lesson, lessons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Texts", "batch", "texts_of", "tokens_of"]


@dataclass(frozen=True, slots=True)
class Texts:
    """N questions with their answers.

    Attributes
    ----------
    seen, boxes, ground, count
        What was seen: N × 10 × (kinds, colours, sure, text), N × 10 × box features, N × grounds, N.
    tokens, regions, runs, places
        N × T: tokens, the region each is about or -1, number in a run of locations or codes or -1, place.
    asked
        N × box features of the region asked about.
    prefix, length
        N: tokens before the answer, and all tokens.
    """

    seen: Tensor
    boxes: Tensor
    ground: Tensor
    count: Tensor
    tokens: Tensor
    regions: Tensor
    runs: Tensor
    places: Tensor
    asked: Tensor
    prefix: Tensor
    length: Tensor


def tokens_of(lesson: Lesson) -> tuple[list[w.Piece], int]:
    """All tokens of a lesson, and how many are the prompt's."""
    prompt = [w.Piece(token) for token in (w.BOS, *w.encode(lesson.prompt), w.NEWLINE)]
    return [*prompt, *lesson.answer], len(prompt)


def batch(seed: int, worlds: int) -> dict[str, Texts]:
    """Lessons about some worlds, in groups of about equal lengths."""
    chance = Random(seed)
    taught = [lessons(chance) for _ in range(worlds)]
    groups = {name: [lesson for some in taught for lesson in some[name]] for name in taught[0]}
    return {name: texts_of(group, chance) for name, group in groups.items() if group}


def texts_of(group: Sequence[Lesson], chance: Random) -> Texts:
    """Lessons as arrays, padded; chance decides where the answers begin."""
    n, longest = len(group), max(len(tokens_of(lesson)[0]) for lesson in group)
    seen = np.zeros((n, MOST_REGIONS, len(KINDS) + len(COLORS) + 2), np.float32)
    boxes = np.zeros((n, MOST_REGIONS, BOX_FEATURES), np.float32)
    tokens, regions, runs, places = (np.full((n, longest), fill, np.int64) for fill in (w.PAD, -1, -1, 0))
    prefix, length = np.zeros(n, np.int64), np.zeros(n, np.int64)
    asked = np.zeros((n, BOX_FEATURES), np.float32)
    for row, lesson in enumerate(group):
        many = len(lesson.seen.regions)
        seen[row, :many] = told(lesson.seen.regions)
        boxes[row, :many] = box_features([region.box for region in lesson.seen.regions], lesson.seen.aspect)
        pieces, prefix[row] = tokens_of(lesson)
        length[row] = size = len(pieces)
        tokens[row, :size] = [piece.token for piece in pieces]
        regions[row, :size] = [piece.region for piece in pieces]
        runs[row, :size] = _runs(pieces)
        places[row, :size] = _places(size, int(prefix[row]), chance)
        if lesson.box is not None:
            asked[row] = box_features([lesson.box], lesson.seen.aspect)[0]
    ground = np.stack([lesson.seen.grounds for lesson in group])
    count = np.array([len(lesson.seen.regions) for lesson in group])
    arrays = (seen, boxes, ground, count, tokens, regions, runs, places, asked, prefix, length)
    return Texts(*map(torch.from_numpy, arrays))


def _runs(pieces: Sequence[w.Piece]) -> list[int]:
    runs: list[int] = []
    for n, piece in enumerate(pieces):
        runs.append(-1 if piece.token not in (w.LOC, w.SEG) else 0)
        if n and runs[n] == 0 and pieces[n - 1].token == piece.token:
            runs[n] = runs[n - 1] + 1
    return runs


def _places(size: int, prefix: int, chance: Random) -> list[int]:
    """The answer begins anywhere, so that every place of a long one is learnt."""
    first = PROMPT_MOST + chance.choice((0, chance.randrange(max(1, PLACES - PROMPT_MOST - size + prefix))))
    return [*range(prefix), *range(first, first + size - prefix)]
