"""The weights of the embedded model, a NumPy archive in float16, and its mask codebook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import nn

    from training.language import Speaker
    from training.networks import Shapes
    from training.train_vision import Sight

__all__ = ["CODEBOOK", "PATH", "load", "save", "save_codebook"]

PATH = Path(__file__).with_name("weights.npz")
"""Where the package keeps them."""
CODEBOOK = Path(__file__).parents[2] / "grounding" / "masks" / "codebook.npz"
"""The codebook, in the layout of PaliGemma's ``vae-oid.npz``."""
Array = np.ndarray[Any, np.dtype[Any]]


def save(sight: Sight, speaker: Speaker, path: Path = PATH) -> None:
    """Write the weights of trained networks; `path` ends with ``.npz``."""
    arrays = {f"speaker.{name}": value.detach().numpy() for name, value in speaker.state_dict().items()}
    for name, part in sight.named_children():
        arrays |= {f"{name}.{key}": value for key, value in _folded(part).items()}
    sizes = np.frombuffer(json.dumps(speaker.sizes.as_dict()).encode(), np.uint8)
    np.savez_compressed(path, sizes=sizes, **_halves(arrays))


def save_codebook(shapes: Shapes, path: Path = CODEBOOK) -> None:
    """Write a trained codebook and its decoder."""
    state = {name: value.detach().numpy() for name, value in shapes.state_dict().items()}
    wanted = {k: a for k, a in state.items() if k.startswith("decoder.") or k == "_vq_vae._embedding"}
    np.savez_compressed(path, **_halves(wanted))


def _halves(arrays: dict[str, Array]) -> dict[str, Any]:
    return {k: a.astype(np.float16) if a.dtype.kind == "f" else a for k, a in arrays.items()}


def _folded(part: nn.Module) -> dict[str, Array]:
    """A seeing network's arrays: each convolution with its norm folded in, and how it steps and pads."""
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


def load(path: Path = PATH) -> tuple[dict[str, Any], dict[str, Array]]:
    """Sizes and float32 arrays of a weights file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "sizes"}
        sizes = json.loads(file["sizes"].tobytes())
    return sizes, {k: a.astype(np.float32) if a.dtype == np.float16 else a for k, a in arrays.items()}
