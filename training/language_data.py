"""Training data of the decoder: random regions, like those of the vision networks, and questions about them.

The decoder reads regions, not pixels, so no picture is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from nbvlm.demo.ground_truth import Fact, answer, overlap
from nbvlm.demo.model import tokenizer as w
from nbvlm.demo.model.decoder import BOX_FEATURES, PLACES, PROMPT_MOST, box_features, region_features
from nbvlm.demo.model.vision import MOST_REGIONS, Observation, Region
from nbvlm.demo.scenes import BACKGROUNDS, COLORS, KINDS
from nbvlm.demo.world.vocabulary import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nbvlm.demo.ground_truth import Box

__all__ = ["LanguageExample", "Texts", "batch", "examples", "texts_of", "tokens_of", "world"]


@dataclass(frozen=True, slots=True)
class LanguageExample:
    """The regions, a prompt in the model's words, the region of the prompt, and the true answer."""

    seen: Observation
    prompt: tuple[str, ...]
    box: Box | None
    answer: tuple[w.Piece, ...]


def world(rng: Random) -> tuple[list[Fact], str]:
    """Return random facts from left to right, and a background; at times with few kinds and colours."""
    count = rng.choices(range(9), (1, 3, 4, 5, 5, 5, 4, 3, 3))[0]
    kinds = rng.sample(KINDS, rng.choice((1, 2, 3, 5, 18)))
    colors = rng.sample(COLORS, rng.choice((2, 3, 5, 10)))
    aspect = math.exp(rng.uniform(-0.7, 0.7))
    facts: list[Fact] = []
    while len(facts) < count:
        kind = rng.choice(kinds)
        text = "X" if kind == "sign" else None
        fact = Fact(kind, rng.choice(colors), _box(rng, aspect), text, aspect)
        if all(overlap(fact.box, other.box) < 0.5 for other in facts):
            facts.append(fact)
    return sorted(facts, key=lambda fact: fact.box[0] + fact.box[2]), rng.choice(BACKGROUNDS)


def _box(rng: Random, aspect: float) -> Box:
    side, wide = (
        rng.choice((rng.uniform(0.1, 0.22), rng.uniform(0.22, 0.5))),
        rng.uniform(0.7, 1.5),
    )
    w_, h_ = side * wide**0.5 * min(1, 1 / aspect), side / wide**0.5 * min(1, aspect)
    x, y = rng.uniform(0, 1 - w_), rng.uniform(0, 1 - h_)
    return x, y, x + w_, y + h_


def _seen(facts: Sequence[Fact], background: str, rng: Random) -> Observation:
    regions = tuple(
        Region(fact.box, _belief(KINDS.index(fact.kind), len(KINDS), rng),
               _belief(COLORS.index(fact.color), len(COLORS), rng), 1.0, fact.text or "")
        for fact in facts
    )  # fmt: skip
    aspect = facts[0].aspect if facts else math.exp(rng.uniform(-0.7, 0.7))
    return Observation(regions, _belief(BACKGROUNDS.index(background), len(BACKGROUNDS), rng), aspect)


def _belief(right: int, count: int, rng: Random) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return probabilities that mostly favour the right value."""
    doubt = rng.choice((0.0, 0.0, 0.01, 0.1, rng.uniform(0, 0.45)))
    belief = np.zeros(count, np.float32)
    belief[rng.randrange(count)] += doubt * 0.7
    belief += doubt * 0.3 / count
    belief[right] += 1 - belief.sum()
    return belief


def examples(rng: Random) -> dict[str, list[LanguageExample]]:
    """Return questions about one world, by the length of their answers: outlines, long, and short."""
    facts, background = world(rng)
    seen = _seen(facts, background, rng)
    whole = rng.choice((("caption", rng.choice((*LANGUAGES, "en"))), ("describe", "en")))
    outlines = [_to_outline(facts, rng)] if rng.random() < 0.35 else []
    short = [("answer", "en", *_asked(facts, rng)) for _ in range(3)]
    short += [("answer", "en", "what", "color", kind) for kind in _kinds_with_colors(facts, rng)]
    short.append(rng.choice((("ocr",), ("question", "en", _given(facts, rng)), ("caption", "<box>"))))
    lists = [_to_find(facts, rng, 6), _to_find_all(facts, rng), _to_find_all(facts, rng)]
    prompts = {"outlines": outlines, "long": [whole, *lists][rng.randrange(2) :], "short": short}
    return {
        name: [_example(seen, prompt, facts, background, rng) for prompt in some]
        for name, some in prompts.items()
    }


def _example(
    seen: Observation, prompt: tuple[str, ...], facts: Sequence[Fact], background: str, rng: Random
) -> LanguageExample:
    box = _region(facts, rng) if prompt[-1] == "<box>" else None
    pieces = answer(prompt, facts, background, box=box, rng=rng)
    return LanguageExample(seen, prompt, box, (*pieces, w.Piece(w.EOS)))


def _region(facts: Sequence[Fact], rng: Random) -> Box:
    """Return a box near a thing, or a random one; clearly the thing's or clearly not."""
    while True:
        box = _box(rng, 1.0)
        if facts and rng.random() < 0.75:
            x0, y0, x1, y1 = rng.choice(facts).box
            spread = rng.choice((0.0, 0.04, 0.1))
            dx, dy = (x1 - x0) * spread, (y1 - y0) * spread
            box = (
                x0 + rng.gauss(0, dx),
                y0 + rng.gauss(0, dy),
                x1 + rng.gauss(0, dx),
                y1 + rng.gauss(0, dy),
            )
        near = sorted((overlap(fact.box, box) for fact in facts), reverse=True)
        if not near or near[0] < 0.15 or (near[0] > 0.45 and (len(near) < 2 or near[1] < 0.6 * near[0])):
            return box


