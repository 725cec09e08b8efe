"""The scripts that set up, with a stand-in for Python that writes down what it is asked to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("cat", "chmod", "cksum", "cp", "date", "dirname", "id", "mkdir", "mktemp", "rm", "sh", "tail")

STAND_IN = f"""#!/bin/sh
case "$*" in
--version) echo "Python 3.12.1" ;;
"-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
"-m pip --version") ;;
-m*) echo "$*" >>"$LOG" ;;
*) exec "{sys.executable}" "$@" ;;
esac
"""


class Checkout:
    """A folder with the scripts, and a PATH that holds the stand-in and a few tools only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a check out"
        self.path = folder / "bin"
        self.log = folder / "log"
        shutil.copytree(ROOT / "scripts", self.folder / "scripts")
        (self.folder / "pyproject.toml").write_text("[project]\n")
        self.path.mkdir()
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool))

    def put(self, name: str, text: str) -> None:
        program = self.path / name
        program.write_text(text)
        program.chmod(0o755)

    def run(self, script: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        return subprocess.run(
            [shutil.which("sh"), f"scripts/{script}", *args],
            cwd=self.folder,
            env={"PATH": str(self.path), "LOG": str(self.log), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def installed(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith("-m pip install")]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_environment_is_made_once(checkout: Checkout) -> None:
    checkout.put("python3", STAND_IN)
    assert checkout.run("environment.sh", "lab").returncode == 0
    assert checkout.installed()[0].endswith("-e .[lab]")
    again = checkout.run("environment.sh", "lab")
    assert (again.returncode, again.stdout, checkout.installed()) == (0, "", [])


def test_it_installs_again_after_a_change_of_the_project(checkout: Checkout) -> None:
    checkout.put("python3", STAND_IN)
    checkout.run("environment.sh", "lab")
    (checkout.folder / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    checkout.run("environment.sh", "lab")
    assert len(checkout.installed()) == 1


def test_what_developers_need_serves_for_the_lab_and_is_not_taken_back(checkout: Checkout) -> None:
    checkout.put("python3", STAND_IN)
    checkout.run("environment.sh", "lab")
    checkout.run("environment.sh", "dev")
    assert checkout.installed()[0].endswith("-e .[dev]")
    checkout.run("environment.sh", "lab")
    assert checkout.installed() == []
    (checkout.folder / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    checkout.run("environment.sh", "lab")
    assert checkout.installed()[0].endswith("-e .[dev]")


def test_a_failed_installation_is_tried_again(checkout: Checkout) -> None:
    checkout.put("python3", STAND_IN.replace('echo "$*" >>"$LOG"', "exit 1"))
    failed = checkout.run("environment.sh", "lab")
    assert failed.returncode == 1
    assert "pip could not install nbvlm[lab]" in failed.stderr
    assert checkout.run("environment.sh", "lab").returncode == 1


def test_a_python_that_is_too_old_is_passed_over_for_one_by_name(checkout: Checkout) -> None:
    checkout.put("python3", "#!/bin/sh\nexit 1\n")
    checkout.put("python3.12", STAND_IN)
    assert checkout.run("environment.sh", "lab").returncode == 0


def test_without_a_new_enough_python_there_is_one_sentence(checkout: Checkout) -> None:
    checkout.put("python3", '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n')
    result = checkout.run("environment.sh", "lab")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "Python 3.11 or newer is needed" in result.stderr
    assert not (checkout.folder / ".venv").exists()


def test_a_python_that_is_named_is_the_one_or_none(checkout: Checkout) -> None:
    checkout.put("python3", STAND_IN)
    result = checkout.run("environment.sh", "lab", PYTHON="/no/python")
    assert result.returncode == 1
    assert "PYTHON=/no/python" in result.stderr


def test_a_python_without_venv_names_the_package_to_install(checkout: Checkout) -> None:
    checkout.put("python3", STAND_IN.replace('*) exec "', '*ensurepip*) exit 1 ;;\n*) exec "'))
    result = checkout.run("environment.sh", "lab")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert result.returncode == 1
    assert f"apt-get install python{version}-venv" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_a_browser_and_a_way_to_install_one_it_says_so_and_goes_on(checkout: Checkout) -> None:
    result = checkout.run("chromium.sh")
    assert result.returncode == 0
    assert "browser tests are skipped" in result.stdout


def test_a_browser_that_is_there_is_used(checkout: Checkout) -> None:
    checkout.put("chromium", "#!/bin/sh\nexit 0\n")
    result = checkout.run("chromium.sh")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
