"""`nbvlm serve --model`, `nbvlm doctor` and a batch with local models."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

import nbvlm
from nbvlm.cli.main import main

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nbvlm[local]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nbvlm[local]'")
sys.path.insert(0, str(Path(__file__).parent))
import tiny_models

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore:__array__ implementation")]
PICTURE = Image.new("RGB", (64, 64))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.qwen(tmp_path_factory.mktemp("models") / "tiny")


@contextmanager
def serving(*options: str) -> Iterator[Any]:
    environment = os.environ | {"PYTHONPATH": str(Path(nbvlm.__file__).parents[1])}
    command = [sys.executable, "-m", "nbvlm", "serve", "--port", "0", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--device", "cpu"], "--device needs --model."),
        (["--model", "/nowhere"], "neither a folder here nor an id"),
        (["--model", "{}", "--device", "gpu"], "'gpu' is not a device."),
        (
            ["--model", "{}", "--dtype", "float64"],
            "dtype must be one of auto, bfloat16, float16, float32",
        ),
        (["--model", "{}", "--quantize", "2bit"], "quantize must be one of 4bit, 8bit, got '2bit'."),
        (["--model", "{}", "--speak", "qwen3-vl"], "--speak is for the embedded model."),
    ],
)
def test_wrong_options_are_refused_before_a_model_is_loaded(
    folder: Path, options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *[option.format(folder) for option in options]]) == 1
    said = capsys.readouterr()
    assert sentence in said.err
    assert "Loading" not in said.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--device", "cuda:7"], "PyTorch finds no GPU 'cuda:7' here."),
        (["--device", "cpu", "--quantize", "4bit"], "needs an NVIDIA GPU"),
    ],
)
def test_a_device_that_is_not_here_is_refused(
    folder: Path, options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--model", str(folder), *options]) == 1
    assert sentence in capsys.readouterr().err


def test_a_served_model_answers_in_both_protocols(folder: Path) -> None:
    with serving("--model", str(folder), "--device", "cpu", "--dtype", "bfloat16") as process:
        found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        assert found is not None, process.stderr.read()
        url = found[0]
        listed = httpx.get(f"{url}/v1/models").json()
        assert [entry["id"] for entry in listed["data"]] == ["qwen2.5-vl:tiny"]
        for client in (
            nbvlm.Client(f"{url}/v1", model="qwen2.5-vl:tiny"),
            nbvlm.Client("nvidia", base_url=url, assets_url=url, api_key="none"),
        ):
            with client:
                assert client.ask(PICTURE, "detect cat", max_tokens=3).model == "qwen2.5-vl:tiny"
                with pytest.raises(nbvlm.RequestRejected, match="aspect ratio"):
                    client.ask(Image.new("RGB", (1, 500)), "detect cat", max_tokens=3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Loading the model" in errors
    assert "Traceback" not in errors


def test_control_c_ends_the_loading(folder: Path) -> None:
    with serving("--model", str(folder)) as process:
        assert process.stderr.readline() == "  Loading the model.\n"
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, "Traceback" in errors) == ("", False)


def test_the_doctor_says_which_models_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbvlm.cli import doctor_checks

    monkeypatch.setattr("nbvlm.local.device_memory", lambda device: 14e9)
    [finding] = [finding for finding in doctor_checks.local() if "PyTorch" in finding.found]
    assert finding.state == "ok"
    # Without a GPU a model runs in float32, where that fits.
    assert "google/paligemma2-3b-mix-448 in float32 (13.4 GB)" in finding.found
    assert "Qwen/Qwen3-VL-2B-Instruct in float32" in finding.found


def test_a_model_that_cannot_be_loaded_ends_a_batch_at_once(folder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "tiny"
    damaged.mkdir()
    (damaged / "config.json").write_bytes((folder / "config.json").read_bytes())
    for number in range(4):
        PICTURE.save(tmp_path / f"{number}.png")
    with nbvlm.Client("local", model=str(damaged)) as client, pytest.raises(nbvlm.Error) as caught:
        nbvlm.batch([tmp_path / f"{number}.png" for number in range(4)], "detect cat", client=client)
    assert "has no weights" in str(caught.value)
