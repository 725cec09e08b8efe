"""A model of transformers in this process; the models are tiny, made by the tests."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import os
import pickle
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

import nbvlm
from nbvlm import local
from nbvlm.demo import DemoTransport, Service

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'nbvlm[local]'")
transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed: pip install 'nbvlm[local]'"
)
sys.path.insert(0, str(Path(__file__).parent))
import hub  # noqa: E402
import tiny_models  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

# transformers reads a tensor of PyTorch in a way that NumPy 2 warns of.
pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore:__array__ implementation")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "paligemma": tiny_models.paligemma(root / "tiny-paligemma"),
        "paligemma2": tiny_models.paligemma(root / "tiny-paligemma2", model_type="gemma2"),
        "qwen": tiny_models.qwen(root / "tiny"),
        "gemma3": tiny_models.gemma3(root / "tiny-gemma3"),
    }


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    local.free()


def picture(seed: int = 0, size: tuple[int, int] = (300, 200)) -> Image.Image:
    noise = torch.randint(0, 256, (size[1], size[0], 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(noise.to(torch.uint8).numpy())


def client(folder: Path, **options: Any) -> nbvlm.Client:
    return nbvlm.Client("local", model=str(folder), **options)


def generated(folder: Path, image: Image.Image, text: str, most: int, **options: Any) -> str:
    """What the library itself answers."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    network = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    inputs = processor(text=[text], images=[image], return_tensors="pt")
    inputs.pop("labels", None)
    ids = network.generate(**inputs, max_new_tokens=most, do_sample=False, **options)
    return str(processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=False))


