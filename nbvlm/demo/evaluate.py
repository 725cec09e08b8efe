"""Evaluate the embedded models: ask about scenes or photographs, and compare with the ground truth."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nbvlm import prompts
from nbvlm.demo import ground_truth, scenes
from nbvlm.demo.ground_truth import Fact
from nbvlm.demo.model import prompt_reader
from nbvlm.demo.model.model import FAMILIAR, Model, load
from nbvlm.demo.world.vocabulary import LANGUAGES, PLURALS
from nbvlm.errors import Error
from nbvlm.grounding import codebook, overlaps, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbvlm.demo.model.vision import Observation
    from nbvlm.grounding import Detection

__all__ = [
    "FIGURES",
    "FIRST_SEED",
    "WAYS",
    "Figure",
    "Score",
    "asking",
    "boxes",
    "evaluate",
    "facts_of",
    "judged",
    "main",
    "named",
]


@dataclass(frozen=True, slots=True)
class Figure:
    """The least value that a figure must reach, and the value that it should reach."""

    floor: float
    goal: float


FIGURES: dict[str, Figure] = {
    "captions": Figure(0.90, 0.95),
    "detection recall": Figure(0.94, 0.97),
    "detection precision": Figure(0.94, 0.97),
    "mean IoU": Figure(0.83, 0.88),
    "absent without a box": Figure(0.94, 0.97),
    "counts": Figure(0.93, 0.97),
    "colors": Figure(0.97, 0.99),
    "signs": Figure(0.88, 0.95),
    "mean mask IoU": Figure(0.78, 0.85),
    "other answers": Figure(0.85, 0.92),
    "scenes taken for scenes": Figure(0.95, 0.95),
}
"""The figures by name: shares and means from 0 to 1."""


def facts_of(scene: scenes.Scene) -> list[Fact]:
    """Return the facts about the things of a scene, from left to right."""
    w, h = scene.size
    return [
        Fact(thing.kind, thing.color, (x0 / w, y0 / h, x1 / w, y1 / h), thing.text, w / h)
        for thing in scene.things
        for x0, y0, x1, y1 in [thing.box]
    ]


def judged(ask: Callable[[str], str], scene: scenes.Scene, seed: int) -> Iterator[tuple[str, float]]:
    """Ask about a scene; yield names of figures with 1 for right, 0 for wrong, or an overlap."""
    rng, facts = Random(seed), facts_of(scene)
    kinds = list(dict.fromkeys(fact.kind for fact in facts))
    kind = rng.choice(kinds)
    absent = rng.choice([k for k in scenes.KINDS if k not in kinds])
    counted = rng.choice((kind, kind, kind, absent))
    yield "captions", named(ask(prompts.caption())) == Counter((fact.color, fact.kind) for fact in facts)
    yield from boxes(ask(prompts.detect(*kinds)), scene)
    yield "absent without a box", "<loc" not in ask(prompts.detect(absent))
    yield "counts", _right(ask, prompts.answer(f"How many {PLURALS[counted]} are there?"), scene, facts)
    yield "colors", _right(ask, prompts.answer(f"What color is the {kind}?"), scene, facts)
    if any(fact.text for fact in facts):
        yield "signs", _right(ask, prompts.ocr(), scene, facts)
    yield from _outlines(ask(prompts.segment(*kinds)), scene)
    for prompt in _others(facts, kinds, absent, rng):
        yield "other answers", _right(ask, prompt, scene, facts)
    yield "other answers", _asks_well(ask, rng.choice(facts).color, scene, facts)


def _right(ask: Callable[[str], str], prompt: str, scene: scenes.Scene, facts: list[Fact]) -> bool:
    parsed = prompt_reader.understand(prompt)
    if parsed is None:
        raise ValueError(f"prompt must be one of the model's tasks, got {prompt!r}.")
    return ask(prompt) == ground_truth.text(
        ground_truth.answer(parsed.words, facts, scene.background, box=parsed.box)
    )


def named(caption: str) -> Counter[tuple[str, str]]:
    """Count the things that a caption names, by color and kind."""
    words = caption.replace(",", " ").split()
    return Counter((a, b) for a, b in pairwise(words) if a in scenes.COLORS and b in scenes.KINDS)


def _others(facts: list[Fact], kinds: list[str], absent: str, rng: Random) -> Iterator[str]:
    kind, there, fact = rng.choice(kinds), rng.choice((*kinds[:1], absent)), rng.choice(facts)
    yield prompts.answer(f"Is there a {there}?")
    yield prompts.answer(f"Where is the {kind}?")
    yield prompts.caption(rng.choice([code for code in LANGUAGES if code != "en"]))
    yield prompts.caption_region(fact.box, (1, 1))
    if (two := _unlike(facts)) is not None:
        yield prompts.answer(f"Which is larger, the {two[0]} or the {two[1]}?")
    if any(fact.text for fact in facts):
        yield prompts.answer("What does the sign say?")


def _unlike(facts: list[Fact]) -> tuple[str, str] | None:
    """Two kinds whose largest things differ clearly."""
    sizes: dict[str, float] = {}
    for fact in facts:
        sizes[fact.kind] = max(sizes.get(fact.kind, 0.0), fact.area)
    pairs = [(a, b) for a in sizes for b in sizes if a < b and not 1 / 1.3 < sizes[a] / sizes[b] < 1.3]
    return pairs[0] if pairs else None


def _asks_well(ask: Callable[[str], str], given: str, scene: scenes.Scene, facts: list[Fact]) -> bool:
    """Whether the model's question has the given answer, or no question has it."""
    question = ask(prompts.question(given))
    parsed = prompt_reader.understand(prompts.answer(question)) if question.endswith("?") else None
    if parsed is None:
        return all(sum(f.kind == fact.kind for f in facts) > 1 for fact in facts if fact.color == given)
    return ground_truth.text(ground_truth.answer(parsed.words, facts, scene.background)) == given


