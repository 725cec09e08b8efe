"""Train the embedded model from nothing: `python -m nbvlm.demo.train` (extra `train`).

The run is seeded and can be resumed: every few minutes its state goes to `build/training/state.pt`, its
learning curve to `build/training/curve.csv`. At the end the weights are written where the package finds them.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - PyTorch's own convention

from nbvlm.demo import lessons, scenes
from nbvlm.demo import vocabulary as v
from nbvlm.demo.network import Network, Sizes
from nbvlm.demo.weights import PATH, save

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Run", "loss_of", "main", "train"]

LEARNING_RATE = 1.2e-3
WARM_UP = 200
AHEAD = 12
WIDEST, NARROWEST = 15.0, 3.0


@dataclass(frozen=True)
class Run:
    """What a training run depends on: `steps` of `batch` scenes each, drawn from `seed`."""

    steps: int = 22000
    batch: int = 16
    seed: int = 1
    folder: Path = Path("build/training")
    sizes: Sizes = field(default_factory=Sizes)
    report_every: int = 50
    save_every: int = 500


def _rate(run: Run, step: int) -> float:
    return (
        LEARNING_RATE
        * min(1.0, (step + 1) / WARM_UP)
        * (0.02 + 0.98 * (1 + math.cos(math.pi * step / run.steps)) / 2)
    )


def _spread(run: Run, step: int) -> float:
    """Standard deviation, in bins, of the location targets: narrows over the first 70 % of the run."""
    share = min(1.0, step / (0.7 * run.steps))
    return WIDEST * (NARROWEST / WIDEST) ** share


@dataclass(frozen=True, slots=True)
class Losses:
    """What a step is judged by: words and locations in nats a token, and the dense head's parts together."""

    words: Tensor
    locations: Tensor
    dense: Tensor

    @property
    def total(self) -> Tensor:
        """The sum that is minimised."""
        return self.words + 0.5 * self.locations + self.dense


def loss_of(network: Network, batch: lessons.Batch, spread: float) -> Losses:
    """Losses of a batch; `spread` is the standard deviation of the location targets in bins."""
    pixels = torch.from_numpy(batch.pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.autocast("cpu", torch.bfloat16):
        seen, told = network.see(pixels)
    (long, locations), (short, _) = (_text_losses(network, seen, texts, spread) for texts in batch.texts)
    return Losses(long + short, locations, _dense_loss(told, torch.from_numpy(batch.cells)))


def _text_losses(
    network: Network, seen: Tensor, texts: lessons.Texts, spread: float
) -> tuple[Tensor, Tensor]:
    tokens, prefix, length = map(torch.from_numpy, (texts.tokens, texts.prefix, texts.length))
    at = torch.arange(tokens.shape[1])
    mask = (at[None, :] <= at[:, None])[None] | (at[None, None, :] < prefix[:, None, None])
    with torch.autocast("cpu", torch.bfloat16):
        states = network.read(seen, tokens, mask).float()
    asked = (at[None, :-1] >= prefix[:, None] - 1) & (at[None, :-1] < length[:, None] - 1)
    scores = network.logits(states[:, :-1][asked]).log_softmax(-1)
    weight = (1 / (length - prefix).float().sqrt())[:, None].expand(asked.shape)[asked]
    return _token_losses(scores, tokens[:, 1:][asked], weight, spread)


def _token_losses(scores: Tensor, targets: Tensor, weight: Tensor, spread: float) -> tuple[Tensor, Tensor]:
    """Means over words and over locations; tokens of a short answer count for more than a long one's."""
    place = targets >= v.FIRST_LOC
    words = F.nll_loss(scores[~place], targets[~place], reduction="none")
    distance = torch.arange(v.BINS)[None] - (targets[place] - v.FIRST_LOC)[:, None]
    soft = torch.softmax(-(distance**2) / (2 * spread**2), -1)
    locations = -(soft * scores[place][:, v.FIRST_LOC :]).sum(-1)
    return _mean(words, weight[~place]), _mean(locations, weight[place])


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def _dense_loss(told: Tensor, cells: Tensor) -> Tensor:
    there = cells[..., 0] > 0
    found = F.binary_cross_entropy_with_logits(told[..., 0], cells[..., 0])
    of, truth = told[there], cells[there]
    box, kinds = of[:, 1:5].sigmoid(), of.shape[1] - 5
    colors = kinds - len(scenes.KINDS)
    kind = F.cross_entropy(of[:, 5 : 5 + kinds - colors], truth[:, 5].long())
    color = F.cross_entropy(of[:, 5 + kinds - colors :], truth[:, 6].long())
    return 4 * found + 8 * (box - truth[:, 1:5]).abs().mean() + 0.5 * (kind + color)


def _ahead(run: Run, first: int, last: int) -> Iterator[lessons.Batch]:
    """Batches of the steps from `first` up to `last`, from a second process, a few steps ahead."""
    with ProcessPoolExecutor(1) as pool:
        waiting: list[Future[list[lessons.Batch]]] = []
        for step in range(first, last + AHEAD):
            if step < last:
                waiting.append(pool.submit(_one, run.seed, run.batch, step))
            if len(waiting) > AHEAD or (step >= last and waiting):
                yield from waiting.pop(0).result()


def _one(seed: int, size: int, step: int) -> list[lessons.Batch]:
    return list(lessons.batches(seed, size, step, 1))


def train(run: Run, *, stop_after: int | None = None) -> Network:
    """Train, or go on with a run that was interrupted, and return the network.

    Parameters
    ----------
    run
        What to do.
    stop_after
        Interrupt the run after this many steps; a multiple of `run.save_every` loses nothing.
    """
    torch.manual_seed(run.seed)
    network = Network(run.sizes)
    optimizer = torch.optim.AdamW(_groups(network), lr=LEARNING_RATE, betas=(0.9, 0.98))
    run.folder.mkdir(parents=True, exist_ok=True)
    first, spent = _resume(run, network, optimizer)
    begun, recent = time.monotonic() - spent, []
    last = min(run.steps, stop_after or run.steps)
    for step, batch in enumerate(_ahead(run, first, last), first):
        recent.append(_step(run, step, network, optimizer, batch))
        done = step + 1
        if done % run.report_every == 0 or done == run.steps:
            _report(run, done, time.monotonic() - begun, recent)
            recent.clear()
        if done % run.save_every == 0 or done == run.steps:
            _keep(run, done, time.monotonic() - begun, network, optimizer)
    return network.eval()


def _groups(network: Network) -> list[dict[str, object]]:
    weights = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]


