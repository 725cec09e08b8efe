"""A small run of each part of `bench/chaos.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHAOS = [sys.executable, str(ROOT / "bench" / "chaos.py")]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CHAOS, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=250,
        check=False,
    )


@pytest.mark.parametrize(
    ("part", "count"),
    [
        # `make chaos` runs each part at its full count beside the heavy tests; the quicker ones always run.
        pytest.param("clients", 24, marks=pytest.mark.heavy),
        ("parsers", 300),
        ("pictures", 150),
        pytest.param("files", 120, marks=pytest.mark.heavy),
        pytest.param("kills", 2, marks=pytest.mark.heavy),
    ],
)
def test_a_small_run_meets_all_gates(part: str, count: int) -> None:
    done = run(part, "--count", str(count))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("seed ")
    assert done.stdout.endswith("All gates hold.\n")
    assert "MISSED" not in done.stdout


def test_a_failure_is_printed_saved_and_a_status(tmp_path: Path) -> None:
    broken = (
        "import sys; sys.path.insert(0, {bench!r})\n"
        "import chaos; from pathlib import Path\n"
        "chaos.BUILD = Path({build!r})\n"
        "chaos.line('wrong results', 1, 0)\n"
        "failures = chaos.try_all(lambda chance: (b'input', lambda: 1 / 0), (), chaos.random.Random(0), 1)\n"
        "failures.report('part')\n"
        "print(dict(failures.counts), chaos.missed)\n"
    )
    code = broken.format(bench=str(ROOT / "bench"), build=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "MISSED" in done.stdout
    assert done.stdout.endswith("{'raw': 1} ['wrong results']\n")
    assert (tmp_path / "part-00").read_bytes() == b"input"


def test_an_unknown_part_is_named() -> None:
    done = run("storms")
    assert done.returncode == 2
    assert "no part storms" in done.stderr
    assert json.dumps("clients")[1:-1] in done.stderr
