"""The quick-start in JupyterLab with a hosted service, as a person uses it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from support.loopback import delta, problem, stream

from nbvlm.demo.gallery import GALLERY

if TYPE_CHECKING:
    from pathlib import Path

    from support.loopback import Loopback

    from browser.conftest import Opened
    from browser.hosts import Sheet

CARS = " ; ".join(f"<loc0{row}00><loc0{row}10><loc0{row}90><loc0{row}99> car" for row in range(1, 9))


def tokens(text: str) -> list[str]:
    return re.findall(r"<loc\d{4}>|\s?[^\s<]+|\s", text)


def slowly(text: str, seconds: float = 0.05) -> list[str | float]:
    return [part for token in tokens(text) for part in (token, seconds)]


@pytest.fixture
def slow_lab(opened_hosted: Opened) -> Sheet:
    """The quick-start with all cells run, answered by the service on loopback."""
    return opened_hosted.again()


@pytest.fixture
def service(opened_hosted: Opened, slow_lab: Sheet) -> Loopback:
    return opened_hosted.service


def test_text_grows_and_boxes_appear_while_tokens_arrive(slow_lab: Sheet, service: Loopback) -> None:
    expect(slow_lab.find(".nbvlm-badge")).to_be_hidden()
    service.replies.append(stream(*slowly(CARS), delta("", "stop")))
    slow_lab.watch()
    slow_lab.press("run")
    slow_lab.wait("done")
    assert slow_lab.answer == CARS
    running = [view for view in slow_lab.seen if view["state"] == "running"]
    lengths = [len(view["text"]) for view in running]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 10
    assert {1, 2, 3, 4} <= {view["boxes"] for view in running}
    assert slow_lab.find(".nbvlm-viewer svg rect").count() == 8


def test_stop_in_the_middle_of_a_long_answer(slow_lab: Sheet, service: Loopback) -> None:
    before = service.open
    service.replies.append(stream(*slowly("a word " * 500), delta("", "stop")))
    slow_lab.watch()
    slow_lab.press("run")
    expect(slow_lab.find(".nbvlm-answer")).to_contain_text("word a word a word")
    pressed = slow_lab.now
    slow_lab.press("stop")
    slow_lab.wait("stopped")
    assert service.wait_for(lambda: service.open <= before)  # panels of other tests may keep theirs
    stopped = next(view for view in slow_lab.seen if view["state"] == "stopped")
    assert stopped["time"] - pressed < 500
    assert slow_lab.answer == stopped["text"]
    assert len(stopped["text"]) < 2000
    expect(slow_lab.find(".nbvlm-status")).to_contain_text("Stopped after")
    assert slow_lab.ask("caption en") == "a red car"


@pytest.mark.parametrize("megabytes", [12, pytest.param(60, marks=pytest.mark.heavy)])
def test_a_file_beyond_a_websocket_message_arrives_whole(
    slow_lab: Sheet, service: Loopback, tmp_path: Path, megabytes: int
) -> None:
    height = megabytes * 1000 // 6
    pixels = np.random.default_rng(1).integers(0, 256, (height, 2100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png", compress_level=0)
    assert (tmp_path / "large.png").stat().st_size > megabytes * 1_000_000
    slow_lab.find(".nbvlm-picker input[type=file]").set_input_files(tmp_path / "large.png")
    expect(slow_lab.find(".nbvlm-chosen")).to_contain_text(f"2100 × {height} px", timeout=60_000)
    assert slow_lab.ask("caption en") == "a red car"
    expect(slow_lab.find(".nbvlm-status")).to_contain_text("Asset")
    created = next(seen for seen in service.seen if seen.method == "PUT")
    assert created.body == (tmp_path / "large.png").read_bytes()


def test_bad_uploads_are_one_sentence_each_and_the_panel_goes_on(
    slow_lab: Sheet, service: Loopback, tmp_path: Path
) -> None:
    Image.effect_noise((300, 300), 90).convert("RGB").save(tmp_path / "half.jpg")
    half = (tmp_path / "half.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(half[: len(half) // 2])
    (tmp_path / "notes.png").write_text("These are only my notes.\n" * 9)
    (tmp_path / "empty.png").touch()
    error, field = slow_lab.find(".nbvlm-error"), slow_lab.find(".nbvlm-picker input[type=file]")
    for name in ("half.jpg", "notes.png", "empty.png"):
        field.set_input_files(tmp_path / name)
        expect(error).to_contain_text(name)
        assert 0 < len(error.locator(".nbvlm-error-words").text_content() or "") < 200
        expect(slow_lab.find(".nbvlm-chosen")).to_contain_text(f"{GALLERY[0].name}.png")
    assert slow_lab.ask("caption en") == "a red car"
    expect(error).to_be_hidden()


def test_errors_of_the_service_are_told_and_the_panel_goes_on(slow_lab: Sheet, service: Loopback) -> None:
    error = slow_lab.find(".nbvlm-error")
    service.replies.append(problem(401, "Authentication failed"))
    slow_lab.press("run")
    expect(error).to_contain_text("key")
    expect(slow_lab.find(".nbvlm-status")).to_contain_text("No answer")
    slow_lab.prompt("")
    slow_lab.press("run")
    expect(error).to_contain_text("The prompt is empty.")
    assert slow_lab.ask("caption en") == "a red car"
    expect(error).to_be_hidden()


def test_what_the_model_and_a_file_say_is_text_and_nothing_more(
    slow_lab: Sheet, service: Loopback, tmp_path: Path
) -> None:
    evil = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> <loc0001> & co'
    service.replies.append(stream(*evil.split(" ", 1)[0:1], " " + evil.split(" ", 1)[1], delta("", "stop")))
    slow_lab.press("run")
    slow_lab.wait("done")
    assert slow_lab.answer == evil
    label = "<loc0100><loc0100><loc0500><loc0500> <b>bold</b>"
    service.replies.append(stream(label, delta("", "stop")))
    slow_lab.press("run")
    expect(slow_lab.find(".nbvlm-label")).to_have_text("<b>bold</b>")
    name = "<b onclick=alert(1)>cat.png"
    Image.new("RGB", (20, 20)).save(tmp_path / name, "PNG")
    slow_lab.find(".nbvlm-picker input[type=file]").set_input_files(tmp_path / name)
    expect(slow_lab.find(".nbvlm-chosen-name")).to_have_text(name)
    assert slow_lab.page.evaluate("window.hacked") is None


def test_the_keyboard_alone_runs_and_stops(slow_lab: Sheet, service: Loopback) -> None:
    service.replies.append(stream(*slowly("a word " * 500), delta("", "stop")))
    field, keyboard = slow_lab.find(".nbvlm-prompt textarea"), slow_lab.page.keyboard
    cells = slow_lab.page.locator(".jp-Notebook .jp-Cell").count()
    field.focus()
    keyboard.press("Control+a")
    keyboard.type("detect fast typing")
    keyboard.press("Control+Enter")
    expect(slow_lab.find(".nbvlm-answer")).to_contain_text("a word")
    keyboard.press("Escape")
    slow_lab.wait("stopped")
    asked = service.seen[-1].json["messages"][0]["content"]
    assert asked.startswith("detect fast typing ")
    assert slow_lab.page.locator(".jp-Notebook .jp-Cell").count() == cells
    slow_lab.find(".nbvlm-upload").focus()
    with slow_lab.page.expect_request(
        lambda request: request.method == "PUT" and "quickstart" in request.url
    ):
        keyboard.press("Control+s")
    handle = slow_lab.find(".nbvlm-temperature .noUi-handle")
    handle.focus()
    keyboard.press("ArrowRight")
    expect(slow_lab.find(".nbvlm-temperature .widget-readout")).to_have_text("0.21")
    expect(handle).to_have_attribute("aria-label", "Temperature")
