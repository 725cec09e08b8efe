"""Check that the wheel is whole and small, and runs the quick-start alone, in an empty environment.

Run by `make wheel`, after `make dist`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEGABYTES = 6


def newest_wheel() -> Path:
    """Path of the wheel that was built."""
    wheels = sorted((ROOT / "build" / "dist").glob("nbvlm-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        sys.exit("There is no wheel under build/dist: run make dist first.")
    return wheels[-1]


def check_contents(wheel: Path) -> None:
    """Compare what the wheel carries with the package of the checkout."""
    carried = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "nbvlm").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    if missing := sorted(wanted - carried):
        sys.exit(f"The wheel lacks {', '.join(missing)}.")
    if not any(name.endswith(".npz") for name in carried):
        sys.exit("The wheel has no weights of the embedded model (nbvlm/demo/*.npz).")
    strays = sorted(name for name in carried if not name.startswith(("nbvlm/", "nbvlm-")))
    if strays:
        sys.exit(f"The wheel carries what is none of the package: {', '.join(strays)}.")
    size = wheel.stat().st_size / 1e6
    if size >= MEGABYTES:
        sys.exit(f"The wheel has {size:.2f} MB; it may have {MEGABYTES}.")
    print(f"{wheel.name}: {len(carried)} files, {size:.2f} MB.")


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command away from the checkout, or end with its status."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NVIDIA_"))
    }
    result = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, check=False)
    if result.returncode:
        sys.exit(result.returncode)


def check_alone(wheel: Path) -> None:
    """Install the wheel in an empty environment and run the quick-start there."""
    place = ROOT / "build" / "environments" / "wheel"
    shutil.rmtree(place, ignore_errors=True)
    venv.create(place / "env", with_pip=True)
    python = place / "env" / "bin" / "python"
    print("Installing the wheel in an empty environment …", flush=True)
    run(python, "-m", "pip", "install", "-qq", "--no-input", f"{wheel}[lab]", cwd=place)
    for name in (ROOT / "scripts" / "demo.py", ROOT / "notebooks" / "quickstart.ipynb"):
        shutil.copy(name, place)
    where = "import nbvlm, sys; sys.exit('site-packages' not in nbvlm.__file__)"
    run(python, "-P", "-c", where, cwd=place)
    run(python, "-P", "demo.py", "quickstart.ipynb", "out", cwd=place)


if __name__ == "__main__":
    newest = newest_wheel()
    check_contents(newest)
    check_alone(newest)
    print("The wheel is whole, and runs the quick-start alone.")
