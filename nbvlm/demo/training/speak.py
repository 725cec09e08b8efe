"""Teach the speaker."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import torch

from nbvlm.demo.training import texts
from nbvlm.demo.training.course import Course, follow
from nbvlm.demo.training.speech import Sizes, Speaker, losses

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["speaker_of"]


def speaker_of(course: Course, sizes: Sizes | None = None, *, stop_after: int | None = None) -> Speaker:
    """Train the speaker; lessons are made by a second process, a few batches ahead."""
    torch.manual_seed(course.seed + 2)
    network = Speaker(sizes)
    with ProcessPoolExecutor(1) as pool:
        waiting = {}

        def loss(step: int) -> dict[str, Tensor]:
            for number in range(step, min(course.steps, step + 8)):
                if number not in waiting:
                    seed = course.seed * 1_000_000_009 + number
                    waiting[number] = pool.submit(texts.batch, seed, course.batch)
            groups = {name: losses(network, group) for name, group in waiting.pop(step).result().items()}
            words = {name: one for name, (one, _) in groups.items()}
            return words | {"pointing": torch.stack([two for _, two in groups.values()]).sum()}

        follow(network, loss, course, rate=2e-3, stop_after=stop_after)
    return network.eval()
