"""Train the embedded model from nothing: `python -m training.train` (extra `train`)."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nbvlm.demo.model.weights import CODEBOOK, PATH, save, save_codebook
from nbvlm.errors import Error
from training import language, train_vision
from training.language import Sizes
from training.trainer import Course

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Plan", "main", "train"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each course is, in optimizer steps, and what the speaker's sizes are."""

    shapes: int = 2000
    sight: int = 50600
    speaker: int = 23400
    sizes: Sizes = field(default_factory=Sizes)
    pictures: int = 16
    worlds: int = 16


def train(
    plan: Plan, folder: Path, seed: int = 1, *, weights: Path = PATH, codebook: Path = CODEBOOK
) -> None:
    """Train all networks and write their weights.

    Parameters
    ----------
    plan
        Lengths and sizes.
    folder
        Where states and curves go; what lies there is resumed.
    seed
        Of everything that chance decides.
    weights, codebook
        Files to write, ``.npz``.
    """
    shapes = train_vision.shapes_of(Course("shapes", folder, plan.shapes, 96, seed))
    sight = train_vision.sight_of(Course("sight", folder, plan.sight, plan.pictures, seed), shapes)
    speaker = language.speaker_of(Course("speaker", folder, plan.speaker, plan.worlds, seed), plan.sizes)
    save(sight, speaker, weights)
    save_codebook(shapes, codebook)


def main(arguments: list[str] | None = None) -> None:
    """Train by the command line's words and write the weights; what the folder holds is resumed."""
    words = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    words.add_argument("--seed", type=int, default=1, help="of everything that chance decides")
    words.add_argument(
        "--folder", type=Path, default=Path("build/training"), help="where states and curves go"
    )
    words.add_argument("--threads", type=int, default=1, help="besides the process that draws scenes")
    given = words.parse_args(arguments)
    try:
        _train(given.folder, given.seed, given.threads)
    except Error as error:
        words.exit(1, f"{error}\n")


def _train(folder: Path, seed: int, threads: int) -> None:
    try:
        import torch
    except ImportError:
        raise Error(
            "Training needs PyTorch, which is not installed.", hint='Run: pip install "nbvlm[train]"'
        ) from None

    torch.set_num_threads(threads)
    train(Plan(), folder, seed)


if __name__ == "__main__":
    main()
