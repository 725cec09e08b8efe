"""A saved notebook of a panel: a static output of the last answer, little state, and no secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from support.loopback import Loopback, problem

import nbvlm
from nbvlm.widgets import esm

KEY = "nvapi-not-a-real-key-but-just-as-secret"
CAR = "<loc0100><loc0200><loc0300><loc0400> car"
SECRETS = re.compile(r"nvapi-|just-as-secret|Bearer|X-Amz-Signature|Signature=")
OPEN = "import nbvlm\npanel = nbvlm.Panel(prompt='detect car')\npanel"
RUN = "for _ in range(10):\n    panel.run()"
TROUBLE = "try:\n    panel.run()\nexcept nbvlm.Error as error:\n    print(error)"


@pytest.fixture
def server(server: Loopback) -> Loopback:
    server.text = CAR
    return server


@pytest.fixture
def environment(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    monkeypatch.setenv("NBVLM_BASE_URL", server.url)
    return dict(os.environ)


def stills(notebook: Any) -> list[Any]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [one for one in outputs if "nbvlm-still-" in one.get("data", {}).get("text/html", "")]


def executed(*sources: str, **options: Any) -> Any:
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=120, **options).execute()
    return notebook


def test_a_notebook_run_without_a_browser_keeps_the_last_answer_as_a_still_form(
    environment: dict[str, str], server: Loopback, tmp_path: Path
) -> None:
    server.replies += [problem(401, f"the key {KEY} is unknown")]
    notebook = executed(OPEN, TROUBLE, RUN, "panel.result")
    (still,) = stills(notebook)
    assert any(mime in still.data for mime in ("image/png", "image/jpeg"))
    assert "1 car" in still.data["text/plain"]
    assert "<table>" in still.data["text/html"]
    live = next(one for one in notebook.cells[0].outputs if one is not still)
    assert live.data["text/plain"] == ""
    written = nbformat.writes(notebook)
    assert not SECRETS.search(written)
    state = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]
    assert len(json.dumps(state)) < 200_000
    path = tmp_path / "saved.ipynb"
    path.write_text(written)
    shown = subprocess.run(
        [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--stdout", str(path)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert shown.count("1 car") >= 2
    assert 'alt="1 car' in shown
    assert not SECRETS.search(shown)


def test_nbconvert_in_place_keeps_no_secret_either(
    environment: dict[str, str], server: Loopback, tmp_path: Path
) -> None:
    path = tmp_path / "panel.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(OPEN), new_code_cell("panel.run();")]), path)
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
    subprocess.run([*command, str(path)], env=environment, capture_output=True, check=True)
    notebook = nbformat.read(path, as_version=4)
    assert "1 car" in stills(notebook)[0].data["text/plain"]
    assert not SECRETS.search(path.read_text())


def test_a_panel_without_an_answer_says_so_in_its_still_form(environment: dict[str, str]) -> None:
    (still,) = stills(executed(OPEN, store_widget_state=False))
    assert still.data["text/plain"] == "This panel has no answer yet. Run the notebook to use it."


def test_in_a_terminal_a_panel_is_one_line() -> None:
    code = "import nbvlm; panel = nbvlm.Panel(client=nbvlm.Client('demo')); panel"
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.count("<nbvlm.Panel: ") == 1
    assert "still" not in out


def test_colab_receives_the_address_of_its_widget_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    widgets = SimpleNamespace(_installed_url="https://colab.invalid/manager.js")
    colab = SimpleNamespace(enable_custom_widget_manager=lambda: None, _widgets=widgets)
    monkeypatch.setitem(sys.modules, "google.colab.output", colab)
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: SimpleNamespace(kernel=True))
    monkeypatch.setattr("IPython.display.display", lambda data, metadata, **_: shown.append((data, metadata)))
    panel = nbvlm.Panel(client=nbvlm.Client("demo"))
    panel._ipython_display_()
    (live, metadata), (still, _) = shown
    mime = "application/vnd.jupyter.widget-view+json"
    assert live[mime]["model_id"] == panel.widget.model_id
    assert metadata[mime]["colab"]["custom_widget_manager"]["url"] == widgets._installed_url
    assert "no answer yet" in still["text/plain"]
    panel.close()


def test_scripts_and_styles_hold_nothing_that_looks_like_a_key() -> None:
    # They are saved in notebooks that keep their widgets' state.
    files = list(Path(esm.__file__).with_name("static").glob("*.*s"))
    assert {path.suffix for path in files} == {".js", ".css"}
    assert [path.name for path in files if SECRETS.search(path.read_text("utf-8"))] == []
