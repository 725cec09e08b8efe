"""A model of transformers in the kernel: loading, streaming, Stop, history and what fails, in two hosts."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browser.conftest import opened_notebook
from browser.hosts import SLOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext

    from browser.hosts import Jupyter, Sheet

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nbvlm[local]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nbvlm[local]'")
sys.path.insert(0, str(Path(__file__).parents[1] / "local"))
import hub
import tiny_models

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]
PANEL = """
import nbvlm
client = nbvlm.Client("local", model={folder!r})
panel = nbvlm.Panel(prompt="caption en", client=client, temperature=0, max_tokens=40)
panel
"""
WITHOUT_TORCH = 'import sys\nsys.modules["torch"] = None\n'
ANSWER = 'document.querySelector(".nbvlm-answer").textContent'  # of line breaks, as tiny weights have it
LIGHT = {"OMP_NUM_THREADS": "1"}  # several threads are slower for tiny models
STATUS = """() => {
  const line = document.querySelector(".nbvlm-status");
  window.lines = [];
  const note = () => { if (lines.at(-1) !== line.textContent) lines.push(line.textContent); };
  new MutationObserver(note).observe(line, {childList: true, subtree: true, characterData: true});
}"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    whole = tiny_models.paligemma(root / "tiny-paligemma")
    weightless = shutil.copytree(whole, root / "weightless-paligemma")
    (weightless / "model.safetensors").unlink()
    (root / "notes").mkdir()
    return {"whole": whole, "weightless": weightless, "notes": root / "notes", "gone": root / "gone"}


@pytest.fixture(scope="module")
def lab(context: BrowserContext, jupyter: Jupyter, folders: dict[str, Path]) -> Iterator[Sheet]:
    """One page and one kernel for the tests of JupyterLab, in their order: the first one loads the model."""
    name = jupyter.notebook("local.ipynb", PANEL.format(folder=str(folders["whole"])))
    with opened_notebook(context, jupyter, name, LIGHT) as sheet:
        yield sheet


def choose_server(sheet: Sheet, model: Path) -> None:
    """Ask for a local model by the form of another server."""
    if not sheet.find(".nbvlm-server-url").is_visible():
        sheet.find("select.nbvlm-model").select_option(label="Another server …")
    sheet.find(".nbvlm-server-url").fill("local")
    sheet.find(".nbvlm-server-model").fill(str(model))
    sheet.find(".nbvlm-server-connect").click()


def stop_while_loading(sheet: Sheet) -> None:
    sheet.press("run")
    expect(sheet.find(".nbvlm-status")).to_contain_text("Loading the model", timeout=SLOW)
    sheet.press("stop")
    sheet.wait("stopped")


def most_tokens(sheet: Sheet, count: int) -> None:
    field = sheet.find(".nbvlm-max-tokens .widget-readout")
    field.fill(str(count))
    field.press("Tab")


def stop_while_answering(sheet: Sheet) -> None:
    most_tokens(sheet, 4000)
    sheet.press("run")
    sheet.page.wait_for_function(f"({ANSWER}).length > 20", timeout=SLOW)
    sheet.press("stop")
    sheet.wait("stopped")
    expect(sheet.find(".nbvlm-status")).to_contain_text("Stopped after")
    assert len(sheet.answer) < 4000
    most_tokens(sheet, 40)


def test_loading_can_be_stopped_and_goes_on_with_the_next_question(lab: Sheet) -> None:
    expect(lab.find("select.nbvlm-model option:checked")).to_have_text("paligemma:tiny-paligemma")
    stop_while_loading(lab)
    assert lab.answer == ""
    lab.page.evaluate(STATUS)
    lab.watch()
    lab.press("run")
    lab.wait("done")
    lines: list[str] = lab.page.evaluate("window.lines")
    assert any(line.startswith("Loading the model") for line in lines)
    pieces = {view["text"] for view in lab.seen if view["state"] == "running"}
    assert len(pieces) > 2
    assert lab.errors == []


def test_an_answer_can_be_stopped_and_the_history_holds_both(lab: Sheet) -> None:
    stop_while_answering(lab)
    assert lab.ask("detect cat ; dog")
    expect(lab.find(".nbvlm-card")).to_have_count(2)  # a stopped answer is not kept
    lab.find(".nbvlm-card-main").first.click()
    expect(lab.find(".nbvlm-prompt textarea")).to_have_value("caption en")


