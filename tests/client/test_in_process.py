"""What a client says when a model in its own process fails: it speaks of the model, not of a service."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image
from support.service_loopback import running
from support.service_standin import StandIn

import nbvlm
from nbvlm.client import Retry
from nbvlm.demo import Service, transport

WORDS = ("a ", "word ")
PICTURE = Image.new("RGB", (64, 64))
REFUSED = nbvlm.Error("tiny failed: the ratio {x} is 500.", hint="Choose another picture.")
CROWDED = nbvlm.ServerError("There was not enough memory for tiny.", status=503, hint="Ask fewer at once.")


def failure(service: Service, monkeypatch: pytest.MonkeyPatch, *, stream: bool, **options: Any) -> Any:
    monkeypatch.setattr(transport, "_shared", lambda: service)
    with nbvlm.Client("demo", retry=Retry.never(), **options) as client, pytest.raises(nbvlm.Error) as caught:
        _ = [*client.stream(PICTURE, "detect cat")] if stream else client.ask(PICTURE, "detect cat")
    return caught.value


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("error", "kind"), [(REFUSED, "RequestRejected"), (CROWDED, "ServerError")])
def test_the_sentence_and_the_hint_are_those_of_the_model(
    monkeypatch: pytest.MonkeyPatch, error: nbvlm.Error, kind: str, stream: bool, after: int
) -> None:
    found = failure(
        Service(StandIn(WORDS[:after], error=error)), monkeypatch, stream=stream, speak="qwen3-vl"
    )
    assert (found.message, found.hint) == (error.message, error.hint)
    assert type(found).__name__ == kind or (stream and after)


@pytest.mark.parametrize("options", [{}, {"speak": "qwen3-vl"}])
@pytest.mark.parametrize("stream", [True, False])
def test_a_fault_of_the_model_is_not_called_one_of_a_service(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], stream: bool
) -> None:
    found = failure(Service(StandIn((), error=ZeroDivisionError("x"))), monkeypatch, stream=stream, **options)
    assert found.message == "The model failed: Internal server error."
    assert found.status == 500


def test_a_prompt_that_is_too_long_is_refused_by_the_model() -> None:
    with nbvlm.Client("demo") as client, pytest.raises(nbvlm.RequestRejected) as caught:
        client.ask(PICTURE, "x" * 30_000)
    assert caught.value.message.startswith("The model refused the request: ")


def test_a_server_with_the_same_model_is_named() -> None:
    with running(Service(StandIn((), error=ZeroDivisionError("x")))) as url:
        client = nbvlm.Client(f"{url}/v1", model="nbvlm/demo", retry=Retry.never())
        with client, pytest.raises(nbvlm.ServerError, match=r"The server 127\.0\.0\.1:\d+ failed \(500\)"):
            client.ask(PICTURE, "detect cat")


@pytest.mark.parametrize(("error", "status"), [(REFUSED, 400), (CROWDED, 503)])
def test_both_protocols_carry_the_sentence_over_the_network(error: nbvlm.Error, status: int) -> None:
    with running(Service(StandIn((), error=error))) as url:
        for client in (
            nbvlm.Client(f"{url}/v1", model="nbvlm/demo", retry=Retry.never()),
            nbvlm.Client("nvidia", base_url=url, assets_url=url, api_key="none", retry=Retry.never()),
        ):
            with client, pytest.raises(nbvlm.Error) as caught:
                client.ask(PICTURE, "detect cat")
            assert caught.value.status == status
            assert error.message.rstrip(".") in caught.value.message
