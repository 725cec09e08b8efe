"""`nbvlm serve` as a process, and callers with addresses of their own on the loopback interface."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST, SECOND = "127.0.0.1", "127.0.0.2"
"""Addresses of two callers; Linux has all of 127.0.0.0/8 on its loopback interface."""


@dataclass
class Served:
    port: int
    pid: int

    @property
    def peak_mb(self) -> int:
        """Most memory that the process ever had, as Linux counts it."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024

    def connect(self, peer: str = FIRST) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 60, source_address=(peer, 0))

    def send(self, method: str, path: str, body: bytes = b"", peer: str = FIRST, *heads: str) -> bytes:
        """Send one request; return all that comes back."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Connection: close", *heads]
        lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        with self.connect(peer) as plug:
            with suppress(OSError):  # a refused body is not read to its end
                plug.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            return b"".join(iter(lambda: plug.recv(65536), b""))


@contextmanager
def served(*options: str, key: str | None = None) -> Iterator[Served]:
    """Run the command; Ctrl-C is not tested here."""
    command = [sys.executable, "-m", "nbvlm", "serve", "--port", "0", *options]
    env = os.environ | ({"NBVLM_SERVE_KEY": key} if key else {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            line = process.stdout.readline()
            yield Served(int(re.search(r"http://[\d.]+:(\d+)", line)[1]), process.pid)
        finally:
            process.kill()


@dataclass
class Another:
    """A caller who asks again and again from a second address: how long each answer took, and its status."""

    seconds: list[float] = field(
        default_factory=list
    )  # those of broken connections count for the next answer
    statuses: set[bytes] = field(default_factory=set)
    broken: int = 0


@contextmanager
def another(service: Served, path: str, body: bytes, *heads: str) -> Iterator[Another]:
    """Ask while the block runs, and at least once more after it."""
    seen, over = Another(), threading.Event()

    def ask() -> None:
        last = False
        while not last:
            last, begun = over.is_set(), time.monotonic()
            while True:
                try:
                    status = service.send("POST", path, body, SECOND, *heads)[9:12]
                except OSError:
                    status = b""
                if status or over.is_set():
                    break
                seen.broken += 1
            seen.statuses.add(status)
            seen.seconds.append(time.monotonic() - begun)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(60)


def at_once(times: int, act: Callable[[], object]) -> list[object]:
    """Act in so many threads; return what came of it, broken connections as their errors."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(act())
        except OSError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results
