"""What a class gateway costs: added time to the first token, fairness, memory, and a long run.

    python bench/gateway.py [latency | fairness | soak] [--students N] [--requests N] [--seconds N]

Three processes on one computer: a service that paces its answers, the gateway before it, and the students.
The gateway has a processor core to itself where the system allows that: service and students, who are on
other computers in a class, share the other ones.
The same students with the same questions ask the service directly, in turns with the gateway.

- latency: time to the first token through the gateway less that of the service asked directly, of streams
  that run at the same time; questions come at random times.
- fairness: Jain's index of the answers a student gets, where one of them sends many questions at once.
- soak: many short questions; answers a second, and the memory before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import gc
import io
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
TOKENS, FIRST_S, GAP_S = 40, 0.05, 0.1
CORES = "NBVLM_BENCH_CORES"


# The service


async def serve_paced() -> None:
    """Answer chat completions: `max_tokens` events, the first after FIRST_S, then one every GAP_S."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
                body = json.loads(await reader.readexactly(length))
                await answer(writer, body)
        writer.close()

    async def answer(writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        first, gap = (0.0, 0.0) if body["temperature"] > 1.5 else (FIRST_S, GAP_S)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        await asyncio.sleep(first)
        for number in range(body["max_tokens"]):
            writer.write(framed(event(f" {number}", None)))
            if gap:
                await writer.drain()
                await asyncio.sleep(gap)
        writer.write(framed(event("", "stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    print(json.dumps(server.sockets[0].getsockname()[1]), flush=True)
    await server.serve_forever()


def event(text: str, reason: str | None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    value = {
        "id": "a",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "paced",
        "choices": [choice],
    }
    return b"data: %s\n\n" % json.dumps(value).encode()


def framed(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def serve_gateway(url: str, students: int, at_once: int) -> None:
    """Run a gateway with students who have tokens already, which are printed."""
    from nbvlm import gateway
    from nbvlm.demo import listen

    config = gateway.parsed(
        {
            "upstream": {"endpoint": url, "models": ["paced"], "at_once": at_once},
            "quota": {"per_minute": 0, "per_day": 0},
            "limits": {"waiting": 2000, "at_once_of_student": 4, "connections": 2048, "students": 5000},
            "store": {"file": os.environ.get("NBVLM_BENCH_STORE", "")},
        }
    )
    running = gateway.Gateway(config)
    tokens = [running.register.add(f"student {number}")[1] for number in range(students)]
    with listen("127.0.0.1", 0) as listener:
        print(json.dumps({"port": listener.getsockname()[1], "tokens": tokens}), flush=True)
        server = gateway.server(running)
        gc.collect()
        gc.freeze()  # as `nbvlm gateway` does
        server.run(sockets=[listener])


# The students


def picture() -> str:
    buffer = io.BytesIO()
    Image.effect_noise((320, 240), 60).convert("RGB").save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


PICTURE = picture()


def question(prompt: str, *, tokens: int, temperature: float) -> bytes:
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{PICTURE}"}},
        {"type": "text", "text": prompt},
    ]
    body = {"model": "paced", "messages": [{"role": "user", "content": content}], "stream": True}
    return json.dumps(body | {"max_tokens": tokens, "temperature": temperature, "top_p": 1}).encode()


@dataclass
class Student:
    port: int
    token: str
    first: list[float] = field(default_factory=list)
    answers: int = 0
    failures: int = 0
    _streams: Any = None

    async def ask(self, body: bytes) -> None:
        """Ask over a connection that is kept; count the answer and note when its first token came."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        reader, writer = self._streams
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.token}\r\nAccept: text/event-stream\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        began, seen = time.perf_counter(), False
        writer.write(head.encode() + body)
        status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
        if status != b"200":
            self.failures += 1
            writer.close()
            self._streams = None
            return
        while size := int(await reader.readline(), 16):
            data = await reader.readexactly(size + 2)
            if not seen and b'"content":" 0"' in data.replace(b'": "', b'":"'):
                seen = True
                self.first.append(time.perf_counter() - began)
        await reader.readline()
        self.answers += 1


def keep_to(*, gateway: bool) -> None:
    """Keep this process on the gateway's core, or off it; the processes that it starts know all cores."""
    if not hasattr(os, "sched_setaffinity"):
        return
    names = os.environ.setdefault(CORES, ",".join(map(str, sorted(os.sched_getaffinity(0)))))
    cores = [int(name) for name in names.split(",")]
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[:1] if gateway else cores[1:])


@contextlib.contextmanager
def process(*args: str) -> Any:
    """Start this file in another process; the value is what it prints first."""
    with subprocess.Popen(
        [sys.executable, __file__, *args],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path()},
    ) as started:
        assert started.stdout is not None
        try:
            yield json.loads(started.stdout.readline()), started.pid
        finally:
            started.terminate()


def path() -> str:
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def memory(pid: int) -> float:
    """Return the resident memory of a process, MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def class_of(port: int, tokens: list[str], seconds: float) -> list[float]:
    """Let all students ask again and again for a while; return the times to the first token."""
    ends = time.monotonic() + seconds
    whole = FIRST_S + TOKENS * GAP_S

    async def lesson(student: Student, number: int) -> None:
        await asyncio.sleep(random.uniform(0, whole))
        while time.monotonic() < ends:
            text = f"describe it, {number} {student.answers}"
            await student.ask(question(text, tokens=TOKENS, temperature=0.7))

    students = [Student(port, token) for token in tokens]
    await asyncio.gather(*(lesson(student, number) for number, student in enumerate(students)))
    assert not any(student.failures for student in students)
    return [time_ for student in students for time_ in student.first]


def latency(students: int, seconds: float) -> None:
    with (
        process("serve-paced") as (paced, _),
        process("serve-gateway", f"http://127.0.0.1:{paced}/v1", str(students), "512") as (served, pid),
    ):
        times: dict[str, list[float]] = {"direct": [], "gateway": []}
        for _ in range(2):
            times["direct"] += asyncio.run(class_of(paced, served["tokens"], seconds))
            times["gateway"] += asyncio.run(class_of(served["port"], served["tokens"], seconds))
        print(f"{students} students streaming at once, {TOKENS} tokens, {1 / GAP_S:g} a second each")
        print(f"{'first token, ms':24}{'p50':>9}{'p90':>9}{'p99':>9}{'questions':>11}")
        for name, values in times.items():
            marks = "".join(f"{1000 * percentile(values, share):9.1f}" for share in (0.5, 0.9, 0.99))
            print(f"{name:24}{marks}{len(values):11}")
        added = "".join(
            f"{1000 * (percentile(times['gateway'], share) - percentile(times['direct'], share)):9.1f}"
            for share in (0.5, 0.9, 0.99)
        )
        print(f"{'added by the gateway':24}{added}")
        print(f"memory of the gateway {memory(pid):.0f} MB")


async def contest(port: int, tokens: list[str], seconds: float) -> list[int]:
    ends = time.monotonic() + seconds

    async def asks(student: Student, number: int) -> None:
        while time.monotonic() < ends:
            text = f"describe it, {number} {time.perf_counter()}"
            await student.ask(question(text, tokens=5, temperature=0.7))
            if time.monotonic() > ends:  # what was under way at the end belongs to no contest
                student.answers -= 1

    others = [Student(port, token) for token in tokens[1:]]
    greedy = [Student(port, tokens[0]) for _ in range(8)]
    everyone = [*greedy, *others]
    await asyncio.gather(*(asks(student, number) for number, student in enumerate(everyone)))
    return [sum(student.answers for student in greedy), *(student.answers for student in others)]


def fairness(students: int, seconds: float) -> None:
    with (
        process("serve-paced") as (paced, _),
        process("serve-gateway", f"http://127.0.0.1:{paced}/v1", str(students), "8") as (served, _),
    ):
        counts = asyncio.run(contest(served["port"], served["tokens"], seconds))
    index = sum(counts) ** 2 / (len(counts) * sum(count * count for count in counts))
    print(f"{students} students, of whom one sends 8 questions at once: Jain's index {index:.3f}")
    print(f"answers: the greedy one {counts[0]}, the others {min(counts[1:])} to {max(counts[1:])}")


async def many(port: int, tokens: list[str], requests: int) -> tuple[float, int]:
    left = iter(range(requests))

    async def asks(student: Student) -> None:
        for number in left:
            await student.ask(question(f"describe it, {number}", tokens=5, temperature=1.9))

    students = [Student(port, token) for token in tokens]
    began = time.monotonic()
    await asyncio.gather(*(asks(student) for student in students))
    return requests / (time.monotonic() - began), sum(student.failures for student in students)


def soak(requests: int) -> None:
    with (
        process("serve-paced") as (paced, _),
        process("serve-gateway", f"http://127.0.0.1:{paced}/v1", "50", "64") as (served, pid),
    ):
        marks = [memory(pid)]
        for _ in range(4):
            rate, failures = asyncio.run(many(served["port"], served["tokens"], requests // 4))
            marks.append(memory(pid))
            done = f"{requests // 4} questions: {rate:.0f} a second, {failures} failed"
            print(f"{done}, memory {marks[-1]:.0f} MB", flush=True)
        print(f"{requests} questions in all; memory at first {marks[0]:.0f} MB, at last {marks[-1]:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=("latency", "fairness", "soak"))
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--requests", type=int, default=4000)
    options = parser.parse_args()
    parts = [options.part] if options.part else ["latency", "fairness", "soak"]
    if "latency" in parts:
        latency(options.students, options.seconds)
    if "fairness" in parts:
        fairness(min(options.students, 21), options.seconds)
    if "soak" in parts:
        soak(options.requests)


if __name__ == "__main__":
    keep_to(gateway=sys.argv[1:2] == ["serve-gateway"])
    if sys.argv[1:2] == ["serve-paced"]:
        asyncio.run(serve_paced())
    elif sys.argv[1:2] == ["serve-gateway"]:
        serve_gateway(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
