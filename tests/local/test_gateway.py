"""The gateway of a class before a local model: two students, loading, a refusal, and what stays in memory."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nbvlm[local]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'nbvlm[local]'")
pytest.importorskip("starlette", reason="Starlette is not installed: pip install 'nbvlm[gateway]'")

from support.gateway_running import running

import nbvlm
from nbvlm import gateway, local

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.gateway_running import Class

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore:__array__ implementation")]
PICTURE = Image.new("RGB", (64, 64))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    tiny_models.paligemma(root / "tiny-paligemma")
    tiny_models.qwen(root / "tiny-qwen")
    return root


@contextmanager
def lesson(models: Path, *names: str, **sections: Any) -> Iterator[Class]:
    upstream = {"endpoint": "local", "models": [str(models / name) for name in names], "at_once": 8}
    upstream |= {"base_url": "", "assets_url": ""}
    with running(upstream=upstream, **sections) as made:
        yield made


def test_two_students_share_a_forward_pass_and_the_end_frees_the_model(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lesson(models, "tiny-paligemma") as made:
        ada, emil = (made.client(name, monkeypatch) for name in ("Ada", "Emil"))
        assert ada.endpoint.model == "paligemma:tiny-paligemma"
        with ThreadPoolExecutor(2) as pool:
            asked = [
                pool.submit(one.ask, PICTURE, f"detect cat {one is ada}", max_tokens=20, temperature=0)
                for one in (ada, emil)
            ]
            found = [one.result(120) for one in asked]
        assert [result.model for result in found] == ["paligemma:tiny-paligemma"] * 2
        assert all(result.usage.completion_tokens == 20 for result in found)
        assert local.loading._loaded
    assert not local.loading._loaded


def test_students_see_how_far_the_loading_is_and_a_switch_takes_the_place_in_memory(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbvlm.local import service

    monkeypatch.setattr(service, "STEP_S", 0.001)
    begun, go_on = threading.Event(), threading.Event()
    load = local.loading._load

    def held(*given: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return load(*given)

    monkeypatch.setattr(local.loading, "_load", held)
    with lesson(models, "tiny-paligemma", "tiny-qwen") as made:
        ada = made.client("Ada", monkeypatch)
        seen = []
        with ThreadPoolExecutor(1) as pool:

            def ask() -> nbvlm.Result:
                with ada.stream(PICTURE, "detect cat", max_tokens=3) as stream:
                    for event in stream:
                        seen.append(event)
                        if getattr(event, "kind", "") == "loading":
                            go_on.set()
                return stream.result

            assert pool.submit(ask).result(120).finish_reason == "length"
        kinds = [event.kind for event in seen if isinstance(event, nbvlm.Status)]
        assert "loading" in kinds
        assert kinds.index("loading") < len(seen) - 1

        made.gateway.rules.change(model="qwen2.5-vl:tiny-qwen", models=("qwen2.5-vl:tiny-qwen",))
        emil = made.client("Emil", monkeypatch)
        assert emil.ask(PICTURE, "detect cat", max_tokens=3).model == "qwen2.5-vl:tiny-qwen"
        assert [options.name for options in local.loading._loaded] == ["qwen2.5-vl:tiny-qwen"]


def test_a_student_who_leaves_stops_the_computation(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lesson(models, "tiny-paligemma") as made:
        ada = made.client("Ada", monkeypatch)
        with ada.stream(PICTURE, "detect cat", temperature=0, max_tokens=4000) as stream:
            next(event for event in stream if isinstance(event, nbvlm.TextDelta))
            generation = next(iter(local.loading._loaded.values()))
        for _ in range(500):
            if not generation._working:
                break
            threading.Event().wait(0.02)
        assert not generation._working


def test_a_model_that_cannot_be_loaded_is_the_teachers_affair(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvlm.local.memory.device_memory", lambda device: 2.0e6)
    with lesson(models, "tiny-paligemma") as made:
        ada = made.client("Ada", monkeypatch)
        with pytest.raises(nbvlm.ServerError) as caught:
            ada.ask(PICTURE, "detect cat")
        assert "cannot be loaded: ask your teacher to check it" in caught.value.message
        [(_, said)] = made.gateway.dispatcher.errors
        assert "needs about 0.3 GB in float32" in said


def test_a_picture_that_the_model_refuses_is_said_in_its_words(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lesson(models, "tiny-qwen") as made:
        ada = made.client("Ada", monkeypatch)
        with pytest.raises(nbvlm.RequestRejected, match="aspect ratio") as caught:
            ada.ask(Image.new("RGB", (1, 500)), "detect cat")
        assert caught.value.status == 422


def test_a_folder_begins_at_that_of_the_file_and_options_reach_the_model(models: Path) -> None:
    text = '[upstream]\nendpoint = "local"\nmodels = ["tiny-qwen"]\ndevice = "cpu"\ndtype = "bfloat16"\n'
    (models / "gateway.toml").write_text(text)
    made = gateway.Upstream(gateway.load(models / "gateway.toml"))
    options = made._clients["qwen2.5-vl:tiny-qwen"].settings.local
    assert (options.device, options.dtype) == ("cpu", "bfloat16")
    with pytest.raises(nbvlm.ParameterError, match="needs models"):
        gateway.parsed({"upstream": {"endpoint": "local"}})
    with pytest.raises(nbvlm.ParameterError, match="device=… is for a model in this process"):
        gateway.Upstream(gateway.parsed({"upstream": {"endpoint": "demo", "device": "cpu"}}))
