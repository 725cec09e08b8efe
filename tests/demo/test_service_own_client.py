"""The package's own clients against the service: the two sides of one protocol, written apart."""

from __future__ import annotations

import asyncio
import threading

import pytest
from PIL import Image
from support.service_loopback import running
from support.service_standin import WORDS, StandIn, picture

import nbvlm
from nbvlm.demo.service.service import Service
from nbvlm.demo.transport import DemoTransport

KEY = "nvapi-right"
TEXT = "".join(WORDS)


@pytest.fixture(scope="module")
def model():
    return StandIn()


@pytest.fixture(scope="module")
def origin(model):
    with running(Service(model=model, key=KEY)) as url:
        yield url


@pytest.fixture
def client(origin):
    with nbvlm.Client("nvidia", base_url=origin, assets_url=origin, api_key=KEY) as client:
        yield client


def large() -> Image.Image:
    """A picture that is too large to travel inside the body."""
    return Image.effect_noise((600, 500), 100).convert("RGB")


def test_a_small_picture_travels_inside_the_body(client):
    result = client.ask(picture((400, 300)), "detect car")
    assert (result.text, result.route, result.finish_reason) == (TEXT, "inline", "stop")
    assert result.usage.total_tokens == 74
    assert result.detections.labels == ("car",)


def test_a_large_picture_is_uploaded_used_and_deleted(client, model):
    result = client.ask(large(), "detect car")
    assert (result.text, result.route, model.asked[-1]["size"]) == (TEXT, "asset", (600, 500))
    assert list(client.assets.list()) == []


def test_a_stream_yields_text_and_boxes(client):
    with client.stream(picture((400, 300)), "detect car") as stream:
        events = list(stream)
    assert "".join(event.text for event in events if isinstance(event, nbvlm.TextDelta)) == TEXT
    assert [event.detection.label for event in events if isinstance(event, nbvlm.DetectionFound)] == ["car"]


def test_a_wrong_key_is_an_authentication_error(origin):
    stranger = nbvlm.Client("nvidia", base_url=origin, assets_url=origin, api_key="nvapi-wrong")
    with stranger, pytest.raises(nbvlm.AuthenticationError):
        stranger.ask(picture(), "caption en")


def test_the_openai_dialect_of_both_sides_agrees(origin):
    with nbvlm.Client(f"{origin}/v1", model="nbvlm/demo", api_key=KEY) as client:
        assert client.models() == ("nbvlm/demo",)
        assert client.ask(large(), "detect car").text == TEXT
        with client.stream(picture(), "detect car") as stream:
            assert "".join(e.text for e in stream if isinstance(e, nbvlm.TextDelta)) == TEXT
        assert stream.result.usage.total_tokens > 0


def test_an_async_client_over_the_in_process_transport(model):
    async def run() -> tuple[str, str]:
        transport = DemoTransport(Service(model=model))
        async with nbvlm.AsyncClient("demo", transport=transport) as client:
            whole = await client.ask(large(), "caption en")
            async with client.stream(picture(), "caption en") as stream:
                parts = [event.text async for event in stream if isinstance(event, nbvlm.TextDelta)]
            return whole.text, "".join(parts)

    assert asyncio.run(run()) == (TEXT, TEXT)


def test_leaving_a_stream_early_stops_the_model():
    model = StandIn(words=("a",) * 1000, gate=threading.Semaphore(2))
    with nbvlm.Client("demo", transport=DemoTransport(Service(model=model))) as client:
        with client.stream(picture(), "caption en") as stream:
            next(event for event in stream if isinstance(event, nbvlm.TextDelta))
        model.gate.release(2)
        assert model.closed.wait(10)
    assert model.computed <= 4
