"""Write tests/data/demo_reference.npz: what the shipped weights give in PyTorch (extra `train`).

Run it in the root of the repository: PYTHONPATH=.:tests python scripts/demo_reference.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from support import parity

from nbvlm.demo import scenes
from nbvlm.demo.model import weights
from nbvlm.demo.model.crops import Frame

OUT = Path(__file__).parents[1] / "tests" / "data" / "demo_reference.npz"


def main() -> None:
    """Send one scene and crops of it through the networks, and store what went in and what came out."""
    sight, _ = parity.networks(*weights.load())
    scene = scenes.sample(600_000_000)
    frame, (w, h) = Frame.of(scene.picture), scene.size
    x0, y0, x1, y1 = scene.things[0].box
    box = (x0 / w, y0 / h, x1 / w, y1 / h)
    pixels, crop, sign = frame.whole(), frame.around(box), frame.sign(box)

    def run(network: torch.nn.Module, image: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.no_grad():
            out = network((torch.tensor(image).float()[None] / 127.5 - 1).permute(0, 3, 1, 2))
        return tuple(part[0].numpy() for part in (out if isinstance(out, tuple) else (out,)))

    cells, _, whole = run(sight.eye, pixels)
    (facts,), (codes,), (letters,) = run(sight.look, crop), run(sight.trace, crop), run(sight.reader, sign)
    arrays = {"pixels": pixels, "crop": crop, "sign": sign, "cells": cells, "whole": whole}
    np.savez_compressed(OUT, facts=facts, codes=codes, letters=letters, **arrays)


if __name__ == "__main__":
    main()
