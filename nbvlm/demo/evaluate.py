"""Measure the embedded model on scenes that it never saw: `python -m nbvlm.demo.evaluate`.

Prints a table of shares and means beside their floors and goals and ends with exit code 1 where one is below
its floor. Training drew its scenes from seeds above a thousand million; these begin at half of that.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from nbvlm.demo import exam, scenes
from nbvlm.demo.exam import FIGURES
from nbvlm.demo.model import FAMILIAR, Model, load

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIRST_SEED", "WAYS", "Score", "evaluate", "main"]

FIRST_SEED = 500_000_000
SCENES, FULL = 400, 2000


@dataclass(frozen=True, slots=True)
class Score:
    """A figure: its name, the mean of its samples, and how many there were."""

    name: str
    value: float
    samples: int


def _scaled(share: float) -> Callable[[Image.Image], Image.Image]:
    def scale(picture: Image.Image) -> Image.Image:
        size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
        return picture.resize(size, Image.Resampling.BICUBIC)

    return scale


def _packed(picture: Image.Image) -> Image.Image:
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=50)
    return Image.open(packed).convert("RGB")


WAYS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "plain": lambda picture: picture,
    "half": _scaled(0.5),
    "double": _scaled(2.0),
    "jpeg": _packed,
}
"""What may be done to a picture before the model sees it."""


def evaluate(model: Model, count: int, first: int = FIRST_SEED, way: str = "plain") -> list[Score]:
    """Ask about `count` scenes, greedily, and score the answers.

    Parameters
    ----------
    model
        The model.
    count
        Number of scenes, at least 1.
    first
        Seed of the first scene.
    way
        What is done to the pictures before: a name of `WAYS`.

    Returns
    -------
    list of Score
        In the order of `exam.FIGURES`.
    """
    samples: dict[str, list[float]] = defaultdict(list)
    for seed in range(first, first + count):
        scene = scenes.sample(seed)
        picture = WAYS[way](scene.picture)
        seen = model.see(picture)
        samples["scenes taken for scenes"].append(seen.familiar >= FAMILIAR)

        def ask(prompt: str, picture: Image.Image = picture, seen: exam.Seen = seen) -> str:
            return "".join(token.text for token in model.stream(picture, prompt, temperature=1e-4, seen=seen))

        for name, value in exam.judged(ask, scene, seed):
            samples[name].append(value)
    return [Score(name, sum(got) / len(got), len(got)) for name in FIGURES if (got := samples[name])]


def table(columns: dict[str, list[Score]]) -> str:
    """Scores as text: a line a figure, a column a way, then floor and goal."""
    ways = list(columns)
    head = f"{'':28}{'floor':>8}{'goal':>8}" + "".join(f"{way:>9}" for way in ways) + f"{'samples':>9}"
    lines = [head]
    for row in zip(*columns.values(), strict=True):
        figure = FIGURES[row[0].name]
        values = "".join(f"{score.value:9.3f}" for score in row)
        lines.append(f"{row[0].name:28}{figure.floor:8.2f}{figure.goal:8.2f}{values}{row[0].samples:9d}")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Evaluate by the command line's words; returns the exit code."""
    words = argparse.ArgumentParser(prog="python -m nbvlm.demo.evaluate", description=__doc__.splitlines()[0])
    words.add_argument("--scenes", type=int, default=SCENES)
    words.add_argument("--full", action="store_true", help=f"{FULL:,} scenes")
    words.add_argument(
        "--as", dest="ways", nargs="+", choices=WAYS, default=["plain"], help="what is done to the pictures"
    )
    given = words.parse_args(arguments)
    model, count = load(), FULL if given.full else given.scenes
    columns = {way: evaluate(model, count, way=way) for way in given.ways}
    sys.stdout.write(table(columns))
    return int(
        any(score.value < FIGURES[score.name].floor for scores in columns.values() for score in scores)
    )


if __name__ == "__main__":
    sys.exit(main())
