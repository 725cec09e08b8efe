"""Messages of the viewer: masks as shapes, waiting times, words for the picture, drawn regions."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from support.loopback import Loopback, delta, stream
from support.mask_weights import REAL, random_weights
from support.panel_page import Page, Screen

import nbvlm
from nbvlm._background import shared_loop
from nbvlm.client.flow.events import DetectionFound, Status, TextDelta
from nbvlm.grounding import Detection, Detections, mask_svg_path
from nbvlm.grounding.masks import codebooks
from nbvlm.result import description
from nbvlm.widgets import StreamThrottle, Viewer
from nbvlm.widgets.answer_page import AnswerPage
from nbvlm.widgets.stream_throttle import DetectionFeed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODES = "".join(f"<seg{number:03d}>" for number in range(16))
MASKED = f"<loc0100><loc0200><loc0600><loc0700>{CODES} car"


@pytest.fixture
def panel(page: Page, server: Loopback) -> Iterator[nbvlm.Panel]:
    client = nbvlm.Client("nvidia", api_key="nvapi-not-a-real-key", base_url=server.url)
    panel = nbvlm.Panel(
        client=client, image=Image.new("RGB", (400, 200), "teal"), prompt="segment car ; tree"
    )
    yield panel
    panel.close()


@pytest.fixture
def screen(page: Page, panel: nbvlm.Panel) -> Screen:
    return Screen(page, panel)


@pytest.fixture
def decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask decoder in the published shape."""
    np.savez(tmp_path / "decoder.npz", **random_weights(1, **REAL))
    monkeypatch.setenv("NBVLM_VAE_WEIGHTS", str(tmp_path / "decoder.npz"))
    monkeypatch.setattr(codebooks, "_loaded", {})


def test_masks_arrive_while_tokens_do(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback, decoder: None
) -> None:
    server.replies.append(stream(f"{MASKED} ; <loc", hold=True, done=False))
    panel.run(wait=False)
    page.wait(lambda: "0" in screen.now().get("shapes", {}))
    assert screen.state == "running"
    assert screen.shapes["0"].startswith("M")
    panel.stop()
    page.send(screen.viewer, {"type": "hello"})
    assert list(screen.shapes) == ["0"]


def test_masks_come_once_and_stay_when_the_answer_is_whole(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback, decoder: None
) -> None:
    tree = "<loc0000><loc0000><loc0100><loc0100> tree"
    server.replies.append(stream(f"{MASKED} ; ", 0.5, tree, delta("", "stop")))
    result = panel.run()
    page.wait(lambda: "shapes" in screen.now())
    sent = [content for content, _ in page.custom(screen.viewer) if content["type"] == "shapes"]
    assert [list(content["shapes"]) for content in sent] == [["0"]]
    assert screen.viewer._shapes == sent[0]["shapes"]
    crop = result.detections.mask_crops[0]
    assert sent[0]["shapes"]["0"] == mask_svg_path(crop)


