"""Wordings of the same question, and how often the embedded model answers each of them rightly.

The success of a wording follows from what the model's question reader understands; it is measured, never set.
`python -m nbvlm.demo.wordings` prints the table of docs/embedded-model.md.

>>> min(len(wordings) for wordings in WORDINGS.values())
8
>>> written("Count the {color} {plural}.", "red", "car")
'Count the red cars.'
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from nbvlm.demo import ground_truth, scenes
from nbvlm.demo.evaluate import asking, facts_of, named
from nbvlm.demo.model import Model, load
from nbvlm.demo.world.vocabulary import PLURALS
from nbvlm.grounding import overlaps, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbvlm.demo.ground_truth import Fact

__all__ = [
    "FIRST_SEED",
    "WORDINGS",
    "WordingScore",
    "is_right",
    "main",
    "measure",
    "measured",
    "targets",
    "written",
]

WORDINGS: Mapping[str, tuple[str, ...]] = {
    "count": (
        "How many {color} {plural} are there?",
        "Count the {color} {plural}.",
        "What is the number of {color} {plural}?",
        "How many pretty {color} {plural} do you see?",
        "How many of the {plural} are {color}?",
        "How many {plural} that are {color} can you see?",
        "Find all {color} {plural} and count them.",
        "Is there one {color} {kind}, or are there more?",
    ),
    "is there": (
        "Is there a {color} {kind}?",
        "Are there any {color} {plural}?",
        "Do you see a {color} {kind}?",
        "Does the picture have a {color} {kind} in it?",
        "Is one of the {plural} {color}?",
        "Is there a {kind} in {color}?",
        "Can you find a {color} {kind}?",
        "Tell me whether you know of a {color} {kind}.",
    ),
    "color": (
        "What color is the {kind}?",
        "Which colour does the {kind} have?",
        "Tell me the color of the {kind}.",
        "In which color is the {kind} drawn?",
        "What is the {kind} painted in?",
        "What shade is the {kind}?",
        "Describe the color of the {kind}.",
        "Find the {kind} and name its color.",
    ),
    "where": (
        "Where is the {color} {kind}?",
        "Tell me where the {color} {kind} is.",
        "What is the position of the {color} {kind}?",
        "Where can I see the {color} {kind}?",
        "Where is the {kind} that is {color}?",
        "Where is the {kind}, the {color} one?",
        "Locate the {color} {kind}.",
        "In which corner is the {color} {kind}?",
    ),
    "detect": (
        "detect {color} {kind}",
        "Find the {color} {plural}.",
        "Draw a box around every {color} {kind}.",
        "Show me all {color} {plural}.",
        "Mark the {plural} that are {color}.",
        "detect {kind} in {color}",
        "detect {color} ; {kind}",
        "Where are the {color} {plural}?",
    ),
    "caption": (
        "caption en",
        "What is in the picture?",
        "What do you see?",
        "Give the picture a title.",
        "List everything in the picture.",
        "describe en",
        "How many things do you see, and which?",
        "Tell me about the picture.",
    ),
}
"""Templates by task: `{color}`, `{kind}` and `{plural}` are those of the thing asked about."""

FIRST_SEED, SCENES = 700_000_000, 200


@dataclass(frozen=True, slots=True)
class WordingScore:
    """A wording with the share of right answers to it, from 0 to 1."""

    task: str
    wording: str
    right: float
    samples: int


def written(wording: str, color: str, kind: str) -> str:
    """Return the question in a wording."""
    return wording.format(color=color, kind=kind, plural=PLURALS[kind])


def targets(scene: scenes.Scene, seed: int) -> dict[str, tuple[str, str]]:
    """Return color and kind to ask about, by task; the same for the same seed."""
    rng = Random(seed)
    thing = rng.choice(scene.things)
    other = rng.choice([color for color in scenes.COLORS if color != thing.color])
    either = (thing.color if rng.random() < 0.5 else other, thing.kind)
    there = (thing.color, thing.kind)
    return {task: either if task in ("count", "is there") else there for task in WORDINGS}


def is_right(task: str, answer: str, scene: scenes.Scene, color: str, kind: str) -> bool:
    """Check an answer to a question of a task against the ground truth of its scene."""
    facts = facts_of(scene)
    match task:
        case "caption":
            return named(answer) == Counter((fact.color, fact.kind) for fact in facts)
        case "detect":
            return _has_boxes(answer, scene, color, kind)
    words = {
        "count": ("how", "many", color, kind),
        "is there": ("is", "there", color, kind),
        "color": ("what", "color", kind),
        "where": ("where", color, kind),
    }[task]
    return answer == _truth(words, facts, scene.background)


def _truth(words: Sequence[str], facts: Sequence[Fact], background: str) -> str:
    return ground_truth.text(ground_truth.answer(("answer", "en", *words), facts, background))


def _has_boxes(answer: str, scene: scenes.Scene, color: str, kind: str) -> bool:
    """Check that each thing of the color and kind has one box, and nothing else has one."""
    wanted = [thing.box for thing in scene.things if (thing.color, thing.kind) == (color, kind)]
    found = parse(answer, scene.size)
    if len(found) != len(wanted):
        return False
    table = overlaps(found.xyxy, np.array(wanted)) >= 0.5
    return bool(table.any(0).all() and table.any(1).all())


def measure(
    model: Model,
    count: int = SCENES,
    *,
    hard: float = 0.0,
    first: int = FIRST_SEED,
    pixels: int | None = None,
    wordings: Mapping[str, Sequence[str]] = WORDINGS,
) -> list[WordingScore]:
    """Ask each wording about `count` scenes, greedily; return their shares of right answers.

    Parameters
    ----------
    model
        From `nbvlm.demo.model.load`.
    count
        Scenes, of as many seeds from `first` on.
    hard, pixels
        For `nbvlm.demo.scenes.sample`.
    first
        The first seed.
    wordings
        Some templates of `WORDINGS`, or others, by task.
    """
    right: Counter[tuple[str, str]] = Counter()
    for seed in range(first, first + count):
        scene = scenes.sample(seed, hard=hard, pixels=pixels)
        ask = asking(model, scene.picture, model.see(scene.picture))
        for task, (color, kind) in targets(scene, seed).items():
            for wording in wordings.get(task, ()):
                answer = ask(written(wording, color, kind))
                right[task, wording] += is_right(task, answer, scene, color, kind)
    return [
        WordingScore(task, wording, right[task, wording] / count, count)
        for task, group in wordings.items()
        for wording in group
    ]


def measured(task: str, count: int = SCENES, *, pixels: int | None = None) -> list[WordingScore]:
    """Measure the wordings of one task with the embedded model; see `measure`."""
    return measure(load(), count, pixels=pixels, wordings={task: WORDINGS[task]})


def main(arguments: list[str] | None = None) -> int:
    """Print the share of right answers to each wording."""
    parser = argparse.ArgumentParser(
        prog="python -m nbvlm.demo.wordings", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--hard", type=float, default=0.0, metavar="H", help="from 0.0 to 1.0")
    given = parser.parse_args(arguments)
    for asked in measure(load(), given.scenes, hard=given.hard):
        sys.stdout.write(f"{asked.task:10}{asked.wording:50}{asked.right:6.2f}{asked.samples:6d}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
