"""The doctor asks each endpoint that is set up whether it responds, without a key or a question."""

from __future__ import annotations

import json

import pytest
from support import model_servers
from support.loopback import Loopback, Reply
from support.sides import KEY

from nbvlm import endpoints
from nbvlm.cli import endpoint_checks, main
from nbvlm.cli.findings import run_check

LIVE = [name for name in endpoints.ENDPOINTS if "/" in name]


def one(findings, check=None):
    [found] = [finding for finding in findings if check in (None, finding.check)]
    return found


@pytest.fixture
def hosted(server, monkeypatch):
    """The loopback server in the place of NVIDIA's."""
    monkeypatch.setenv("NBVLM_BASE_URL", server.url)
    return server


def test_the_hosted_model_is_asked_without_a_key(hosted, monkeypatch):
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    hosted.pages = model_servers.nvidia_pages(*LIVE)
    reached, listed = endpoint_checks.hosted(5)
    assert (reached.state, listed.state) == ("ok", "ok")
    assert hosted.url in reached.found
    assert f"{len(LIVE)} of {len(LIVE)} known vision models listed" in listed.found
    assert endpoints.CHECKED in listed.found
    assert {seen.method for seen in hosted.seen} == {"GET"}
    assert not any("authorization" in seen.headers for seen in hosted.seen)


def test_without_a_key_only_the_model_is_looked_for(hosted):
    assert one(endpoint_checks.hosted(5)).state == "ok"
    assert len(hosted.seen) == 1


def test_models_that_are_not_listed_any_more_are_named(hosted, monkeypatch):
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    hosted.pages = model_servers.nvidia_pages("a/text-model", *LIVE[1:])
    found = one(endpoint_checks.hosted(5), "NVIDIA's models")
    assert found.state == "note"
    assert f"gone: {LIVE[0]}" in found.found
    assert LIVE[1] in found.advice
    assert LIVE[0] not in found.advice


@pytest.mark.parametrize(
    ("reply", "state", "words"),
    [
        (model_servers.page({"id": LIVE[0]}), "ok", "is listed"),
        (model_servers.NOT_FOUND, "problem", "is not listed any more"),
        (model_servers.end_of_life(LIVE[0]), "problem", "has been retired"),
        (model_servers.offline(), "problem", "is offline"),
        (Reply(500), "note", "status 500"),
    ],
)
def test_one_of_nvidias_models_is_looked_up(hosted, reply, state, words):
    hosted.pages = {f"/v1/models/{LIVE[0]}": reply}
    found = one(endpoint_checks.named(LIVE[0], 5))
    assert (found.state, words in found.found) == (state, True)
    assert (state == "ok") == (not found.advice)
    if state == "problem":
        assert LIVE[1] in found.advice
        assert f"{LIVE[0]}," not in found.advice


