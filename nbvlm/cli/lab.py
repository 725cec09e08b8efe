"""The tutorials, and copies of them that people may edit.

What was copied is noted in a small file beside the copies, so that a newer release can bring a notebook up to
date that nobody has touched, and leaves every other alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nbvlm.cli.output import say
from nbvlm.errors import Error

if TYPE_CHECKING:
    import argparse

__all__ = ["FIRST", "Copied", "arguments", "command", "copy", "environment", "names", "run", "source"]

FIRST = "quickstart.ipynb"
"""The notebook to begin with."""

_NOTE = ".nbvlm-tutorials.json"
_PACKAGE = Path(__file__).parents[1]
_NOT_OURS = {".ipynb_checkpoints", "__pycache__"}


class Copied(NamedTuple):
    """What was done with each file, by its name.

    Attributes
    ----------
    new, renewed, same, kept
        Copied; replaced, untouched as it was; the same already; edited, and so left alone.
    """

    new: list[str]
    renewed: list[str]
    same: list[str]
    kept: list[str]

    def __str__(self) -> str:
        """Say it in words, the edited ones by name."""
        counts = ((self.new, "copied"), (self.renewed, "brought up to date"), (self.same, "there already"))
        parts = [f"{len(found)} {what}" for found, what in counts if found]
        if self.kept:
            parts.append(f"{len(self.kept)} kept as you edited them ({', '.join(self.kept)})")
        return ", ".join(parts) or "nothing to copy"


def source() -> Path:
    """Return the folder of the tutorials: in an installed package, or in a checkout beside it.

    Raises
    ------
    Error
        If neither is there.
    """
    for folder in (_PACKAGE / "tutorials", _PACKAGE.parent / "notebooks"):
        if (folder / FIRST).is_file():
            return folder
    raise Error("This installation has no tutorials.", hint="Install it again: pip install -U nbvlm")


def names(folder: Path) -> list[str]:
    """List the files of a folder of tutorials, as relative paths with slashes."""
    found = (path for path in folder.rglob("*") if path.is_file())
    relative = (path.relative_to(folder) for path in found)
    return sorted(path.as_posix() for path in relative if not _NOT_OURS.intersection(path.parts))


def copy(target: Path) -> Copied:
    """Copy the tutorials; what somebody has edited there stays as it is.

    Parameters
    ----------
    target
        Folder; made where it does not exist.

    Raises
    ------
    Error
        If nothing can be written there.
    """
    origin, done = source(), Copied([], [], [], [])
    try:
        target.mkdir(parents=True, exist_ok=True)
        noted = _noted(target)
        for name in names(origin):
            data = (origin / name).read_bytes()
            how = _place(target / name, data, noted.get(name))
            getattr(done, how).append(name)
            if how != "kept":
                noted[name] = _hash(data)
        (target / _NOTE).write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise Error(f"{str(target)!r} cannot be written: {reason}.", hint="Choose another folder.") from None
    return done


def _place(path: Path, data: bytes, noted: str | None) -> str:
    """Write one file, if that destroys nobody's work; return the field of `Copied`."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return "new"
    there = path.read_bytes()
    if there == data:
        return "same"
    if _hash(there) != noted:
        return "kept"
    path.write_bytes(data)
    return "renewed"


def _noted(target: Path) -> dict[str, str]:
    """Read which files were copied, as they were; a note that cannot be read counts as none."""
    try:
        noted = json.loads((target / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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
    say(f"Tutorials in {folder}: {copy(folder)}.")
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
        "LabApp.default_url": f"/lab/tree/{FIRST}",
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
