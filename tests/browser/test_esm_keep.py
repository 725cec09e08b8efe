"""The page parts that keep answers, against a model of our own, under the rules of strict hosts."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from browser.parts import base64_png, load, say

if TYPE_CHECKING:
    from playwright.sync_api import Page

PARTS = ("history_strip", "comparison", "sweep_grid", "export_menu", "recorded_questions")


def card(number: int, **more: Any) -> dict[str, Any]:
    facts = {"number": number, "pinned": False, "prompt": f"detect thing {number}", "detail": "T 0.2"}
    return (
        facts
        | {"said": "1 thing.", "model": "m", "picture": "p.png", "created": "2026-11-01T10:00:00Z"}
        | more
    )


def cards(*numbers: int, current: int | None = None) -> dict[str, Any]:
    return {"type": "all", "cards": [card(at) for at in numbers], "drawn": [], "number": current}


def last(page: Page) -> dict[str, Any]:
    sent: dict[str, Any] = page.evaluate("model.sent.at(-1).content")
    return sent


def column(number: int, **more: Any) -> dict[str, Any]:
    box = {"label": "cat", "box": [4, 2, 20, 10], "color": "#009e73", "ink": "#000000", "state": "plain"}
    facts = {"width": 40, "height": 20, "base": 1, "boxes": [box], "counts": None, "words": [["x", "plain"]]}
    return card(number) | facts | more


PLAN = {"prompts": ["one", "<b>two</b>"], "temperatures": [0.2, 0.9], "repeats": 2, "picture": "p.png"}


def sweep(**more: Any) -> dict[str, Any]:
    facts = {"perMinute": 40, "hasTemperature": True}
    return {"type": "all", "facts": facts, "plan": None, "cells": [], "drawn": [], "state": "idle"} | more


@pytest.mark.parametrize("name", PARTS)
def test_each_part_asks_for_everything_and_leaves_nothing_behind(page: Page, name: str) -> None:
    load(page, name, {"still": ""})
    assert page.evaluate("model.sent.map((one) => one.content.type)") == ["hello"]
    page.evaluate("show()")
    page.evaluate("show()")
    page.evaluate("cleanups.forEach((cleanup) => cleanup()); end()")
    assert page.evaluate("model.count()") == 0


def test_two_strips_show_the_same_even_if_one_opens_late(page: Page) -> None:
    load(page, "history_strip")
    page.evaluate("show()")
    assert page.locator(".nbvlm-strip").is_hidden()
    say(page, cards(1))
    page.evaluate("show()")
    say(page, {"type": "cards", "gone": [], "cards": [card(2)]})
    say(page, {"type": "thumbnail", "number": 2}, base64_png())
    say(page, {"type": "mark", "number": 2})
    for strip in page.locator(".nbvlm-strip").all():
        expect(strip.locator(".nbvlm-card")).to_have_count(2)
        expect(strip.locator("[aria-current=true] .nbvlm-card-prompt")).to_have_text("detect thing 2")
        expect(strip.locator("img:visible")).to_have_count(1)


def test_the_strip_is_one_stop_for_tab_and_its_keys_do_what_its_buttons_do(page: Page) -> None:
    load(page, "history_strip")
    page.evaluate("show()")
    say(page, cards(1, 2, 3) | {"asks": True})
    main = page.locator(".nbvlm-card-main")
    assert [node.get_attribute("tabindex") for node in main.all()] == ["-1", "-1", "0"]
    main.last.focus()
    page.keyboard.press("ArrowLeft")
    expect(main.nth(1)).to_be_focused()
    page.keyboard.press("p")
    assert last(page) | {"page": 0} == {"type": "pin", "answer": 2, "pinned": True, "page": 0, "number": 1}
    page.keyboard.press("r")
    assert (last(page)["type"], last(page)["answer"]) == ("again", 2)
    page.keyboard.press("Enter")
    assert (last(page)["type"], last(page)["answer"]) == ("show", 2)
    page.keyboard.press("Tab")
    expect(page.locator(".nbvlm-card-pin").nth(1)).to_be_focused()
    main.nth(1).focus()
    page.keyboard.press("Delete")
    assert (last(page)["type"], last(page)["answer"]) == ("delete", 2)
    say(page, {"type": "cards", "gone": [2], "cards": []})
    expect(main.nth(1)).to_be_focused()
    assert page.evaluate("model.sent.map((one) => one.content.number).slice(1)") == [1, 2, 3, 4]


def test_clear_gives_the_focus_to_undo_and_undo_gives_it_back(page: Page) -> None:
    load(page, "history_strip")
    page.evaluate("show()")
    say(page, cards(1, 2))
    clear, undo = page.locator(".nbvlm-clear"), page.locator(".nbvlm-undo")
    expect(undo).to_be_hidden()
    clear.focus()
    page.keyboard.press("Enter")
    assert last(page)["type"] == "clear"
    say(page, {"type": "cards", "gone": [1, 2], "cards": [], "drawn": [], "removed": 2})
    expect(undo).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("0 answers · 2 deleted")
    page.keyboard.press("Control+z")
    assert last(page)["type"] == "undo"
    back = {"gone": [], "cards": [card(1), card(2)], "drawn": [2], "removed": 0}
    say(page, {"type": "cards", **back}, base64_png())
    expect(clear).to_be_focused()
    expect(page.locator(".nbvlm-card img:visible")).to_have_count(1)
    page.locator(".nbvlm-card-delete").last.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".nbvlm-card-main").first).to_be_focused()


def test_a_card_shows_strangers_words_as_text(page: Page) -> None:
    load(page, "history_strip")
    page.evaluate("show()")
    say(page, {"type": "cards", "gone": [], "cards": [card(1, prompt="<img src=x onerror=alert(1)>")]})
    expect(page.locator(".nbvlm-card-prompt")).to_have_text("<img src=x onerror=alert(1)>")


def test_answers_side_by_side_light_what_a_row_names(page: Page) -> None:
    load(page, "comparison")
    page.evaluate("show()")
    say(page, {"type": "sides", "columns": [column(1)]}, base64_png())
    assert page.locator(".nbvlm-sides").is_hidden()
    box = column(2)["boxes"][0]
    boxes = [
        box | {"state": "moved", "before": [2, 2, 18, 10], "note": "2 px right, overlap 80%"},
        box | {"state": "lost", "label": "<i>dog</i>", "note": "centre"},
    ]
    counts = {"kept": 0, "moved": 1, "lost": 1, "new": 0}
    columns = [column(1), column(2, boxes=boxes, counts=counts)]
    say(page, {"type": "sides", "columns": columns}, base64_png(), base64_png())
    second = page.locator(".nbvlm-side").nth(1)
    expect(second.locator(".nbvlm-count")).to_have_text(["− 1 lost", "→ 1 moved"])
    expect(second.locator(".nbvlm-side-before")).to_have_count(1)
    rows = second.locator(".nbvlm-side-row")
    expect(rows).to_contain_text(["moved, 2 px right", "<i>dog</i>"])
    rows.nth(1).focus()
    expect(second.locator(".nbvlm-on")).to_have_attribute("data-index", "1")
    second.get_by_role("button", name="Unpin").click()
    assert (last(page)["type"], last(page)["answer"], last(page)["pinned"]) == ("pin", 2, False)


def test_words_that_are_new_and_gone_are_marked_as_such(page: Page) -> None:
    load(page, "comparison")
    page.evaluate("show()")
    words = [["a", "same"], ["red", "gone"], ["<b>blue</b>", "new"], ["car", "same"]]
    counts = dict.fromkeys(("kept", "moved", "lost", "new"), 0)
    columns = [column(1, boxes=[]), column(2, boxes=[], counts=counts, words=words)]
    say(page, {"type": "sides", "columns": columns}, "", "")
    text = page.locator(".nbvlm-side-text").nth(1)
    assert (text.locator("del").text_content(), text.locator("ins").text_content()) == ("red", "<b>blue</b>")


def test_the_form_of_a_sweep_says_what_it_would_cost_and_sends_what_it_says(page: Page) -> None:
    load(page, "sweep_grid")
    page.evaluate("show()")
    say(page, sweep())
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    assert any(last(page)["type"] == "facts" or page.wait_for_timeout(50) for _ in range(100))
    page.locator(".nbvlm-sweep-prompts").fill("caption en\n\n detect cat \ncaption en")
    page.locator(".nbvlm-sweep-heats").fill("0.2 0,5")
    page.locator(".nbvlm-sweep-repeats").fill("3")
    expect(page.locator(".nbvlm-sweep-estimate")).to_have_text("18 questions, about 27 s at 40 a minute")
    page.locator(".nbvlm-sweep-start").click()
    sent = last(page)
    assert sent["prompts"] == ["caption en", "detect cat", "caption en"]
    assert (sent["type"], sent["temperatures"], sent["repeats"]) == ("start", ["0.2", "0", "5"], 3)
    say(page, {"type": "refused", "sentence": "Temperature 5 is out of range."})
    expect(page.locator(".nbvlm-sweep-refused")).to_have_text("Temperature 5 is out of range.")


def test_the_grid_fills_cell_by_cell_and_says_whether_repeats_agree(page: Page) -> None:
    load(page, "sweep_grid")
    page.evaluate("show()")
    say(page, sweep(plan=PLAN, state="running"))
    assert page.locator("td").count() == 4
    expect(page.locator("tbody th")).to_have_text(["one", "<b>two</b>"])
    done = {"state": "done", "said": "a cat", "more": "20 ms", "text": 1}
    say(page, {"type": "cell", "index": 0, "cell": {"state": "busy"}})
    expect(page.locator("td").first).to_contain_text("Asking…")
    for index in (0, 1):
        say(page, {"type": "cell", "index": index, "cell": done})
    say(page, {"type": "thumbnail", "index": 0}, base64_png())
    expect(page.locator("td").first).to_contain_text("all 2 say the same")
    expect(page.locator("td img")).to_have_count(1)
    failed = {"state": "failed", "said": "The service failed.", "more": "Ask again."}
    say(page, {"type": "cell", "index": 5, "cell": failed})
    expect(page.locator(".nbvlm-sweep-words")).to_have_text("3 of 8 · 1 failed · about 8 s left")
    page.evaluate("show()")  # a view that opens late
    expect(page.locator(".nbvlm-sweep-failed")).to_have_count(2)
    say(page, {"type": "state", "state": "stopped"})
    expect(page.locator(".nbvlm-sweep-words").first).to_contain_text("Stopped. The answers so far stay.")
    page.locator("button.nbvlm-sweep-cell").first.click()
    assert (last(page)["type"], last(page)["index"]) == ("open", 0)


def test_a_file_is_put_together_and_downloaded_on_the_page_that_asked(page: Page) -> None:
    load(page, "export_menu")
    page.evaluate("show()")
    bar = page.locator(".nbvlm-exports")
    assert bar.is_hidden()
    say(page, {"type": "offer", "offered": True})
    assert page.locator(".nbvlm-export-cell").is_hidden()  # there is no notebook around
    page.locator(".nbvlm-export-json").click()
    key = last(page)["id"]
    data = [base64.b64encode(part).decode() for part in (b'{"a": ', b"1}")]
    head = {"type": "file", "name": "a.json", "mime": "application/json", "pieces": 2}
    say(page, head | {"id": "somebody else's"})
    with page.expect_download() as download:
        say(page, head | {"id": key})
        for part in data:
            say(page, {"type": "piece", "id": key}, part)
    assert download.value.suggested_filename == "a.json"
    assert json.loads(download.value.path().read_text()) == {"a": 1}
    expect(page.locator(".nbvlm-exports-said")).to_have_text("a.json is in your downloads.")


def test_without_a_clipboard_code_is_copied_by_command_or_shown(page: Page) -> None:
    load(page, "export_menu")
    page.evaluate("show()")
    say(page, {"type": "offer", "offered": True})
    page.evaluate("document.execCommand = () => false")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.locator(".nbvlm-export-python").click()
    key = last(page)["id"]
    say(page, {"type": "file", "id": key, "name": "a.py", "mime": "text/x-python", "pieces": 1})
    say(page, {"type": "piece", "id": key}, base64.b64encode(b"print(1)").decode())
    expect(page.locator(".nbvlm-export-code")).to_have_value("print(1)")


def test_a_failure_frees_the_button(page: Page) -> None:
    load(page, "export_menu")
    page.evaluate("show()")
    say(page, {"type": "offer", "offered": True})
    button = page.locator(".nbvlm-export-png")
    button.click()
    expect(button).to_be_disabled()
    say(page, {"type": "failed", "id": last(page)["id"]})
    expect(button).to_be_enabled()


def test_the_questions_of_a_recording_are_buttons_by_picture(page: Page) -> None:
    load(page, "recorded_questions")
    page.evaluate("show()")
    root = page.locator(".nbvlm-recorded-group")
    expect(root).to_have_count(0)
    pictures = [
        {"name": "<b>cat</b>.png", "asks": [[0, "detect cat"], [1, "caption en <i>"]]},
        {"name": "dog.png", "asks": [[2, "detect dog"]]},
    ]
    say(page, {"type": "questions", "pictures": pictures})
    page.evaluate("show()")  # a second view shows the same
    expect(root).to_have_count(4)
    expect(root.first).to_have_attribute("aria-label", "About <b>cat</b>.png")
    expect(page.locator("b, i")).to_have_count(0)
    page.locator(".nbvlm-recorded-ask", has_text="caption en <i>").first.focus()
    page.keyboard.press("Enter")
    assert (last(page)["type"], last(page)["index"]) == ("ask", 1)
    say(page, {"type": "questions", "pictures": []})
    expect(root).to_have_count(0)