def test_the_models_of_these_tests_are_small(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        assert sum(file.stat().st_size for file in folder.iterdir()) < 2_000_000


@pytest.mark.parametrize(
    ("model", "seed"), [("paligemma", 0), ("paligemma", 1), ("paligemma2", 0), ("paligemma2", 1)]
)
def test_a_greedy_answer_is_that_of_generate(
    folders: dict[str, Path], tmp_path: Path, model: str, seed: int
) -> None:
    image = picture(seed)
    image.save(tmp_path / "picture.png")  # a large picture in memory travels as JPEG
    with client(folders[model]) as asked:
        result = asked.ask(tmp_path / "picture.png", f"detect cat {seed}", temperature=0, max_tokens=30)
    expected = generated(folders[model], image, f"<image>detect cat {seed}", 30)
    assert result.text == expected.removesuffix("<eos>")
    assert result.usage is not None
    assert result.usage.completion_tokens <= 30


def test_a_chat_model_gets_its_template_and_its_words(folders: dict[str, Path]) -> None:
    image = picture(1)
    with client(folders["qwen"]) as asked:
        assert asked.endpoint.model == "qwen2.5-vl:tiny"
        result = asked.ask(image, "detect cat", temperature=0, max_tokens=25)
    assert result.asked != result.prompt
    text = (
        f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{result.asked}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    expected = generated(folders["qwen"], image, text, 25)
    assert result.text == expected.removesuffix("<|im_end|>")


def test_location_tokens_become_boxes(folders: dict[str, Path]) -> None:
    network = transformers.AutoModelForImageTextToText.from_pretrained(folders["paligemma"])
    processor = transformers.AutoProcessor.from_pretrained(folders["paligemma"])
    words = "<loc0100><loc0200><loc0500><loc0900> cat<eos>"
    planned = processor.tokenizer(words, add_special_tokens=False)["input_ids"]
    answer = _forced(network, processor, planned)
    tokens = list(answer.stream(picture(), "detect cat", temperature=0, top_p=1, max_tokens=20))
    assert "".join(token.text for token in tokens) == "<loc0100><loc0200><loc0500><loc0900> cat"
    assert tokens[-1].finish_reason == "stop"


def _forced(network: Any, processor: Any, planned: list[int]) -> Any:
    from nbvlm.local.generation import Generation

    forward = network.forward
    step = iter(planned)

    @functools.wraps(forward)
    def forced(*args: Any, **options: Any) -> Any:
        outputs = forward(*args, **options)
        outputs.logits = torch.full_like(outputs.logits, -100.0)
        outputs.logits[..., -1, next(step)] = 100.0
        return outputs

    network.forward = forced
    return Generation(network, processor, "forced")


def test_an_answer_streams_and_its_text_is_whole(folders: dict[str, Path]) -> None:
    with client(folders["paligemma"]) as asked, asked.stream(picture(), "caption en", max_tokens=8) as stream:
        pieces = [event.text for event in stream if isinstance(event, nbvlm.TextDelta)]
    assert stream.result is not None
    assert "".join(pieces) == stream.result.text
    assert len(pieces) > 3
    assert stream.result.finish_reason == "length"


def test_the_seed_decides_alone_whatever_is_answered_beside_it(folders: dict[str, Path]) -> None:
    made = local.LocalModel(local.LocalOptions(str(folders["paligemma"])))
    generation = made.load()

    def say(seed: int) -> str:
        tokens = generation.stream(
            picture(), "caption en", temperature=1.0, top_p=0.9, max_tokens=12, seed=seed
        )
        return "".join(token.text for token in tokens)

    alone = [say(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(say, range(6)))
    assert together == alone
    assert len(set(alone)) > 1


def test_top_p_and_temperature_bound_what_is_drawn(folders: dict[str, Path]) -> None:
    from nbvlm.local.generation import _Row, _Sampler

    row = _Row(picture(), "", temperature=1.0, top_p=0.5, most=1, seed=1)
    sampler = _Sampler(torch, [row], "cpu")
    chances = torch.tensor([0.4, 0.3, 0.2, 0.1])
    drawn = [int(sampler(None, chances.log()[None].clone())[0].argmax()) for _ in range(400)]
    assert set(drawn) == {0, 1}
    assert 0.45 < drawn.count(0) / 400 < 0.7  # 4 of 7
    row.top_p = 1.0
    drawn = [int(sampler(None, chances.log()[None].clone())[0].argmax()) for _ in range(2000)]
    assert 0.06 < drawn.count(3) / 2000 < 0.14


def test_questions_that_come_together_share_a_forward_pass(folders: dict[str, Path]) -> None:
    with client(folders["paligemma"]) as asked:
        single = [asked.ask(picture(i), "detect cat", temperature=0, max_tokens=20).text for i in range(8)]
        generation = next(iter(local.loading._loaded.values()))
        passes = _count_passes(generation)
        with ThreadPoolExecutor(8) as pool:
            together = list(
                pool.map(
                    lambda i: asked.ask(picture(i), "detect cat", temperature=0, max_tokens=20).text, range(8)
                )
            )
    assert together == single
    assert len(passes) < 8


def test_a_family_with_a_list_of_pictures_answers_several_questions_at_once(folders: dict[str, Path]) -> None:
    with client(folders["gemma3"]) as asked:

        def ask(number: int) -> str:
            return asked.ask(picture(number), "detect cat", temperature=0, max_tokens=10).text

        single = [ask(number) for number in range(4)]
        passes = _count_passes(next(iter(local.loading._loaded.values())))
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(ask, range(4))) == single
    assert max(passes) > 1


def test_a_picture_that_the_model_refuses_harms_no_question_beside_it(folders: dict[str, Path]) -> None:
    strip = Image.new("RGB", (1, 500))
    with client(folders["qwen"]) as asked:

        def ask(image: Image.Image) -> str:
            try:
                return asked.ask(image, "detect cat", temperature=0, max_tokens=10).text
            except nbvlm.Error as error:
                return f"failed: {error.message}"

        single = [ask(picture(number)) for number in range(3)]
        passes = _count_passes(next(iter(local.loading._loaded.values())))
        with ThreadPoolExecutor(4) as pool:
            *together, refused = pool.map(ask, [*map(picture, range(3)), strip])
    assert max(passes) > 1
    assert together == single
    assert "aspect ratio" in refused


def _count_passes(generation: Any) -> list[int]:
    passes: list[int] = []
    answer = generation._answer

    def counted(rows: Any) -> None:
        passes.append(len(rows))
        answer(rows)

    generation._answer = counted
    return passes


def test_a_batch_fills_the_passes(folders: dict[str, Path], tmp_path: Path) -> None:
    for index in range(16):
        picture(index).save(tmp_path / f"{index:02}.png")
    with client(folders["paligemma"]) as asked:
        asked.ask(picture(), "detect cat", max_tokens=1)
        passes = _count_passes(next(iter(local.loading._loaded.values())))
        table = nbvlm.batch(
            tmp_path, "detect cat", client=asked, journal=None, concurrency=8, temperature=0.01, max_tokens=20
        )
    assert len(table) == 16
    assert not table["error"].notna().any(), table["error"].dropna().iloc[0]
    assert sum(passes) == 16
    assert max(passes) > 1


def test_a_picture_is_encoded_once_for_several_questions(folders: dict[str, Path]) -> None:
    with client(folders["paligemma"]) as asked:
        asked.ask(picture(), "detect cat", temperature=0, max_tokens=3)
        generation = next(iter(local.loading._loaded.values()))
        seen: list[int] = []
        encode = generation._features._encode

        def counted(pixels: Any, **options: Any) -> Any:
            seen.append(len(pixels))
            return encode(pixels, **options)

        generation._features._encode = counted
        asked.ask(picture(), "caption en", temperature=0, max_tokens=3)
        assert seen == []
        asked.ask(picture(7), "caption en", temperature=0, max_tokens=3)
        assert seen == [1]


def test_stop_ends_the_computation_at_the_next_token(folders: dict[str, Path]) -> None:
    with client(folders["paligemma"]) as asked:
        with asked.stream(picture(), "caption en", temperature=0, max_tokens=900) as stream:
            next(event for event in stream if isinstance(event, nbvlm.TextDelta))
            generation = next(iter(local.loading._loaded.values()))
            steps = _count_steps(generation)
        ended = threading.Event()
        for _ in range(200):
            if not generation._working:
                ended.set()
                break
            threading.Event().wait(0.01)
    assert ended.is_set()
    assert len(steps) < 100


def _count_steps(generation: Any) -> list[int]:
    steps: list[int] = []
    forward = generation._network.forward

    def counted(*args: Any, **options: Any) -> Any:
        steps.append(1)
        return forward(*args, **options)

    generation._network.forward = counted
    return steps


def test_an_async_client_answers_the_same(folders: dict[str, Path]) -> None:
    async def ask() -> str:
        async with nbvlm.AsyncClient("local", model=str(folders["paligemma"])) as asked:
            return (await asked.ask(picture(), "detect cat", temperature=0, max_tokens=10)).text

    expected = generated(folders["paligemma"], picture(), "<image>detect cat", 10)
    assert asyncio.run(ask()) == expected.removesuffix("<eos>")


def test_loading_shows_progress_and_can_be_stopped(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbvlm.local import service

    monkeypatch.setattr(service, "STEP_S", 0.001)
    shown: list[nbvlm.Status] = []
    with client(folders["paligemma"]) as asked:
        asked.ask(picture(), "detect cat", max_tokens=2, progress=shown.append)
    kinds = [status.kind for status in shown]
    assert kinds[-1] == "waiting"
    assert "loading" in kinds
    assert any(status.total for status in shown)

    begun, go_on = threading.Event(), threading.Event()
    load = transformers.AutoProcessor.from_pretrained

    def held(*args: Any, **options: Any) -> Any:
        begun.set()
        go_on.wait(30)
        return load(*args, **options)

    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", held)
    asked = client(folders["paligemma"])
    stream = asked.stream(picture(), "detect cat")
    thread = threading.Thread(target=lambda: list(stream))
    thread.start()
    assert begun.wait(60)
    stream.cancel()
    thread.join(10)
    assert not thread.is_alive()
    go_on.set()
    with local.loading._LOADING:
        assert not local.loading._loaded


def test_a_closed_client_frees_the_model(folders: dict[str, Path]) -> None:
    asked, other = client(folders["paligemma"]), client(folders["paligemma"])
    for one in (asked, other):
        one.ask(picture(), "detect cat", max_tokens=2)
    network = weakref.ref(next(iter(local.loading._loaded.values()))._network)
    asked.close()
    assert network() is not None
    gc.collect()
    gc.disable()  # closing itself frees it: a GPU's memory is handed back in that moment
    try:
        other.close()
        assert network() is None
    finally:
        gc.enable()


def test_closing_hands_back_the_memory(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil", reason="psutil is not installed: pip install psutil")
    folder = tiny_models.paligemma(tmp_path / "paligemma", hidden_size=512, intermediate_size=8192)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    process = psutil.Process()
    with client(folder) as asked:
        before = process.memory_info().rss
        asked.ask(picture(), "detect cat", max_tokens=2)
        loaded = process.memory_info().rss
    assert loaded - before > 0.5 * size
    assert process.memory_info().rss < loaded - 0.5 * size


def test_another_model_waits_for_the_answer_that_is_being_computed(folders: dict[str, Path]) -> None:
    with client(folders["paligemma2"]) as first, client(folders["qwen"]) as second:
        with first.stream(picture(), "caption en", temperature=0, max_tokens=200) as stream:
            next(event for event in stream if isinstance(event, nbvlm.TextDelta))
            with ThreadPoolExecutor(1) as pool:
                other = pool.submit(second.ask, picture(), "detect cat", max_tokens=2)
                for _ in stream:
                    pass
                assert other.result(60).text is not None
        assert stream.result is not None
        assert stream.result.finish_reason in ("length", "stop")


def test_a_client_closes_while_another_model_is_loaded(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.loading, "_most", 2)
    begun, go_on = threading.Event(), threading.Event()
    load = local.loading._load

    def held(options: Any, *rest: Any) -> Any:
        if options.name.startswith("qwen"):
            begun.set()
            assert go_on.wait(60)
        return load(options, *rest)

    monkeypatch.setattr(local.loading, "_load", held)
    with (
        client(folders["paligemma"]) as asked,
        client(folders["qwen"]) as slow,
        ThreadPoolExecutor(2) as pool,
    ):
        asked.ask(picture(), "detect cat", max_tokens=2)
        loading = pool.submit(slow.ask, picture(), "detect cat", max_tokens=2)
        try:
            assert begun.wait(60)
            again = pool.submit(asked.ask, picture(), "detect cat", max_tokens=2)
            assert again.result(60).finish_reason
            asked.close()
            assert not local.loading._loaded
        finally:
            go_on.set()
        assert loading.result(60).finish_reason


def test_one_model_is_in_memory_unless_more_are_asked_for(folders: dict[str, Path]) -> None:
    with client(folders["paligemma"]) as first, client(folders["qwen"]) as second:
        first.ask(picture(), "detect cat", max_tokens=2)
        second.ask(picture(), "detect cat", max_tokens=2)
        assert [options.name for options in local.loading._loaded] == ["qwen2.5-vl:tiny"]
        local.keep(2)
        try:
            first.ask(picture(), "detect cat", max_tokens=2)
            assert len(local.loading._loaded) == 2
        finally:
            local.keep(1)
        assert len(local.loading._loaded) == 1


def test_what_does_not_fit_is_refused_with_what_does(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvlm.local.memory.device_memory", lambda device: 2.5e9)
    monkeypatch.setattr("nbvlm.local.files.parameters", lambda options, token: 3.0e9)
    with client(folders["paligemma"]) as asked, pytest.raises(nbvlm.ParameterError) as caught:
        asked.ask(picture(), "detect cat")
    assert "needs about 13.4 GB in float32; This computer has 2.5 GB free" in caught.value.message
    assert "SmolVLM-256M" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "config.json").unlink(), "neither a folder|holds no model"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 50), "is damaged"),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "unheard"}'),
            "not a vision-language model",
        ),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "gpt2"}'),
            "not a vision-language model",
        ),
        (lambda folder: _cut_into_parts(folder), "lacks model-00002-of-00002.safetensors"),
        (lambda folder: (folder / "processor_config.json").unlink(), "lacks files of its processor"),
    ],
)
def test_a_damaged_folder_is_an_error_of_ours(tmp_path: Path, damage: Any, message: str) -> None:
    folder = tiny_models.paligemma(tmp_path / "tiny-paligemma")
    damage(folder)
    with pytest.raises(nbvlm.Error, match=message):
        client(folder).ask(picture(), "detect cat")


