"""What the speaker is taught with: regions by chance, as eye and look would tell them, and questions on them.

No picture is drawn: the speaker never sees one, only what was seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from nbvlm.demo.ground_truth import Fact, answer, overlap
from nbvlm.demo.model import tokenizer as w
from nbvlm.demo.model.decoder import BOX_FEATURES, PLACES, PROMPT_MOST, box_features, told
from nbvlm.demo.model.vision import MOST_REGIONS, Region, Seen
from nbvlm.demo.scenes import COLORS, GROUNDS, KINDS
from nbvlm.demo.world.vocabulary import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nbvlm.demo.ground_truth import Box

__all__ = ["Lesson", "Texts", "batch", "lessons", "texts_of", "tokens_of", "world"]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was seen, a prompt in the model's words, the region asked about, and the true answer."""

    seen: Seen
    prompt: tuple[str, ...]
    box: Box | None
    answer: tuple[w.Piece, ...]


def world(chance: Random) -> tuple[list[Fact], str]:
    """Facts by chance, from left to right, few kinds and colours at times so that they repeat."""
    count = chance.choices(range(9), (1, 3, 4, 5, 5, 5, 4, 3, 3))[0]
    kinds = chance.sample(KINDS, chance.choice((1, 2, 3, 5, 18)))
    colors = chance.sample(COLORS, chance.choice((2, 3, 5, 10)))
    aspect = math.exp(chance.uniform(-0.7, 0.7))
    facts: list[Fact] = []
    while len(facts) < count:
        kind = chance.choice(kinds)
        text = "X" if kind == "sign" else None
        fact = Fact(kind, chance.choice(colors), _box(chance, aspect), text, aspect)
        if all(overlap(fact.box, other.box) < 0.5 for other in facts):
            facts.append(fact)
    return sorted(facts, key=lambda fact: fact.box[0] + fact.box[2]), chance.choice(GROUNDS)


def _box(chance: Random, aspect: float) -> Box:
    side, wide = (
        chance.choice((chance.uniform(0.1, 0.22), chance.uniform(0.22, 0.5))),
        chance.uniform(0.7, 1.5),
    )
    w_, h_ = side * wide**0.5 * min(1, 1 / aspect), side / wide**0.5 * min(1, aspect)
    x, y = chance.uniform(0, 1 - w_), chance.uniform(0, 1 - h_)
    return x, y, x + w_, y + h_


def _seen(facts: Sequence[Fact], ground: str, chance: Random) -> Seen:
    regions = tuple(
        Region(fact.box, _belief(KINDS.index(fact.kind), len(KINDS), chance),
               _belief(COLORS.index(fact.color), len(COLORS), chance), 1.0, fact.text or "")
        for fact in facts
    )  # fmt: skip
    aspect = facts[0].aspect if facts else math.exp(chance.uniform(-0.7, 0.7))
    return Seen(regions, _belief(GROUNDS.index(ground), len(GROUNDS), chance), aspect)


def _belief(right: int, count: int, chance: Random) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Probabilities that are sure of what is right, most of the time."""
    doubt = chance.choice((0.0, 0.0, 0.01, 0.1, chance.uniform(0, 0.45)))
    belief = np.zeros(count, np.float32)
    belief[chance.randrange(count)] += doubt * 0.7
    belief += doubt * 0.3 / count
    belief[right] += 1 - belief.sum()
    return belief


def lessons(chance: Random) -> dict[str, list[Lesson]]:
    """Questions about one world, by the length of their answers: outlines, long, and short."""
    facts, ground = world(chance)
    seen = _seen(facts, ground, chance)
    told = chance.choice((("caption", chance.choice((*LANGUAGES, "en"))), ("describe", "en")))
    outlines = [_to_outline(facts, chance)] if chance.random() < 0.35 else []
    short = [("answer", "en", *_asked(facts, chance)) for _ in range(3)]
    short += [("answer", "en", "what", "color", kind) for kind in _kinds_with_colors(facts, chance)]
    short.append(chance.choice((("ocr",), ("question", "en", _given(facts, chance)), ("caption", "<box>"))))
    lists = [_to_find(facts, chance, 6), _to_find_all(facts, chance), _to_find_all(facts, chance)]
    prompts = {"outlines": outlines, "long": [told, *lists][chance.randrange(2) :], "short": short}
    return {
        name: [_taught(seen, prompt, facts, ground, chance) for prompt in some]
        for name, some in prompts.items()
    }


def _taught(
    seen: Seen, prompt: tuple[str, ...], facts: Sequence[Fact], ground: str, chance: Random
) -> Lesson:
    box = _region(facts, chance) if prompt[-1] == "<box>" else None
    pieces = answer(prompt, facts, ground, box=box, chance=chance)
    return Lesson(seen, prompt, box, (*pieces, w.Piece(w.EOS)))


def _region(facts: Sequence[Fact], chance: Random) -> Box:
    """A box near a thing, or one by chance; never at the edge of being the thing's."""
    while True:
        box = _box(chance, 1.0)
        if facts and chance.random() < 0.75:
            x0, y0, x1, y1 = chance.choice(facts).box
            spread = chance.choice((0.0, 0.04, 0.1))
            dx, dy = (x1 - x0) * spread, (y1 - y0) * spread
            box = (
                x0 + chance.gauss(0, dx),
                y0 + chance.gauss(0, dy),
                x1 + chance.gauss(0, dx),
                y1 + chance.gauss(0, dy),
            )
        near = sorted((overlap(fact.box, box) for fact in facts), reverse=True)
        if not near or near[0] < 0.15 or (near[0] > 0.45 and (len(near) < 2 or near[1] < 0.6 * near[0])):
            return box


