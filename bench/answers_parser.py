"""The parser: a megabyte of tokens, ten megabytes of mischief, and the same in pieces.

    python bench/answers_parser.py

Each text is read whole at 1 MB and at 10 MB, and at 1 MB in pieces of one token's length. Milliseconds are
medians of CPU time; "×" is what ten times the text costs more, 10 where time is linear. Gates: 1 MB of
answers in at most 500 ms, and no text more than 15 ×.
"""

from __future__ import annotations

import statistics
import sys
import time

from nbvlm import Parser

BOX = "<loc0051><loc0309><loc0708><loc0646>"
TEXTS = {
    "boxes": f"{BOX} shoe ; ",
    "boxes with masks": f"{BOX}{'<seg041>' * 16} cow ; ",
    "broken boxes": "<loc0001>;",
    "locations without end": "<loc0001>",
    "codes without end": "<seg001>",
    "cut tokens": "<loc000",
    "angle brackets": "<",
    "separators": ";",
    "a label without end": f"{BOX} ",
    "blanks": " ",
}
MILLION = 1_000_000
LIMIT_MS, LIMIT_GROWTH = 500.0, 15.0


def read(text: str, piece: int) -> float:
    """CPU milliseconds."""
    start = time.process_time()
    parser = Parser(size=(640, 480), prompt="detect shoe")
    for at in range(0, len(text), piece):
        parser.feed(text[at : at + piece])
    parser.close()
    return (time.process_time() - start) * 1e3


def fill(name: str, size: int) -> str:
    unit = TEXTS[name]
    if name == "a label without end":
        return unit + "word " * ((size - len(unit)) // 5)
    return unit * (size // len(unit))


def main() -> int:
    print(f"{'':24}{'1 MB, ms':>10}{'in pieces':>11}{'10 MB, ms':>11}{'×':>7}")
    worst, times = 0.0, {}
    for name in TEXTS:
        small, large = fill(name, MILLION), fill(name, 10 * MILLION)
        whole = times[name] = statistics.median(read(small, MILLION) for _ in range(5))
        pieces = statistics.median(read(small, 9) for _ in range(3))
        ten = statistics.median(read(large, 10 * MILLION) for _ in range(2))
        worst = max(worst, ten / whole if ten > 100 else 0.0)
        print(f"{name:24}{whole:10.0f}{pieces:11.0f}{ten:11.0f}{ten / whole:7.1f}")
    held = times["boxes"] <= LIMIT_MS and worst <= LIMIT_GROWTH
    print(
        f"\n1 MB of boxes in at most {LIMIT_MS:.0f} ms, nothing above {LIMIT_GROWTH:g} ×:",
        "yes" if held else "NO",
    )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