def _to_find(facts: Sequence[Fact], rng: Random, most: int) -> tuple[str, ...]:
    items: dict[tuple[str, ...], None] = {}
    present = list(dict.fromkeys((fact.kind,) for fact in facts))
    if rng.random() < 0.35 and most > 2:
        items |= dict.fromkeys(rng.sample(present, len(present)))
    for _ in range(rng.randrange(1, most + 1)):
        items[_something(facts, rng, 0.7)] = None
    listed = rng.sample(list(items), min(len(items), most + 2))
    return ("detect", *(word for n, item in enumerate(listed) for word in ((";", *item) if n else item)))


def _to_find_all(facts: Sequence[Fact], rng: Random) -> tuple[str, ...]:
    """Return a prompt that lists most kinds of the scene, and some others."""
    present = list(dict.fromkeys(fact.kind for fact in facts))
    kept = present[: max(1, len(present) - rng.choice((0, 0, 1, 2)))]
    absent = rng.sample([kind for kind in KINDS if kind not in present], rng.choice((0, 0, 1, 2)))
    kinds = rng.sample(kept + absent, len(kept) + len(absent)) or ["thing"]
    return ("detect", *" ; ".join(kinds).split())


def _to_outline(facts: Sequence[Fact], rng: Random) -> tuple[str, ...]:
    listed = _to_find_all(facts, rng) if rng.random() < 0.5 else _to_find(facts, rng, 2)
    return ("segment", *listed[1:])


def _something(facts: Sequence[Fact], rng: Random, present: float) -> tuple[str, ...]:
    odd = rng.random()
    if odd < 0.08:
        return ("<unk>",) if odd < 0.03 else ("thing",) if odd < 0.06 else (rng.choice(COLORS), "thing")
    kind, color = rng.choice(KINDS), rng.choice(COLORS)
    if facts and rng.random() < present:
        fact = rng.choice(facts)
        kind, color = fact.kind, fact.color
    elif facts and rng.random() < 0.4:
        kind = rng.choice(facts).kind
        return color, kind
    return (color, kind) if rng.random() < 0.25 else (kind,)


def _asked(facts: Sequence[Fact], rng: Random) -> tuple[str, ...]:
    way = rng.randrange(12)
    if way < 3:
        return ("how", "many", *(("thing",) if rng.random() < 0.2 else _something(facts, rng, 0.75)))
    if way < 5:
        return ("what", "color", *_something(facts, rng, 0.9)[-1:])
    if way < 7:
        return ("is", "there", *_something(facts, rng, 0.4))
    if way < 9:
        return ("where", *_something(facts, rng, 0.9))
    if way < 11:
        return _comparing(facts, rng)
    return ("what", "does", *rng.choice((("sign",), (rng.choice(COLORS), "sign"))))


def _comparing(facts: Sequence[Fact], rng: Random) -> tuple[str, ...]:
    for _ in range(20):
        one, other = (_something(facts, rng, 0.92) for _ in range(2))
        sizes = [max((fact.area for fact in facts if fact.is_a(item)), default=0.0) for item in (one, other)]
        if one != other and (min(sizes) == 0 or max(sizes) > 1.15 * min(sizes)):
            return ("which", "larger", *one, ";", *other)
    return ("is", "there", "<unk>")


