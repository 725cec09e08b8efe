"""What `nbvlm serve` takes when callers attack it: its peak memory, and how long another caller waits.

    python bench/serve.py [attack ...] [--seconds N]

The service runs in its own process, with one key for the attacker and one for another student, who asks about
a small picture again and again meanwhile. Every attack gets a fresh service.

- huge: 120 questions at once about pictures of 64 megapixels in one colour (83 KB each)
- three: the same from three callers at once, whose stores are full of uploads
- put: 15 callers without a key send uploads of 100 MB
- heads: 1,100 connections that send half a head and wait; the other student comes from another address
- many: one caller has 400 questions under way
- slow: 200 connections that send their body a byte at a time
- tiff: questions that hold compressed TIFF files instead of a PNG or JPEG
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

ROOT = Path(__file__).parents[1]
ATTACKER, STUDENT, MORE = "nvapi-attacker", "nvapi-student", ("nvapi-second", "nvapi-third")
OTHER = "127.0.0.9"  # the address from which the other student asks
MEMORY_MB, WAIT_S = 700, 1.0
PAUSE_S = 1.0  # after which an attacker tries again what was refused
QUESTION = "/v1/vlm/google/paligemma"


# Requests


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def body(data: bytes, mime: str, prompt: str = "caption en") -> bytes:
    uri = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    content = f'{prompt} <img src="{uri}" />'
    return json.dumps({"messages": [{"role": "user", "content": content}], "max_tokens": 30}).encode()


def head(method: str, path: str, length: int, key: str | None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {length}"]
    lines += ["Content-Type: application/json", "Accept: application/json", "Connection: close"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    return "\r\n".join([*lines, "", ""]).encode()


async def ask(
    port: int, data: bytes, key: str | None = ATTACKER, *, path: str = QUESTION, method: str = "POST"
) -> int:
    """Send one request; return the status, or 0 for a connection that was closed without one."""
    source = (OTHER, 0) if key == STUDENT else None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
    except OSError:
        return 0
    try:
        writer.write(head(method, path, len(data), key) + data)
        status = (await reader.readline()).split(b" ")
        while await reader.read(1 << 16):
            pass
        return int(status[1]) if len(status) > 1 else 0
    except OSError:
        return 0
    finally:
        writer.close()


# Attacks: each goes on until it is cancelled


async def again(count: int, one: Callable[[], Awaitable[Any]]) -> None:
    async def endless() -> None:
        while True:
            done = await one()
            await asyncio.sleep(0.01 if done == 200 else PAUSE_S)

    await asyncio.gather(*(endless() for _ in range(count)))


def huge_picture() -> bytes:
    return body(encoded(Image.new("L", (8000, 8000), 90), "PNG", compress_level=9), "image/png")


async def huge(port: int) -> None:
    data = huge_picture()
    await again(120, lambda: ask(port, data))


async def three(port: int) -> None:
    data, part = huge_picture(), os.urandom(8 << 20)
    keys = (ATTACKER, *MORE)
    for key in keys:
        for _ in range(8):
            await upload(port, key, part)
    await asyncio.gather(*(again(40, lambda key=key: ask(port, data, key)) for key in keys))


async def upload(port: int, key: str, data: bytes) -> None:
    wish = json.dumps({"contentType": "image/jpeg", "description": "a picture"}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head("POST", "/v2/nvcf/assets", len(wish), key) + wish)
    reply = await reader.read()
    writer.close()
    with contextlib.suppress(ValueError, KeyError):
        url = json.loads(reply.partition(b"\r\n\r\n")[2])["uploadUrl"]
        await ask(port, data, None, path="/" + url.split("/", 3)[3], method="PUT")


async def put(port: int) -> None:
    data = bytes(100 << 20)
    await again(15, lambda: ask(port, data, None, path="/s3/assets/unknown", method="PUT"))


async def heads(port: int) -> None:
    async def half() -> None:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"POST {QUESTION} HTTP/1.1\r\nHost: 127".encode())
            await reader.read()
            writer.close()

    await again(1100, half)


async def many(port: int) -> None:
    data = body(encoded(Image.effect_noise((320, 240), 60).convert("RGB"), "JPEG"), "image/jpeg")
    await again(400, lambda: ask(port, data))


async def slow(port: int) -> None:
    async def drip() -> None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head("POST", QUESTION, 1 << 20, ATTACKER))
            try:
                while not writer.is_closing():
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.5)
            finally:
                writer.close()

    await again(200, drip)


async def tiff(port: int) -> None:
    data = body(
        encoded(Image.new("RGB", (8000, 8000), (200, 30, 30)), "TIFF", compression="tiff_lzw"), "image/tiff"
    )
    await again(60, lambda: ask(port, data))


ATTACKS = {"huge": huge, "three": three, "put": put, "heads": heads, "many": many, "slow": slow, "tiff": tiff}


# The other student, and the figures


@contextlib.contextmanager
def service() -> Iterator[tuple[int, int]]:
    """Start `nbvlm serve`; the value is its port and process number."""
    keys = [part for key in (ATTACKER, STUDENT, *MORE) for part in ("--key", key)]
    command = [sys.executable, "-m", "nbvlm", "serve", "--port", "0", *keys]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as started:
        assert started.stdout is not None
        try:
            for line in started.stdout:
                if "http://127.0.0.1:" in line:
                    port = line.partition("http://127.0.0.1:")[2]
                    yield int("".join(c for c in port.split("/")[0] if c.isdecimal())), started.pid
                    break
        finally:
            started.kill()


async def served(port: int, seconds: float) -> tuple[list[float], int]:
    """Ask as the other student for a while; return the waits in seconds, and how often it was refused."""
    data = body(encoded(Image.effect_noise((320, 240), 60).convert("RGB"), "JPEG"), "image/jpeg")
    waits, refused, ends = [], 0, time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.perf_counter()
        refused += await ask(port, data, STUDENT) != 200
        waits.append(time.perf_counter() - began)
        await asyncio.sleep(0.2)
    return waits, refused


def peak(pid: int) -> float:
    """Return the most memory that a process ever had, MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(name: str, seconds: float) -> bool:
    with (
        service() as (port, pid),
        subprocess.Popen([sys.executable, __file__, "--attack", name, str(port)]) as attacker,
    ):
        try:
            asyncio.run(served(port, 2))  # the models are loaded by the first question
            waits, refused = asyncio.run(served(port, seconds))
            memory = peak(pid)
        finally:
            attacker.kill()
    waits.sort()
    good = memory <= MEMORY_MB and waits[-1] <= WAIT_S and not refused
    middle, longest = waits[len(waits) // 2], waits[-1]
    print(
        f"{name:8}{memory:12.0f}{middle:12.2f}{longest:12.2f}{len(waits):11}{refused:10}"
        f"   {'ok' if good else 'MISSED'}",
        flush=True,
    )
    return good


def main() -> None:
    if sys.argv[1:2] == ["--attack"]:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(ATTACKS[sys.argv[2]](int(sys.argv[3])))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("attacks", nargs="*", metavar="attack", help=f"of {', '.join(ATTACKS)}; default: all")
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_args()
    print(f"gates: {MEMORY_MB} MB, {WAIT_S:g} s, no refusal of the other student")
    print(f"{'attack':8}{'peak MB':>12}{'wait p50 s':>12}{'longest s':>12}{'questions':>11}{'refused':>10}")
    results = [measure(name, options.seconds) for name in options.attacks or ATTACKS]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
