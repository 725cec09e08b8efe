"""A server on the loopback interface that gives out models as Hugging Face's site does."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

COMMIT = "a" * 40
PIECE = 65536
PAUSE_S = 2.0


class Fault(NamedTuple):
    """How one answer with weights goes wrong: its status, or the bytes after which it ends."""

    status: int = 200
    bytes: int | None = None
    breaks: bool = True  # else the answer pretends to be whole


class Hub(ThreadingHTTPServer):
    """The server; while `slow` is set, it pauses after each piece of a file."""

    daemon_threads = True

    def __init__(self, models: dict[str, Path], gated: Sequence[str], closed: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models, self.gated, self.closed = models, gated, closed
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, authorization
        self.slow, self.stopped = threading.Event(), threading.Event()
        self.down: dict[str, tuple[int, dict[str, str]]] = {}  # status and headers of every answer, by model
        self.faults: dict[str, list[Fault]] = {}  # of the next answers with weights, by model


@contextmanager
def serving(
    models: dict[str, Path], *, gated: Sequence[str] = (), closed: Sequence[str] = ()
) -> Iterator[Hub]:
    """Serve folders by id; files of the `gated` ones need the token "hf_good", the `closed` ones refuse."""
    server = Hub(models, gated, closed)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        key = self.headers.get("authorization")
        self.server.requests.append((self.command, self.path, key))
        path = self.path.partition("?")[0]
        name = next((name for name in self.server.models if name in path), None)
        if name in self.server.down:
            status, headers = self.server.down[name]
            self._answer(b"{}", status, headers)
        elif any(name in path for name in self.server.closed):
            self._refuse(403, "")
        elif name is None:
            self._refuse(404, "RepoNotFound")
        elif path.startswith("/api/"):
            self._describe(name, listed="/tree/" in path)
        elif name in self.server.gated and key != "Bearer hf_good":
            self._refuse(403, "GatedRepo")
        else:
            self._send_file(self.server.models[name] / path.rpartition("/")[2], name)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(b"{}", status, {"X-Error-Code": code, "X-Error-Message": code})

    def _describe(self, name: str, *, listed: bool) -> None:
        files = [(file, file.stat().st_size) for file in sorted(self.server.models[name].iterdir())]
        value: Any = {
            "id": name,
            "modelId": name,
            "sha": COMMIT,
            "tags": [],
            "private": False,
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": file.name, "size": size} for file, size in files],
            "safetensors": {"parameters": {"F32": 50_000}, "total": 50_000},
        }
        if listed:
            value = [
                {"type": "file", "path": file.name, "size": size, "oid": _etag(file)} for file, size in files
            ]
        self._answer(json.dumps(value).encode(), 200, {"Content-Type": "application/json"})

    def _send_file(self, file: Path, name: str) -> None:
        faults = self.server.faults.get(name, [])
        if file.suffix == ".safetensors" and self.command == "GET" and faults:
            self._send_badly(file, faults.pop(0))
        elif file.is_file():
            headers = {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT}
            if file.suffix == ".safetensors":  # as for nearly all weights of the site
                route = f"http://127.0.0.1:{self.server.server_port}/xet"
                headers |= {"X-Xet-Hash": "0" * 64, "X-Xet-Refresh-Route": route}
            body, begin = file.read_bytes(), self.headers.get("range", "bytes=0-")[len("bytes=") : -1]
            if (start := int(begin)) > 0:
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self._answer(body[start:], 206 if start else 200, headers)
        else:
            self._refuse(404, "EntryNotFound")

    def _send_badly(self, file: Path, fault: Fault) -> None:
        body = file.read_bytes()
        if fault.bytes is None:
            self._answer(b"{}", fault.status, {})
        elif fault.breaks:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: fault.bytes])
            self.close_connection = True
        else:
            self._answer(body[: fault.bytes], 200, {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT})

    def _answer(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(0, len(body) if self.command == "GET" else 0, PIECE):
            try:
                self.wfile.write(body[start : start + PIECE])
                self.wfile.flush()
            except OSError:
                return
            if self.server.slow.is_set():
                self.server.stopped.wait(PAUSE_S)


def _etag(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
