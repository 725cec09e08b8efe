"""Answers whose JSON is nested without end, or has endless numbers: an error of the package at every door."""

from __future__ import annotations

import pytest
from support.loopback import Loopback, Reply
from support.sides import KEY, SCENE

import nbvlm
from nbvlm.cli.doctor_checks import _read
from nbvlm.cli.lab import _recorded_hashes
from nbvlm.client import Retry

BODIES = {
    "arrays": b"[" * 200_000,
    "objects": b'{"a":' * 200_000,
    "closed": b"[" * 100_000 + b"]" * 100_000,
    "digits": b'{"choices": [], "usage": ' + b"9" * 6000 + b"}",
    "inside": b'{"choices": [{"index": 0, "message": {"content": ' + b"[" * 100_000,
}
each = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
JSON, EVENTS = {"content-type": "application/json"}, {"content-type": "text/event-stream"}


@each
@pytest.mark.parametrize("door", ["answer", "error", "event", "asset"])
def test_nested_json_is_an_error_of_the_package(body: bytes, door: str) -> None:
    with Loopback() as server:
        if door == "asset":
            server.asset_replies.append(Reply(200, JSON, body))
        elif door == "event":
            server.replies.append(Reply(200, EVENTS, b"data: " + body + b"\n\ndata: [DONE]\n\n"))
        else:
            server.replies.append(Reply(200 if door == "answer" else 422, JSON, body))
        address = {"base_url": server.url, "assets_url": server.url}
        with (
            nbvlm.Client("nvidia", api_key=KEY, retry=Retry.never(), **address) as client,
            pytest.raises(nbvlm.Error) as caught,
        ):
            client.ask(SCENE, "caption en", route="asset" if door == "asset" else "inline")
        assert len(str(caught.value)) < 1000


@each
def test_nested_files_count_as_empty(body: bytes, tmp_path) -> None:
    for name in ("package.json", ".nbvlm-tutorials.json"):
        (tmp_path / name).write_bytes(body)
    assert _read(tmp_path / "package.json") in ({}, {"choices": []})
    assert _recorded_hashes(tmp_path) == {}