def _step(
    run: Run, step: int, network: Network, optimizer: torch.optim.Optimizer, batch: lessons.Batch
) -> Losses:
    for group in optimizer.param_groups:
        group["lr"] = _rate(run, step)
    losses = loss_of(network.train(), batch, _spread(run, step))
    optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return Losses(losses.words.detach(), losses.locations.detach(), losses.dense.detach())


def _report(run: Run, done: int, seconds: float, recent: list[Losses]) -> None:
    means = [
        float(torch.stack([getattr(x, name) for x in recent]).mean())
        for name in ("words", "locations", "dense")
    ]
    row = [done, done * run.batch, round(seconds), *(f"{m:.4f}" for m in means)]
    path = run.folder / "curve.csv"
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        if fresh:
            out.writerow(["step", "scenes", "seconds", "words", "locations", "dense"])
        out.writerow(row)
    sys.stderr.write(" ".join(map(str, row)) + "\n")


def _keep(run: Run, done: int, seconds: float, network: Network, optimizer: torch.optim.Optimizer) -> None:
    state = {
        "done": done,
        "seconds": seconds,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(state, run.folder / "state.tmp")
    (run.folder / "state.tmp").replace(run.folder / "state.pt")


def _resume(run: Run, network: Network, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    path = run.folder / "state.pt"
    if not path.exists():
        (run.folder / "curve.csv").unlink(missing_ok=True)
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["done"]), float(state["seconds"])


def main(arguments: list[str] | None = None) -> None:
    """Train by the command line's words and write the weights."""
    words = argparse.ArgumentParser(prog="python -m nbvlm.demo.train", description=__doc__.splitlines()[0])
    words.add_argument("--steps", type=int, default=Run.steps, help="optimizer steps")
    words.add_argument("--batch", type=int, default=Run.batch, help="scenes a step")
    words.add_argument("--seed", type=int, default=Run.seed)
    words.add_argument("--folder", type=Path, default=Run.folder, help="where the state and the curve go")
    words.add_argument("--out", type=Path, default=PATH, help="where the weights go")
    words.add_argument(
        "--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="one core draws scenes"
    )
    given = words.parse_args(arguments)
    torch.set_num_threads(given.threads)
    run = Run(given.steps, given.batch, given.seed, given.folder)
    save(train(run), given.out)


if __name__ == "__main__":
    main()
