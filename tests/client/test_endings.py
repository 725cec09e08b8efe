"""However a question ends, the connection is closed and the uploaded picture is deleted."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from support.loopback import ASSETS, MODEL, Loopback, Reply, problem, stream
from support.sides import KEY, LARGE, QUICK, SCENE

import nbvlm
from nbvlm.client.flow.events import TextDelta
from nbvlm.client.policies import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Open = Callable[..., Any]


def held(*texts: str) -> Reply:
    """A stream that never ends."""
    return stream(*texts, done=False, hold=True)


def deleted(server: Loopback) -> bool:
    return server.wait_for(lambda: len(server.deleted) == 1 and not server.stored)


def test_an_error_deletes_the_upload(side: Any, server: Loopback) -> None:
    server.replies.append(problem(422, "no"))
    with pytest.raises(nbvlm.RequestRejected):
        side.stream(LARGE, "caption en")
    assert deleted(server)


def test_a_truncated_answer_deletes_the_upload(side: Any, server: Loopback) -> None:
    server.replies.append(stream("a red", done=False, cut=True))
    with pytest.raises(nbvlm.TruncatedStream):
        side.stream(LARGE, "caption en")
    assert deleted(server)


def test_an_upload_that_fails_is_deleted(side: Any, server: Loopback) -> None:
    server.storage_replies.append(problem(403, "expired"))
    with pytest.raises(nbvlm.AssetError, match="storage refused"):
        side.ask(LARGE, "caption en", route="asset")
    assert [path.split("/")[0].strip() for path in server.paths()] == ["POST", "PUT", "DELETE"]


def test_leaving_early_closes_at_once_and_deletes(side: Any, server: Loopback) -> None:
    server.replies.append(held("a red", " car"))
    stopped = side.stream(LARGE, "caption en", each=lambda event, s: isinstance(event, TextDelta))
    assert stopped.text == "a red"
    assert server.stored == {}
    with pytest.raises(nbvlm.Error, match="stopped"):
        _ = stopped.result
    assert [event.text for event in side.events(stopped) if isinstance(event, TextDelta)] == ["a red"]


def test_an_exception_of_the_consumer_passes_through_and_deletes(side: Any, server: Loopback) -> None:
    def fail(event: Any, stream: Any) -> None:
        if isinstance(event, TextDelta):
            raise KeyError("mine")

    server.replies.append(held("a red"))
    with pytest.raises(KeyError, match="mine"):
        side.stream(LARGE, "caption en", each=fail)
    assert server.stored == {}
    assert len(server.deleted) == 1


def test_a_deletion_that_fails_is_a_notice_and_is_tried_again_at_close(
    open_side: Open, server: Loopback
) -> None:
    server.delete_replies.extend([problem(500, "down")] * 3)
    side = open_side()
    result = side.ask(LARGE, "caption en")
    assert result.text == "a red car"
    assert any("could not be deleted" in notice for notice in result.notices)
    assert len(server.stored) == 1
    server.delete_replies.clear()
    side.close()
    side.close = lambda: None
    assert server.stored == {}


def test_the_deletion_after_a_stop_is_bounded(open_side: Open, server: Loopback) -> None:
    server.replies.append(held("a red"))
    server.delete_replies.append(Reply(hold=True, pieces=[]))
    side = open_side(timeout=Timeouts(cleanup=0.2))
    stopped = side.stream(LARGE, "caption en", each=lambda event, s: isinstance(event, TextDelta))
    assert stopped.text == "a red"
    side.close()
    side.close = lambda: None
    assert server.stored == {}


def test_a_blocked_stream_is_cancelled_from_another_thread(server: Loopback) -> None:
    server.replies.append(held("a red"))
    with (
        nbvlm.Client("nvidia", base_url=server.url, api_key=KEY) as client,
        client.stream(LARGE, "caption en") as stream,
    ):
        for event in stream:
            if isinstance(event, TextDelta):
                timer = threading.Timer(0.05, stream.cancel)
                timer.start()
        timer.join()
        assert stream.text == "a red"
        with pytest.raises(nbvlm.Error, match="stopped"):
            _ = stream.result
    assert deleted(server)
    assert client.requests[-1].method == "DELETE"


def test_a_stream_that_waits_for_its_head_is_cancelled_from_another_thread(server: Loopback) -> None:
    server.replies.append(Reply(wait=60.0))
    with (
        nbvlm.Client("nvidia", base_url=server.url, api_key=KEY) as client,
        client.stream(SCENE, "caption en") as stream,
    ):
        waiter = threading.Thread(
            target=lambda: server.wait_for(lambda: bool(server.seen)) and stream.cancel()
        )
        waiter.start()
        assert [type(event).__name__ for event in stream] == ["Status"]
        waiter.join()
    assert len(server.seen) == 1


def test_a_stream_is_stopped_between_its_events_from_another_thread(server: Loopback) -> None:
    server.replies.append(held("a red", " car", " and"))
    with (
        nbvlm.Client("nvidia", base_url=server.url, api_key=KEY) as client,
        client.stream(LARGE, "caption en") as stream,
    ):
        texts = []
        for event in stream:
            if isinstance(event, TextDelta):
                texts.append(event.text)
                thread = threading.Thread(target=stream.cancel)
                thread.start()
                thread.join()
    assert texts == ["a red"]
    assert deleted(server)


def test_a_progress_callback_may_stop_its_own_stream(server: Loopback) -> None:
    with nbvlm.Client("nvidia", base_url=server.url, api_key=KEY) as client:
        streams: list[Any] = []
        streams.append(client.stream(LARGE, "caption en", progress=lambda _status: streams[0].cancel()))
        assert {event.kind for event in streams[0]} == {"upload"}
    assert MODEL not in [seen.path for seen in server.seen]
    assert server.stored == {}


def test_a_pause_before_another_try_is_cut_short(server: Loopback) -> None:
    server.replies.append(problem(429))
    slow = nbvlm.client.Retry(first=60, longest=60)
    with nbvlm.Client("nvidia", base_url=server.url, api_key=KEY, retry=slow) as client:
        stream = client.stream(SCENE, "caption en")
        kinds = []
        for event in stream:
            kinds.append(event.kind)
            if event.kind == "retry":
                threading.Timer(0.05, stream.cancel).start()
    assert kinds == ["waiting", "retry"]


def test_cancelling_the_task_stops_at_once_and_deletes(server: Loopback) -> None:
    server.replies.append(held("a red"))

    async def run() -> None:
        async with nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY) as client:
            arrived = asyncio.Event()

            async def consume() -> None:
                async with client.stream(LARGE, "caption en") as stream:
                    async for event in stream:
                        if isinstance(event, TextDelta):
                            arrived.set()

            task = asyncio.create_task(consume())
            await asyncio.wait_for(arrived.wait(), 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert server.stored == {}

    asyncio.run(run())
    assert len(server.deleted) == 1


@pytest.mark.parametrize("path", [ASSETS, "/storage/", MODEL])
def test_cancelling_ask_at_any_point_deletes(server: Loopback, path: str) -> None:
    ordered = {ASSETS: server.asset_replies, "/storage/": server.storage_replies, MODEL: server.replies}
    ordered[path].append(Reply(wait=60.0))

    async def run() -> None:
        async with nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY) as client:
            task = asyncio.create_task(client.ask(LARGE, "caption en"))
            assert await asyncio.to_thread(server.wait_for, lambda: path in "".join(server.paths()))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert server.stored == {}
    assert [path.split()[0] for path in server.paths()].count("DELETE") == (path != ASSETS)


def test_a_second_cancellation_does_not_stop_the_deletion(server: Loopback) -> None:
    server.replies.append(held("a red"))
    server.delete_replies.append(problem(503))

    async def run() -> None:
        async with nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY) as client:
            task = asyncio.create_task(client.ask(LARGE, "caption en"))
            await asyncio.to_thread(server.wait_for, lambda: MODEL in [seen.path for seen in server.seen])
            task.cancel()
            await asyncio.to_thread(server.wait_for, lambda: not server.delete_replies)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(deleted, server)

    asyncio.run(run())


def test_stream_cancel_ends_the_loop_of_another_task(server: Loopback) -> None:
    server.replies.append(held("a red"))

    async def run() -> None:
        async with nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY) as client:
            stream = client.stream(LARGE, "caption en")
            texts = []

            async def consume() -> str:
                async with stream:
                    texts.extend([event.text async for event in stream if isinstance(event, TextDelta)])
                return "went on"

            task = asyncio.create_task(consume())
            await asyncio.to_thread(server.wait_for, lambda: MODEL in [seen.path for seen in server.seen])
            await asyncio.sleep(0.05)
            await stream.cancel()
            assert await task == "went on"
            assert texts == [stream.text] == ["a red"]

    asyncio.run(run())
    assert server.stored == {}


def test_a_client_that_is_collected_deletes(server: Loopback) -> None:
    server.replies.append(held("a red"))
    client = nbvlm.Client("nvidia", base_url=server.url, api_key=KEY)
    events = iter(client.stream(LARGE, "caption en"))
    while not isinstance(next(events), TextDelta):
        pass
    assert len(server.stored) == 1
    del client, events
    gc.collect()
    assert server.stored == {}


def test_an_async_client_that_is_collected_deletes(server: Loopback) -> None:
    server.delete_replies.extend([problem(500, "down")] * 9)

    async def run() -> None:
        client = nbvlm.AsyncClient("nvidia", base_url=server.url, api_key=KEY, retry=QUICK)
        await client.ask(LARGE, "caption en")
        server.delete_replies.clear()

    asyncio.run(run())
    gc.collect()
    assert server.stored == {}


PROGRAM = """
import sys, nbvlm
client = nbvlm.Client("nvidia", base_url=sys.argv[1], api_key="nvapi-test-key")
picture = nbvlm.Picture.load(sys.argv[2])
{act}
"""


@pytest.mark.parametrize(
    "act",
    [
        "client.ask(picture, 'caption en')",
        "for event in client.stream(picture, 'caption en'): pass",
    ],
    ids=["ask", "stream"],
)
def test_ctrl_c_deletes(server: Loopback, tmp_path: Path, act: str) -> None:
    server.replies.append(held("a red"))
    picture = tmp_path / "large.png"
    picture.write_bytes(LARGE)
    code = PROGRAM.format(act=textwrap.dedent(act))
    command = [sys.executable, "-c", code, server.url, str(picture)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert server.wait_for(lambda: MODEL in [seen.path for seen in server.seen], 60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert "KeyboardInterrupt" in errors
    assert "nvapi" not in errors
    assert server.stored == {}


def test_ctrl_c_between_two_events_deletes(server: Loopback) -> None:
    class Interrupted(deque[Any]):
        def popleft(self) -> Any:
            event = super().popleft()
            if isinstance(event, nbvlm.TextDelta):
                raise KeyboardInterrupt
            return event

    server.replies.append(held("a red"))
    with nbvlm.Client("nvidia", base_url=server.url, api_key=KEY) as client:
        stream = client.stream(LARGE, "caption en")
        stream._ready = Interrupted()
        with pytest.raises(KeyboardInterrupt) as kept:  # As a notebook keeps the traceback.
            list(stream)
        assert server.stored == {}
        assert stream.done
    assert kept.value is not None


def test_a_program_that_just_ends_deletes(server: Loopback, tmp_path: Path) -> None:
    server.replies.append(held("a red"))
    picture = tmp_path / "large.png"
    picture.write_bytes(LARGE)
    act = """
events = iter(client.stream(picture, 'caption en'))
next(event for event in events if hasattr(event, 'text'))
"""
    command = [sys.executable, "-W", "error", "-c", PROGRAM.format(act=act), server.url, str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("", "")
    assert server.stored == {}
