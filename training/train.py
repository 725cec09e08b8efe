"""Train the embedded model from nothing: `python -m training.train` (extra `train`)."""

from __future__ import annotations

import argparse
from pathlib import Path

from nbvlm.errors import Error

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Train by the command line's words and write the weights; what the folder holds is resumed."""
    words = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    words.add_argument("--seed", type=int, default=1, help="of everything that chance decides")
    words.add_argument(
        "--folder", type=Path, default=Path("build/training"), help="where states and curves go"
    )
    words.add_argument("--threads", type=int, default=1, help="besides the process that draws scenes")
    given = words.parse_args(arguments)
    try:
        _train(given.folder, given.seed, given.threads)
    except Error as error:
        words.exit(1, f"{error}\n")


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
