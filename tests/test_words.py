"""Words that do not come back: texts that people read are plain sentences.

"is not a file", not "is no file"; "the user", not "nobody" or "whoever"; "shows", not "tells of".
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

# "There is no file", "there is none" and "is no longer" are plain English.
UNWANTED = re.compile(
    r"(?<!there )\bis (?:no (?!longer\b|more than\b)|none\b)|\bnobody\b|\b(?:told|tells?) of\b", re.IGNORECASE
)
NONE = re.compile(r"`?\bis None\b`?")  # the value of Python

Text = tuple[str, str]
"""Where it is, and the text."""


def python(path: Path) -> Iterator[Text]:
    """All strings of a module, so messages, hints and help texts, and docstrings, which are the reference."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for number, line in enumerate(node.value.split("\n")):
                yield f"{path.relative_to(ROOT)}:{node.lineno + number}", line


def javascript(path: Path) -> Iterator[Text]:
    """All lines of a script but its comments."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)
    for number, line in enumerate(text.split("\n"), 1):
        yield f"{path.relative_to(ROOT)}:{number}", re.sub(r"(^|\s)//.*", "", line)


def document(path: Path) -> Iterator[Text]:
    """All lines of a document."""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        yield f"{path.relative_to(ROOT)}:{number}", line


def notebook(path: Path) -> Iterator[Text]:
    """The lines of the cells with text."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            for line in "".join(cell["source"]).split("\n"):
                yield f"{path.relative_to(ROOT)}, cell {cell['id']}", line


READERS = {
    "nbvlm/**/*.py": python,
    "scripts/*.py": python,
    "scripts/*.sh": document,
    "nbvlm/widgets/static/**/*.js": javascript,
    "*.md": document,
    "docs/**/*.md": document,
    "notebooks/*.ipynb": notebook,
}


def has_unwanted(text: str) -> bool:
    return UNWANTED.search(NONE.sub("", text)) is not None


UNCLEAR = re.compile(
    "(?:Asked|Asker|Crew|Desk|Echo|Gathered|Hand|Heard|Item|Job|Keeper|Kept|Left|Line|Live|Nowhere|Office|Order"
    "|Outbox|Outliner|Pace|Paced|Patch|Pause|Session|Sides|Slots|Stage|Station|Stencil|Still|Strip|Tally|Tell"
    "|Watch|Wire|Work)"
)
"""Names of classes that meant several things, or nothing to a reader of the code."""


def test_classes_have_names_that_say_what_they_are() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for folder in ("nbvlm", "training", "bench", "scripts", "tests")
        for path in sorted(ROOT.glob(f"{folder}/**/*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and UNCLEAR.fullmatch(node.name)
    ]
    assert found == []


@pytest.mark.parametrize("pattern", READERS)
def test_unwanted_words_do_not_come_back(pattern: str) -> None:
    paths = sorted(ROOT.glob(pattern))
    assert paths
    found = [
        f"{place}: {text.strip()}"
        for path in paths
        for place, text in READERS[pattern](path)
        if has_unwanted(text)
    ]
    assert not found, "\n".join(["plainer words, please:", *found])


@pytest.mark.parametrize(
    ("text", "is_unwanted"),
    [
        ("concurrency=0 is no whole number", True),
        ("Where is none, none is drawn", True),
        ("Nobody answers", True),
        ("The user is told of it", True),
        ("There is no file 'cat.png'.", False),
        ("None where there is none", False),
        ("`Result.reasoning` is None", False),
        ("It is no longer 202", False),
        ("This is not a number", False),
    ],
)
def test_the_words_are_found(text: str, is_unwanted: bool) -> None:
    assert has_unwanted(text) == is_unwanted