def test_a_model_whose_weights_are_missing_has_a_card(lab: Sheet, folders: dict[str, Path]) -> None:
    choose_server(lab, folders["weightless"])
    expect(lab.find("select.nbvlm-model option:checked")).to_contain_text("weightless-paligemma")
    lab.press("run")
    card = lab.find(".nbvlm-error")
    expect(card).to_contain_text("This model cannot be loaded", timeout=SLOW)
    expect(card).to_contain_text("has no weights")
    expect(card).to_contain_text("Ask the demo model")
    card.locator("summary").click()
    expect(card).to_contain_text("weightless-paligemma in this process")
    lab.find("select.nbvlm-model").select_option(index=0)
    assert lab.ask("detect dog")


def test_without_pytorch_a_card_names_the_command(
    context: BrowserContext, jupyter: Jupyter, folders: dict[str, Path]
) -> None:
    cell = WITHOUT_TORCH + PANEL.format(folder=str(folders["whole"]))
    with opened_notebook(context, jupyter, jupyter.notebook("none.ipynb", cell)) as sheet:
        sheet.press("run")
        card = sheet.find(".nbvlm-error")
        expect(card).to_contain_text("This model cannot be loaded", timeout=SLOW)
        expect(card).to_contain_text("pip install")
        for name, words in (("gone", "neither a folder"), ("notes", "holds no model")):
            choose_server(sheet, folders[name])
            expect(sheet.find(".nbvlm-server")).to_contain_text(words)
        card.locator("button", has_text="Ask the demo model").click()
        expect(sheet.find(".nbvlm-status")).to_have_attribute("data-state", "done", timeout=SLOW)
        assert sheet.errors == []


def test_voila_loads_answers_and_stops(sheet: Sheet, jupyter: Jupyter, folders: dict[str, Path]) -> None:
    jupyter.environment(LIGHT)
    sheet.open_voila(jupyter.notebook("voila.ipynb", PANEL.format(folder=str(folders["whole"])))).ready()
    stop_while_loading(sheet)
    assert sheet.ask("caption en")
    stop_while_answering(sheet)
    expect(sheet.find("select.nbvlm-model option:checked")).to_have_text("paligemma:tiny-paligemma")
    assert str(folders["whole"].parent) not in sheet.page.content()


def test_a_gated_model_asks_for_a_token_and_is_downloaded_with_progress(
    sheet: Sheet, jupyter: Jupyter, folders: dict[str, Path], tmp_path: Path
) -> None:
    with hub.serving({"owner/tiny": folders["whole"]}, gated=("owner/tiny",)) as site:
        endpoint = f"http://127.0.0.1:{site.server_port}"
        home = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
        jupyter.environment(LIGHT | home)
        name = jupyter.notebook("gated.ipynb", PANEL.format(folder="owner/tiny"))
        sheet.open_lab(name).run_all()
        sheet.press("run")
        card, status = sheet.find(".nbvlm-error"), sheet.find(".nbvlm-status")
        expect(card).to_contain_text("This model needs a licence or a token", timeout=SLOW)
        expect(card).to_contain_text("Accept it at huggingface.co/owner/tiny")
        site.slow.set()
        card.locator("button", has_text="Enter a key").click()
        expect(sheet.find(".nbvlm-key")).to_contain_text("from huggingface.co/settings/tokens")
        sheet.find(".nbvlm-key input").fill("hf_good")
        sheet.find(".nbvlm-key input").press("Enter")
        expect(status).to_contain_text(
            re.compile(r"Downloading the model: .* of .* in \d files"), timeout=SLOW
        )
        sheet.press("stop")
        sheet.wait("stopped")
        site.slow.clear()
        sheet.press("run")
        expect(status).to_have_attribute("data-state", "done", timeout=SLOW)
        sheet.page.keyboard.press("Control+s")
        assert "hf_good" not in sheet.page.content()
        assert {key for _, _, key in site.requests} == {None, "Bearer hf_good"}
        assert all("hf_" not in path for _, path, _ in site.requests)
        assert "hf_good" not in (jupyter.notebooks / name).read_text()
