"""Downloads that go wrong: each failure has a clear error, and nothing half-written is taken for a model."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import nbvlm

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nbvlm[local]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nbvlm[local]'")
sys.path.insert(0, str(Path(__file__).parent))
import hub
import tiny_models

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.heavy
NAMES = ("limited", "later", "ill", "twice", "broken", "dead", "short", "full", "small", "blocked", "cached")
ASKER = """
import collections, contextlib, errno, json, shutil, sys
from unittest import mock
import nbvlm
from huggingface_hub import file_download
from PIL import Image

Disk = collections.namedtuple("Disk", "total used free")

def full(url, file, **_):
    file.write(b"half of it")
    raise OSError(errno.ENOSPC, "No space left on device")

PATCHES = {
    None: contextlib.nullcontext,
    "full": lambda: mock.patch.object(file_download, "http_get", full),
    "small": lambda: mock.patch.object(shutil, "disk_usage", lambda _: Disk(10**6, 9 * 10**5, 10**5)),
}
picture = Image.new("RGB", (64, 64))
for line in sys.stdin:
    model, patch = json.loads(line)
    try:
        with PATCHES[patch](), nbvlm.Client("local", model=model) as client:
            found = {"model": client.ask(picture, "detect cat", max_tokens=2).model}
    except nbvlm.Error as error:
        names = ("message", "hint", "status", "retry_after", "gone")
        found = {"error": type(error).__name__} | {name: getattr(error, name) for name in names}
    print(json.dumps(found), flush=True)
"""


class AskingProcess:
    """Another process that asks local models, with a cache of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, name: str, patch: str | None = None) -> dict[str, Any]:
        self._process.stdin.write(f"{json.dumps([f'owner/{name}', patch])}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def asking(home: Path, endpoint: str, **environment: str) -> Iterator[AskingProcess]:
    variables = os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    variables |= {"PYTHONPATH": str(Path(nbvlm.__file__).parents[1]), **environment}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", ASKER], env=variables, text=True, **pipes) as process:
        yield AskingProcess(process)
        _, errors = process.communicate(timeout=120)
    assert errors == ""  # the library's warnings would stand in the user's notebook


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hub.Hub]:
    folder = tiny_models.qwen(tmp_path_factory.mktemp("models") / "tiny")
    with hub.serving({f"owner/{name}": folder for name in NAMES}) as server:
        yield server


@pytest.fixture(scope="module")
def asker(home: Path, site: hub.Hub) -> Iterator[AskingProcess]:
    with asking(home, f"http://127.0.0.1:{site.server_port}") as asker:
        yield asker


def half_written(home: Path, name: str) -> list[str]:
    return [str(path) for path in (home / "hub" / f"models--owner--{name}").rglob("*.incomplete")]


def weights_asked(site: hub.Hub, name: str) -> int:
    wanted = f"owner/{name}/"
    return sum(
        wanted in path and "safetensors" in path for method, path, _ in site.requests if method == "GET"
    )


def test_a_site_that_asks_to_wait_is_not_waited_for(asker: AskingProcess, site: hub.Hub) -> None:
    site.down["owner/limited"] = (429, {"Retry-After": "600"})
    found = asker.ask("limited")
    assert (found["error"], found["status"], found["retry_after"]) == ("RateLimitError", 429, 600)
    assert "with a token" in found["hint"]
    assert found["gone"] == "unloadable"
    site.down["owner/limited"] = (429, {})
    found = asker.ask("limited")
    assert (found["error"], found["retry_after"]) == ("RateLimitError", None)
    del site.down["owner/limited"]
    assert asker.ask("limited")["model"] == "owner/limited"


def test_a_limit_in_the_middle_of_a_download(asker: AskingProcess, site: hub.Hub, home: Path) -> None:
    site.faults["owner/later"] = [hub.Fault(status=429)]
    assert asker.ask("later")["error"] == "RateLimitError"
    assert half_written(home, "later") == []
    assert asker.ask("later")["model"] == "owner/later"


def test_a_site_that_fails_is_asked_a_few_times(asker: AskingProcess, site: hub.Hub) -> None:
    site.down["owner/ill"] = (503, {})
    found = asker.ask("ill")
    assert (found["error"], found["status"]) == ("TransportError", 503)
    assert len([path for _, path, _ in site.requests if "owner/ill" in path]) < 10
    del site.down["owner/ill"]
    assert asker.ask("ill")["model"] == "owner/ill"


def test_a_download_that_breaks_goes_on_where_it_was(asker: AskingProcess, site: hub.Hub) -> None:
    site.faults["owner/broken"] = [hub.Fault(bytes=100_000)]
    assert asker.ask("broken")["model"] == "owner/broken"
    assert weights_asked(site, "broken") == 2


def test_a_download_that_breaks_again_and_again(asker: AskingProcess, site: hub.Hub, home: Path) -> None:
    site.faults["owner/dead"] = [hub.Fault(bytes=0)] * 50
    found = asker.ask("dead")
    assert found["error"] == "TransportError"
    assert "broke while" in found["message"]
    assert half_written(home, "dead") == []
    site.faults.clear()
    assert asker.ask("dead")["model"] == "owner/dead"


def test_a_file_that_came_short_is_not_kept(asker: AskingProcess, site: hub.Hub, home: Path) -> None:
    site.faults["owner/short"] = [hub.Fault(bytes=100_000, breaks=False)]
    found = asker.ask("short")
    assert found["error"] == "TransportError"
    assert "came incomplete" in found["message"]
    assert half_written(home, "short") == []
    assert asker.ask("short")["model"] == "owner/short"


def test_a_disk_that_becomes_full(asker: AskingProcess, home: Path) -> None:
    found = asker.ask("full", "full")
    assert found["error"] == "Error"
    assert "The disk is full" in found["message"]
    assert "HF_HOME" in found["hint"]
    assert half_written(home, "full") == []
    assert asker.ask("full")["model"] == "owner/full"


def test_a_disk_without_room_is_said_before_the_weights_are_asked_for(
    asker: AskingProcess, site: hub.Hub
) -> None:
    found = asker.ask("small", "small")
    assert found["error"] == "Error"
    assert "The disk has 100 kB free" in found["message"]
    assert weights_asked(site, "small") == 0


def test_a_folder_that_cannot_be_written(asker: AskingProcess, home: Path) -> None:
    (home / "hub").mkdir(exist_ok=True)
    (home / "hub" / "models--owner--blocked").write_text("not a folder")
    found = asker.ask("blocked")
    assert "cannot be written" in found["message"]
    assert "HF_HOME" in found["hint"]


@pytest.mark.parametrize("offline", ["0", "1"])
def test_without_a_network_files_that_are_here_are_enough(
    asker: AskingProcess, site: hub.Hub, home: Path, offline: str
) -> None:
    assert asker.ask("cached")["model"] == "owner/cached"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with asking(home, endpoint, HF_HUB_OFFLINE=offline) as other:
        assert other.ask("cached")["model"] == "owner/cached"
        found = other.ask("elsewhere")
    assert found["error"] == "TransportError"
    assert "is not on this computer, and huggingface.co cannot be reached" in found["message"]
