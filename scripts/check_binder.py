"""Check without Docker what Binder would make of this checkout, and that it works and is light.

repo2docker's own detection renders the Dockerfile; the lock is what `make lock` would write; the locked
packages and `binder/postBuild` go into an empty environment; there JupyterLab is started, the quick-start and
then all tutorials run in it, and the memory of server and kernels is measured. Run by `make binder`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

from served import Served, clean_environment

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "environments" / "binder"
TOOLS = ROOT / "build" / "environments" / "tools" / "bin"
MEGABYTES = 1000
LAB = ("jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=8870", "--log-level=WARN")
EXPECTED = (
    'pip install --no-cache-dir -r "binder/requirements.txt"',
    "RUN ./binder/postBuild",
    "Building conda environment for python=3.11",
)


def run(*command: str | Path, **options: object) -> str:
    """Run a command, or end with what it said."""
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    if result.returncode:
        sys.exit(f"{command[0]} failed:\n{result.stdout[-4000:]}{result.stderr[-4000:]}")
    return result.stdout + result.stderr


def check_dockerfile() -> None:
    """Let repo2docker render the Dockerfile, from what git knows of this checkout."""
    run("sh", ROOT / "scripts" / "tools.sh", "jupyter-repo2docker", cwd=ROOT)
    shutil.rmtree(PLACE, ignore_errors=True)
    clone = PLACE / "clone"
    run("git", "clone", "-q", ROOT, clone)
    said = run(TOOLS / "jupyter-repo2docker", "--no-build", "--debug", clone)
    lacking = [line for line in EXPECTED if line not in said]
    if lacking:
        sys.exit(f"repo2docker's Dockerfile lacks {lacking}:\n{said}")
    (PLACE / "Dockerfile.log").write_text(said, encoding="utf-8")
    print("repo2docker takes binder/: Python 3.11, the locked requirements, postBuild.")


def check_lock() -> None:
    """Compile the lock again; what fits is kept, so that nothing may change."""
    lock = ROOT / "binder" / "requirements.txt"
    again = PLACE / "requirements.txt"
    shutil.copy(lock, again)
    run("sh", ROOT / "scripts" / "lock.sh", again, cwd=ROOT)
    if again.read_text(encoding="utf-8") != lock.read_text(encoding="utf-8"):
        sys.exit("binder/requirements.txt does not fit pyproject.toml any more: run make lock.")
    print("The lock fits pyproject.toml.")


def install() -> dict[str, str]:
    """Do in an empty environment what the Dockerfile does in the image."""
    home, environment = PLACE / "home", PLACE / "env"
    home.mkdir()
    began = time.monotonic()
    venv.create(environment, with_pip=True)
    variables = clean_environment(home, environment)
    pip = (environment / "bin" / "python", "-m", "pip", "install", "-qq", "--no-input")
    run(*pip, "--no-deps", "-r", ROOT / "binder" / "requirements.txt", env=variables)
    run("bash", "./binder/postBuild", cwd=PLACE / "clone", env=variables)
    run(environment / "bin" / "python", "-m", "pip", "check", env=variables)
    print(f"Installed in an empty environment in {time.monotonic() - began:.0f} s.")
    return variables


def check_use(variables: dict[str, str]) -> None:
    """Run the quick-start, then all tutorials beside it, and weigh them."""
    clone = PLACE / "clone"
    first = "notebooks/quickstart.ipynb"
    others = sorted(path.relative_to(clone).as_posix() for path in clone.glob("notebooks/*.ipynb"))
    with Served(LAB, clone, variables) as server:
        check_links(server, first)
        began = time.monotonic()
        said = server.run(first, PLACE / "quickstart.png")
        print(
            f"{said}JupyterLab after {server.ready_s:.1f} s, {first} {time.monotonic() - began:.1f} s later."
        )
        base = server.megabytes()
        if base is None:
            print("The memory is not measured: this system does not report it.")
            return
        weigh(max(server.peak, base), "JupyterLab with the quick-start")
        for name in others:
            if name != first:
                before, server.peak = server.megabytes() or 0.0, 0.0
                server.run(name)
                weigh(max(server.peak - before, 0) + base, f"  {name} beside it")
        print(f"All of them open at once: {server.megabytes():.0f} MB.")


def check_links(server: Served, name: str) -> None:
    """Ask for the pages that links to Binder and nbgitpuller lead to."""
    links = {
        f"/lab/tree/{name}": "<title>JupyterLab</title>",
        "/git-pull?repo=https://example.org/x": "git-pull",
    }
    for path, mark in links.items():
        if mark not in server.page(path):
            sys.exit(f"{path} does not answer as it should.")
    print(f"Links with urlpath=lab/tree/{name} and of nbgitpuller lead somewhere.")


def weigh(used: float, what: str) -> None:
    """Print the memory, and end where it is too much."""
    if used >= MEGABYTES:
        sys.exit(f"{what} takes {used:.0f} MB; Binder gives 1 to 2 GB, so it may take {MEGABYTES}.")
    print(f"{what}: {used:.0f} MB of memory at most.")


if __name__ == "__main__":
    check_dockerfile()
    check_lock()
    check_use(install())
    print("Binder would open this checkout.")
