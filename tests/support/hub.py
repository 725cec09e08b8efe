"""A real JupyterHub with its proxy, in an environment of its own: pip and npm bring what it needs."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / "build" / "environments" / "hub"
PROXY = ROOT / "build" / "environments" / "hub-proxy"
CONFIG = """
import os, sys
c.JupyterHub.bind_url = "http://127.0.0.1:{public}/class"
c.JupyterHub.hub_connect_url = "http://127.0.0.1:{hub}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy}"
c.ConfigurableHTTPProxy.command = ["{node}", "{chp}"]
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "open-sesame"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/home/{{username}}"
c.Spawner.default_url = "/lab"
c.Spawner.args = ["--allow-root"]
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 120
c.Spawner.environment = {{
    "NBVLM_GATEWAY": "jupyterhub+http://127.0.0.1:{public}/class/services/nbvlm",
    "PYTHONPATH": "{root}",
    "JUPYTER_CONFIG_DIR": "{folder}/jupyter",
}}
c.JupyterHub.services = [
    {{
        "name": "nbvlm",
        "url": "http://127.0.0.1:{service}",
        "command": [sys.executable, "-m", "nbvlm", "gateway", "{folder}/gateway.toml", "--verbose"],
        "environment": {{"PYTHONPATH": "{root}"}},
        "oauth_no_confirm": True,
    }},
]
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services!service=nbvlm"]}},
    {{
        "name": "server",
        "scopes": ["users:activity!user", "access:servers!server", "access:services!service=nbvlm"],
    }},
]
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.log_level = "INFO"
"""
GATEWAY = """
[class]
title = "Physics 10b"
[upstream]
endpoint = "demo"
[quota]
per_minute = 0
per_day = 2
[people]
teachers = ["curie"]
[store]
file = "usage.sqlite"
"""


class Missing(Exception):
    """The hub cannot be installed here; the message says why."""


def install() -> Path:
    """Make the environments, if they are not there; return the path of configurable-http-proxy."""
    node = shutil.which("node"), shutil.which("npm")
    if None in node:
        raise Missing("Node.js with npm is missing (Debian: apt-get install npm)")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        ["sh", "scripts/environment.sh", "gateway,lab", str(ENVIRONMENT.relative_to(ROOT))],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Missing(f"JupyterHub cannot be installed: {done.stderr.strip()[-300:]}")
    script = PROXY / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    if not script.exists():
        PROXY.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [
                "npm",
                "install",
                "--no-audit",
                "--no-fund",
                "--prefix",
                str(PROXY),
                "configurable-http-proxy@4",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if not script.exists():
        raise Missing(f"configurable-http-proxy cannot be installed: {done.stderr.strip()[-300:]}")
    return script


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Hub:
    """A running hub; `url` has the prefix of the proxy."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}/class"
        self.log = folder / "hub.log"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Hub]:
    """Serve a hub with the gateway as its service, behind a prefix."""
    chp = install()
    ports = {name: free_port() for name in ("public", "hub", "proxy", "service")}
    values = {"folder": str(folder), "root": str(ROOT), "node": shutil.which("node"), "chp": str(chp)}
    (folder / "config.py").write_text(CONFIG.format(**ports, **values))
    (folder / "gateway.toml").write_text(GATEWAY)
    for name in ("ada", "emil", "curie"):
        (folder / "home" / name).mkdir(parents=True)
    hub = Hub(folder, ports["public"])
    environment = {**os.environ, "PATH": f"{ENVIRONMENT / 'bin'}:{os.environ['PATH']}"}
    for name in ("PYTHONPATH", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        environment.pop(name, None)
    command = [ENVIRONMENT / "bin" / "python", "-m", "jupyterhub", "-f", str(folder / "config.py")]
    with hub.log.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            _wait(process, f"{hub.url}/services/nbvlm/v1/gateway", hub.log)
            yield hub
        finally:
            process.terminate()
            process.wait(60)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-4000:]
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(url, timeout=5),
        ):
            return
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-4000:])
