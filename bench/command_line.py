"""The start-up of the command line: `nbvlm --help` and each sub-command's help, beside that of argparse.

    python bench/command_line.py [--rounds N]

Gate: `nbvlm --help` takes less than 200 ms, and at most three times what importing argparse takes. The
minimum of all rounds counts, for a busy machine only adds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

LIMIT_MS, RATIO = 200, 3
FLOOR = ("-c", "import argparse")
COMMANDS = (FLOOR, *(("-m", "nbvlm", *words, "--help") for words in ((), ("ask",), ("lab",), ("doctor",))))


def milliseconds(arguments: tuple[str, ...]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description="Start-up of the command line.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    taken: dict[tuple[str, ...], list[float]] = {command: [] for command in COMMANDS}
    for _ in range(rounds):  # in turn, so that a busy moment meets all of them
        for command in COMMANDS:
            taken[command].append(milliseconds(command))
    floor = min(taken[FLOOR])
    print(f"{'command':<32}{'min ms':>8}{'median':>8}{'max':>8}{'ratio':>8}")
    for command, found in taken.items():
        shown = f"{min(found):8.0f}{statistics.median(found):8.0f}{max(found):8.0f}{min(found) / floor:8.2f}"
        print(f"{'python ' + ' '.join(command):<32}{shown}")
    best = min(taken[COMMANDS[1]])
    missed = best >= LIMIT_MS or best > RATIO * floor
    print("Missed." if missed else "The gate holds.")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
