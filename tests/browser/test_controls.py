"""Models, keys, sources, presets, kept answers, sweeps and failures in JupyterLab."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect
from support.loopback import delta, problem, stream

from browser.hosts import SLOW
from nbvlm.demo.gallery import GALLERY

if TYPE_CHECKING:
    from support.loopback import Loopback

    from browser.conftest import Opened
    from browser.hosts import Jupyter, Sheet

CAR = "<loc0100><loc0100><loc0500><loc0500> car"
MOVED = "<loc0160><loc0100><loc0560><loc0500> car ; <loc0600><loc0600><loc0800><loc0800> tree"
TYPED = "not-a-real-key-but-typed"


@pytest.fixture
def lab(opened_hosted: Opened) -> Sheet:
    return opened_hosted.again()


@pytest.fixture
def service(opened_hosted: Opened, lab: Sheet) -> Loopback:
    return opened_hosted.service


def asked(service: Loopback) -> list[str]:
    posts = [seen for seen in service.seen if seen.path == service.model]
    return [seen.json["messages"][0]["content"].partition(" <img")[0] for seen in posts]


def presets_and_memory(lab: Sheet, service: Loopback) -> None:
    """Chips, languages, arrow keys, a queue of one; presses come at once, before the kernel can answer."""
    keyboard, prompt = lab.page.keyboard, lab.find(".nbvlm-prompt textarea")
    lab.find(".nbvlm-task select").select_option("Segment")
    lab.find(".nbvlm-thing").fill("left wheel;")
    lab.press("run")  # at once: nothing has gone to the kernel and back
    lab.wait("done")
    lab.find(".nbvlm-task select").select_option("Caption")
    lab.find(".nbvlm-language").select_option("de")
    go_on = threading.Event()
    service.replies.append(lambda seen: (go_on.wait(20), stream("first", delta("", "stop")))[1])
    lab.press("run")
    lab.wait("running")
    prompt.fill("second")
    keyboard.press("Control+Enter")
    expect(lab.find("button.nbvlm-run")).to_have_text("Queued")
    go_on.set()
    expect(lab.find("button.nbvlm-run")).to_have_text("Run")
    lab.wait("done")
    found = asked(service)[-3:]
    assert found[0].startswith("segment ")
    assert found[0].endswith(" ; left wheel")
    assert found[1:] == ["caption de", "second"]
    prompt.focus()
    keyboard.press("ArrowUp")
    expect(prompt).to_have_value("caption de")
    expect(lab.find(".nbvlm-language")).to_have_value("de")
    keyboard.press("ArrowDown")
    expect(prompt).to_have_value("second")
    for name in ("temperature", "top-p"):
        lab.find(f".nbvlm-{name} .noUi-handle").focus()
        keyboard.press("ArrowRight")
    expect(lab.find(".nbvlm-note")).to_be_visible()
    lab.press("reset")
    expect(lab.find(".nbvlm-note")).to_be_hidden()
    lab.press("run")
    lab.wait("done")
    body = service.seen[-1].json
    assert (body["temperature"], body["top_p"]) == (0.2, 0.7)


def test_pictures_from_everywhere_and_prompts_from_presets_are_asked_about(
    lab: Sheet, service: Loopback, jupyter: Jupyter
) -> None:
    lab.press("webcam")
    expect(lab.find(".nbvlm-shoot")).to_be_enabled()
    lab.press("shoot")
    expect(lab.find(".nbvlm-chosen-name")).to_have_text("webcam.jpg")
    assert lab.find(".nbvlm-booth").is_hidden()
    assert lab.ask("caption en") == "a red car"
    # The kernel's own folder is where the notebook is.
    Image.effect_noise((700, 700), 90).convert("RGB").save(jupyter.notebooks / "noise.png")
    lab.press("link")
    lab.find(".nbvlm-place").fill("noi")
    lab.find('.nbvlm-open option[value="noise.png"]').wait_for(state="attached")
    lab.find(".nbvlm-place").fill("noise.png")
    lab.page.keyboard.press("Enter")
    expect(lab.find(".nbvlm-chosen-way")).to_have_text("uploaded as an asset, then deleted")
    lab.find(".nbvlm-route").select_option("inline")
    lab.press("run")
    lab.wait("done")
    expect(lab.find(".nbvlm-chosen-way")).to_contain_text("shrunk from 700 × 700")
    assert [seen.method for seen in service.seen if "assets" in seen.path] == []
    lab.press("reset-picture")
    expect(lab.find(".nbvlm-chosen-name")).to_have_text("No picture chosen")
    lab.press("run")
    expect(lab.find(".nbvlm-error")).to_contain_text("No picture is chosen.")
    lab.find(".nbvlm-thumb").nth(1).click()
    expect(lab.find(".nbvlm-chosen-name")).to_have_text(f"{GALLERY[1].name}.png")
    presets_and_memory(lab, service)
    assert lab.errors == []


def test_answers_are_pinned_compared_deleted_and_swept_in_lab(lab: Sheet, service: Loopback) -> None:
    sheet, service.text = lab, CAR
    sheet.ask("detect car")
    service.text = MOVED
    sheet.ask("detect car ; tree")
    cards = sheet.find(".nbvlm-card-main")
    cards.nth(1).focus()
    for key in ("p", "ArrowLeft", "p"):
        sheet.page.keyboard.press(key)
    sides = sheet.find(".nbvlm-side")
    expect(sides).to_have_count(2)
    expect(sides.nth(1).locator(".nbvlm-tally")).to_have_text(re.compile("1 new.*1 moved"))
    sheet.page.keyboard.press("Enter")
    expect(sheet.find(".nbvlm-prompt textarea")).to_have_value("detect car")
    expect(sheet.find(".nbvlm-card-current")).to_have_attribute("data-answer", "1")
    sheet.page.keyboard.press("Delete")
    expect(cards).to_have_count(1)
    expect(cards).to_be_focused()
    expect(sides).to_have_count(0)
    with sheet.page.expect_download() as download:
        sheet.press("export-json")
    assert json.loads(download.value.path().read_text())["prompt"] == "detect car"
    sweeps(sheet, service)
    assert sheet.outside == []
    assert sheet.errors == []


def sweeps(sheet: Sheet, service: Loopback) -> None:
    sheet.find(".nbvlm-sweep-summary").click()
    sheet.find(".nbvlm-sweep-prompts").fill("detect car\ncaption en")
    sheet.find(".nbvlm-sweep-heats").fill("0.3")
    expect(sheet.find(".nbvlm-sweep-estimate")).to_have_text("2 questions, about 3 s at 40 a minute")
    sheet.press("sweep-start")
    done = sheet.find("button.nbvlm-sweep-cell")
    expect(done).to_have_count(2, timeout=SLOW)
    expect(sheet.find(".nbvlm-sweep-words")).to_contain_text("2 of 2")
    done.last.click()
    expect(sheet.find(".nbvlm-prompt textarea")).to_have_value("caption en")
    expect(sheet.find(".nbvlm-card-current .nbvlm-card-prompt")).to_have_text("caption en")


def test_failures_help_and_a_typed_key_is_in_nothing_that_is_saved(
    lab: Sheet, service: Loopback, jupyter: Jupyter
) -> None:
    error = lab.find(".nbvlm-error")
    service.replies += [problem(401, "Authentication failed")]
    lab.press("run")
    expect(error).to_contain_text("This key may not use this model")
    field = lab.find(".nbvlm-key-input")
    expect(field).to_be_focused()
    lab.page.keyboard.type(TYPED)
    lab.page.keyboard.press("Enter")
    expect(lab.find(".nbvlm-status[data-state=done]")).to_be_visible()
    expect(error).to_be_hidden()
    assert service.seen[-1].headers["authorization"] == f"Bearer {TYPED}"
    expect(lab.find(".nbvlm-key-button")).to_have_text("Key from this panel")
    service.replies += [problem(429, retry_after="61")] * 5
    lab.press("run")
    expect(error.get_by_role("timer")).to_contain_text("Ask again in 6")
    service.replies.clear()
    error.get_by_role("button", name="Ask again").click()
    expect(lab.find(".nbvlm-status[data-state=done]")).to_be_visible()
    service.replies += [problem(410, "end of life")]
    lab.press("run")
    expect(error).to_contain_text("This model has been retired")
    error.get_by_role("button", name="Ask the demo model").click()
    expect(lab.find(".nbvlm-status[data-state=done]")).to_be_visible()
    expect(lab.find(".nbvlm-badge")).to_be_visible()
    expect(lab.find("select.nbvlm-model")).to_have_value("demo")
    lab.find("select.nbvlm-model").select_option("nvidia")
    assert lab.ask("caption en") == "a red car"
    with lab.page.expect_response(lambda reply: reply.request.method == "PUT" and "quickstart" in reply.url):
        lab.page.keyboard.press("Control+s")
    assert TYPED not in (jupyter.notebooks / "quickstart.ipynb").read_text()
    assert TYPED not in json.dumps(lab.page.content())
