"""Results whose every text is an attack: exports hold it as data, and nothing of it is run."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from support import made_results as made
from support.hostile_results import ATTACKS, hostile

import nbvlm
from nbvlm.images.picture import Picture
from nbvlm.request_body import Source, body
from nbvlm.result import Result
from nbvlm.result.result import ResultData
from nbvlm.widgets.export_menu import FORMATS, make

everywhere = pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))


def without_picture(attack: str, **changes) -> Result:
    return dataclasses.replace(Result.from_json(hostile(attack).to_json()), **changes)


STUB = """
import json, sys
class Picture:
    @staticmethod
    def load(source, name=None): return ["picture", source[:22], name]
class Client:
    def __init__(self, *args, **options): self.opened = [args, options]
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def ask(self, picture, prompt, **options):
        json.dump([self.opened, picture, prompt, options], open("asked.json", "w"))
        class Result: text, detections = "", ()
        return Result
"""


def run(command: list[str], code: str, folder, **environment: str) -> str:
    # As a file has it: the panel writes what UTF-8 cannot hold as escapes.
    done = subprocess.run(
        command,
        input=code.encode("utf-8", "backslashreplace"),
        capture_output=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1"} | environment,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not (folder / "hacked").exists()
    return done.stdout.decode()


@everywhere
def test_python_holds_values_and_runs_nothing_of_them(attack: str, tmp_path) -> None:
    (tmp_path / "nbvlm.py").write_text(STUB)
    parameters = {"temperature": 0.5, attack: 1.0, "class": 2, "top_p": float("inf")}
    results = [
        hostile(attack, endpoint="nvidia"),
        hostile(attack, endpoint="https://models.example.org/" + attack),
        hostile(attack, endpoint="http://[" + attack),
        hostile(attack, base_url=attack, assets_url=attack),
        without_picture(attack),
    ]
    for result in results:
        result = dataclasses.replace(result, parameters=parameters)
        environment = {"PYTHONPATH": str(tmp_path), "NVIDIA_API_KEY": "none"}
        run([sys.executable, "-"], result.to_python(), tmp_path, **environment)
        opened, picture, prompt, options = json.loads((tmp_path / "asked.json").read_text())
        assert prompt == result.prompt
        assert options.items() >= result.parameters.items()
        assert opened[0] == [result.endpoint]
        assert isinstance(picture, str) or picture[1] == "data:image/png;base64,"


CURL = """#!/bin/sh
printf '%s\\0' "$@" >> args
printf '%s\\0' "END" >> args
case "$*" in *data-binary*) cat > sent;; esac
printf '{"assetId":"abc","uploadUrl":"-K/etc/passwd"}'
"""


@pytest.fixture
def curl(tmp_path):
    """Run a script by `sh` with a curl that writes its arguments down; return the arguments of each call."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "curl").write_text(CURL)
    (programs / "curl").chmod(0o755)

    def shell(code: str) -> list[list[str]]:
        (tmp_path / "args").unlink(missing_ok=True)
        path = f"{programs}:{os.environ['PATH']}"
        run(["sh", "-s"], code, tmp_path, PATH=path, NVIDIA_API_KEY="none")
        calls = (tmp_path / "args").read_bytes().decode("utf-8", "replace").split("END\0")
        return [call.split("\0")[:-1] for call in calls[:-1]]

    return shell


@pytest.mark.parametrize("route", ["inline", "asset"])
@everywhere
def test_a_shell_script_holds_values_and_runs_nothing_of_them(attack, route, curl, tmp_path) -> None:
    changes = {"route": route, "parameters": {"temperature": 0.5, attack: 1.0}}
    (tmp_path / "photo.png").write_bytes(made.result().picture.data)
    hosted = {"endpoint": "nvidia", "model": "google/paligemma"}
    results = {
        "http://127.0.0.1:8000/v1/vlm/google/paligemma": hostile(attack, **changes),
        "https://ai.api.nvidia.com/v1/vlm/google/paligemma": hostile(attack, **hosted, **changes),
        None: hostile(attack, base_url=attack, assets_url=attack, **hosted, **changes),
    }
    for url, result in results.items():
        for code in (result.to_curl(), result.to_curl(image="photo.png")):
            calls = curl(code)
            asked = calls[-2] if route == "asset" else calls[-1]
            assert url is None or asked[asked.index("--url") + 1] == url
            assert all("--globoff" in call and "=http,https" in call for call in calls)
            sent = json.loads((tmp_path / "sent").read_bytes())
            assert sent["messages"][0]["content"].startswith(result.prompt)
            assert sent[attack] == 1.0
            if route == "asset":
                upload = calls[1]
                assert upload[upload.index("--url") + 1] == "-K/etc/passwd"