def _kinds_with_colors(facts: Sequence[Fact], rng: Random) -> tuple[str, ...]:
    """Return a kind of the scene, and the two kinds with the most colours: long answers need practice."""
    kinds = list(dict.fromkeys(fact.kind for fact in facts)) or ["thing"]
    colors = {kind: len({fact.color for fact in facts if fact.kind == kind}) for kind in kinds}
    most = sorted(kinds, key=colors.__getitem__)
    return rng.choice(kinds), most[-1], most[-2:][0]


def _given(facts: Sequence[Fact], rng: Random) -> str:
    colors = [fact.color for fact in facts] or list(COLORS)
    return rng.choice((rng.choice(colors), rng.choice(COLORS), str(rng.randrange(9)), "yes", "1", "2"))


@dataclass(frozen=True, slots=True)
class Texts:
    """N questions with their answers.

    Attributes
    ----------
    seen, boxes, background, count
        The pictures: N × 10 × (kinds, colours, sure, text), N × 10 × box features, N × grounds, N.
    tokens, regions, runs, places
        N × T: tokens, the region each is about or -1, number in a run of locations or codes or -1, place.
    asked
        N × box features of the prompt's region.
    prefix, length
        N: tokens before the answer, and all tokens.
    """

    seen: Tensor
    boxes: Tensor
    background: Tensor
    count: Tensor
    tokens: Tensor
    regions: Tensor
    runs: Tensor
    places: Tensor
    asked: Tensor
    prefix: Tensor
    length: Tensor


def tokens_of(example: LanguageExample) -> tuple[list[w.Piece], int]:
    """Return all tokens of an example, and how many belong to the prompt."""
    prompt = [w.Piece(token) for token in (w.BOS, *w.encode(example.prompt), w.NEWLINE)]
    return [*prompt, *example.answer], len(prompt)


def batch(seed: int, worlds: int) -> dict[str, Texts]:
    """Return examples about some worlds, in groups of about equal lengths."""
    rng = Random(seed)
    made = [examples(rng) for _ in range(worlds)]
    groups = {name: [example for some in made for example in some[name]] for name in made[0]}
    return {name: texts_of(group, rng) for name, group in groups.items() if group}


def texts_of(group: Sequence[LanguageExample], rng: Random) -> Texts:
    """Return examples as padded arrays; the positions of the answers are random."""
    import torch  # the examples themselves are made without it

    n, longest = len(group), max(len(tokens_of(example)[0]) for example in group)
    seen = np.zeros((n, MOST_REGIONS, len(KINDS) + len(COLORS) + 2), np.float32)
    boxes = np.zeros((n, MOST_REGIONS, BOX_FEATURES), np.float32)
    tokens, regions, runs, places = (np.full((n, longest), fill, np.int64) for fill in (w.PAD, -1, -1, 0))
    prefix, length = np.zeros(n, np.int64), np.zeros(n, np.int64)
    asked = np.zeros((n, BOX_FEATURES), np.float32)
    for row, example in enumerate(group):
        many = len(example.seen.regions)
        seen[row, :many] = region_features(example.seen.regions)
        boxes[row, :many] = box_features([region.box for region in example.seen.regions], example.seen.aspect)
        pieces, prefix[row] = tokens_of(example)
        length[row] = size = len(pieces)
        tokens[row, :size] = [piece.token for piece in pieces]
        regions[row, :size] = [piece.region for piece in pieces]
        runs[row, :size] = _runs(pieces)
        places[row, :size] = _places(size, int(prefix[row]), rng)
        if example.box is not None:
            asked[row] = box_features([example.box], example.seen.aspect)[0]
    background = np.stack([example.seen.backgrounds for example in group])
    count = np.array([len(example.seen.regions) for example in group])
    arrays = (seen, boxes, background, count, tokens, regions, runs, places, asked, prefix, length)
    return Texts(*map(torch.from_numpy, arrays))


def _runs(pieces: Sequence[w.Piece]) -> list[int]:
    runs: list[int] = []
    for n, piece in enumerate(pieces):
        runs.append(-1 if piece.token not in (w.LOC, w.SEG) else 0)
        if n and runs[n] == 0 and pieces[n - 1].token == piece.token:
            runs[n] = runs[n - 1] + 1
    return runs


def _places(size: int, prefix: int, rng: Random) -> list[int]:
    """Return positions of the tokens; the answer begins anywhere, so that all positions are learnt."""
    first = PROMPT_MOST + rng.choice((0, rng.randrange(max(1, PLACES - PROMPT_MOST - size + prefix))))
    return [*range(prefix), *range(first, first + size - prefix)]
