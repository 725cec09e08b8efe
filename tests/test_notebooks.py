"""Every notebook runs from first to last cell, in a fresh kernel, without a key and without a network."""

from __future__ import annotations

import asyncio
import os
import re
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import nbclient
import nbformat
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
PATIENCE = 300  # seconds for a cell; how long a notebook takes is what bench/notebooks.py measures
PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


class Run(NamedTuple):
    """An executed notebook, and the seconds it took."""

    notebook: Any
    seconds: float

    @property
    def code(self) -> list[Any]:
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def outputs(self) -> list[Any]:
        return [output for cell in self.code for output in cell.outputs]


async def execute(path: Path) -> Run:
    offline = str(ROOT / "tests" / "support" / "offline")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((offline, str(ROOT)))}  # this checkout
    assert "NVIDIA_API_KEY" not in environment
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=PATIENCE,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
    )
    began = time.monotonic()
    await client.async_execute(env=environment)
    return Run(notebook, time.monotonic() - began)


async def execute_all(paths: list[Path]) -> dict[Path, Run | BaseException]:
    """Execute notebooks, two at a time; one that fails does not end the others."""
    room = asyncio.Semaphore(2)

    async def one(path: Path) -> Run:
        async with room:
            return await execute(path)

    ended = await asyncio.gather(*map(one, paths), return_exceptions=True)
    return dict(zip(paths, ended, strict=True))


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> dict[Path, Run | BaseException]:
    """The notebooks that are asked for, executed once."""
    import matplotlib.font_manager  # writes its list of fonts, so that no notebook has to tell that it does

    assert matplotlib.font_manager.fontManager.ttflist
    here = [item for item in request.session.items if item.path == request.path]
    paths = dict.fromkeys(item.callspec.params["path"] for item in here if hasattr(item, "callspec"))
    return asyncio.run(execute_all(list(paths)))


@pytest.fixture
def run(path: Path, runs: dict[Path, Run | BaseException]) -> Run:
    """One executed notebook."""
    ended = runs[path]
    if isinstance(ended, BaseException):
        raise ended
    return ended


@EACH
def test_notebook_runs(path: Path, run: Run) -> None:
    assert run.code
    assert all(cell.execution_count for cell in run.code if cell.source.strip())
    written = [output for output in run.outputs if output.output_type == "stream"]
    assert [output.text for output in written if output.name == "stderr"] == []


@EACH
def test_every_figure_has_words_for_those_who_do_not_see_it(path: Path, run: Run) -> None:
    shown = [output.data for output in run.outputs if "data" in output]
    figures = [data for data in shown if any(kind in data for kind in PICTURES)]
    texts = [re.search(r'<img [^>]*alt="([^"]*)"', data.get("text/html", "")) for data in figures]
    assert [data["text/plain"] for data, text in zip(figures, texts, strict=True) if not text] == []
    assert all(len(text[1]) > 20 for text in texts if text)


@EACH
def test_it_begins_with_title_summary_and_contents(path: Path) -> None:
    texts = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    title, summary, *_ = texts[0].split("\n\n")
    assert re.fullmatch(r"# .+", title)
    assert len(summary) > 60
    sections = re.findall(r"^## (.+)$", "\n".join(texts), flags=re.MULTILINE)
    assert re.findall(r"^\d+\. \[(.+?)\]\(#", texts[0], flags=re.MULTILINE) == sections


def test_each_leads_to_the_next() -> None:
    order = sorted(NOTEBOOKS, key=lambda path: (path.stem != "quickstart", path.stem))
    ends = {path: nbformat.read(path, as_version=4).cells[-1].source for path in order}
    for path, after in pairwise(order):
        assert after.name in ends[path], path.name
    assert [path for path in order if "the last tutorial" in ends[path]] == order[-1:]


def findings(run: Run) -> list[str]:
    plain = [output.data.get("text/plain", "") for output in run.outputs if "data" in output]
    return [text for text in plain if " in this run: " in text]


