"""Answers: parser, masks and pictures, each beside its floor or its peers.

    python bench/answers.py [parser masks pictures] [--rounds N]

Runs `bench/answers_parser.py`, `bench/answers_masks.py` and `bench/answers_pictures.py`, each in a process of
its own, and prints their tables. Gates: 1 MB of tokens in at most half a second, in linear time; a mask in at
most three times its matrix products, alone and in a batch of 16, and not slower with two threads; pictures
drawn four times as fast as by supervision at 12 megapixels, and shown inline in 60 ms.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PARTS = ("parser", "masks", "pictures")
WITH_ROUNDS = ("masks", "pictures")


def run(part: str, rounds: int | None) -> bool:
    """Print the tables of one part; return whether its gates hold."""
    command = [sys.executable, str(Path(__file__).with_name(f"answers_{part}.py"))]
    if rounds is not None and part in WITH_ROUNDS:
        command += ["--rounds", str(rounds)]
    print(f"\n== {part}\n", flush=True)
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Parser, masks and pictures beside floors and peers.")
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; by default all")
    parser.add_argument("--rounds", type=int, help="of masks and pictures; each part has its own default")
    given = parser.parse_args()
    if unknown := set(given.part) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    missed = [part for part in given.part or PARTS if not run(part, given.rounds)]
    print(f"\nMissed: {', '.join(missed)}." if missed else "\nAll gates hold.")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
