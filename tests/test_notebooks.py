"""Every notebook runs from first to last cell, in a fresh kernel, without a key and without a network."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 30


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs_within_its_time(path: Path) -> None:
    offline = str(ROOT / "tests" / "offline")
    environment = {**os.environ, "PYTHONPATH": offline}
    assert "NVIDIA_API_KEY" not in environment
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
    )
    began = time.monotonic()
    client.execute(env=environment)
    assert time.monotonic() - began < SECONDS
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.execution_count for cell in code if cell.source.strip())
    written = [output for cell in code for output in cell.outputs if output.output_type == "stream"]
    assert [output.text for output in written if output.name == "stderr"] == []