@everywhere
def test_a_file_name_is_a_file_name_in_a_shell_script(attack: str, curl, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = (Picture.reference("0" * 64, "image/png", 9, 9, attack).name or "").replace("\0", "")
    if not name or name in (".", "..") or "\ud83d" in name:
        pytest.skip("no file can have this name")
    (tmp_path / name).write_bytes(made.result().picture.data)
    for result in (hostile("cat", route="asset"), without_picture("cat", route="asset")):
        renamed = Picture.reference("0" * 64, "image/png", 200, 120, name)
        for code in (result.to_curl(image=name), dataclasses.replace(result, picture=renamed).to_curl()):
            upload = curl(code)[1]
            assert (tmp_path / upload[upload.index("-T") + 1]).samefile(tmp_path / name)


def test_special_names_of_curl_are_files_too(curl, tmp_path) -> None:
    for name in ("-", "-x"):
        (tmp_path / name).write_bytes(made.result().picture.data)
        for route in ("inline", "asset"):
            calls = curl(made.result(route=route).to_curl(image=name))
            assert route == "inline" or "./-" in calls[1] or "-x" in calls[1]


@pytest.mark.parametrize(
    "address", ["https://evil.example", "http://ai.api.nvidia.com", "https://nvidia.com.evil.example"]
)
def test_the_hosted_key_goes_to_the_hosted_service_and_to_this_machine_only(address: str) -> None:
    hosted = made.result(endpoint="nvidia", model="google/paligemma")
    for changes in (
        {"base_url": address},
        {"assets_url": address},
        {"base_url": "http://127.0.0.1:1", "assets_url": address},
    ):
        for route in ("inline", "asset"):
            result = dataclasses.replace(hosted, route=route, **changes)
            assert "NVIDIA_API_KEY" not in result.to_curl()
            assert address not in result.to_python() or "NVIDIA_API_KEY" not in result.to_python()
    own = dataclasses.replace(hosted, base_url="http://127.0.0.1:8000", route="asset")
    assert "NVIDIA_API_KEY" in own.to_curl()
    assert "NVIDIA_API_KEY" in own.to_python()


class Elements(HTMLParser):
    """Collects the elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


ALLOWED = (
    "html head meta title style body main h1 h2 p figure img figcaption section div table caption thead tr th"
    " tbody td span pre dl dt dd ul li small details summary code em"
)


@everywhere
def test_html_holds_text_and_no_element_or_attribute_of_it(attack: str) -> None:
    for result in (hostile(attack), without_picture(attack)):
        for page in (result.to_html(), result._repr_mimebundle_()[0]["text/html"]):
            page.encode()
            found = Elements(page)
            assert found.tags <= set(ALLOWED.split())
            names = {name for name, _ in found.attributes}
            assert not {name for name in names if name.startswith("on") or name == "href"}
            assert all(
                str(value).startswith("data:image/") for name, value in found.attributes if name == "src"
            )
            assert "hacked" not in "".join(name for name, _ in found.attributes)


@everywhere
def test_svg_is_strict_xml_with_the_elements_of_a_drawing_only(attack: str) -> None:
    for result in (hostile(attack), without_picture(attack)):
        root = ElementTree.fromstring(result.to_svg().encode())
        tags = {element.tag.partition("}")[2] for element in root.iter()}
        assert tags <= {"svg", "title", "metadata", "desc", "image", "rect", "g", "path", "text"}
        assert not {name for element in root.iter() for name in element.attrib if name.startswith("on")}


@everywhere
def test_every_export_and_print_works_and_has_no_control_characters_for_a_terminal(attack, tmp_path) -> None:
    for result in (hostile(attack), without_picture(attack)):
        for text in (repr(result), result._repr_mimebundle_()[0]["text/plain"]):
            text.encode()
            assert not any((char < " " and char != "\n") or "\x7f" <= char < "\xa0" for char in text)
        forms = FORMATS if result.picture.data else ("json", "csv", "coco", "python", "curl", "html", "svg")
        for form in forms:
            made_file = make(result, form)
            assert made_file.data
            assert made_file.name.isprintable()
            assert "/" not in made_file.name
        for ending in (".json", ".csv", ".html", ".svg", *((".png",) if result.picture.data else ())):
            assert result.save(tmp_path / f"saved{ending}").stat().st_size
        assert Result.from_json((tmp_path / "saved.json").read_bytes()) == result
        result.to_dataframe().to_csv(tmp_path / "frame.csv")
        assert json.loads(json.dumps(result.to_coco()))["categories"]
        assert result.to_yolo().isascii()
        result.to_supervision()
        assert hash(result) == hash(result)


@everywhere
def test_a_cell_of_a_table_is_no_formula(attack: str) -> None:
    text = make(hostile(attack), "csv").data.decode()
    for row in csv.reader(io.StringIO(text, newline="")):
        assert len(row) == 16
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in (row[0], *row[13:]))


def test_a_body_with_half_a_character_is_json() -> None:
    written = body(nbvlm.endpoints.get("nvidia"), "half \ud83d", Source("image/png", b"x"), {})
    assert json.loads(written)["messages"][0]["content"].startswith("half \ud83d")


def test_no_field_of_a_result_is_left_out_here() -> None:
    checked = {
        "text",
        "asked",
        "reasoning",
        "prompt",
        "model",
        "finish_reason",
        "request_id",
        "created",
        "notices",
        "problems",
    }
    elsewhere = {"detections", "picture", "endpoint", "base_url", "assets_url", "parameters", "route"}
    numbers = {"usage", "sent", "timing", "has_locations"}
    assert checked | elsewhere | numbers == {field.name for field in dataclasses.fields(ResultData)}