def test_a_service_with_a_key_is_asked_for_its_models_without_it(server, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-secret")
    monkeypatch.setenv("OPENROUTER_BASE_URL", f"{server.url}/api/v1")
    server.pages = {"/api/v1/models": model_servers.openai_list("qwen/qwen3-vl-8b-instruct", "a/text")}
    found = one(endpoint_checks.services(5))
    assert (found.check, found.state) == ("OpenRouter", "ok")
    assert "qwen/qwen3-vl-8b-instruct" in found.found
    assert "a/text" not in found.found
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    server.pages["/v1/models"] = model_servers.page({"error": {"message": "Missing key"}}, 401)
    found = one(endpoint_checks.services(5), "OpenAI")
    assert found.state == "ok"
    assert "OPENAI_API_KEY was not sent" in found.found
    assert "secret" not in str([(seen.path, seen.headers) for seen in server.seen])


def test_a_service_that_is_not_there_is_a_problem(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
    found = one(endpoint_checks.services(2))
    assert (found.check, found.state, bool(found.advice)) == ("Gemini", "problem", True)


def test_a_key_that_cannot_be_one_does_not_hide_the_other_services(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "two words")
    monkeypatch.setenv("OPENROUTER_API_KEY", "k")
    monkeypatch.setenv("OPENROUTER_BASE_URL", f"{server.url}/v1")
    found = {finding.check: finding for finding in endpoint_checks.services(5)}
    assert (found["OpenAI"].state, found["OpenRouter"].state) == ("problem", "ok")
    assert "two words" not in found["OpenAI"].found + found["OpenAI"].advice


def test_an_address_that_cannot_be_one_does_not_hide_the_other_endpoints(server, monkeypatch):
    server.pages = {"/v1/models": model_servers.page({"id": "a"})}
    monkeypatch.setenv("NBVLM_BASE_URL", "nowhere")
    monkeypatch.setenv("OLLAMA_HOST", "http://[::1")
    monkeypatch.setenv("VLLM_BASE_URL", f"{server.url}/v1")
    found = list(endpoint_checks.check(None, 5))
    hosted, ollama = one(found, "endpoint"), one(found, "Ollama")
    assert (hosted.state, ollama.state) == ("problem", "problem")
    assert f"{server.url}/v1 responds" in one(found, "vLLM").found
    assert hosted.found == "NBVLM_BASE_URL is not an http(s) origin."
    assert ollama.found == "OLLAMA_HOST is not an address."
    assert hosted.advice
    assert ollama.advice


def test_servers_on_this_computer_are_found_with_what_they_lack(monkeypatch):
    with Loopback() as ollama, Loopback() as studio, Loopback() as vllm:
        ollama.pages = model_servers.ollama_pages(a=["vision"], b=["completion"])
        studio.pages = model_servers.lmstudio_pages(writer=False)
        vllm.pages = {"/v1/models": model_servers.page({"error": "Unauthorized"}, 401)}
        monkeypatch.setenv("OLLAMA_HOST", ollama.url)
        monkeypatch.setenv("LMSTUDIO_BASE_URL", studio.url)
        monkeypatch.setenv("VLLM_BASE_URL", vllm.url)
        found = {finding.check: finding for finding in endpoint_checks.local(2)}
        assert one(endpoint_checks.named("ollama", 2)).state == "ok"
    assert (found["Ollama"].state, found["Ollama"].found.endswith(": a")) == ("ok", True)
    assert (found["LM Studio"].state, "Vision" in found["LM Studio"].advice) == ("note", True)
    assert (found["vLLM"].state, "VLLM_API_KEY" in found["vLLM"].advice) == ("note", True)
    assert (found["llama.cpp"].state, "llama-server" in found["llama.cpp"].advice) == ("note", True)


def test_without_any_server_it_is_one_line(monkeypatch):
    async def nothing(seconds):
        return ()

    monkeypatch.setattr(endpoints, "find_local", nothing)
    for service in endpoints.SERVICES.values():
        if service.address:
            monkeypatch.delenv(service.address, raising=False)
    found = one(endpoint_checks.local(1))
    assert (found.state, "Ollama" in found.found) == ("ok", True)


def test_a_server_by_its_address(server):
    found = one(endpoint_checks.named(f"{server.url}/v1", 5))
    assert (found.state, "m1, m2" in found.found) == ("ok", True)
    found = one(endpoint_checks.named("http://127.0.0.1:9/v1", 2))
    assert (found.state, bool(found.advice)) == ("problem", True)
    assert one(endpoint_checks.named("demo", 2)).state == "ok"


def test_a_name_that_does_not_exist_is_answered_with_the_nearest():
    found = one(run_check("endpoint", lambda: endpoint_checks.named("nvidai", 1)))
    assert found.state == "problem"
    assert "Did you mean 'nvidia'?" in found.advice


def test_a_retired_model_is_answered_with_the_living():
    found = one(run_check("endpoint", lambda: endpoint_checks.named("nvidia/vila", 1)))
    assert "no longer served" in found.found


def test_the_doctor_writes_them_all_as_json(server, monkeypatch, capsys):
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    server.pages = model_servers.ollama_pages(a=["vision"])
    main.main(["doctor", "--json"])
    findings = {found["check"]: found for found in json.loads(capsys.readouterr().out)["findings"]}
    assert (findings["Ollama"]["state"], findings["endpoint"]["state"]) == ("ok", "note")
