"""Pictures: what shrinking and loading cost, beside the naive way.

Run `python bench/pictures.py`. The naive way is open, exif_transpose, thumbnail((896, 896)), encode at
quality 85. Time is CPU time of paired rounds in one process; memory is the peak of a child process above an
idle child that has imported the same. Gates: a 12 MP JPEG shrunk in at most 0.40 of the naive time and 0.25
of its memory, three encodings at most, 90 to 100 % of the budget used; an untouched picture decodes no pixel.
"""

from __future__ import annotations

import importlib
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 180_000
ROUNDS = 15
GATES = {"time": 0.40, "memory": 0.25}
CASES = {"plain": "12 MP JPEG", "lying": "12 MP JPEG, EXIF 6", "progressive": "12 MP JPEG, progressive"}


def make(folder: Path) -> None:
    """Write a photograph-like picture in three ways: clouds of every size, sharp shapes, sensor noise."""
    import numpy as np
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(7)
    width, height = 4000, 3000
    photo = np.full((height, width, 3), 128, np.float32)
    for octave in range(1, 9):
        cells = rng.normal(0, 90 / 1.6**octave, (2**octave * 3 // 4 + 2, 2**octave + 2, 3)).astype(np.float32)
        for channel in range(3):
            cloud = Image.fromarray(cells[:, :, channel]).resize((width, height), Image.Resampling.BICUBIC)
            photo[:, :, channel] += np.asarray(cloud)
    photo += rng.normal(0, 7, (height, width, 1)).astype(np.float32)
    image = Image.fromarray(photo.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for number in range(150):
        x, y, size = int(rng.integers(width)), int(rng.integers(height)), int(rng.integers(40, 400))
        shape = draw.ellipse if number % 2 else draw.rectangle
        shape((x, y, x + size, y + size * 2 // 3), fill=tuple(rng.integers(0, 255, 3).tolist()))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "plain.jpg", quality=91)
    image.save(folder / "lying.jpg", quality=91, exif=exif)
    image.save(folder / "progressive.jpg", quality=91, progressive=True)


def naive(path: str) -> bytes:
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
        image.thumbnail((896, 896))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def ours(path: str) -> bytes:
    from nbvlm.images import picture

    return picture.fit(picture.Picture.load(path), LIMIT).picture.data or b""


def load(path: str) -> object:
    from nbvlm.images import picture

    return picture.Picture.load(path)


def idle(_path: str) -> None:
    return None


def header(path: str) -> object:
    from PIL import Image

    return Image.open(io.BytesIO(Path(path).read_bytes()))


WAYS = {"naive": naive, "ours": ours, "load": load, "idle": idle, "header": header}


def peak(way: str, path: str) -> dict[str, float]:
    """In a child: peak memory of one call, in MB."""
    importlib.import_module("nbvlm.images")
    importlib.import_module("PIL.Image").init()
    WAYS[way](path)
    return {"mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def paired(first: str, second: str, path: str) -> dict[str, object]:
    """In a child: CPU milliseconds of two ways, in turns."""
    rounds = []
    for number in range(ROUNDS + 2):
        pair = {}
        for way in (first, second) if number % 2 else (second, first):
            began = time.process_time()
            WAYS[way](path)
            pair[way] = 1000 * (time.process_time() - began)
        rounds.append((pair[first], pair[second]))
    kept = rounds[2:]
    return {
        "first": statistics.median(a for a, _ in kept),
        "second": statistics.median(b for _, b in kept),
        "ratio": statistics.median(b / a for a, b in kept),
    }


def counted(path: str) -> dict[str, object]:
    """In a child: encodings and use of the budget; pixels decoded by a mere load."""
    from PIL import Image, ImageFile

    counts = {"save": 0, "load": 0}
    save, decode = Image.Image.save, ImageFile.ImageFile.load

    def counting_save(self, *args, **options):
        counts["save"] += 1
        return save(self, *args, **options)

    def counting_load(self):
        counts["load"] += 1
        return decode(self)

    Image.Image.save, ImageFile.ImageFile.load = counting_save, counting_load
    load(path)
    untouched = counts["load"]
    data = ours(path)
    return {"decoded": untouched, "encodings": counts["save"], "use": -(-len(data) // 3) * 4 / LIMIT}


def child(*arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def above_idle(way: str, path: str) -> float:
    return statistics.median(
        child("peak", way, path)["mb"] - child("peak", "idle", path)["mb"] for _ in range(5)
    )


def report(folder: Path) -> bool:
    print(f"{'':26}{'naive':>10}{'nbvlm':>10}{'ratio':>8}   gate")
    fine = True
    for case, title in CASES.items():
        path = str(folder / f"{case}.jpg")
        took = child("paired", "naive", "ours", path)
        memory = above_idle("naive", path), above_idle("ours", path)
        facts = child("counted", path)
        # A progressive file keeps all its coefficients in memory, whoever decodes it.
        gates = (GATES["time"], GATES["memory"]) if case != "progressive" else (None, None)
        fine &= line(f"{title}, ms", took["first"], took["second"], took["ratio"], gates[0])
        fine &= line(f"{title}, MB", *memory, memory[1] / memory[0], gates[1])
        print(f"    {facts['encodings']:.0f} encodings, {facts['use']:.1%} of {LIMIT:,} characters")
        fine &= facts["encodings"] <= 3 and 0.9 <= facts["use"] < 1
    path = str(folder / "plain.jpg")
    took, decoded = child("paired", "header", "load", path), child("counted", path)["decoded"]
    print(f"untouched 12 MP JPEG: header by Pillow {took['first']:.2f} ms, loaded {took['second']:.2f} ms")
    print(f"    (checked for completeness and hashed), {decoded:.0f} pixel decodings")
    return bool(fine and decoded == 0)


def line(title: str, first: float, second: float, ratio: float, gate: float | None) -> bool:
    verdict = "" if gate is None else f"≤ {gate:.2f} {'ok' if ratio <= gate else 'FAILED'}"
    print(f"{title:26}{first:10.1f}{second:10.1f}{ratio:8.2f}   {verdict}")
    return gate is None or ratio <= gate


def main(arguments: list[str]) -> int:
    tools = {"peak": peak, "paired": paired, "counted": counted}
    if arguments:
        print(json.dumps(tools[arguments[0]](*arguments[1:])))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, __file__, "make", folder], check=True)
        return 0 if report(Path(folder)) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(Path(sys.argv[2]))
    else:
        sys.exit(main(sys.argv[1:]))
