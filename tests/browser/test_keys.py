"""Presses and keys in JupyterLab: what is asked is what the fields say, however messages travel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from support.loopback import Loopback

    from browser.hosts import Sheet

# What fields tell by themselves arrives late; presses arrive at once.
LATE = """(() => {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    const late = text.includes('"comm_msg"') && text.includes('"method":"update"');
    if (late) setTimeout(() => send.call(this, data), 700);
    else send.call(this, data);
  };
})()"""


@pytest.fixture
def late_lab(sheet: Sheet, quickstart: str, service: Loopback) -> Sheet:
    sheet.page.add_init_script(LATE)
    return sheet.open_lab(quickstart).run_all()


def asked(service: Loopback) -> list[tuple[str, float]]:
    bodies = [seen.json for seen in service.seen]
    return [(body["messages"][0]["content"].partition(" <img")[0], body["temperature"]) for body in bodies]


def test_run_asks_what_the_fields_say_though_their_own_messages_come_later(
    late_lab: Sheet, service: Loopback
) -> None:
    keyboard = late_lab.page.keyboard
    late_lab.ask("detect first")
    late_lab.find(".nbvlm-temperature .noUi-handle").focus()
    keyboard.press("ArrowRight")
    late_lab.find(".nbvlm-prompt textarea").fill("detect second")
    keyboard.press("Control+Enter")
    late_lab.wait("done")
    readout = late_lab.find(".nbvlm-temperature .widget-readout")
    readout.fill("0.5")
    keyboard.press("Control+Enter")
    late_lab.wait("done")
    assert asked(service) == [("detect first", 0.2), ("detect second", 0.21), ("detect second", 0.5)]
    late_lab.page.wait_for_timeout(1000)  # for the late ones to arrive
    expect(late_lab.find(".nbvlm-prompt textarea")).to_have_value("detect second")
    expect(readout).to_have_text("0.50")
