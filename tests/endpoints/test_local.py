"""Looking for model servers on this computer, with servers that speak as the real ones do."""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack

import pytest
from support import model_servers
from support.loopback import Loopback, Reply

from nbvlm import endpoints
from nbvlm.endpoints import local
from nbvlm.errors import ParameterError, TransportError

PORTS = {
    "ollama": "OLLAMA_HOST",
    "lmstudio": "LMSTUDIO_BASE_URL",
    "vllm": "VLLM_BASE_URL",
    "llamacpp": "LLAMA_ARG_PORT",
}
PAGES = {
    "ollama": model_servers.ollama_pages(qwen3__8b=["completion"], plain=["completion", "vision"]),
    "lmstudio": model_servers.lmstudio_pages(text_only=False, picture_reader=True),
    "vllm": model_servers.vllm_pages("Qwen/Qwen3-VL-8B-Instruct"),
    "llamacpp": model_servers.llamacpp_pages("../models/model.gguf", vision=True),
}
FOUND = {
    "ollama": [("plain", True), ("qwen3:8b", False)],
    "lmstudio": [("picture-reader", True), ("text-only", False)],
    "vllm": [("Qwen/Qwen3-VL-8B-Instruct", True)],
    "llamacpp": [("../models/model.gguf", True)],
}


@pytest.fixture
def start(monkeypatch):
    """Start a server under the name of a program; its address is in the usual variable."""
    with ExitStack() as stack:

        def started(name, pages=None):
            server = stack.enter_context(Loopback())
            server.pages = PAGES[name] if pages is None else pages
            value = str(server.port) if name == "llamacpp" else server.url
            monkeypatch.setenv(PORTS[name], value)
            return server

        yield started


def listed(server):
    return [(model.id, model.vision) for model in server.models]


@pytest.mark.parametrize("name", PAGES)
def test_each_program_is_found_with_its_models(start, name):
    server = start(name)
    [found] = asyncio.run(endpoints.find_local())
    assert (found.service, found.title, found.problem) == (name, endpoints.SERVICES[name].title, "")
    assert found.url == f"{server.url}/v1"
    assert listed(found) == FOUND[name]


def test_all_are_found_at_once_and_no_key_is_sent(start, monkeypatch):
    for service in endpoints.SERVICES.values():
        for variable in service.variables:
            monkeypatch.setenv(variable, "secret-key")
    servers = [start(name) for name in PAGES]
    found = asyncio.run(endpoints.find_local())
    assert [server.service for server in found] == list(PAGES)
    seen = [request for server in servers for request in server.seen]
    assert not any("secret-key" in str(request.headers) for request in seen)
    assert not any("/chat/completions" in request.path for request in seen)


def test_an_older_lm_studio_is_read_too(start):
    start("lmstudio", model_servers.old_lmstudio_pages(reader="vlm", writer="llm", vectors="embeddings"))
    [found] = asyncio.run(endpoints.find_local())
    assert listed(found) == [("reader", True), ("writer", False)]


def test_a_server_that_asks_for_a_key_is_found_with_the_reason(start):
    start("vllm", {"/v1/models": model_servers.page({"error": "Unauthorized"}, 401)})
    [found] = asyncio.run(endpoints.find_local())
    assert (found.models, found.problem) == ((), "It asks for a key.")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(refuse=True),
        Reply(body=b"<html>something else</html>"),
        Reply(404),
        Reply(500),
        Reply(hold=True, pieces=[]),
    ],
)
def test_something_else_at_the_port_is_not_a_model_server(start, reply):
    start("vllm", {"/v1/models": reply})
    assert asyncio.run(endpoints.find_local(0.3)) == ()


def test_nothing_is_asked_elsewhere(monkeypatch):
    for address in ("http://192.0.2.1:11434", "https://127.0.0.1:11434", "no address at all [", "http://a@b"):
        monkeypatch.setenv("OLLAMA_HOST", address)
        assert local.look(endpoints.SERVICES["ollama"]) is None


@pytest.mark.parametrize("name", PAGES)
def test_the_only_vision_model_is_chosen(start, name):
    server = start(name)
    assert local.only_model(endpoints.SERVICES[name]) == FOUND[name][0][0]
    assert local.only_model(endpoints.SERVICES[name], server.url) == FOUND[name][0][0]


def test_several_vision_models_are_listed(start):
    start("ollama", model_servers.ollama_pages(a=["vision"], b__7b=["vision"], c=["completion"]))
    with pytest.raises(ParameterError, match="'a', 'b:7b'") as caught:
        local.only_model(endpoints.SERVICES["ollama"])
    assert "model='a'" in caught.value.hint
    assert "'c'" not in str(caught.value)


def test_without_a_vision_model_the_others_are_listed_with_the_way_to_one(start):
    start("ollama", model_servers.ollama_pages(c=["completion"]))
    with pytest.raises(ParameterError, match="c") as caught:
        local.only_model(endpoints.SERVICES["ollama"])
    assert "ollama pull" in caught.value.hint
    start("ollama", model_servers.ollama_pages())
    with pytest.raises(ParameterError, match="no model at all"):
        local.only_model(endpoints.SERVICES["ollama"])


def test_a_model_that_may_see_is_better_than_none(start):
    start("vllm", model_servers.vllm_pages("my/tuned-model"))
    assert local.only_model(endpoints.SERVICES["vllm"]) == "my/tuned-model"


def test_a_server_that_does_not_respond_is_named_with_the_next_step():
    with pytest.raises(TransportError, match=re.escape("http://127.0.0.1:1/v1")) as caught:
        local.only_model(endpoints.SERVICES["ollama"])
    assert "ollama serve" in caught.value.hint


def test_a_server_without_models_is_found(start):
    start("ollama", model_servers.ollama_pages())
    [found] = asyncio.run(endpoints.find_local())
    assert found.models == ()
