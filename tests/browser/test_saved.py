"""Keeping answers, in real front ends: the strip, files, a new cell, and what a saved notebook holds."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from PIL import Image
from playwright.sync_api import expect
from support.loopback import stream

from browser.hosts import SLOW
from nbvlm.demo.gallery import GALLERY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.loopback import Loopback

    from browser.hosts import Jupyter, Sheet

CAR = "<loc0100><loc0100><loc0500><loc0500> car"
SECRETS = re.compile(r"nvapi-|not-a-real-key|Bearer|Signature=")
SETTINGS = "@jupyter-widgets/jupyterlab-manager:plugin"
MARK = "document.querySelector('.nbvlm-panel').nbvlmSame = true"
SAME = "document.querySelector('.nbvlm-panel').nbvlmSame === true"


@pytest.fixture
def service(service: Loopback) -> Loopback:
    service.text = CAR
    return service


@pytest.fixture
def saving_state(jupyter: Jupyter) -> Iterator[None]:
    """JupyterLab saves the state of widgets with the notebook."""
    jupyter.configure(SETTINGS, {"saveState": True})
    yield
    jupyter.configure(SETTINGS, {"saveState": False})


def saved(sheet: Sheet, name: str) -> Any:
    """The notebook as the page saves it."""
    with sheet.page.expect_response(
        lambda reply: reply.request.method == "PUT" and name in reply.url
    ) as reply:
        sheet.page.click('.lm-MenuBar-itemLabel:text-is("File")')
        sheet.page.click('li.lm-Menu-item[data-command="docmanager:save"]')
    assert reply.value.ok
    return json.loads((sheet.jupyter.notebooks / name).read_text())


def still(notebook: Any) -> dict[str, Any]:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    htmls = [(one, "".join(one.get("data", {}).get("text/html", ""))) for one in outputs]
    (found,) = [one["data"] for one, html in htmls if "nbvlm-still-" in html]
    return found


def test_a_saved_notebook_shows_the_last_answer_and_holds_no_secret(
    sheet: Sheet, quickstart: str, service: Loopback, saving_state: None
) -> None:
    sheet.open_lab(quickstart).run_all()
    sheet.page.evaluate(MARK)
    for _ in range(9):
        sheet.ask("caption en")
    sheet.ask("detect car")
    expect(sheet.find(".nbvlm-card-picture")).to_have_count(10)
    # The view is not drawn anew under an update: what a person does in it goes on.
    assert sheet.page.evaluate(SAME)
    expect(sheet.page.locator("[class^=nbvlm-still-]")).to_be_hidden()
    notebook = saved(sheet, quickstart)
    assert "1 car" in "".join(still(notebook)["text/plain"])
    assert "image/png" in still(notebook) or "image/jpeg" in still(notebook)
    state = notebook["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]
    assert len(json.dumps(state)) < 200_000
    assert not SECRETS.search(json.dumps(notebook))

    for session in sheet.jupyter.api("GET", "/api/sessions"):
        sheet.jupyter.api("DELETE", f"/api/sessions/{session['id']}")
    sheet.open_lab(quickstart)
    form = sheet.page.locator("[class^=nbvlm-still-]")
    expect(form.locator("img")).to_be_visible(timeout=SLOW)
    expect(form.locator("table")).to_contain_text("car")
    expect(sheet.page.locator(".nbvlm-panel")).to_be_hidden()  # it could not do anything without its kernel
    assert sheet.outside == []


def test_notebook_7_keeps_the_view_steady_and_the_still_form_up_to_date(
    sheet: Sheet, quickstart: str, service: Loopback
) -> None:
    sheet.open_notebook(quickstart).run_all_until_it_runs()
    sheet.page.evaluate(MARK)
    sheet.ask("detect car")
    expect(sheet.find(".nbvlm-card-picture")).to_have_count(1)
    cells = sheet.page.locator(".jp-Notebook .jp-Cell").count()
    sheet.find(".nbvlm-card-main").focus()
    for key in ("a", "b", "x", "p"):
        sheet.page.keyboard.press(key)
    expect(sheet.find(".nbvlm-card-pin")).to_have_attribute("aria-pressed", "true")
    assert sheet.page.locator(".jp-Notebook .jp-Cell").count() == cells
    sheet.press("export-cell")
    expect(sheet.find(".nbvlm-exports-said")).to_contain_text("in a new cell")
    assert sheet.page.locator(".jp-Notebook .jp-Cell").count() == cells + 1
    assert sheet.page.evaluate(SAME)
    expect(sheet.page.locator("[class^=nbvlm-still-]")).to_be_hidden()
    assert "1 car" in "".join(still(saved(sheet, quickstart))["text/plain"])


def test_voila_keeps_the_view_steady_and_files_can_be_downloaded(
    sheet: Sheet, quickstart: str, service: Loopback
) -> None:
    sheet.open_voila(quickstart).ready()
    sheet.page.evaluate(MARK)
    sheet.ask("detect car")
    expect(sheet.find(".nbvlm-card-picture")).to_have_count(1)
    assert sheet.page.evaluate(SAME)
    expect(sheet.page.locator("[class^=nbvlm-still-]")).to_be_hidden()
    expect(sheet.find(".nbvlm-export-cell")).to_be_hidden()
    with sheet.page.expect_download() as download:
        sheet.press("export-png")
    assert download.value.suggested_filename == f"{GALLERY[0].name}-answer.png"
    size = Image.open(io.BytesIO(download.value.path().read_bytes())).size
    assert size == GALLERY[0].picture().size


TWO = "import nbvlm\nfirst, second = nbvlm.Panel(prompt='one'), nbvlm.Panel(prompt='two')\nfirst"


def two_panels(path: Path) -> Path:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(TWO), nbformat.v4.new_code_cell("second")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, path)
    return path


def test_two_panels_in_a_notebook_do_not_disturb_each_other(
    sheet: Sheet, jupyter: Jupyter, service: Loopback, tmp_path: Path
) -> None:
    name = jupyter.fresh(two_panels(tmp_path / "two.ipynb"), "two.ipynb")
    sheet.open_lab(name)
    sheet.press_run_all()
    first, second = sheet.page.locator(".nbvlm-panel").nth(0), sheet.page.locator(".nbvlm-panel").nth(1)
    second.locator(".nbvlm-picture").wait_for(timeout=SLOW)
    service.replies.append(stream("a long ", hold=True, done=False))
    first.locator("button.nbvlm-run").click()
    expect(first.locator(".nbvlm-answer")).to_contain_text("a long")
    second.locator("button.nbvlm-run").click()
    expect(second.locator(".nbvlm-card")).to_have_count(1)
    expect(first.locator(".nbvlm-card")).to_have_count(0)
    second.locator(".nbvlm-card-main").focus()
    sheet.page.keyboard.press("Escape")
    expect(first.locator(".nbvlm-status[data-state=running]")).to_have_count(1)
    first.locator("button.nbvlm-stop").click()
    expect(first.locator(".nbvlm-status[data-state=stopped]")).to_have_count(1)
    expect(second.locator(".nbvlm-status[data-state=done]")).to_have_count(1)
    forms = sheet.page.locator("[class^=nbvlm-still-]")
    expect(forms).to_have_count(2)
    assert [form.is_visible() for form in forms.all()] == [False, False]
    assert sheet.errors == []
