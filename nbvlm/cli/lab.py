"""`nbvlm lab`: copies the tutorials to a folder and opens JupyterLab there."""

# A small file beside the copies records their hashes, so that a newer release updates the notebooks that are
# as they were copied, and leaves the edited ones alone.

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nbvlm._files import expanded
from nbvlm._text import visible
from nbvlm.cli.terminal import print_line
from nbvlm.errors import Error

if TYPE_CHECKING:
    import argparse

__all__ = ["FIRST", "Copies", "arguments", "command", "copy", "environment", "names", "run", "source"]

FIRST = "quickstart.ipynb"  # the notebook to begin with
_RECORD = ".nbvlm-tutorials.json"
_PACKAGE = Path(__file__).parents[1]
_NOT_OURS = {".ipynb_checkpoints", "__pycache__"}


class Copies(NamedTuple):
    """Names of the tutorials, by the outcome of copying."""

    new: list[str]
    renewed: list[str]  # replaced by a newer release's
    same: list[str]
    kept: list[str]  # edited, and so left alone

    def __str__(self) -> str:
        """Count the files in words, and name the edited ones."""
        counts = ((self.new, "copied"), (self.renewed, "updated"), (self.same, "up to date"))
        parts = [f"{len(found)} {what}" for found, what in counts if found]
        if self.kept:
            parts.append(f"{len(self.kept)} kept as you edited them ({', '.join(self.kept)})")
        return ", ".join(parts) or "nothing to copy"


def source() -> Path:
    """Return the folder of the tutorials: inside an installed package, or beside it in a checkout."""
    for folder in (_PACKAGE / "tutorials", _PACKAGE.parent / "notebooks"):
        if (folder / FIRST).is_file():
            return folder
    raise Error("This installation has no tutorials.", hint="Install it again: pip install -U nbvlm")


def names(folder: Path) -> list[str]:
    """List the files of a folder of tutorials, as relative paths with slashes."""
    relative = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in relative if not _NOT_OURS.intersection(path.parts))


def copy(target: Path) -> Copies:
    """Copy the tutorials to a folder, made where it does not exist; edited copies stay as they are."""
    origin, done = source(), Copies([], [], [], [])
    try:
        target.mkdir(parents=True, exist_ok=True)
        recorded = _recorded_hashes(target)
        for name in names(origin):
            data = (origin / name).read_bytes()
            how = _place(target / name, data, recorded.get(name))
            getattr(done, how).append(name)
            if how != "kept":
                recorded[name] = _hash(data)
        (target / _RECORD).write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise Error(f"{str(target)!r} cannot be written: {reason}.", hint="Choose another folder.") from None
    return done


def _place(path: Path, data: bytes, recorded: str | None) -> str:
    """Write one file unless it was edited; return the field of `Copies` that it belongs to."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return "new"
    there = path.read_bytes()
    if there == data:
        return "same"
    if _hash(there) != recorded:
        return "kept"
    path.write_bytes(data)
    return "renewed"


def _recorded_hashes(target: Path) -> dict[str, str]:
    """Return the recorded hashes; a record that cannot be read counts as empty."""
    try:
        recorded = json.loads((target / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return recorded if isinstance(recorded, dict) else {}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


FOLDER = "nbvlm-tutorials"
_SETTINGS = Path(__file__).parent / "jupyter"

_EPILOG = f"""\
The tutorials are copied to {FOLDER}/ here (or to --dir); a notebook that you
have edited is never overwritten. No key and no network are needed. JupyterLab
listens on this computer only; press Ctrl-C twice to end it.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path(FOLDER),
        metavar="FOLDER",
        help="folder for the copies (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=8888, help="port, or the next free one (default: %(default)s)"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address only")


def run(options: argparse.Namespace) -> int:
    """Copy the tutorials and run JupyterLab until it ends."""
    if importlib.util.find_spec("jupyterlab") is None or importlib.util.find_spec("ipykernel") is None:
        raise Error("JupyterLab is not installed.", hint='Install it: pip install "nbvlm[lab]"')
    folder = expanded(options.dir).resolve()
    print_line(f"Tutorials in {visible(str(folder))}: {copy(folder)}.")
    browser = not options.no_browser and _has_display()
    if not browser:
        print_line("Open the address below in a browser on this computer.")
    print_line("JupyterLab is starting. Press Ctrl-C twice to end it.")
    return _run_in_place(command(folder, options.port, browser=browser))


def command(folder: Path, port: int, *, browser: bool = True) -> list[str]:
    """Return the command that opens JupyterLab on the quick-start of a folder."""
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
    """Return the environment for JupyterLab: this Python's kernel first, no dialog about news."""
    found = os.environ.get("JUPYTER_CONFIG_PATH")
    paths = os.pathsep.join([str(_SETTINGS), found] if found else [str(_SETTINGS)])
    return {**os.environ, "JUPYTER_CONFIG_PATH": paths, "JUPYTER_PREFER_ENV_PATH": "1"}


def _has_display() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _run_in_place(command: list[str]) -> int:
    """Run JupyterLab in place of this process, so that Ctrl-C and signals reach it."""
    if os.name == "posix":
        os.execve(command[0], command, environment())  # noqa: S606 - without a shell
    with subprocess.Popen(command, env=environment()) as process:  # noqa: S603 - the command is ours
        while process.poll() is None:
            try:
                process.wait()
            except KeyboardInterrupt:  # JupyterLab receives it too, and asks for confirmation
                continue
    return process.returncode
