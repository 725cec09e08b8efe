"""`nbvlm models`: what can be asked, here and at a service."""

from __future__ import annotations

import json

from support import model_servers

from nbvlm import endpoints
from nbvlm.cli import main


def test_without_an_endpoint_the_table_and_this_computer(server, monkeypatch, capsys):
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    server.pages = model_servers.ollama_pages(qwen3_vl=["vision"], qwen3=["completion"])
    assert main.main(["models"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert all(any(line.startswith(entry.model) for line in lines) for entry in endpoints.ENDPOINTS.values())
    assert "failing when last tried publicly" in out
    assert any(line.split() == ["qwen3-vl", "ollama", "sees"] for line in lines)
    assert any(line.split() == ["qwen3", "ollama", "reads", "text", "only"] for line in lines)
    assert endpoints.CHECKED in lines[-1]


def test_the_list_of_a_service(server, monkeypatch, capsys):
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    server.pages = model_servers.ollama_pages(qwen3_vl=["vision"], qwen3=["completion"])
    assert main.main(["models", "ollama", "--vision", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"endpoint": "ollama", "model": "qwen3-vl", "vision": True, "note": ""}
    ]


def test_a_key_is_taken_from_its_variable(server, monkeypatch, capsys):
    monkeypatch.setenv("MY_KEY", "secret-of-mine")
    assert main.main(["models", f"{server.url}/v1", "--key-from", "MY_KEY"]) == 0
    assert capsys.readouterr().out.split() == ["m1", "m2"]
    assert server.seen[0].headers["authorization"] == "Bearer secret-of-mine"


def test_a_failure_is_a_sentence(capsys):
    assert main.main(["models", "ollama", "--timeout", "1"]) == 1
    assert "nbvlm models:" in capsys.readouterr().err
