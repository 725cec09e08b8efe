"""What importing nbvlm loads. Which room may import which is held by import-linter, see pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("IPython", "PIL", "anywidget", "httpx", "ipywidgets", "msgspec", "numpy", "pandas", "torch")


def run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_import_nbvlm_loads_nothing_heavy() -> None:
    assert run(f"import sys, nbvlm; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_import_nbvlm_starts_no_thread_and_opens_no_connection() -> None:
    code = """
    import sys, threading
    sys.addaudithook(lambda event, args: event.startswith("socket.") and sys.exit(event))
    import nbvlm
    print(threading.active_count())
    """
    assert run("\n".join(line.strip() for line in code.splitlines())) == "1"


def test_completion_lists_public_names_only() -> None:
    names = run("import nbvlm; nbvlm.Client; print(*(n for n in dir(nbvlm) if not n.startswith('__')))")
    assert not {"TYPE_CHECKING", "annotations", "_lazy", "client", "images"} & set(names.split())
    assert {"Client", "Panel", "ask", "batch", "demo", "load_ipython_extension"} <= set(names.split())
    assert not [name for name in names.split() if name.startswith("_")]
    for module in ("prompts", "demo.gallery", "demo.scenes", "errors", "figures"):
        code = f"import nbvlm.{module} as m; print(sorted(dir(m)) == sorted(m.__all__))"
        assert run(code) == "True"


def test_keywords_of_a_question_are_shown_with_their_types() -> None:
    code = "import inspect, nbvlm; print(inspect.signature(nbvlm.ask))"
    assert "seed: 'int | None' = None, route: \"Literal['auto', 'inline', 'asset']\" = 'auto'" in run(code)


def test_the_client_needs_no_widgets_and_no_torch() -> None:
    code = "import sys, nbvlm; nbvlm.Client('demo').close(); print([n for n in {} if n in sys.modules])"
    assert run(code.format(("IPython", "ipywidgets", "pandas", "torch"))) == "[]"


def test_training_without_its_library_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError")
    training = [sys.executable, "-m", "training.train"]
    ended = subprocess.run(
        [*training, "--folder", str(tmp_path / "states")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert ended.returncode == 1
    assert 'pip install "nbvlm[train]"' in ended.stderr
    assert not (tmp_path / "states").exists()
