"""Train all networks of the embedded model, and write their weights where the package finds them.

The mask codebook comes first, then the seeing networks, then the language network. Each training is seeded
and can be resumed: every minute or so its state is saved to `build/training`, beside its learning curve.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nbvlm
from nbvlm.demo.model.weights import PATH
from training import language, train_vision
from training.language import Sizes
from training.trainer import TrainingRun

if TYPE_CHECKING:
    from torch import nn

    from nbvlm.demo.model.weights import Array
    from training.language import Decoder
    from training.networks import MaskCoder
    from training.train_vision import VisionNetworks

__all__ = ["CODEBOOK", "Plan", "save", "save_codebook", "train"]

CODEBOOK = Path(nbvlm.__file__).parent / "grounding" / "masks" / "codebook.npz"
"""The mask codebook of the package, in the layout of PaliGemma's ``vae-oid.npz``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Lengths of the trainings, in optimizer steps, and sizes of the decoder."""

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
        For states and curves; a training whose state it has is resumed.
    seed
        Of all random choices.
    weights, codebook
        Files to write, ``.npz``.
    """
    shapes = train_vision.shapes_of(TrainingRun("shapes", folder, plan.shapes, 96, seed))
    sight = train_vision.sight_of(TrainingRun("sight", folder, plan.sight, plan.pictures, seed), shapes)
    speaker = language.speaker_of(TrainingRun("speaker", folder, plan.speaker, plan.worlds, seed), plan.sizes)
    save(sight, speaker, weights)
    save_codebook(shapes, codebook)


def save(sight: VisionNetworks, speaker: Decoder, path: Path = PATH) -> None:
    """Write the weights of trained networks; `path` ends with ``.npz``."""
    arrays = {f"speaker.{name}": value.detach().numpy() for name, value in speaker.state_dict().items()}
    for name, part in sight.named_children():
        arrays |= {f"{name}.{key}": value for key, value in _folded(part).items()}
    sizes = np.frombuffer(json.dumps(speaker.sizes.as_dict()).encode(), np.uint8)
    np.savez_compressed(path, sizes=sizes, **_halves(arrays))


def save_codebook(shapes: MaskCoder, path: Path = CODEBOOK) -> None:
    """Write a trained codebook and its decoder."""
    state = {name: value.detach().numpy() for name, value in shapes.state_dict().items()}
    wanted = {k: a for k, a in state.items() if k.startswith("decoder.") or k == "_vq_vae._embedding"}
    np.savez_compressed(path, **_halves(wanted))


def _halves(arrays: dict[str, Array]) -> dict[str, Any]:
    return {k: a.astype(np.float16) if a.dtype.kind == "f" else a for k, a in arrays.items()}


def _folded(part: nn.Module) -> dict[str, Array]:
    """Return a network's arrays: each convolution with its norm folded in, its steps and its padding."""
    state = {name: value.detach().numpy() for name, value in part.state_dict().items()}
    arrays = {k: a for k, a in state.items() if ".convolutions." not in k and ".norms." not in k}
    for name, module in part.named_modules():
        if hasattr(module, "convolutions"):
            for n, convolution in enumerate(module.convolutions):
                norm = f"{name}.norms.{n}."
                scale = state[norm + "weight"] / np.sqrt(state[norm + "running_var"] + 1e-5)
                weight = state[f"{name}.convolutions.{n}.weight"]
                arrays[f"{name}.{n}.weight"] = weight * scale[:, None, None, None]
                arrays[f"{name}.{n}.bias"] = state[norm + "bias"] - state[norm + "running_mean"] * scale
                arrays[f"{name}.{n}.step"] = np.array([*convolution.stride, convolution.padding[0]])
    return arrays
