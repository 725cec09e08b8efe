"""Train the vision networks: first the mask codebook, then eye, look, trace and reader together."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own convention

from nbvlm.demo.model.crops import CELLS
from nbvlm.demo.scenes import COLORS, KINDS
from training import vision_data
from training.networks import Eye, Look, MaskCoder, Reader, Trace
from training.trainer import TrainingRun, ahead, drawn_batch, fit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


__all__ = ["VisionNetworks", "losses", "shapes_of", "sight_of"]

KEPT = 3000
"""Batches kept on disk for reuse."""
Arrays = dict[str, np.ndarray]


class VisionNetworks(nn.Module):
    """The four vision networks."""

    def __init__(self) -> None:
        super().__init__()
        self.eye, self.look, self.trace, self.reader = Eye(), Look(), Trace(), Reader()


def shapes_of(run: TrainingRun) -> MaskCoder:
    """Train the mask codebook on masks of scenes, mirrored at times."""
    torch.manual_seed(run.seed)
    network = MaskCoder()
    masks = _masks(run)
    rng = torch.Generator()

    def loss(step: int) -> dict[str, Tensor]:
        rng.manual_seed(step)
        some = masks[torch.randint(len(masks), (96,), generator=rng)].float() / 255
        some = some.flip(2) if step % 2 else some
        return {"mask": network.loss(some, free=step < run.steps // 10)}

    fit(network, loss, run, rate=2e-3)
    return network.eval()


def _masks(run: TrainingRun) -> Tensor:
    """Return some thousand masks as uint8."""
    path = run.folder / "masks.npy"
    if not path.exists():
        found: list[np.ndarray] = []
        rng = Random(run.seed)
        while len(found) < run.steps * 3:
            _, things, _ = vision_data.drawn(rng)
            found += [(vision_data.raster(thing) * 255).astype(np.uint8) for thing in things]
        np.save(path, np.stack(found))
    return torch.from_numpy(np.load(path))


def sight_of(run: TrainingRun, shapes: MaskCoder) -> VisionNetworks:
    """Train the vision networks on new and reused batches in turn."""
    torch.manual_seed(run.seed + 1)
    network = VisionNetworks().to(memory_format=torch.channels_last)
    batches: list[Iterator[Arrays]] = []

    def loss(_: int) -> dict[str, Tensor]:
        return losses(network, shapes, next(batches[0]))

    fit(network, loss, run, rate=2e-3, skip=lambda step: batches.append(_batches(run, step)))
    return network.eval()


def _batches(run: TrainingRun, first: int) -> Iterator[Arrays]:
    """Yield the batches from a step on: after each new batch a reused one."""
    folder = run.folder / "batches"
    folder.mkdir(parents=True, exist_ok=True)
    fresh = ahead(run.seed, run.batch, folder, range((first + 1) // 2, (run.steps + 1) // 2))
    for step in range(first, run.steps):
        newest = step // 2
        if step % 2 == 0:
            yield _load(next(fresh))
            (folder / f"{newest - KEPT}.npz").unlink(missing_ok=True)
        else:
            past = Random(step).randrange(max(0, newest - KEPT + 1), newest + 1)
            yield _load(drawn_batch(run.seed, run.batch, folder, past))


def _load(path: Path) -> Arrays:
    with np.load(path) as file:
        return dict(file)


def losses(network: VisionNetworks, shapes: MaskCoder, batch: Arrays) -> dict[str, Tensor]:
    """Return the losses of a batch, by name."""
    data = {name: torch.from_numpy(array) for name, array in batch.items()}
    with torch.autocast("cpu", torch.bfloat16):
        cells, names, whole = network.eye(_pixels(data["pixels"]))
        facts = network.look(_pixels(data["crops"]))
        codes = network.trace(_pixels(data["close"])) if len(data["close"]) else None
        texts = network.reader(_pixels(data["signs"])) if len(data["signs"]) else None
    parts = _eye_losses(cells.float(), names.float(), whole.float(), data)
    parts |= _look_losses(facts.float(), data["facts"])
    if codes is not None:
        target = shapes.codes(data["masks"].float())
        parts["trace"] = 0.5 * F.cross_entropy(codes.float().flatten(0, 1), target.flatten())
    if texts is not None:
        parts["read"] = 0.3 * _reading_loss(texts.float(), data["texts"].long())
    return parts


def _pixels(images: Tensor) -> Tensor:
    # Colours stay innermost: convolutions of few channels run twice as fast this way.
    return (images.float() / 127.5 - 1).permute(0, 3, 1, 2)


def _eye_losses(cells: Tensor, names: Tensor, whole: Tensor, data: dict[str, Tensor]) -> dict[str, Tensor]:
    truth, scene = data["cells"], data["whole"]
    there, counted = truth[..., 0] > 0, truth[..., 0] >= 0
    guess = cells[..., 0]
    likely = guess.sigmoid()
    hard = torch.where(there, 1 - likely, likely).square()
    found = F.binary_cross_entropy_with_logits(guess, there.float(), reduction="none")
    knows, edges = _spread(truth)
    boxes, true = Eye.boxes(cells)[knows], edges[knows]
    side = (true[:, 2:] - true[:, :2]).repeat(1, 2)
    is_scene = scene[:, 0] > 0
    return {
        "found": (found * hard * counted).sum() / there.sum().clamp(min=1),
        "box": 1.5 * ((boxes - true) / side).abs().mean() + (1 - _overlap(boxes, true)).mean(),
        "names": 0.2 * _named(names[there], truth[there]),
        "scene": 0.3 * F.binary_cross_entropy_with_logits(whole[:, 0], scene[:, 0].float())
        + 0.1 * F.cross_entropy(whole[is_scene, 1:], scene[is_scene, 1]),
    }


def _spread(truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cells in or beside the middle of exactly one thing, and its box, which all of them learn."""
    grid = truth.unflatten(1, (CELLS, CELLS))
    there = F.pad((grid[..., 0] > 0).float(), (1, 1, 1, 1))
    boxes = F.pad(grid[..., 1:5], (0, 0, 1, 1, 1, 1)) * there[..., None]
    count, total = (part.unfold(1, 3, 1).unfold(2, 3, 1).sum((-1, -2)) for part in (there, boxes))
    middle = grid[..., 0] > 0
    edges = torch.where(middle[..., None], grid[..., 1:5], total)
    return (middle | (count == 1)).flatten(1), edges.flatten(1, 2)


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union, minus how much of their hull is neither (GIoU, Rezatofighi et al. 2019)."""
    inner = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - inner
    return inner / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def _named(scores: Tensor, truth: Tensor) -> Tensor:
    kinds, colors = scores.split([len(KINDS), len(COLORS)], -1)
    return F.cross_entropy(kinds, truth[:, 5].long()) + F.cross_entropy(colors, truth[:, 6].long())


def _look_losses(facts: Tensor, truth: Tensor) -> dict[str, Tensor]:
    sure = truth[:, 0] > 0
    found, true = facts[sure], truth[sure]
    return {
        "sure": F.binary_cross_entropy_with_logits(facts[:, 0], truth[:, 0]),
        "edges": 4 * (found[:, 1:5] - true[:, 1:5]).abs().mean(),
        "kind": _named(found[:, 5:], true),
    }


def _reading_loss(scores: Tensor, texts: Tensor) -> Tensor:
    likely = scores.log_softmax(-1).transpose(0, 1)
    lengths = torch.full((scores.shape[0],), scores.shape[1])
    return F.ctc_loss(likely, texts, lengths, (texts > 0).sum(1), zero_infinity=True)
