"""Measure the embedded model on scenes that it never saw: `python -m nbvlm.demo.evaluate`.

Prints a table of shares and means beside their floors and ends with exit code 1 where one is below its floor.
Training drew its scenes from seeds above a thousand million; these begin at half of that.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from nbvlm.answers.boxes import overlaps
from nbvlm.demo import language, scenes
from nbvlm.demo.model import Model, load
from nbvlm.parser import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FLOORS", "Score", "evaluate", "main"]

FIRST_SEED = 500_000_000
FLOORS = {
    "captions exact": 0.85,
    "detection recall": 0.84,
    "detection precision": 0.92,
    "mean IoU": 0.87,
    "absent without a box": 0.97,
    "counts": 0.94,
    "colors": 0.93,
    "is there": 0.96,
}
"""What each figure must reach."""


@dataclass(frozen=True, slots=True)
class Score:
    """A figure: its name, the mean of its samples, and how many there were."""

    name: str
    value: float
    samples: int


def evaluate(model: Model, count: int, first: int = FIRST_SEED) -> list[Score]:
    """Ask about `count` scenes, greedily, and score the answers.

    Parameters
    ----------
    model
        The model.
    count
        Number of scenes, at least 1.
    first
        Seed of the first scene.

    Returns
    -------
    list of Score
        In the order of `FLOORS`.
    """
    samples: dict[str, list[float]] = defaultdict(list)
    for seed in range(first, first + count):
        for name, value in _judge(model, scenes.sample(seed), Random(seed)):
            samples[name].append(value)
    return [Score(name, sum(got) / len(got), len(got)) for name in FLOORS if (got := samples[name])]


def _judge(model: Model, scene: scenes.Scene, chance: Random) -> Iterator[tuple[str, float]]:
    ask = _asker(model, scene)
    facts = facts_of(scene)
    kind = chance.choice(facts).kind
    absent = chance.choice([k for k in scenes.KINDS if all(fact.kind != k for fact in facts)])
    counted, there = chance.choice((kind, kind, kind, absent)), chance.choice((kind, absent))
    yield from _boxes(ask, scene, list(dict.fromkeys(fact.kind for fact in facts)))
    yield "absent without a box", "<loc" not in ask(f"detect {absent}")
    for name, prompt in (
        ("captions exact", "caption en"),
        ("counts", f"answer en How many {counted}s are there?"),
        ("colors", f"answer en What color is the {kind}?"),
        ("is there", f"answer en Is there a {there}?"),
    ):
        words = language.understand(prompt) or ()
        yield name, ask(prompt) == language.text(language.answer(words, facts, scene.ground))


def _asker(model: Model, scene: scenes.Scene) -> Callable[[str], str]:
    def ask(prompt: str) -> str:
        return "".join(token.text for token in model.stream(scene.picture, prompt, temperature=1e-4))

    return ask


def facts_of(scene: scenes.Scene) -> list[language.Fact]:
    """Tell what is true of a scene, from left to right."""
    w, h = scene.size
    return [
        language.Fact(thing.kind, thing.color, (x0 / w, y0 / h, x1 / w, y1 / h))
        for thing in scene.things
        for x0, y0, x1, y1 in [thing.box]
    ]


def _boxes(ask: Callable[[str], str], scene: scenes.Scene, kinds: list[str]) -> Iterator[tuple[str, float]]:
    found = parse(ask("detect " + " ; ".join(kinds)), scene.size)
    left = {n: thing for n, thing in enumerate(scene.things) if thing.kind in kinds}
    table = overlaps(found.xyxy, np.array([thing.box for thing in scene.things]))
    for detection, row in zip(found, table, strict=True):
        same = {n: float(row[n]) for n, thing in left.items() if thing.kind == detection.label}
        best = max(same, key=same.__getitem__, default=None)
        hit = best is not None and same[best] >= 0.5
        yield "detection precision", hit
        if best is not None and hit:
            yield "mean IoU", same[best]
            del left[best]
            yield "detection recall", True
    for _ in left:
        yield "detection recall", False


def main(arguments: list[str] | None = None) -> int:
    """Evaluate by the command line's words; returns the exit code."""
    words = argparse.ArgumentParser(prog="python -m nbvlm.demo.evaluate", description=__doc__.splitlines()[0])
    words.add_argument("--scenes", type=int, default=400)
    words.add_argument("--full", action="store_true", help="2,000 scenes")
    given = words.parse_args(arguments)
    scores = evaluate(load(), 2000 if given.full else given.scenes)
    lines = [f"{'':24}{'value':>8}{'floor':>8}{'samples':>9}"]
    lines += [f"{s.name:24}{s.value:8.3f}{FLOORS[s.name]:8.2f}{s.samples:9d}" for s in scores]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(any(score.value < FLOORS[score.name] for score in scores))


if __name__ == "__main__":
    sys.exit(main())