def boxes(answer: str, scene: scenes.Scene) -> Iterator[tuple[str, float]]:
    """Yield the figures of a detection answer about all kinds of a scene."""
    found = parse(answer, scene.size)
    left = dict(enumerate(scene.things))
    table = overlaps(found.xyxy, np.array([thing.box for thing in scene.things]))
    for detection, row in zip(found, table, strict=True):
        best = _best(detection, row, left)
        hit = best is not None and row[best] >= 0.5
        yield "detection precision", hit
        if best is not None and hit:
            yield "mean IoU", float(row[best])
            del left[best]
            yield "detection recall", True
    for _ in left:
        yield "detection recall", False


def _best(detection: Detection, row: np.ndarray, left: dict[int, scenes.Thing]) -> int | None:
    same = {n: float(row[n]) for n, thing in left.items() if thing.kind == detection.label}
    return max(same, key=same.__getitem__, default=None)


def _outlines(answer: str, scene: scenes.Scene) -> Iterator[tuple[str, float]]:
    """Yield the overlap of each thing with the best mask of its kind in the answer."""
    found = parse(answer, scene.size, codebook=codebook("demo"))
    for thing in scene.things:
        masks = [one.mask for one in found if one.label == thing.kind and one.mask is not None]
        yield "mean mask IoU", max((_common(mask, thing.mask) for mask in masks), default=0.0)


def _common(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


FIRST_SEED = 500_000_000
SCENES, FULL = 400, 2000


@dataclass(frozen=True, slots=True)
class Score:
    """A figure: its name, the mean of its samples, and their number."""

    name: str
    value: float
    samples: int


def _scaled(share: float) -> Callable[[Image.Image], Image.Image]:
    def scale(picture: Image.Image) -> Image.Image:
        size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
        return picture.resize(size, Image.Resampling.BICUBIC)

    return scale


WAYS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "plain": lambda picture: picture,
    "half": _scaled(0.5),
    "double": _scaled(2.0),
    "jpeg": lambda picture: scenes.packed(picture, 50),
}
"""Changes to the pictures before the model sees them, by name."""


def evaluate(
    model: Model, count: int, first: int = FIRST_SEED, way: str = "plain", hard: float = 0.0
) -> list[Score]:
    """Ask about `count` scenes, greedily, and return the scores in the order of `FIGURES`."""
    samples: dict[str, list[float]] = defaultdict(list)
    for seed in range(first, first + count):
        scene = scenes.sample(seed, hard=hard)
        picture = WAYS[way](scene.picture)
        seen = model.see(picture)
        samples["scenes taken for scenes"].append(seen.familiar >= FAMILIAR)
        for name, value in judged(asking(model, picture, seen), scene, seed):
            samples[name].append(value)
    return [Score(name, sum(got) / len(got), len(got)) for name in FIGURES if (got := samples[name])]


def asking(model: Model, picture: Image.Image, seen: Observation) -> Callable[[str], str]:
    """Return a function that asks about a picture, greedily; `seen` is the result of `Model.see` for it."""

    def ask(prompt: str) -> str:
        return "".join(token.text for token in model.stream(picture, prompt, temperature=1e-4, seen=seen))

    return ask


def table(columns: dict[str, list[Score]], *, floors: bool = True) -> str:
    """Return the scores as text: a row for each figure, with floor, goal and a column for each way."""
    ways = list(columns)
    limits = f"{'floor':>8}{'goal':>8}" if floors else ""
    head = f"{'':28}{limits}" + "".join(f"{way:>9}" for way in ways) + f"{'samples':>9}"
    lines = [head]
    for row in zip(*columns.values(), strict=True):
        figure = FIGURES[row[0].name]
        values = "".join(f"{score.value:9.3f}" for score in row)
        limits = f"{figure.floor:8.2f}{figure.goal:8.2f}" if floors else ""
        lines.append(f"{row[0].name:28}{limits}{values}{row[0].samples:9d}")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Evaluate as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m nbvlm.demo.evaluate", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} scenes")
    parser.add_argument(
        "--as", dest="ways", nargs="+", choices=WAYS, default=["plain"], help="changes to the pictures"
    )
    parser.add_argument(
        "--hard",
        type=float,
        nargs="+",
        metavar="H",
        help="measure hard scenes instead, from 0.0 to 1.0; floors do not apply",
    )
    photographs = parser.add_argument_group("photographs", "measure the detector for photographs instead")
    photographs.add_argument("--photos", type=Path, metavar="FOLDER", help="pictures that the file names")
    photographs.add_argument("--truth", type=Path, metavar="FILE", help="their things, in COCO's format")
    given = parser.parse_args(arguments)
    if given.photos or given.truth:
        return _photographs(parser, given.photos, given.truth)
    model, count = load(), FULL if given.full else given.scenes
    if given.hard:
        sys.stdout.write(
            table({f"h={hard:g}": evaluate(model, count, hard=hard) for hard in given.hard}, floors=False)
        )
        return 0
    columns = {way: evaluate(model, count, way=way) for way in given.ways}
    sys.stdout.write(table(columns))
    return int(
        any(score.value < FIGURES[score.name].floor for scores in columns.values() for score in scores)
    )


def _photographs(parser: argparse.ArgumentParser, folder: Path | None, truth: Path | None) -> int:
    if folder is None or truth is None:
        parser.error("--photos and --truth belong together")
    from nbvlm.demo.photos import evaluation

    try:
        sys.stdout.write(evaluation.table(evaluation.evaluate(folder, truth)))
    except Error as error:
        parser.exit(1, f"{error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
