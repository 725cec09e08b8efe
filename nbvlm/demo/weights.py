"""The weights file of the embedded model: a NumPy archive in float16, batch norms folded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nbvlm.demo.network import Network

__all__ = ["PATH", "load", "save"]

PATH = Path(__file__).with_name("weights.npz")
"""Where the package keeps them."""


def save(network: Network, path: Path = PATH) -> None:
    """Write a trained network's weights; `path` ends with ``.npz``."""
    state = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    arrays = {name: value for name, value in state.items() if not name.startswith("stem.")}
    for n, convolution in enumerate(network.stem.convolutions):
        norm = f"stem.norms.{n}."
        scale = state[norm + "weight"] / np.sqrt(state[norm + "running_var"] + 1e-5)
        arrays[f"stem.{n}.weight"] = state[f"stem.convolutions.{n}.weight"] * scale[:, None, None, None]
        arrays[f"stem.{n}.bias"] = state[norm + "bias"] - state[norm + "running_mean"] * scale
        arrays[f"stem.{n}.step"] = np.array([convolution.stride[0], convolution.padding[0]])
    sizes = np.frombuffer(json.dumps(network.sizes.as_dict()).encode(), np.uint8)
    halves = {k: a.astype(np.float16) if a.dtype.kind == "f" else a for k, a in arrays.items()}
    np.savez_compressed(path, sizes=sizes, **halves)


def load(path: Path = PATH) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, np.dtype[Any]]]]:
    """Sizes and float32 arrays of a weights file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "sizes"}
        sizes = json.loads(file["sizes"].tobytes())
    return sizes, {k: a.astype(np.float32) if a.dtype == np.float16 else a for k, a in arrays.items()}
