"""The whole training of the embedded model.

Three courses follow each other: the mask codebook, the seeing networks, the speaker; then
the weights are written where the package finds them. All is seeded and can be resumed: every minute or so the
state of a course goes to `build/training`, its learning curve beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbvlm.demo.model.weights import CODEBOOK, PATH, save, save_codebook
from training import language, train_vision
from training.language import Sizes
from training.trainer import Course

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Plan", "train"]


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
