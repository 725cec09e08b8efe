"""Write tests/data/demo_reference.npz: what the shipped weights give in PyTorch (extra `train`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from nbvlm.demo import model, scenes, weights
from nbvlm.demo import vocabulary as v
from nbvlm.demo.network import Network

OUT = Path(__file__).parents[1] / "tests" / "data" / "demo_reference.npz"


def main() -> None:
    """Run one scene and one prompt through the network and store what it saw and what it would say next."""
    network = Network.of(*weights.load())
    pixels = np.asarray(scenes.sample(600_000_000).picture.resize((128, 128), Image.Resampling.BILINEAR))
    tokens = [v.BOS, *v.encode(["caption", "en"]), v.NEWLINE]
    with torch.no_grad():
        seen, _ = network.see(torch.tensor(pixels / np.float32(127.5) - 1).permute(2, 0, 1)[None])
        whole = torch.ones(1, len(tokens), len(tokens), dtype=torch.bool)
        scores = network.logits(network.read(seen, torch.tensor([tokens]), whole))[0, -1].numpy()
    scores[model.UNSPEAKABLE] = -1e9
    np.savez_compressed(OUT, pixels=pixels, tokens=tokens, seen=seen[0].numpy(), scores=scores)


if __name__ == "__main__":
    main()
