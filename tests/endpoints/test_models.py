"""Which models see: as their servers say, else by name."""

from __future__ import annotations

import pytest

from nbvlm import endpoints


@pytest.mark.parametrize(
    "name",
    [
        "Qwen/Qwen3-VL-8B-Instruct", "qwen2.5vl:7b", "qwen3.5:9b", "gemma3:4b", "ggml-org/gemma-3-4b-it-GGUF",
        "llama3.2-vision:11b", "gpt-5.2", "o4-mini", "gemini-3.7-flash", "deepseek-ocr", "nbvlm/demo",
        "google/paligemma2-3b-mix-448", "moonshotai/kimi-k3", "glm-4.6v", "mistral-small3.1",
        "internvl3_5:8b", "google/gemma-4-31b-it", "granite3.2-vision", "llava:7b", "openai/gpt-4.1",
    ],
)  # fmt: skip
def test_names_of_models_that_see(name):
    assert endpoints.sees(name) is True


@pytest.mark.parametrize(
    "name",
    ["gemma3:1b", "gpt-4o-mini-tts", "gpt-oss:20b", "omni-moderation-latest", "gemini-embedding-001",
     "nomic-embed-text", "gpt-image-1", "google/gemini-2.5-flash-image-1"],
)  # fmt: skip
def test_names_of_models_that_do_not(name):
    assert endpoints.sees(name) is False


@pytest.mark.parametrize("name", ["qwen3:8b", "Qwen/Qwen3-8B", "llama-3.1-8b", "devstral", "", "/"])
def test_other_names_say_nothing(name):
    assert endpoints.sees(name) is None


def play(kind, answers, path="/v1"):
    """Carry a listing by hand: the answers by path, and by model."""
    steps = endpoints.listing(kind, path)
    asked = []
    try:
        step = next(steps)
        while True:
            asked.append(step.path)
            key = (step.body or {}).get("model", step.path)
            step = steps.send(answers.get(key))
    except StopIteration as end:
        return {model.id: model.vision for model in end.value}, asked


def test_models_that_see_come_first_and_the_order_is_kept():
    data = [{"id": name} for name in ("text-embedding-3-small", "qwen3:8b", "gpt-6.1", "gpt-4o")]
    found, _ = play("openai", {"/v1/models": {"data": data}})
    assert list(found.items()) == [
        ("gpt-6.1", True),
        ("gpt-4o", True),
        ("qwen3:8b", None),
        ("text-embedding-3-small", False),
    ]


def test_a_declared_modality_outweighs_the_name():
    data = [
        {"id": "a/qwen3-vl", "architecture": {"input_modalities": ["text"]}},
        {"id": "b/plain", "architecture": {"input_modalities": ["text", "image"]}},
        {"id": "c/plain", "architecture": {}},
    ]
    found, _ = play("openai", {"/v1/models": {"data": data}})
    assert found == {"b/plain": True, "c/plain": None, "a/qwen3-vl": False}


def test_googles_ids_lose_their_folder():
    found, _ = play(
        "openai", {"/v1beta/openai/models": {"data": [{"id": "models/gemini-3.7-flash"}]}}, "/v1beta/openai"
    )
    assert found == {"gemini-3.7-flash": True}


def test_capabilities_in_ollamas_list_save_the_further_requests():
    models = [{"name": "a:1b", "capabilities": ["completion"]}, {"model": "b", "capabilities": ["vision"]}]
    found, asked = play("ollama", {"/api/tags": {"models": models}})
    assert found == {"b": True, "a:1b": False}
    assert asked == ["/api/tags"]


@pytest.mark.parametrize("kind", ["openai", "ollama", "lmstudio"])
@pytest.mark.parametrize(
    "answer", [None, [], "text", 7, {}, {"data": None, "models": None}, {"data": [1], "models": ["a"]}]
)
def test_any_answer_is_read(kind, answer):
    found, _ = play(
        kind, dict.fromkeys(("/v1/models", "/api/tags", "/api/v1/models", "/api/v0/models"), answer)
    )
    assert found == {}
