"""Both clients behind one blocking face, so that each test is written once, and the server they meet."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from support.loopback import Loopback

import nbvlm
from nbvlm.client.policies import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbvlm.client.flow.events import Event

KEY = "nvapi-test-key-that-must-not-be-seen"
QUICK = Retry(first=0.01, longest=0.05)
SCENE = nbvlm.Picture.load(Image.new("RGB", (400, 300), "red"), name="scene.png")


def noise(side: int = 400) -> bytes:
    """A PNG too large for a request."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


LARGE = noise()


class SyncSide:
    """`Client`."""

    name = "sync"

    def __init__(self, endpoint: Any = "nvidia", **options: Any) -> None:
        self.client = nbvlm.Client(endpoint, **options)

    def ask(self, *args: Any, **options: Any) -> Any:
        return self.client.ask(*args, **options)

    def stream(
        self, *args: Any, each: Callable[[Event, Any], bool | None] | None = None, **options: Any
    ) -> Any:
        """Stream to the end, or until `each` returns True; return the stream, its `with` block left."""
        with self.client.stream(*args, **options) as stream:
            for event in stream:
                if each is not None and each(event, stream):
                    break
        return stream

    def events(self, stream: Any) -> list[Event]:
        return list(stream)

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        """Call a method such as `assets.upload`."""
        return _method(self.client, name)(*args, **options)

    def close(self) -> None:
        self.client.close()


class AsyncSide:
    """`AsyncClient` on a loop of its own."""

    name = "async"

    def __init__(self, endpoint: Any = "nvidia", **options: Any) -> None:
        self.runner = asyncio.Runner()
        self.client = nbvlm.AsyncClient(endpoint, **options)

    def ask(self, *args: Any, **options: Any) -> Any:
        return self.runner.run(self.client.ask(*args, **options))

    def stream(
        self, *args: Any, each: Callable[[Event, Any], bool | None] | None = None, **options: Any
    ) -> Any:
        async def run() -> Any:
            async with self.client.stream(*args, **options) as stream:
                async for event in stream:
                    if each is not None and each(event, stream):
                        break
            return stream

        return self.runner.run(run())

    def events(self, stream: Any) -> list[Event]:
        async def run() -> list[Event]:
            return [event async for event in stream]

        return self.runner.run(run())

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        async def run() -> Any:
            return await _method(self.client, name)(*args, **options)

        return self.runner.run(run())

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()


SIDES = {"sync": SyncSide, "async": AsyncSide}


def _method(client: Any, name: str) -> Any:
    for part in name.split("."):
        client = getattr(client, part)
    return client


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as running:
        yield running


@pytest.fixture(params=SIDES)
def open_side(request: pytest.FixtureRequest, server: Loopback) -> Iterator[Callable[..., Any]]:
    """Opens a client of either kind on the server, closed at the end."""
    opened = []

    def open_one(endpoint: Any = "nvidia", **options: Any) -> Any:
        given = {"base_url": server.url, "api_key": KEY, "retry": QUICK} | options
        opened.append(SIDES[request.param](endpoint, **{k: v for k, v in given.items() if v is not None}))
        return opened[-1]

    yield open_one
    for side in opened:
        side.close()


@pytest.fixture
def side(open_side: Callable[..., Any]) -> Any:
    return open_side()