def _to_find(facts: Sequence[Fact], chance: Random, most: int) -> tuple[str, ...]:
    items: dict[tuple[str, ...], None] = {}
    present = list(dict.fromkeys((fact.kind,) for fact in facts))
    if chance.random() < 0.35 and most > 2:
        items |= dict.fromkeys(chance.sample(present, len(present)))
    for _ in range(chance.randrange(1, most + 1)):
        items[_something(facts, chance, 0.7)] = None
    listed = chance.sample(list(items), min(len(items), most + 2))
    return ("detect", *(word for n, item in enumerate(listed) for word in ((";", *item) if n else item)))


def _to_find_all(facts: Sequence[Fact], chance: Random) -> tuple[str, ...]:
    """A list of most kinds that are there, among some that are not."""
    present = list(dict.fromkeys(fact.kind for fact in facts))
    kept = present[: max(1, len(present) - chance.choice((0, 0, 1, 2)))]
    absent = chance.sample([kind for kind in KINDS if kind not in present], chance.choice((0, 0, 1, 2)))
    kinds = chance.sample(kept + absent, len(kept) + len(absent)) or ["thing"]
    return ("detect", *" ; ".join(kinds).split())


def _to_outline(facts: Sequence[Fact], chance: Random) -> tuple[str, ...]:
    listed = _to_find_all(facts, chance) if chance.random() < 0.5 else _to_find(facts, chance, 2)
    return ("segment", *listed[1:])


def _something(facts: Sequence[Fact], chance: Random, present: float) -> tuple[str, ...]:
    odd = chance.random()
    if odd < 0.08:
        return ("<unk>",) if odd < 0.03 else ("thing",) if odd < 0.06 else (chance.choice(COLORS), "thing")
    kind, color = chance.choice(KINDS), chance.choice(COLORS)
    if facts and chance.random() < present:
        fact = chance.choice(facts)
        kind, color = fact.kind, fact.color
    elif facts and chance.random() < 0.4:
        kind = chance.choice(facts).kind
        return color, kind
    return (color, kind) if chance.random() < 0.25 else (kind,)


def _asked(facts: Sequence[Fact], chance: Random) -> tuple[str, ...]:
    way = chance.randrange(12)
    if way < 3:
        return ("how", "many", *(("thing",) if chance.random() < 0.2 else _something(facts, chance, 0.75)))
    if way < 5:
        return ("what", "color", *_something(facts, chance, 0.9)[-1:])
    if way < 7:
        return ("is", "there", *_something(facts, chance, 0.4))
    if way < 9:
        return ("where", *_something(facts, chance, 0.9))
    if way < 11:
        return _comparing(facts, chance)
    return ("what", "does", *chance.choice((("sign",), (chance.choice(COLORS), "sign"))))


def _comparing(facts: Sequence[Fact], chance: Random) -> tuple[str, ...]:
    for _ in range(20):
        one, other = (_something(facts, chance, 0.92) for _ in range(2))
        sizes = [max((fact.area for fact in facts if fact.is_a(item)), default=0.0) for item in (one, other)]
        if one != other and (min(sizes) == 0 or max(sizes) > 1.15 * min(sizes)):
            return ("which", "larger", *one, ";", *other)
    return ("is", "there", "<unk>")


def _kinds_with_colors(facts: Sequence[Fact], chance: Random) -> tuple[str, ...]:
    """A kind that is there, and the two with the most colours: of many, one is easily left out."""
    kinds = list(dict.fromkeys(fact.kind for fact in facts)) or ["thing"]
    colors = {kind: len({fact.color for fact in facts if fact.kind == kind}) for kind in kinds}
    most = sorted(kinds, key=colors.__getitem__)
    return chance.choice(kinds), most[-1], most[-2:][0]


def _given(facts: Sequence[Fact], chance: Random) -> str:
    colors = [fact.color for fact in facts] or list(COLORS)
    return chance.choice(
        (chance.choice(colors), chance.choice(COLORS), str(chance.randrange(9)), "yes", "1", "2")
    )


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
    import torch  # the lessons themselves are made without it

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
