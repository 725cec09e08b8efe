"""Taking answers away: files and code, made when asked for, in pieces to the page that asked."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from support import made_results as made
from support.panel_page import Page, Screen

import nbvlm
from nbvlm.errors import Error
from nbvlm.widgets import export_menu, thumbnails
from nbvlm.widgets.export_menu import FORMATS, make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.loopback import Loopback

KEY = "nvapi-not-a-real-key-but-just-as-secret"
CAR = "<loc0100><loc0200><loc0300><loc0400> car"


@pytest.fixture
def server(server: Loopback) -> Loopback:
    server.text = CAR
    return server


@pytest.fixture
def panel(page: Page, server: Loopback) -> Iterator[nbvlm.Panel]:
    client = nbvlm.Client("nvidia", api_key=KEY, base_url=server.url)
    panel = nbvlm.Panel(client=client, image=made.image(), prompt="detect car")
    yield panel
    panel.close()


def fetch(page: Page, panel: nbvlm.Panel, form: str, key: str = "a-1") -> tuple[dict[str, Any], bytes]:
    """What arrives on a page that asks for a format."""
    widget = panel._controller.answers.export_menu
    page.send(widget, {"type": "make", "format": form, "id": key})

    def arrived() -> list[tuple[dict[str, Any], list[Any]]]:
        return [one for one in page.custom(widget) if one[0].get("id") == key]

    page.wait(lambda: arrived() and len(arrived()) > arrived()[0][0].get("pieces", 0))
    head, *pieces = arrived()
    return head[0], b"".join(bytes(buffers[0]) for _, buffers in pieces)


def offered(page: Page, panel: nbvlm.Panel) -> bool:
    sent = [one for one, _ in page.custom(panel._controller.answers.export_menu) if one["type"] == "offer"]
    return bool(sent and sent[-1]["offered"])


# The files


def test_each_file_is_what_its_name_says() -> None:
    result = made.result()
    image = Image.open(io.BytesIO(make(result, "png").data))
    assert np.array_equal(np.asarray(image), np.asarray(result.annotate()))
    assert make(result, "svg").data.decode() == result.to_svg()
    assert nbvlm.Result.from_json(make(result, "json").data) == result
    assert next(csv.reader(io.StringIO(make(result, "csv").data.decode())))[:2] == ["label", "x0"]
    assert json.loads(make(result, "coco").data) == result.to_coco()
    assert make(result, "html").data.decode() == result.to_html()
    assert make(result, "curl").data.decode() == result.to_curl()
    assert make(result, "python").data.decode() == export_menu.python_code(result)
    assert [make(result, form).name for form in FORMATS] == [
        "pets-answer.png", "pets-answer.svg", "pets-answer.json", "pets-answer.csv", "pets-answer.coco.json",
        "pets-answer.html", "pets-answer.py", "pets-answer.sh",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["../../etc/passwd", "<b>.png", 'a"b.png', "katze 猫.png", "...", None])
def test_file_names_are_plain_whatever_the_picture_is_called(name: str | None) -> None:
    written = make(made.result(name=name), "json").name
    assert written.endswith("-answer.json")
    assert not set(written) & set("/\\<>\"' ")


def test_another_format_names_those_that_exist() -> None:
    with pytest.raises(Error, match=r"Unknown format 'gif'.*png, svg, json"):
        make(made.result(), "gif")


def test_code_for_a_sample_names_it_and_runs() -> None:
    picture = thumbnails.sample_picture(thumbnails.scenes()[1])
    written = export_menu.python_code(made.result(picture, prompt="caption en"))
    assert "picture = GALLERY[1]\n" in written
    assert len(written) < 1000
    out = subprocess.run([sys.executable, "-c", written], capture_output=True, text=True, check=False)
    assert (out.returncode, out.stderr) == (0, "")
    assert out.stdout.strip()


# To the page


def test_nothing_is_offered_before_there_is_an_answer(page: Page, panel: nbvlm.Panel) -> None:
    assert not offered(page, panel)
    panel.run()
    assert offered(page, panel)
    panel.image = made.photo((64, 48))
    assert not offered(page, panel)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_arrives_whole_on_the_page_that_asked(page: Page, panel: nbvlm.Panel, form: str) -> None:
    result = panel.run()
    head, data = fetch(page, panel, form)
    assert (head["name"], head["mime"]) == (f"picture-answer{FORMATS[form][0]}", FORMATS[form][1])
    assert data == make(result, form).data
    assert KEY.encode() not in data


def test_a_large_file_comes_in_pieces_below_the_limit(
    page: Page, panel: nbvlm.Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_menu, "CHUNK", 1000)
    panel.image = made.photo((200, 150))
    panel.run()
    head, data = fetch(page, panel, "png")
    assert head["pieces"] == -(-len(data) // 1000) > 20
    assert Image.open(io.BytesIO(data)).size == (200, 150)
    assert export_menu.CHUNK < 10 * 2**20


def test_a_failed_export_shows_an_error_and_the_page_stops_waiting(page: Page, panel: nbvlm.Panel) -> None:
    head, _ = fetch(page, panel, "png")
    assert head["type"] == "failed"
    assert Screen(page, panel).sentence.startswith("There is no answer to export.")


def test_code_for_an_uploaded_picture_takes_the_panels_own() -> None:
    written = export_menu.python_code(made.result(name="cat.jpg"))
    assert "picture = panel.image  # of panel = nbvlm.Panel()" in written
    assert "base64" not in written
    compile(written, "code", "exec")


def test_code_for_a_picture_of_the_folder_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = made.result(name="cat.png")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").write_bytes(result.picture.data or b"")
    assert 'picture = "cat.png"' in export_menu.python_code(result)
