"""Train the embedded model from scratch: `python -m training.train` (extra `train`)."""

from __future__ import annotations

import argparse
from pathlib import Path

from nbvlm.errors import Error

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Train as the command line says and write the weights; a training with a saved state is resumed."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of all random choices")
    parser.add_argument("--folder", type=Path, default=Path("build/training"), help="for states and curves")
    parser.add_argument("--threads", type=int, default=1, help="besides the process that draws scenes")
    given = parser.parse_args(arguments)
    try:
        _train(given.folder, given.seed, given.threads)
    except Error as error:
        parser.exit(1, f"{error}\n")


def _train(folder: Path, seed: int, threads: int) -> None:
    try:
        import torch
    except ImportError:
        raise Error(
            "Training needs PyTorch, which is not installed.", hint='Run: pip install "nbvlm[train]"'
        ) from None
    from training import pipeline

    torch.set_num_threads(threads)
    pipeline.train(pipeline.Plan(), folder, seed)


if __name__ == "__main__":
    main()