@EACH
def test_what_a_tutorial_claims_is_seen_in_its_run(path: Path, run: Run) -> None:
    assert [text for text in findings(run) if not text.startswith("✓ Seen in this run: ")] == []


def numbers(run: Run, words: str) -> list[float]:
    """The numbers of the finding that has these words, shares as percent."""
    found = [text for text in findings(run) if words in text]
    assert len(found) == 1, words
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", found[0])]


# By the number of a tutorial: words of a finding, and its effect with the least size that it must have.
EFFECTS: dict[str, list[tuple[str, Callable[..., bool]]]] = {
    "01": [
        ("The boxes are where", lambda found, all_, overlap: found > 0.6 * all_ > 1 and overlap > 50),
        ("Read back from JSON", lambda boxes, characters: boxes > 1 and characters > 50),
    ],
    "02": [
        ("y comes first", lambda right, wrong: right < 0.1 and wrong > 10),
        ("Masks follow the things", lambda mask, box: mask > box + 5),
    ],
    "03": [
        (
            "The wording decides",
            lambda best, worst, _count, partly: best >= worst + 50 and worst < partly < best,
        ),
        ("Chance grows", lambda cold, _runs, _t, warm, *_: warm >= cold + 2),
        ("Top p limits chance", lambda _t, few, _runs, _p, many, *_: many >= few + 2),
    ],
    "04": [
        ("Base64 writes", lambda _64, growth, over: 1.33 < growth < 1.34 and over > 1),
        ("Shrinking saves bytes", lambda inline, asset: inline < 0.5 * asset),
        (
            "Shrinking costs this model little",
            lambda width, inline, whole: width < 60 and inline > whole - 25,
        ),
        ("One upload serves all", lambda *digits: len(digits) >= 2),
    ],
    "05": [
        ("The first of", lambda boxes, share: boxes > 1 and 5 < share < 60),
        ("Stopped at the first box", lambda stopped, whole: stopped < 0.7 * whole > 250),
    ],
    "06": [
        ("Stricter marks", lambda a, b, c, d: a - b > 0.1 < c - d),
        ("The harder the pictures", lambda easy, _0, hard, *_: easy > 0.95 and easy - hard > 0.3),
        ("Small things are harder", lambda small, large: large - small > 15),
        ("Blur changes", lambda changed, all_: 0 < changed <= all_ + 5),
    ],
    "07": [("Both protocols bring", lambda one, other: one == other > 1)],
    "08": [("A replay answers the same", lambda same, all_, _t, fresh: same == all_ > fresh)],
    "09": [
        ("A colour and its kind", lambda same, all_: same == all_ > 1),
        ("The answer depends on", lambda on, all_on, off, all_off: on / all_on > 0.5 > off / all_off + 0.4),
        ("Another scene is less sound", lambda off, _on: off > 0),
    ],
    "10": [
        ("The counts are near the truth", lambda there, found, bad: 0.6 < found / there < 1.3 and bad == 1),
        ("Nothing is lost", lambda rows, kept: 11 < kept < rows == 61),
        ("The cluster returns", lambda rows, equal: rows == 61 and equal > 30),
    ],
    "11": [
        ("The wrong rules misplace", lambda own, others: own > others + 30),
        ("Reading again repairs it", lambda before, after: after > before + 30),
        ("The known picture decides", lambda _scale, best, second: best > second),
    ],
}


@EACH
def test_its_effects_have_a_size(path: Path, run: Run) -> None:
    for words, holds in EFFECTS.get(path.name[:2], []):
        assert holds(*numbers(run, words)), (words, findings(run))


def test_tutorials_begin_with_different_pictures() -> None:
    first = [
        re.search(r"(?:GALLERY|PHOTOS|SCENES)\[[\d:]+\]|scenes\.sample\(\d\w*", path.read_text("utf-8"))
        for path in NOTEBOOKS
    ]
    named = [found[0] for found in first if found]
    assert len(named) >= 9
    assert len(set(named)) == len(named)
