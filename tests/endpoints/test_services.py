"""The services by name: addresses, keys, and which bodies they take."""

from __future__ import annotations

import dataclasses

import pytest

from nbvlm import endpoints
from nbvlm.errors import ParameterError

SERVICES = {
    "ollama": "http://127.0.0.1:11434/v1/chat/completions",
    "lmstudio": "http://127.0.0.1:1234/v1/chat/completions",
    "vllm": "http://127.0.0.1:8000/v1/chat/completions",
    "llamacpp": "http://127.0.0.1:8080/v1/chat/completions",
    "openai": "https://api.openai.com/v1/chat/completions",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
}


@pytest.fixture(autouse=True)
def usual_addresses(monkeypatch):
    for service in endpoints.SERVICES.values():
        if service.address:
            monkeypatch.delenv(service.address, raising=False)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_known_by_name(name):
    entry = endpoints.get(name, "some-model")
    assert entry.url == SERVICES[name]
    assert (entry.name, entry.service, entry.model, entry.dialect) == (name, name, "some-model", "openai")
    assert entry.assets_url is None


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_alone_needs_a_model_and_says_how_to_list_them(name):
    for missing in (None, "", " "):
        with pytest.raises(ParameterError, match="models"):
            endpoints.get(name, missing)


def test_keys_are_those_of_the_service_only():
    variables = [name for service in endpoints.SERVICES.values() for name in service.variables]
    assert len(variables) == len(set(variables))
    assert endpoints.SERVICES["gemini"].variables == ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    needing = {name for name, service in endpoints.SERVICES.items() if service.needs_key}
    assert needing == {"nvidia", "openai", "gemini", "openrouter"}
    assert all(endpoints.SERVICES[name].page for name in needing)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("", "http://127.0.0.1:11434/v1"),
        ("127.0.0.1:9999", "http://127.0.0.1:9999/v1"),
        ("localhost", "http://localhost:11434/v1"),
        (":9999", "http://127.0.0.1:9999/v1"),
        ("9999", "http://127.0.0.1:9999/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("http://0.0.0.0:9999", "http://127.0.0.1:9999/v1"),
        ("[::]:9999", "http://[::1]:9999/v1"),
        ("https://gpu.example", "https://gpu.example/v1"),
        ("http://127.0.0.1:9999/ollama/v1/", "http://127.0.0.1:9999/ollama/v1"),
        (' "127.0.0.1:9999" ', "http://127.0.0.1:9999/v1"),
    ],
)
def test_an_address_is_read_from_the_usual_variable(monkeypatch, value, url):
    monkeypatch.setenv("OLLAMA_HOST", value)
    assert endpoints.address(endpoints.SERVICES["ollama"]) == url
    assert endpoints.get("ollama", "m").url == f"{url}/chat/completions"


@pytest.mark.parametrize(
    ("name", "variable", "value", "origin"),
    [
        ("lmstudio", "LMSTUDIO_BASE_URL", "http://127.0.0.1:9/v1", "http://127.0.0.1:9"),
        ("vllm", "VLLM_BASE_URL", "http://127.0.0.1:9/v1", "http://127.0.0.1:9"),
        ("llamacpp", "LLAMA_ARG_PORT", "9", "http://127.0.0.1:9"),
        ("openai", "OPENAI_BASE_URL", "https://proxy.example/v1", "https://proxy.example"),
    ],
)
def test_each_service_has_its_own_variable(monkeypatch, name, variable, value, origin):
    monkeypatch.setenv(variable, value)
    assert endpoints.get(name, "m").base_url == origin
    others = set(SERVICES) - {name}
    assert all(endpoints.get(other, "m").url == SERVICES[other] for other in others)


@pytest.mark.parametrize("value", ["http://h:port", "http://user:hunter2@h/v1", "[::1"])
def test_a_variable_that_is_not_an_address_is_refused_and_not_repeated(monkeypatch, value):
    monkeypatch.setenv("OLLAMA_HOST", value)
    with pytest.raises(ParameterError, match="OLLAMA_HOST") as caught:
        endpoints.get("ollama", "m")
    assert "hunter2" not in str(caught.value)


def test_tokens_are_kept_only_where_a_server_drops_them_and_a_model_needs_them():
    def keeps(name, model):
        return endpoints.get(name, model).keeps_tokens

    assert keeps("vllm", "google/paligemma2-3b-mix-448")
    assert keeps("vllm", "deepseek-ai/DeepSeek-OCR")
    assert not keeps("vllm", "Qwen/Qwen3-VL-8B-Instruct")
    assert not keeps("openai", "paligemma")
    assert not keeps("gemini", "paligemma")
    assert endpoints.openai("http://127.0.0.1:1/v1", "OpenGVLab/InternVL3-8B").keeps_tokens
    assert not endpoints.openai("http://127.0.0.1:1/v1", "llava").keeps_tokens


def test_newer_models_of_openai_are_asked_as_they_want():
    temperature, top_p, tokens = endpoints.get("openai", "gpt-6.1").parameters
    assert (temperature.default, temperature.optional, top_p.optional) == (1, True, True)
    assert (tokens.key, tokens.optional) == ("max_completion_tokens", False)
    assert endpoints.get("openai", "gpt-6.1").longest_side == 2048


def test_an_address_of_a_known_service_is_known():
    entry = endpoints.openai("https://openrouter.ai/api/v1", "qwen/qwen3-vl-8b-instruct")
    assert (entry.name, entry.service) == ("server", "openrouter")
    other = endpoints.openai("https://integrate.api.nvidia.com/v1", "new/vision-model")
    assert (other.name, other.service, other.stream_usage) == ("server", "nvidia", False)
    assert endpoints.openai("http://127.0.0.1:11434/v1", "m").service is None


def test_services_are_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        endpoints.SERVICES["ollama"].path = "/"
    with pytest.raises(TypeError):
        endpoints.SERVICES["mine"] = endpoints.SERVICES["ollama"]
