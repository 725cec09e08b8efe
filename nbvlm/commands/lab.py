"""`nbvlm lab`: JupyterLab on a copy of the tutorials, from wherever the command is given."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbvlm.commands import tutorials
from nbvlm.commands.terminal import say
from nbvlm.errors import Error

if TYPE_CHECKING:
    import argparse

__all__ = ["arguments", "command", "environment", "run"]

FOLDER = "nbvlm-tutorials"
_SETTINGS = Path(__file__).parent / "jupyter"

_EPILOG = f"""\
The tutorials are copied to {FOLDER}/ here (or to --dir); a notebook that you
have edited is never overwritten. No key and no network are needed. JupyterLab
listens on this machine only; Ctrl-C, twice, ends it.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path(FOLDER),
        metavar="FOLDER",
        help="where to copy (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=8888, help="port; the next free one if taken (default: %(default)s)"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")


def run(options: argparse.Namespace) -> int:
    """Copy the tutorials and run JupyterLab until it is ended."""
    if importlib.util.find_spec("jupyterlab") is None or importlib.util.find_spec("ipykernel") is None:
        raise Error("JupyterLab is not installed.", hint='Install it: pip install "nbvlm[lab]"')
    folder = options.dir.expanduser().resolve()
    say(f"Tutorials in {folder}: {tutorials.copy(folder)}.")
    browser = not options.no_browser and _has_display()
    if not browser:
        say("Open the address that follows in a browser of this machine.")
    say("JupyterLab is starting; Ctrl-C twice ends it.")
    return _become(command(folder, options.port, browser=browser))


def command(folder: Path, port: int, *, browser: bool = True) -> list[str]:
    """Write the command that runs JupyterLab on the quick-start of a folder.

    Parameters
    ----------
    folder
        Where the copies are.
    port
        Port on loopback.
    browser
        Whether a browser is opened.
    """
    settings = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.root_dir": folder,
        "LabApp.default_url": f"/lab/tree/{tutorials.FIRST}",
    }
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    if not browser:
        arguments.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")
    return [sys.executable, "-m", "jupyterlab", *arguments, "--log-level=WARN"]


def environment() -> dict[str, str]:
    """Return the environment for JupyterLab: this Python's kernel first, and no question about news."""
    found = os.environ.get("JUPYTER_CONFIG_PATH")
    paths = os.pathsep.join([str(_SETTINGS), found] if found else [str(_SETTINGS)])
    return {**os.environ, "JUPYTER_CONFIG_PATH": paths, "JUPYTER_PREFER_ENV_PATH": "1"}


def _has_display() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _become(command: list[str]) -> int:
    """Run JupyterLab in place of this process, so that it hears Ctrl-C and is ended by what ends us."""
    if os.name == "posix":
        os.execve(command[0], command, environment())  # noqa: S606 - no shell is wanted
    with subprocess.Popen(command, env=environment()) as process:  # noqa: S603 - our own command
        while process.poll() is None:
            try:
                process.wait()
            except KeyboardInterrupt:  # JupyterLab has heard it too, and asks whether it is meant
                continue
    return process.returncode
