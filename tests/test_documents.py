"""What README and docs say is so: their code runs, their links lead somewhere, their commands exist."""

from __future__ import annotations

import json
import os
import pydoc
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from support.service_loopback import running

import nbvlm
from nbvlm.demo.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
LANGUAGES = {"python", "ipython", "sh", "json", "text", "{eval-rst}"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def written(path: Path) -> str:
    """All prose of a document or a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n\n".join(
        "".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"
    )


def find(pattern: str, path: Path) -> list[Any]:
    """All that a pattern, in which ^ and $ match at lines, finds in a file."""
    return re.findall(pattern, written(path), flags=re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    """Fenced code blocks in one language."""
    return find(rf"^```{language}\n((?:.*\n)*?)```$", path)


def cells(path: Path) -> list[tuple[str, str]]:
    """Kind and source of all code that is run: "python" and "ipython", in the order of the document."""
    return find(r"^```(python|ipython)\n((?:.*\n)*?)```$", path)


WITH_CODE = [path for path in DOCUMENTS if cells(path)]


@pytest.fixture(scope="module")
def failures() -> dict[str, str]:
    """What went wrong in the code of each document; all are run in one process beside one service."""
    code = {str(path): cells(path) for path in WITH_CODE}
    offline = str(ROOT / "tests" / "support" / "offline")
    with running(Service()) as origin:
        result = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "support" / "document_code.py"), origin],
            input=json.dumps(code),
            env={**os.environ, "PYTHONPATH": os.pathsep.join((offline, str(ROOT)))},  # this checkout
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.stderr == ""
    ended: dict[str, str] = json.loads(result.stdout)
    return ended


@pytest.mark.parametrize("path", WITH_CODE, ids=lambda path: path.name)
def test_python_code_runs_from_top_to_bottom(path: Path, failures: dict[str, str]) -> None:
    assert failures[str(path)] == ""


def test_the_examples_of_the_readme_are_executed() -> None:
    assert ROOT / "README.md" in WITH_CODE
    assert len(blocks(ROOT / "README.md", "python")) >= 3


@EACH
def test_code_is_in_a_language_that_is_checked(path: Path) -> None:
    assert set(find(r"^```(.*)$", path)[::2]) <= LANGUAGES


@EACH
def test_json_is_json(path: Path) -> None:
    assert all(json.loads(block) is not None for block in blocks(path, "json"))


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command of a shell block, split as a shell does."""
    for path in DOCUMENTS:
        for block in blocks(path, "sh"):
            for line in block.splitlines():
                yield f"{path.name}: {line}", shlex.split(line, comments=True)


def has_target(name: str) -> bool:
    return name in find(r"^([a-z0-9-]+):", ROOT / "Makefile")


@cache
def help_of(*command: str) -> str:
    """What a program tells about itself."""
    told = subprocess.run(
        [sys.executable, "-m", *command, "--help"], capture_output=True, text=True, check=True
    )
    return told.stdout


def is_helped(module: str, words: list[str]) -> bool:
    """Whether a program's help knows a sub-command, and all options that are used."""
    sub = [words[0]] if words and not words[0].startswith("-") else []
    told = help_of(module, *sub)
    return all(word.split("=")[0] in told for word in words if word.startswith("--"))


def is_right(words: list[str]) -> bool:
    """Whether a documented command can be given: what installs, serves or trains is not carried out."""
    match words:
        case [] | ["export" | "cd", _] | ["git", "clone", _]:
            return True
        case ["make", target, *_]:
            return has_target(target)
        case ["pip", "install", "vllm"] | ["vllm", "serve", _]:
            return True
        case ["pip", "install", what]:
            extra = re.fullmatch(r"nbvlm(?:\[(\w+)\])?", what)
            return extra is not None and (extra[1] is None or extra[1] in PROJECT["optional-dependencies"])
        case ["uvx", "--from", what, "nbvlm", *rest]:
            return is_right(["pip", "install", what]) and is_helped("nbvlm", rest)
        case ["nbvlm", *rest]:
            return is_helped("nbvlm", rest)
        case [".venv/bin/python", "-m", "pytest", *files]:
            return all((ROOT / name).exists() for name in files if not name.startswith("-"))
        case ["python", "-m", module, *rest]:
            return is_helped(module, rest)
    return False


def test_shell_commands_can_be_given() -> None:
    assert [line for line, words in commands() if not is_right(words)] == []


@EACH
def test_named_targets_exist(path: Path) -> None:
    assert all(has_target(name) for name in find(r"`make ([a-z0-9-]+)`", path))


def anchors(path: Path) -> set[str]:
    """Anchors of a document's headings, as GitHub and the site make them; of a notebook, as Jupyter does."""
    heads = [re.sub(r"[`*]|\]\(.*?\)|\[", "", head).strip() for head in find(r"^#+ (.+)$", path)]
    if path.suffix == ".ipynb":
        return {head.replace(" ", "-") for head in heads}
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def leads_somewhere(target: str, path: Path) -> bool:
    """Whether a link has what it names; one to outside only has to look like one."""
    if target.startswith("https://"):
        host = urlsplit(target).hostname or ""
        return re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", host) is not None
    name, _, anchor = unquote(target).partition("#")
    file = path.parent / name if name else path
    return file.exists() and (not anchor or anchor in anchors(file))


@pytest.mark.parametrize("path", [*DOCUMENTS, *NOTEBOOKS], ids=lambda path: path.name)
def test_links_lead_somewhere_and_pictures_have_a_text(path: Path) -> None:
    links = find(r"\[([^\]]*)\]\(([^)\s]+)\)", path)
    assert [target for _, target in links if not leads_somewhere(target, path)] == []
    assert [target for text, target in links if not text.strip() and not target.startswith("https://")] == []


@EACH
def test_documents_have_one_title(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", written(path), flags=re.MULTILINE | re.DOTALL)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1


REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.md"))
DIRECTIVES = re.findall(r"^\.\. auto(\w+):: (\S+)$", REFERENCE, flags=re.MULTILINE)


def test_the_reference_has_every_public_name() -> None:
    told = {name for _, name in DIRECTIVES}
    names = {
        f"nbvlm.{name}"
        for name in nbvlm.__all__
        if name != "__version__" and not isinstance(getattr(nbvlm, name), ModuleType)
    }
    assert names - told == set()


def test_the_reference_names_what_is_there_and_documented() -> None:
    assert [name for _, name in DIRECTIVES if not hasattr(locate(name), "__doc__")] == []
    assert [name for kind, name in DIRECTIVES if kind != "data" and not locate(name).__doc__] == []


def locate(name: str) -> object:
    """Return what a dotted name stands for; a function such as nbvlm.replay hides the module of its name."""
    module, _, last = name.rpartition(".")
    home = sys.modules.get(module) or pydoc.locate(module)
    return getattr(home, last, None) or pydoc.locate(name)


def test_the_site_has_every_page_once() -> None:
    sys.path.insert(0, str(SCRIPTS))
    try:
        site = __import__("make_site")
    finally:
        sys.path.remove(str(SCRIPTS))
    paths = [*DOCUMENTS[1:], *NOTEBOOKS, ROOT / "CHANGELOG.md"]
    pages = {str(path.relative_to(ROOT).with_suffix("")) for path in paths}
    sections = site.navigation(pages)
    assert sorted(page for section in sections.values() for page in section) == sorted(pages)
    assert sections["Tutorials"][:2] == ["notebooks/quickstart", "notebooks/01-ask-and-see"]
    assert site.contents(sections).count("```{toctree}") == 5


def test_the_version_is_told_alike_everywhere() -> None:
    cited = find(r"^version: (.+)$", ROOT / "CITATION.cff")
    assert PROJECT["version"] == nbvlm.__version__ == cited[0]


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
