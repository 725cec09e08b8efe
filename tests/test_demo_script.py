"""`make demo`: the quick-start without a browser leaves a notebook and a picture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from nbvlm.demo.gallery import GALLERY

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, ROOT / "scripts" / "demo.py", ROOT / "notebooks" / "quickstart.ipynb", folder]
    # A key in the shell changes nothing: the embedded model answers.
    environment = {
        **os.environ,
        "NVIDIA_API_KEY": "nvapi-of-somebody",
        "NBVLM_BASE_URL": "http://127.0.0.1:9",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done, folder


def test_it_says_what_was_asked_and_answered_and_nothing_else(run) -> None:
    done, _ = run
    assert (done.returncode, done.stderr) == (0, "")
    words = [line.split()[0] for line in done.stdout.splitlines()]
    assert words == ["Asked:", "Answered:", "By:", "Written", "quickstart.ipynb", "quickstart.png"]
    assert "nbvlm/demo" in done.stdout


def test_the_notebook_is_executed_and_holds_neither_state_nor_key(run) -> None:
    _, folder = run
    text = (folder / "quickstart.ipynb").read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count and cell.outputs for cell in code)
    assert "panel.run" not in text
    assert "nvapi-of-somebody" not in text
    assert "widgets" not in notebook.metadata


def test_the_picture_is_the_one_that_was_asked_about(run) -> None:
    _, folder = run
    with Image.open(folder / "quickstart.png") as picture:
        assert picture.size == GALLERY[0].picture().size
        assert len(picture.convert("RGB").getcolors(800 * 800)) > 8
