"""How long each tutorial takes, one after the other, each in a kernel of its own: at most 30 s.

Usage: notebooks.py [NAME …]; a name is the beginning of a file's, such as 03.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from test_notebooks import NOTEBOOKS, execute

MOST = 30


def main(names: list[str]) -> int:
    slow = []
    for path in NOTEBOOKS:
        if names and not path.name.startswith(tuple(names)):
            continue
        seconds = asyncio.run(execute(path)).seconds
        print(f"{path.name:<34} {seconds:6.1f} s{'   MISSED' if seconds > MOST else ''}", flush=True)
        if seconds > MOST:
            slow.append(path.name)
    print("all gates kept" if not slow else f"missed: {', '.join(slow)}")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
