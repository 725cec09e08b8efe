"""A Jupyter server as a person starts it, and notebooks that run in its kernels; with time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from demo import PRESS_RUN
from jupyter_client.blocking import BlockingKernelClient

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Served", "clean_environment"]

START_S, CELL_S = 120, 120
_ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)(/\S*?)\?token=([0-9a-f]+)")
_OURS = ("PYTHON", "NVIDIA_", "NBVLM_", "JUPYTER", "IPYTHON", "VIRTUAL_ENV")


def clean_environment(home: Path, environment: Path) -> dict[str, str]:
    """Variables of a user who has only an environment: homes in a folder, its programs first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    homes = {f"JUPYTER_{what}_DIR": str(home / what.lower()) for what in ("CONFIG", "DATA", "RUNTIME")}
    path = os.pathsep.join([str(environment / "bin"), os.environ.get("PATH", os.defpath)])
    cache = {"MPLCONFIGDIR": str(home / "matplotlib"), "IPYTHONDIR": str(home / "ipython")}
    return kept | homes | cache | {"PATH": path, "JUPYTER_PLATFORM_DIRS": "1"}


class Served:
    """A server; a context manager that starts and ends it.

    Parameters
    ----------
    command
        What starts it; it prints its address.
    folder
        Where the command is given.
    environment
        Variables, from `clean_environment`.

    Attributes
    ----------
    ready_s
        Seconds from the command to the address.
    peak
        The largest value of `megabytes`, read twice a second; may be set to 0 to start again.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> None:
        self._command, self._folder, self._environment = [str(part) for part in command], folder, environment
        self._runtime = Path(environment["JUPYTER_RUNTIME_DIR"])
        self._said: list[str] = []
        self._clients: list[BlockingKernelClient] = []
        self.ready_s = self.peak = 0.0

    def __enter__(self) -> Self:
        began = time.monotonic()
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()
        while (found := _ADDRESS.search(self.said)) is None or not self._answers(*found.groups()):
            if self._process.poll() is not None or time.monotonic() - began > START_S:
                self.__exit__()
                raise SystemExit(f"The server did not start:\n{self.said}")
            time.sleep(0.05)
        self.ready_s = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.stop_channels()
        self._process.terminate()
        self._process.wait(30)

    @property
    def said(self) -> str:
        """What it printed."""
        return "".join(self._said)

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._said.append(line)

    def _watch(self) -> None:
        while self._process.poll() is None:
            self.peak = max(self.peak, self.megabytes() or 0.0)
            time.sleep(0.5)

    def _answers(self, origin: str, path: str, token: str) -> bool:
        self._origin, self.path, self._token = origin, path, token
        with contextlib.suppress(OSError):
            self._ask("GET", "/api/status")
            return True
        return False

    def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the server that was started
            self._origin + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self._token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - likewise
            data: bytes = reply.read()
            return data

    def page(self, path: str | None = None) -> str:
        """What a browser is given at a path, by default that of the address that was printed."""
        return self._ask("GET", path or self.path).decode()

    def run(self, name: str, picture: Path | None = None) -> str:
        """Open a notebook as a page does, and run its cells; end with its error if one fails.

        Parameters
        ----------
        name
            Path of the notebook on the server.
        picture
            For the quick-start: then Run is pressed on its panel, and the annotated picture saved there.

        Returns
        -------
        str
            What the last cell printed.
        """
        wanted = {"name": name, "path": name, "type": "notebook", "kernel": {"name": "python3"}}
        session = json.loads(self._ask("POST", "/api/sessions", wanted))
        notebook = json.loads(self._ask("GET", f"/api/contents/{name}?content=1"))["content"]
        code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
        if picture is not None:
            code.append(PRESS_RUN.format(picture=str(picture)))
        client = self._client(session["kernel"]["id"])
        printed: list[str] = []
        for source in code:
            printed.clear()
            reply = client.execute_interactive(
                source, timeout=CELL_S, output_hook=lambda message: printed.append(_text(message))
            )
            if reply["content"]["status"] != "ok":
                raise SystemExit(f"{name} failed:\n" + "\n".join(reply["content"]["traceback"]))
        return "".join(printed)

    def _client(self, kernel: str) -> BlockingKernelClient:
        client = BlockingKernelClient(connection_file=str(self._runtime / f"kernel-{kernel}.json"))
        client.load_connection_file()
        client.start_channels(hb=False)  # a busy machine misses beats
        client.wait_for_ready(timeout=CELL_S)
        self._clients.append(client)
        return client

    def megabytes(self) -> float | None:
        """Memory of the server and its kernels, shared pages counted once; None where it cannot be read."""
        children = _children()
        family, left = [], [self._process.pid]
        while left:
            family.append(left.pop())
            left += children.get(family[-1], [])
        found = [_proportional(number) for number in family]
        return sum(found) / 1000 if found and Path("/proc/self/smaps_rollup").exists() else None


def _text(message: dict[str, Any]) -> str:
    return str(message["content"].get("text", "")) if message["msg_type"] == "stream" else ""


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            found.setdefault(parent, []).append(int(stat.parent.name))
    return found


def _proportional(number: int) -> float:
    """Kilobytes of a process, its share of shared pages included."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{number}/smaps_rollup").read_text()
        if found := re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE):
            return int(found[1]) * 1.024
    return 0.0
