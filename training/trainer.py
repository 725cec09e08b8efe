"""Train a network: steps, learning rate, a state that can be resumed, a learning curve."""

from __future__ import annotations

import csv
import math
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor, nn

__all__ = ["TrainingRun", "ahead", "drawn_batch", "fit"]

WARM_UP = 200
AHEAD = 24


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """The settings of one training.

    Attributes
    ----------
    name
        Of its files in `folder`: ``name.pt``, the state, and ``name.csv``, the curve.
    folder
        For these files.
    steps, batch
        Optimizer steps, and pictures or texts in each.
    seed
        Of all random choices.
    """

    name: str
    folder: Path
    steps: int
    batch: int
    seed: int = 1
    report_every: int = 50
    save_every: int = 250


def rate_at(run: TrainingRun, step: int, highest: float) -> float:
    """Learning rate: a short rise, then half a cosine."""
    rise = min(1.0, (step + 1) / min(WARM_UP, run.steps / 4))
    return highest * rise * (0.01 + 0.99 * (1 + math.cos(math.pi * step / run.steps)) / 2)


def fit(
    network: nn.Module,
    loss: Callable[[int], dict[str, Tensor]],
    run: TrainingRun,
    *,
    rate: float,
    skip: Callable[[int], None] | None = None,
    stop_after: int | None = None,
) -> None:
    """Train a network, from its saved state if it exists.

    Parameters
    ----------
    network
        Trained in place.
    loss
        Parts of the loss of a step, by name; their sum is minimised.
    run
        Steps, seed and places.
    rate
        Highest learning rate.
    skip
        Called once, before the first step, with the number of steps already done.
    stop_after
        End after so many steps, like an interruption.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(network.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.02)
    done, seconds = _resume(run, network, optimizer)
    if skip is not None:
        skip(done)
    last = min(run.steps, stop_after or run.steps)
    network.train()
    begun, seen = time.perf_counter() - seconds, dict[str, float]()
    for step in range(done, last):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(run, step, rate)
        parts = loss(step)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimizer.step()
        for name, value in parts.items():
            seen[name] = seen.get(name, 0.0) + float(value.detach())
        if (step + 1) % run.report_every == 0:
            _report(run, step + 1, time.perf_counter() - begun, seen)
            seen = {}
        if (step + 1) % run.save_every == 0 or step + 1 == last:
            _keep(run, step + 1, time.perf_counter() - begun, network, optimizer)


def _report(run: TrainingRun, done: int, seconds: float, seen: dict[str, float]) -> None:
    row = {"step": done, "seconds": round(seconds)}
    means = {name: round(value / run.report_every, 4) for name, value in sorted(seen.items())}
    path = run.folder / f"{run.name}.csv"
    begins = not path.exists()
    with path.open("a", newline="") as file:
        out = csv.writer(file)
        if begins:
            out.writerow([*row, *means])
        out.writerow([*row.values(), *means.values()])
    words = " ".join(f"{name} {value}" for name, value in (row | means).items())
    sys.stderr.write(f"{run.name}: {words}\n")


def _keep(
    run: TrainingRun, done: int, seconds: float, network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    state = {
        "done": done,
        "seconds": seconds,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "chance": torch.get_rng_state(),
    }
    torch.save(state, run.folder / f"{run.name}.tmp")
    (run.folder / f"{run.name}.tmp").replace(run.folder / f"{run.name}.pt")


def _resume(run: TrainingRun, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    path = run.folder / f"{run.name}.pt"
    if not path.exists():
        (run.folder / f"{run.name}.csv").unlink(missing_ok=True)
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["chance"])
    _cut(run.folder / f"{run.name}.csv", int(state["done"]))
    return int(state["done"]), float(state["seconds"])


def _cut(path: Path, done: int) -> None:
    """Remove the rows of a curve after the saved state: these steps are repeated."""
    if path.exists():
        head, *rows = path.read_text().splitlines()
        kept = [row for row in rows if int(row.partition(",")[0]) <= done]
        path.write_text("\n".join([head, *kept]) + "\n")


def ahead(seed: int, size: int, folder: Path, numbers: range) -> Iterator[Path]:
    """Yield the paths of the batches with these numbers; a second process draws them a few batches ahead."""
    with ProcessPoolExecutor(1) as pool:
        waiting: list[Future[Path]] = []
        for number in range(numbers.start, numbers.stop + AHEAD):
            if number < numbers.stop:
                waiting.append(pool.submit(drawn_batch, seed, size, folder, number))
            if len(waiting) > AHEAD or (number >= numbers.stop and waiting):
                yield waiting.pop(0).result()


def drawn_batch(seed: int, size: int, folder: Path, number: int) -> Path:
    """Return the path of one batch; draw it if the file does not exist."""
    from training import vision_data

    path = folder / f"{number}.npz"
    if not path.exists():
        arrays = vision_data.batch(seed * 1_000_000_007 + number, size).arrays()
        with path.with_suffix(".tmp").open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        path.with_suffix(".tmp").replace(path)
    return path
