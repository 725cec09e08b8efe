"""The weights of the embedded model, a NumPy archive in float16."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["PATH", "load"]

PATH = Path(__file__).with_name("weights.npz")
"""Where the package keeps them."""
Array = np.ndarray[Any, np.dtype[Any]]


def load(path: Path = PATH) -> tuple[dict[str, Any], dict[str, Array]]:
    """Sizes and float32 arrays of a weights file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "sizes"}
        sizes = json.loads(file["sizes"].tobytes())
    return sizes, {k: a.astype(np.float32) if a.dtype == np.float16 else a for k, a in arrays.items()}
