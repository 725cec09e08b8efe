"""What holds for every test: no key, no proxy, no settings of the user's, no network beyond this machine."""

from __future__ import annotations

import errno
import gc
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from support.panel_page import page
from support.sides import open_side, server, side

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["open_side", "page", "server", "side"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KEPT = ("NBVLM_CHROMIUM", "NBVLM_VAE_WEIGHTS")  # files of this machine that tests may use
# No test measures time: a slow machine is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Settings, keys and addresses of a user's own; no server of this machine is asked but those that tests start.
USERS = (
    "NVIDIA_", "NBVLM_", "OPENAI_", "OPENROUTER_", "GEMINI_", "GOOGLE_API_", "OLLAMA_", "LMSTUDIO_",
    "LM_API_", "VLLM_", "LLAMA_",
)  # fmt: skip
CLOSED = {
    "NBVLM_PANEL_PACE": "off",  # the panel's answers need not take as long as those of a service
    "OLLAMA_HOST": "127.0.0.1:1",
    "LMSTUDIO_BASE_URL": "http://127.0.0.1:1/v1",
    "VLLM_BASE_URL": "http://127.0.0.1:1/v1",
    "LLAMA_ARG_PORT": "1",
}

HOMES = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "XDG_CACHE_HOME")


def pytest_configure(config: pytest.Config) -> None:
    """Clean the environment before anything of the package is imported; child processes inherit it."""
    for name in tuple(os.environ):
        ours = name.startswith(USERS) and name not in KEPT
        if ours or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(CLOSED)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's job in the background ignores Ctrl-C, and so would the programs that tests interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    home = tempfile.mkdtemp(prefix="nbvlm-tests-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    for name in HOMES:
        os.environ[name] = str(Path(home, name.lower()))
        Path(os.environ[name]).mkdir()
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"


def find_chromium() -> str | None:
    """Path of a Chromium that starts, or None."""
    for name in (os.environ.get("NBVLM_CHROMIUM"), *BROWSERS):
        path = shutil.which(name) if name else None
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


@pytest.hookimpl(trylast=True)  # a folder's own conftest may mark its tests first
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the browser tests, with the reason, where there is no browser."""
    driven = [item for item in items if item.get_closest_marker("browser")]
    if driven and find_chromium() is None:
        for item in driven:
            item.add_marker(pytest.mark.skip(reason="no Chromium here (Debian: apt-get install chromium)"))


@pytest.fixture(scope="module", autouse=True)
def _small_heap() -> None:
    """Let the garbage collector look at what comes from now on; all tests weigh much."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium, for Playwright's `executable_path`."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    return path


def _is_this_machine(host: Any) -> bool:
    if host in (None, "", b"", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture(scope="session", autouse=True)
def _only_this_machine() -> Iterator[None]:
    """Make every other machine unreachable, and every other name unknown, as they are without a network."""
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not _is_this_machine(address[0]):
            raise OSError(errno.ENETUNREACH, f"the tests have no network: {address[0]}")
        connect(self, address)

    def guarded_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
        except (ValueError, AttributeError):
            if not _is_this_machine(host):
                raise socket.gaierror(socket.EAI_NONAME, f"the tests have no network: {host}") from None
        return lookup(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket, "getaddrinfo", guarded_lookup)
        yield
