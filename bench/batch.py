"""Many pictures: what a batch makes of a service that takes 50 ms, beside other ways to ask.

Run `python bench/batch.py [part …]`; the parts are many, journal, memory and cluster, by default all. A
server in a process of its own answers on loopback, 50 ms after each request; all ways meet it in the same
run, each with 2,000 different pictures. Gates:

- many: at least 0.9, 0.75 and 0.55 of concurrency / 0.05 s at 8, 32 and 64 questions at once
- journal: at most 5 % of the time that the same run takes without one
- memory: 10,000 pictures of 1 MB at most 150 MB above idle
- cluster: the embedded model on two workers at least 1.6 times as fast as on one; needs two idle cores
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
from PIL import Image, PngImagePlugin

import nbvlm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COUNT = 2_000
SECONDS = 0.05
LEAST = {8: 0.9, 32: 0.75, 64: 0.55}
ROUNDS = 3
PATH = "/v1/vlm/google/paligemma"
KEY = "nvapi-of-the-benchmark"
over: list[str] = []


def line(what: str, value: float, unit: str, gate: float | None = None, *, least: bool = False) -> None:
    """Print one figure, and remember it where it misses its gate."""
    missed = gate is not None and (value < gate if least else value > gate)
    asked = "" if gate is None else f"{'≥' if least else '≤'} {gate:g}{'   MISSED' if missed else ''}"
    print(f"{what:<58} {value:9.3f} {unit:<9} {asked}", flush=True)
    if missed:
        over.append(what)


class Server:
    """The server of `bench/server.py`."""

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__).with_name("server.py")), "1"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        ports = json.loads(self.process.stdout.readline())
        modes = ("slow", "slower", "assets")
        self.url, self.slower, self.assets = (f"http://127.0.0.1:{ports[mode]}" for mode in modes)
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.communicate()


def pictures(folder: Path, count: int) -> list[str]:
    """Write small pictures, no two alike."""
    paths = []
    for number in range(count):
        told = PngImagePlugin.PngInfo()
        told.add_text("number", str(number))
        path = folder / f"{number:05d}.png"
        Image.new("RGB", (400, 300), "red").save(path, pnginfo=told)
        paths.append(str(path))
    return paths


# Throughput.


def own(url: str, folder: Path, concurrency: int, journal: Path | None) -> float:
    client = nbvlm.Client("nvidia", api_key=KEY, base_url=url)
    began = time.perf_counter()
    table = nbvlm.batch(folder, "caption en", client=client, concurrency=concurrency, journal=journal)
    took = time.perf_counter() - began
    assert len(table) == COUNT
    assert table.error.isna().all()
    client.close()
    return took


def body_of(path: str) -> bytes:
    from nbvlm import endpoints, request_body

    picture = nbvlm.Picture.load(path)
    parameters = {"temperature": 0.2, "top_p": 0.7, "max_tokens": 1024}
    source = request_body.Source(picture.mime, picture.data)
    return request_body.body(endpoints.get("nvidia"), "caption en", source, parameters, stream=False)


async def gathered(ask: Callable[[str], Any], paths: list[str], concurrency: int) -> float:
    """Ask with `asyncio.gather` and a semaphore, as one would write it."""
    turn = asyncio.Semaphore(concurrency)

    async def one(path: str) -> str:
        async with turn:
            return await ask(path)

    began = time.perf_counter()
    answers = await asyncio.gather(*(one(path) for path in paths))
    assert answers == ["a red car"] * len(paths)
    return time.perf_counter() - began


def with_httpx(url: str, paths: list[str], concurrency: int) -> float:
    async def main() -> float:
        limits = httpx.Limits(max_connections=concurrency)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:

            async def ask(path: str) -> str:
                answer = await client.post(url + PATH, content=body_of(path))
                return answer.json()["choices"][0]["message"]["content"]

            return await gathered(ask, paths, concurrency)

    return asyncio.run(main())


def with_openai(url: str, paths: list[str], concurrency: int) -> float:
    import openai

    async def main() -> float:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:

            async def ask(path: str) -> str:
                uri = nbvlm.Picture.load(path).data_uri()
                parts = [
                    {"type": "image_url", "image_url": {"url": uri}},
                    {"type": "text", "text": "caption en"},
                ]
                answer = await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": parts}]
                )
                return answer.choices[0].message.content or ""

            return await gathered(ask, paths, concurrency)

    return asyncio.run(main())


def many(server: Server, folder: Path) -> None:
    """2,000 pictures at 8, 32 and 64 at once."""
    paths = sorted(str(path) for path in folder.glob("*.png"))
    for concurrency, least in LEAST.items():
        ideal = concurrency / SECONDS
        ways: dict[str, Callable[[int], float]] = {
            "nbvlm.batch": lambda number, at=concurrency: own(
                server.url, folder, at, folder / f"{at}-{number}.jsonl"
            ),
            "gather over httpx": lambda _, at=concurrency: with_httpx(server.url, paths, at),
            "gather over openai": lambda _, at=concurrency: with_openai(server.url, paths, at),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(ROUNDS):
            for name, way in ways.items():
                taken[name].append(way(number))
        for name, seconds in taken.items():
            speed = COUNT / statistics.median(seconds)
            line(f"{concurrency} at once: {name}", speed, "a second")
            gate = least if name == "nbvlm.batch" else None
            line(f"{concurrency} at once: {name}", speed / ideal, "× ideal", gate, least=True)


# The journal.


def journal(server: Server, folder: Path) -> None:
    """The same run with and without a journal, in turns."""
    ratios = []
    for number in range(5):
        without = own(server.url, folder, 32, None)
        ratios.append(own(server.url, folder, 32, folder / f"journal-{number}.jsonl") / without)
    line("32 at once: with a journal", (statistics.median(ratios) - 1) * 100, "% longer", 5)
    began = time.perf_counter()
    own(server.url, folder, 32, folder / "journal-0.jsonl")
    line("2,000 pictures that are in the journal", time.perf_counter() - began, "s")


# Memory.


def photographs(count: int, size: int) -> Iterator[bytes]:
    """Yield files of `size` bytes, no two alike: a small picture, and much that is no pixels."""
    file = io.BytesIO()
    Image.new("RGB", (400, 300), "red").save(file, "PNG")
    head, end = file.getvalue()[:-12], file.getvalue()[-12:]
    for number in range(count):
        body = b"noTE" + number.to_bytes(8, "big") + bytes(size - len(head) - 36)
        yield head + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + end


def memory(server: Server, _folder: Path) -> None:
    """10,000 pictures of 1 MB, uploaded; memory of a process of its own above that after one picture."""
    command = [sys.executable, __file__, "--memory", server.assets]
    for count in (1_000, 10_000):
        said = subprocess.run([*command, str(count)], stdout=subprocess.PIPE, check=True).stdout
        idle, peak, seconds = json.loads(said)
        gate = 150 if count == 10_000 else None
        line(f"{count:,} pictures of 1 MB: memory above idle", (peak - idle) / 1024, "MB", gate)
        line(f"{count:,} pictures of 1 MB", count / seconds, "a second")


def memory_once(url: str, count: str) -> None:
    client = nbvlm.Client("nvidia", api_key=KEY, base_url=url)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.jsonl")
        nbvlm.batch(photographs(1, 1_000_000), "caption en", client=client, journal=path, route="asset")
        idle, began = peak(), time.perf_counter()
        table = nbvlm.batch(
            photographs(int(count), 1_000_000), "caption en", client=client, journal=path, route="asset"
        )
        assert len(table) == int(count)
        assert table.error.isna().all()
        print(json.dumps([idle, peak(), time.perf_counter() - began]))


def peak() -> float:
    """Return the most memory that this process ever had, in kB."""
    return float(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


# A cluster.


def cluster(_server: Server, folder: Path) -> None:
    """The embedded model on one and on two workers of one thread each."""
    from distributed import Client, LocalCluster

    from nbvlm.demo import scenes

    within = folder / "scenes"
    within.mkdir()
    for seed in range(160):
        scenes.sample(seed).picture.save(within / f"{seed:03d}.png")
    taken: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(2):
        for workers, seconds in taken.items():
            made = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            with made, Client(made) as engine:
                engine.wait_for_workers(workers)
                scenes_asked(engine, within, "caption de")  # loads the model
                began = time.perf_counter()
                scenes_asked(engine, within, "caption en")
                seconds.append(time.perf_counter() - began)
    for workers, seconds in taken.items():
        line(f"embedded model, {workers} workers", 160 / min(seconds), "a second")
    line("embedded model, two workers", min(taken[1]) / min(taken[2]), "× one", 1.6, least=True)
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def scenes_asked(engine: Any, folder: Path, prompt: str) -> None:
    table = nbvlm.batch(
        folder, prompt, client=nbvlm.Client("demo"), engine=engine, concurrency=1, journal=None
    )
    assert table.error.isna().all()


PARTS: dict[str, Callable[..., None]] = {
    "many": many,
    "journal": journal,
    "memory": memory,
    "cluster": cluster,
}


def main(names: list[str]) -> int:
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        pictures(Path(folder), COUNT)
        for name in names or PARTS:
            PARTS[name](server, Path(folder))
    print("all gates kept" if not over else f"missed: {', '.join(over)}")
    return bool(over)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        memory_once(*sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1:]))