def _cut_into_parts(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))


def test_a_missing_package_of_a_family_is_named_with_its_pip_line(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: Any, **__: Any) -> Any:
        raise ImportError(
            "Package `num2words` is required to run this processor. Install it with `pip install num2words`."
        )

    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", lacking)
    with client(folders["paligemma"]) as asked, pytest.raises(nbvlm.Error) as caught:
        asked.ask(picture(), "detect cat")
    assert caught.value.hint == "Run: pip install num2words"


def test_a_gpu_without_bfloat16_computes_in_float16_where_the_model_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nbvlm.local import memory

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    # A Tesla T4 emulates bfloat16.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    options = local.LocalOptions("google/paligemma2-3b-mix-448")
    assert memory.choose(options, "paligemma") == ("cuda", "float16")
    assert memory.choose(options, "gemma3") == ("cuda", "float32")


def test_a_folder_may_be_a_path(folders: dict[str, Path]) -> None:
    with nbvlm.Client("local", model=folders["paligemma"]) as asked:  # type: ignore[arg-type]
        assert asked.endpoint.model == "paligemma:tiny-paligemma"


def test_the_service_serves_the_model(folders: dict[str, Path]) -> None:
    model = local.LocalModel(local.LocalOptions(str(folders["qwen"])))
    service = Service(model, name=model.options.name)
    with httpx.Client(transport=DemoTransport(service), base_url="http://here") as http:
        listed = http.get("/v1/models").json()
        assert [entry["id"] for entry in listed["data"]] == ["qwen2.5-vl:tiny"]
        refused = http.post("/v1/chat/completions", json={"model": "nbvlm/demo", "messages": []})
        assert refused.status_code == 404
    model.close()


