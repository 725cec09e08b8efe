"""What README and docs say is so: their code runs, their links lead somewhere, their commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nbvlm

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EACH = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def find(pattern: str, path: Path) -> list[str]:
    """All that a pattern, in which ^ and $ match at lines, finds in a file."""
    return re.findall(pattern, path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    """Fenced code blocks in one language."""
    return find(rf"^```{language}\n((?:.*\n)*?)```$", path)


WITH_CODE = [path for path in DOCUMENTS if blocks(path, "python")]


@pytest.mark.parametrize("path", WITH_CODE, ids=lambda path: path.name)
def test_python_code_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    code = "\n".join(blocks(path, "python"))
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    assert result.returncode == 0


def test_the_examples_of_the_readme_are_executed() -> None:
    assert ROOT / "README.md" in WITH_CODE


@EACH
def test_code_is_python_or_shell(path: Path) -> None:
    assert set(find(r"^```(.*)$", path)[::2]) <= {"python", "sh"}


@EACH
def test_commands_exist(path: Path) -> None:
    targets = find(r"^([a-z0-9-]+):", ROOT / "Makefile")
    assert set(find(r"(?:^|`)make ([a-z0-9-]+)", path)) <= set(targets)


@EACH
def test_links_lead_somewhere_and_pictures_have_a_text(path: Path) -> None:
    for text, target in find(r"\[([^\]]*)\]\(([^)\s]+)\)", path):
        assert text.strip(), target
        assert target.startswith(("https://", "#")) or (path.parent / target.split("#")[0]).exists(), target


def test_the_version_is_told_alike_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = find(r"^version: (.+)$", ROOT / "CITATION.cff")
    assert project["version"] == nbvlm.__version__ == cited[0]


def test_the_changelog_tells_of_this_version_or_the_next() -> None:
    heads = find(r"^## \[(.+?)\]", ROOT / "CHANGELOG.md")
    assert heads[0] in ("Unreleased", nbvlm.__version__)


def test_scripts_that_others_start_can_be_started() -> None:
    for name in (".ci/run", "binder/postBuild"):
        path = ROOT / name
        assert path.stat().st_mode & 0o111
        first, *rest = path.read_text(encoding="utf-8").splitlines()
        assert first.startswith("#!")
        assert any(line.startswith("set -e") for line in rest)
