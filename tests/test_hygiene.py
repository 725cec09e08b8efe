"""The shape of the tree: notebooks without outputs, no keys, nothing left over."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

import nbvlm

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nbvlm"
MODULES = sorted(PACKAGE.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOT_OURS = {".git", ".venv", "build", "dist", "shared", "__pycache__", "node_modules", ".ipynb_checkpoints"}
CACHES = re.compile(r"\.(mypy|ruff|pytest|hypothesis)(_cache)?$|\.egg-info$")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def texts() -> Iterator[tuple[Path, str]]:
    """All text files of the checkout."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and not CACHES.search(name)]
        for name in names:
            path = Path(folder, name)
            try:
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, FileNotFoundError):
                continue


def test_only_the_command_line_prints() -> None:
    printing = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        if path.parent.name != "cli"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stored_without_outputs_state_and_marks_of_a_machine(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
    assert notebook["metadata"].keys() <= {"kernelspec", "language_info"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert notebook["metadata"].get("language_info", {}).keys() <= {"name"}
    assert all(cell.get("id") for cell in notebook["cells"])
    assert len(path.read_bytes()) < 100_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_have_one_title_and_headings_in_order(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    levels = [len(marks) for marks in re.findall(r"^(#+) ", prose, flags=re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert "![](" not in prose


def test_there_is_a_quick_start() -> None:
    assert ROOT / "notebooks" / "quickstart.ipynb" in NOTEBOOKS


def test_no_file_holds_what_looks_like_a_key() -> None:
    shapes = (
        r"\bnvapi-[A-Za-z0-9_-]{40,}",
        r"\bsk-(proj-)?[A-Za-z0-9_-]{32,}",
        r"\bhf_[A-Za-z0-9]{30,}",
        r"\bgh[pousr]_[A-Za-z0-9]{30,}",
        r"\bAKIA[0-9A-Z]{16}\b",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    )
    keys = re.compile("|".join(shapes))
    assert [str(path) for path, text in texts() if keys.search(text)] == []


def test_nothing_is_left_over() -> None:
    words = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
    assert [str(path) for path, text in texts() if words.search(text)] == []


def test_every_public_name_is_there() -> None:
    assert len(set(nbvlm.__all__)) == len(nbvlm.__all__)
    assert [name for name in nbvlm.__all__ if not hasattr(nbvlm, name)] == []
    assert set(nbvlm.__all__) <= set(dir(nbvlm))


@pytest.mark.parametrize("name", ["nbvlm", "nbvlm.cli", "nbvlm.demo"])
def test_type_checkers_see_the_names_that_are_imported_on_first_use(name: str) -> None:
    module = importlib.import_module(name)
    checked = [
        node
        for node in tree(Path(str(module.__file__))).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {
        alias.asname or alias.name
        for block in checked
        for node in block.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("nbvlm")
        for alias in node.names
    }
    assert seen == set(module.__all__) - {"__version__"}
    assert [part for part in module.__all__ if not hasattr(module, part)] == []


def public_objects() -> Iterator[tuple[str, object]]:
    """Public names with the public methods of the classes among them."""
    for name in nbvlm.__all__:
        thing = getattr(nbvlm, name)
        if isinstance(thing, ModuleType):
            exported = getattr(thing, "__all__", [])
            yield from ((f"{name}.{part}", getattr(thing, part)) for part in exported)
        elif not isinstance(thing, str):
            yield name, thing
        if inspect.isclass(thing):
            # Other libraries' base classes have attributes that warn when they are looked at.
            ours = {part for one in thing.__mro__ if one.__module__.startswith("nbvlm") for part in vars(one)}
            members = ((part, getattr(thing, part)) for part in sorted(ours) if not part.startswith("_"))
            yield from (
                (f"{name}.{part}", member)
                for part, member in members
                if inspect.isroutine(member) or isinstance(member, property)
                if getattr(getattr(member, "fget", member), "__module__", "").startswith("nbvlm")
            )


def test_every_public_name_is_documented() -> None:
    bare = [
        name
        for name, thing in public_objects()
        if callable(thing) or isinstance(thing, property)
        if not (inspect.getdoc(thing) or "").strip()
    ]
    assert bare == []


def test_every_public_name_tells_its_signature() -> None:
    """As help, completion and documentation tools ask for it."""
    unsigned = set()
    for name, thing in public_objects():
        try:
            if callable(thing):
                inspect.signature(thing)
        except (NameError, TypeError, ValueError):
            unsigned.add(name)
    assert unsigned == set()


def parameters(thing: object) -> list[str]:
    found = inspect.signature(thing).parameters.values()
    names = [each.name for each in found if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    return [name for name in names if not name.startswith("_") and name not in ("self", "cls")]


def explained(name: str, things: dict[str, object], seen: frozenset[str] = frozenset()) -> str:
    """The docstring, with those of the public names that it points to: "see `Client.ask`"."""
    text = inspect.getdoc(things[name]) or ""
    owner = name.rpartition(".")[0]
    pointed = [full for other in re.findall(r"`([A-Za-z_.]+)`", text) for full in (other, f"{owner}.{other}")]
    others = [other for other in pointed if other in things and other not in seen]
    return "\n".join([text, *(explained(other, things, seen | {name}) for other in others)])


def test_the_parameters_of_public_names_are_documented() -> None:
    """A single one may be told by the sentence itself."""
    things = dict(public_objects())
    missing = {
        name: unnamed
        for name, thing in things.items()
        if callable(thing) and not (inspect.isclass(thing) and issubclass(thing, BaseException))
        if len(asked := parameters(thing)) > 1
        if (unnamed := [part for part in asked if not re.search(rf"\b{part}\b", explained(name, things))])
    }
    assert missing == {}
