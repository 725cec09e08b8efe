"""Check that the wheel is whole and small, and does in an empty environment what a new user asks of it.

That is: the quick-start without a browser, `nbvlm doctor`, `nbvlm ask`, and `nbvlm lab` with the quick-start
in it, in an empty folder and without the checkout. Run by `make dist`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

from served import Served, clean_environment

ROOT = Path(__file__).resolve().parents[1]
MEGABYTES = 9


def newest_wheel() -> Path:
    """Path of the wheel that was built."""
    wheels = sorted((ROOT / "build" / "dist").glob("nbvlm-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        sys.exit("There is no wheel under build/dist: run make dist first.")
    return wheels[-1]


def files(folder: str) -> list[Path]:
    """Files of a folder of the checkout, without what running it leaves there."""
    left = {"__pycache__", ".ipynb_checkpoints"}
    found = (ROOT / folder).rglob("*")
    return [path for path in found if path.is_file() and not left.intersection(path.parts)]


def check_contents(wheel: Path) -> None:
    """Compare what the wheel carries with the package of the checkout."""
    carried = set(zipfile.ZipFile(wheel).namelist())
    package = (path.relative_to(ROOT).as_posix() for path in files("nbvlm"))
    tutorials = (path.relative_to(ROOT / "notebooks").as_posix() for path in files("notebooks"))
    wanted = {*package, *(f"nbvlm/tutorials/{name}" for name in tutorials)}
    if missing := sorted(wanted - carried):
        sys.exit(f"The wheel lacks {', '.join(missing)}.")
    if not any(name.endswith(".npz") for name in carried):
        sys.exit("The wheel has no weights of the embedded model (nbvlm/demo/model/*.npz).")
    strays = sorted(name for name in carried - wanted if not name.startswith("nbvlm-"))
    if strays:
        sys.exit(f"The wheel holds files that do not belong to the package: {', '.join(strays)}.")
    size = wheel.stat().st_size / 1e6
    if size >= MEGABYTES:
        sys.exit(f"The wheel has {size:.2f} MB; it may have {MEGABYTES}.")
    print(f"{wheel.name}: {len(carried)} files, {size:.2f} MB.")


class Stranger:
    """A user with an empty environment and an empty folder."""

    def __init__(self, place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)
        self.folder, self.home, self.bin = place / "folder", place / "home", place / "env" / "bin"
        self.folder.mkdir(parents=True)
        self.home.mkdir()
        venv.create(place / "env", with_pip=True)
        self.variables = clean_environment(self.home, place / "env")

    def run(self, *command: str | Path) -> str:
        """Run a command, or end with its status; print how long it took."""
        began = time.monotonic()
        program, *rest = map(str, command)
        result = subprocess.run(
            [str(self.bin / program), *rest],
            cwd=self.folder,
            env=self.variables,
            text=True,
            stdout=subprocess.PIPE,
            check=False,
        )
        if result.returncode:
            sys.exit(f"{program} {' '.join(rest)} ended with {result.returncode}:\n{result.stdout}")
        shown = " ".join([program, *rest]).replace(str(ROOT), ".")
        print(f"{time.monotonic() - began:6.1f} s  {shown}", flush=True)
        return result.stdout


def check_alone(wheel: Path) -> None:
    """Do what a new user would."""
    stranger = Stranger(ROOT / "build" / "environments" / "wheel")
    stranger.run("python", "-m", "pip", "install", "-qq", "--no-input", f"{wheel}[lab]")
    where = "import nbvlm, sys; sys.exit('site-packages' not in nbvlm.__file__)"
    stranger.run("python", "-c", where)
    print(stranger.run("nbvlm", "doctor"), end="")
    check_quick_start(stranger)
    check_ask(stranger)
    check_lab(stranger)


def check_quick_start(stranger: Stranger) -> None:
    """Run the quick-start without a browser."""
    for name in (ROOT / "scripts" / "demo.py", ROOT / "notebooks" / "quickstart.ipynb"):
        shutil.copy(name, stranger.home)
    stranger.run("python", "-P", stranger.home / "demo.py", stranger.home / "quickstart.ipynb", "out")


def check_ask(stranger: Stranger) -> None:
    """Ask on the command line, in a pipe."""
    code = "from nbvlm.demo.gallery import GALLERY; GALLERY[0].picture().save('scene.png')"
    stranger.run("python", "-c", code)
    said = stranger.run("nbvlm", "ask", "scene.png", "caption", "en", "--out", "answered.png")
    if not json.loads(said)["text"] or not (stranger.folder / "answered.png").is_file():
        sys.exit(f"nbvlm ask answered: {said}")


def check_lab(stranger: Stranger) -> None:
    """Start JupyterLab with its tutorials, and run the quick-start there."""
    command = (stranger.bin / "nbvlm", "lab", "--no-browser", "--port", "8871")
    with Served(command, stranger.folder, stranger.variables) as server:
        print(f"{server.ready_s:6.1f} s  nbvlm lab: the address is printed")
        if "quickstart.ipynb" not in server.path or "<title>JupyterLab</title>" not in server.page():
            sys.exit(f"nbvlm lab does not open the quick-start:\n{server.said}")
        began = time.monotonic()
        said = server.run("quickstart.ipynb", stranger.folder / "quickstart.png")
        print(
            f"{time.monotonic() - began:6.1f} s  quickstart.ipynb there, Run pressed on its panel\n{said}",
            end="",
        )
    if "Warning" in server.said:
        sys.exit(f"nbvlm lab warns:\n{server.said}")


if __name__ == "__main__":
    newest = newest_wheel()
    check_contents(newest)
    check_alone(newest)
    print("The wheel is whole, and does alone what it should.")