def test_a_picture_that_cannot_be_read_is_refused_before_a_model_is_loaded(folders: dict[str, Path]) -> None:
    with client(folders["paligemma"]) as asked:
        with pytest.raises(nbvlm.ImageError):
            asked.ask("missing.jpg", "detect cat")
        assert not local.loading._loaded


def test_an_answer_is_recorded_and_played(folders: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "recording.json"
    with client(folders["paligemma"], transport=nbvlm.record(file)) as asked:
        shown: list[nbvlm.Status] = []
        answer = asked.ask(picture(), "detect cat", temperature=0, max_tokens=5, progress=shown.append)
        assert answer.model == "paligemma:tiny-paligemma"
    local.free()
    for playing in (
        nbvlm.Client(transport=nbvlm.replay(file)),
        client(folders["paligemma"], transport=nbvlm.replay(file)),
    ):
        with playing:
            played = playing.ask(picture(), "detect cat", temperature=0, max_tokens=5)
            assert (played.text, played.model) == (answer.text, answer.model)
    assert not local.loading._loaded


def test_a_settings_copy_travels_without_the_token(folders: dict[str, Path]) -> None:
    asked = client(folders["paligemma"], api_key="hf_secret123456")
    assert "hf_secret" not in repr(asked)
    packed = pickle.dumps(asked)
    assert b"hf_secret" not in packed
    assert pickle.loads(packed).settings.local == asked.settings.local


HUB = """
import json, sys, threading
import nbvlm
from PIL import Image

from nbvlm.local import service

service.STEP_S = 0.001  # the download is short
picture = Image.new("RGB", (64, 64))

def ask(model, token=None, **options):
    with nbvlm.Client("local", model=model, api_key=token) as client:
        try:
            return client.ask(picture, "detect cat", max_tokens=3, **options).model
        except nbvlm.Error as error:
            return [type(error).__name__, str(error)]

found = {"gated": ask("owner/tiny"), "unknown": ask("owner/other"), "text": ask("owner/text")}
found["closed"] = ask("owner/closed")
print("slow", flush=True)
sys.stdin.readline()
with nbvlm.Client("local", model="owner/tiny", api_key="hf_good") as client:
    stream = client.stream(picture, "detect cat")
    downloads = (status for status in stream if status.kind == "download")
    thread = threading.Thread(target=lambda: [stream.cancel() for _ in downloads])
    thread.start()
    thread.join(60)
    found["stopped"] = not thread.is_alive()
print("fast", flush=True)
sys.stdin.readline()
seen = []
found["good"] = ask("owner/tiny", "hf_good", progress=lambda status: seen.append([status.kind, status.total]))
found["kinds"] = seen
found["again"] = ask("owner/tiny")
print(json.dumps(found))
"""


def test_a_model_is_downloaded_with_progress_and_what_is_missing_is_said(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    text = tmp_path / "text"
    text.mkdir()
    (text / "config.json").write_text('{"model_type": "gpt2"}')
    (text / "model.safetensors").write_bytes(b"x" * 1000)
    models = {"owner/tiny": folders["qwen"], "owner/text": text}
    with hub.serving(models, gated=("owner/tiny",), closed=("owner/closed",)) as server:
        environment = os.environ | {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(tmp_path),
            "HF_HUB_OFFLINE": "0",
            "PYTHONPATH": str(Path(nbvlm.__file__).parents[1]),
        }
        command = [sys.executable, "-c", HUB]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]
            assert process.stdout.readline() == "slow\n", process.stderr.read()
            server.slow.set()
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "fast\n", process.stderr.read()
            server.slow.clear()
            out, errors = process.communicate("\n", timeout=120)
        assert process.returncode == 0, errors
        assert errors == ""
    found = json.loads(out)
    assert found["gated"][0] == "AuthenticationError"
    assert "Accept it at huggingface.co/owner/tiny" in found["gated"][1]
    assert found["unknown"][0] == "NotFoundError"
    assert found["text"][0] == "ParameterError"
    assert not any("owner/text" in path and "safetensors" in path for _, path, _ in server.requests)
    assert found["closed"][0] == "AuthenticationError"
    assert "refuses the token (403)" in found["closed"][1]
    assert found["stopped"]
    assert found["good"] == "owner/tiny"
    assert any(kind == "download" and total for kind, total in found["kinds"])
    assert found["again"] == "owner/tiny"  # from the cache, without the token
    for _, path, key in server.requests:
        assert "hf_" not in path
        assert key in (None, "Bearer hf_good")