def test_an_answer_without_a_mask_decoder_is_whole_and_says_so(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBVLM_VAE_WEIGHTS", "/nowhere/decoder.npz")
    monkeypatch.setattr(codebooks, "_loaded", {})
    server.replies.append(stream(MASKED, delta("", "stop")))
    assert panel.run().text == MASKED
    page.wait(lambda: screen.now().get("notes"))
    reason = "NBVLM_VAE_WEIGHTS names /nowhere/decoder.npz, which is not a file."
    assert screen.notes == [f"The masks are not drawn. {reason}"]
    assert (screen.state, len(screen.boxes)) == ("done", 1)


def test_masks_of_an_earlier_answer_are_not_shown(page: Page) -> None:
    viewer = Viewer(Image.new("RGB", (40, 30)), Detections([[1, 2, 9, 9]], ["cat"], (40, 30)))
    turn = viewer.turn
    viewer.detections = None
    viewer.outline(turn, {"0": "M0 0l1 0 0 1z"})
    viewer.remark(turn, "Too late.")
    assert [content["type"] for content, _ in page.custom(viewer)] == ["all", "put", "put"]


def test_a_pause_before_the_next_try_is_counted_down(page: Page) -> None:
    async def wait() -> None:
        live = StreamThrottle(answer, "caption en", interval=0.0)
        live.take(Status("retry", 12.0, 1, 4))
        await asyncio.sleep(0.05)
        answer.send_all()
        live.take(TextDelta("a"))
        await asyncio.sleep(0.05)

    answer = AnswerPage()
    asyncio.run(wait())
    first, again, after = (content["status"] for content, _ in page.custom(answer))
    assert first["parts"] == ["Waiting 12 s to ask again: try 2 of 4"]
    assert 11 < again["wait"] <= first["wait"] <= 12
    assert after == {"state": "running", "parts": ["Answering"]}


def test_text_keeps_its_pace_while_boxes_wait_for_theirs(page: Page) -> None:
    answer, viewer = AnswerPage(), Viewer(Image.new("RGB", (40, 30)))
    found = Detections([[1, 2, 9, 9], [3, 4, 20, 20]], ["cat", "dog"], (40, 30))
    shown: list[int] = []
    viewer.observe(lambda change: shown.append(len(change["new"])), "detections")
    live = StreamThrottle(answer, "detect cat ; dog", DetectionFeed(viewer), interval=0.0)
    live.take(DetectionFound(found[0]))
    page.wait_until(lambda: shown == [1])
    live.take(DetectionFound(found[1]))
    live.take(TextDelta("a"))
    page.wait(lambda: any(content.get("text") == "a" for content, _ in page.custom(answer)))
    assert shown == [1]
    page.wait_until(lambda: shown == [1, 2])
    live.close()
    assert shown == [1, 2]


def test_an_answer_ends_on_the_loop_while_its_boxes_are_being_drawn() -> None:
    class Slow:
        """A viewer that draws boxes until the end of the answer has begun."""

        feed, size, ending = None, (40, 30), threading.Event()
        drawn: Any = None

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "detections":
                shared_loop().call(end)
                assert self.ending.wait(10)
                self.__dict__["drawn"] = value
            self.__dict__[name] = value

    def end() -> None:
        viewer.ending.set()
        feed.close()
        ended.set()

    viewer, ended = Slow(), threading.Event()
    feed = DetectionFeed(viewer)
    feed.take(Detection("cat", (1, 2, 9, 9), size=(40, 30)))
    assert ended.wait(10)
    assert len(viewer.drawn) == 1
    assert viewer.feed is None


def test_the_status_line_tells_all_that_was_measured(panel: nbvlm.Panel, screen: Screen) -> None:
    result = panel.run()
    route, sent, tokens, first, total, *rest = screen.status["parts"]
    assert (route, tokens.split()[-1]) == ("Inline", "tokens")
    assert sent.endswith("B sent")
    assert first.startswith("first token ")
    assert total.startswith("total ")
    if result.request_id:
        assert rest[-1]["copy"] == result.request_id
    assert screen.alt == description.alt_text(result)
    assert screen.said == description.summary(result)


def test_a_region_that_was_drawn_goes_to_the_task(page: Page, panel: nbvlm.Panel, screen: Screen) -> None:
    controller = panel._controller
    page.send(controller.task_bar, {"type": "region", "on": True})
    assert screen.viewer.mode == "region"
    page.send(screen.viewer, {"type": "region", "box": [300, 150, -20, 20]})
    assert (screen.viewer.mode, screen.viewer.region) == ("select", (0.0, 20.0, 300.0, 150.0))
    sent = [content for content, _ in page.custom(controller.task_bar) if content["type"] == "region"]
    assert sent[-1]["box"] == [0.0, 20.0, 300.0, 150.0]
    page.send(screen.viewer, {"type": "region", "box": None})
    assert screen.viewer.region == (0.0, 20.0, 300.0, 150.0)
