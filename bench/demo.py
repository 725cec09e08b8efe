"""The embedded model: how long until the first token, tokens a second, loading and memory, on one core.

    python bench/demo.py [--rounds 9]

Each part is measured beside the same networks in PyTorch on one thread, where it is installed, in turns;
ratios are of medians over rounds. Gates: the first token of a medium prompt within 100 ms, 400 tokens a
second, loaded within 150 ms with at most 120 MB (Linux reports it), and an answer no slower than in PyTorch.
The detector for photographs follows, with its own gates: `bench/photos.py`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST, SEE, SAY, ALL = "first token", "  see", "  say forty tokens", "an answer in all"
TOKENS = 40
PROMPT = "detect cat ; dog ; red car ; tree"
FIRST_MS, RATE, LOAD_MS, MEMORY_MB, BESIDE = 100, 400, 150, 120, 1.0

COSTS = """
import time
import numpy, PIL.Image, nbvlm.demo.model as model
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
before = peak()
start = time.perf_counter()
loaded = model.load()
seconds = time.perf_counter() - start
from nbvlm.demo import scenes
picture = scenes.sample(3, pixels=800).picture
list(loaded.stream(picture, "segment thing"))
print(1000 * seconds, peak() - before)
"""


def clock(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def costs(rounds: int) -> tuple[float, float]:
    """Milliseconds to load, and megabytes at the highest point of a first answer."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", COSTS], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(rounds)
    ]
    return tuple(statistics.median(float(run[n]) for run in runs) for n in (0, 1))


class Torch:
    """The same networks in PyTorch, on one thread."""

    def __init__(self) -> None:
        import torch
        from support import parity

        from nbvlm.demo.model import weights

        torch.set_num_threads(1)
        self.torch, self.parity = torch, parity
        self.sight, self.speaker = parity.networks(*weights.load())

    def see(self, whole: Any, crops: Any) -> None:
        with self.torch.inference_mode():
            self.sight.eye(self.torch.from_numpy(whole).permute(0, 3, 1, 2))
            for looked in crops:
                self.sight.look(self.torch.from_numpy(looked).permute(0, 3, 1, 2))

    def read(self, texts: Any) -> None:
        with self.torch.inference_mode():
            self.speaker(texts)

    def layers(self, x: Any, keys: list[Any], values: list[Any]) -> None:
        """One token through all layers, with keys and values kept, and the scores of the next."""
        heads = self.speaker.sizes.heads
        with self.torch.inference_mode():
            for n, block in enumerate(self.speaker.blocks):
                y = block.norm1(x)
                k, v = (
                    part.view(1, heads, -1).transpose(0, 1) for part in block.attention.pair(y).chunk(2, -1)
                )
                keys[n], values[n] = self.torch.cat([keys[n], k], 1), self.torch.cat([values[n], v], 1)
                q = block.attention.query(y).view(1, heads, -1).transpose(0, 1) * keys[n].shape[-1] ** -0.5
                mixed = (q @ keys[n].transpose(1, 2)).softmax(-1) @ values[n]
                x = x + block.attention.out(mixed.transpose(0, 1).reshape(1, -1))
                x = x + block.down(self.torch.relu(block.up(block.norm2(x))).square())
            self.speaker.out(self.speaker.final_norm(x))


def ours() -> tuple[dict[str, Callable[[], Any]], Any, Any, Any]:
    """What is measured here; with the picture as numbers, its crops, and what was seen."""
    import numpy as np

    from nbvlm.demo import scenes
    from nbvlm.demo.model import model
    from nbvlm.demo.model import tokenizer as w
    from nbvlm.demo.model.crops import Frame
    from nbvlm.demo.model.layers import one_thread

    loaded, picture = model.load(), scenes.sample(8, pixels=800).picture
    frame, seen = Frame.of(picture), loaded.see(picture)
    whole = frame.whole()[None].astype(np.float32) / 127.5 - 1
    guesses = loaded.vision.guesses(loaded.vision.glance(whole)[0][0])
    guessed, found = (
        np.stack([frame.around(box) for box in boxes]).astype(np.float32) / 127.5 - 1
        for boxes in (guesses, [region.box for region in seen.regions])
    )
    crops = (guessed, found, np.ascontiguousarray(found[:, :, ::-1]))

    def see() -> None:
        with one_thread():
            loaded.vision.glance(whole)
            for looked in crops:
                loaded.vision.look(looked)

    def say() -> None:
        with one_thread():
            decoding = loaded.begin(seen, PROMPT)
            for _ in range(TOKENS):
                decoding.append(w.Piece(w.LOC, 0))
                decoding.scores()

    parts = {
        FIRST: lambda: next(loaded.stream(picture, PROMPT)),
        SEE: see,
        SAY: say,
        ALL: lambda: (see(), say()),
    }
    return parts, whole, crops, seen


def theirs(whole: Any, crops: Any, seen: Any) -> dict[str, Callable[[], Any]]:
    """The same in PyTorch; nothing where it is not installed."""
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: no peer")
        return {}
    peer = Torch()
    from nbvlm.demo.model import prompt_reader

    texts, sizes = peer.parity.texts(seen, prompt_reader.understand(PROMPT)), peer.speaker.sizes
    empty = torch.zeros(sizes.heads, 20, sizes.width // sizes.heads)

    def see() -> None:
        peer.see(whole, crops)

    def say() -> None:
        peer.read(texts)
        keys, values = [empty] * sizes.layers, [empty] * sizes.layers
        for _ in range(TOKENS):
            peer.layers(torch.zeros(1, sizes.width), keys, values)

    return {SEE: see, SAY: say, ALL: lambda: (see(), say())}


def rows(rounds: int) -> list[tuple[str, float, float | None]]:
    """Name, milliseconds here, and in PyTorch: medians over rounds in which they take turns."""
    mine, *given = ours()
    peers = theirs(*given)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in mine}
    for _ in range(rounds + 2):
        for name, work in mine.items():
            times[name].append((clock(work), clock(peers[name]) if name in peers else 0.0))
    middle = {
        name: [statistics.median(side) for side in zip(*some[2:], strict=True)]
        for name, some in times.items()
    }
    return [(name, a, b or None) for name, (a, b) in middle.items()]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    table = rows(rounds)
    for name, here, there in table:
        beside = f"{there:8.1f} ms in PyTorch, ratio {here / there:.2f}" if there else ""
        print(f"{name:20}{here:8.1f} ms{beside}")
    figures = {name: (here, there) for name, here, there in table}
    rate = 1000 * TOKENS / figures[SAY][0]
    load, memory = costs(3)
    print(f"{'tokens a second':20}{rate:8.0f}\n{'load':20}{load:8.1f} ms\n{'memory':20}{memory:8.1f} MB")
    here, there = figures[ALL]
    slower = there is not None and here > BESIDE * there
    good = figures[FIRST][0] <= FIRST_MS and rate >= RATE and load <= LOAD_MS and memory <= MEMORY_MB
    print("\nphotographs", flush=True)
    photos = subprocess.run(  # a process of its own, for its peak of memory
        [sys.executable, ROOT / "bench" / "photos.py", "--rounds", str(rounds)], check=False
    )
    return int(not good or slower or photos.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
