"""What Binder is given: everything pinned, nothing fetched at the start, no step that fails unseen."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
BINDER = ROOT / "binder"


def lines(name: str) -> list[str]:
    text = (BINDER / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def locked() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in lines("requirements.txt"):
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def wanted() -> list[Requirement]:
    """The loose lists: what the package and its extra `lab` ask for, and what Binder needs beside them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(text) for text in [*project["dependencies"], *lines("requirements.in")]]
    extras, seen = ["lab"], set()
    while extras:
        extra = extras.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for text in project["optional-dependencies"][extra]:
            requirement = Requirement(text)
            if requirement.name == "nbvlm":
                extras += requirement.extras
            else:
                asked.append(requirement)
    return asked


def test_every_package_is_pinned_and_no_address_is_named() -> None:
    for line in lines("requirements.txt"):
        assert re.fullmatch(r"[\w.-]+==[\w.!+]+( ; .+)?", line), line
    for path in BINDER.iterdir():
        assert "://" not in path.read_text(encoding="utf-8"), path.name


def test_the_pins_fit_what_the_package_asks_for() -> None:
    pins = locked()
    for requirement in wanted():
        found = pins.get(canonicalize_name(requirement.name), [])
        versions = [next(iter(pin.specifier)).version for pin in found]
        assert versions, f"{requirement} is not locked: run make lock"
        assert all(version in requirement.specifier for version in versions), f"{requirement}: {versions}"


def test_what_the_versions_of_jupyter_depend_on_is_locked_too() -> None:
    assert {
        "ipykernel",
        "ipywidgets",
        "anywidget",
        "jupyterlab",
        "jupyter-server",
        "nbgitpuller",
    } <= locked().keys()


def test_the_python_is_one_that_the_package_takes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [runtime] = lines("runtime.txt")
    version = runtime.removeprefix("python-")
    assert version in Requirement(f"x{project['requires-python']}").specifier
    assert f"--python-version {version}" in (ROOT / "scripts" / "lock.sh").read_text(encoding="utf-8")


def test_only_what_binder_reads_is_there_and_nothing_runs_at_the_start() -> None:
    assert {path.name for path in BINDER.iterdir()} == {
        "postBuild",
        "requirements.in",
        "requirements.txt",
        "runtime.txt",
    }


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    """`python` and `jupyter` that write down what they are asked to do, and fail when told so."""
    for name in ("python", "jupyter"):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >>"$LOG"\n'
            'case "$*" in *"${FAILS:-nothing fails}"*) exit 1 ;; esac\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def post_build(stand_ins: Path, **environment: str) -> tuple[int, list[str]]:
    log = stand_ins / "log"
    log.unlink(missing_ok=True)
    path = f"{stand_ins}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [BINDER / "postBuild"],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "LOG": str(log), **environment},
        check=False,
    )
    return done.returncode, log.read_text().splitlines()


def test_post_build_installs_the_package_alone(stand_ins: Path) -> None:
    status, steps = post_build(stand_ins)
    assert status == 0
    assert steps[0].startswith("python -m pip install")
    assert "--no-deps" in steps[0]
    assert "--no-build-isolation" in steps[0]


@pytest.mark.parametrize("step", ["pip install", "matplotlib", "labextension"])
def test_a_step_that_fails_ends_the_build(stand_ins: Path, step: str) -> None:
    status, steps = post_build(stand_ins, FAILS=step)
    assert status != 0
    assert step in steps[-1]
