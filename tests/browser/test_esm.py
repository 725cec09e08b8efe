"""The page parts alone, against a model of our own: as hosts with strict rules and odd habits use them."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser.parts import base64_png, load, say
from nbvlm.widgets import esm

if TYPE_CHECKING:
    from playwright.sync_api import Page


def whole(text: str = "", state: str = "ready") -> dict[str, Any]:
    status = {"state": state, "parts": []}
    return {"type": "put", "text": text, "boxes": [], "notes": [], "status": status}


def drawn(*boxes: Any) -> dict[str, Any]:
    picture = {"name": "cat.png", "width": 400, "height": 200, "mime": "image/png"}
    return {"type": "all", "picture": picture, "boxes": boxes, "shapes": {}, "alt": "", "notes": []}


BOX = {"label": "cat", "box": [40, 20, 200, 100], "color": "#009e73", "ink": "#000000"}


def test_an_answer_asks_for_everything_when_it_starts(page: Page) -> None:
    load(page, "answer", {"answer": "from a saved notebook"})
    assert page.evaluate("model.sent.map((one) => one.content.type)") == ["hello"]
    page.evaluate("show()")
    assert page.locator(".nbvlm-answer").text_content() == "from a saved notebook"


def test_two_views_of_an_answer_show_the_same_even_if_one_opens_late(page: Page) -> None:
    load(page, "answer")
    page.evaluate("show()")
    say(page, whole(state="running"))
    say(page, {"type": "more", "text": "a "})
    page.evaluate("show()")
    say(page, {"type": "more", "text": "cat"})
    assert page.locator(".nbvlm-answer").all_text_contents() == ["a cat", "a cat"]


def test_two_views_of_a_viewer_show_the_same_even_if_one_opens_late(page: Page) -> None:
    load(page, "viewer")
    page.evaluate("show()")
    say(page, drawn(), base64_png())
    say(page, {"type": "more", "boxes": [BOX]})
    page.evaluate("show()")
    assert page.locator("svg rect").count() == 2
    assert (
        page.locator("img.nbvlm-picture").last.evaluate(
            "image => image.decode().then(() => image.naturalWidth)"
        )
        == 40
    )


def test_a_view_closed_while_text_streams_leaves_the_other_alone(page: Page) -> None:
    load(page, "answer")
    page.evaluate("show()")
    page.evaluate("show()")
    say(page, whole(state="running"))
    page.evaluate("cleanups[0]()")
    say(page, {"type": "more", "text": "on and on"})
    assert page.locator(".nbvlm-answer").all_text_contents() == ["", "on and on"]
    page.evaluate("cleanups[1](); end()")
    assert page.evaluate("model.count()") == 0


def test_an_error_names_the_file_and_the_line_that_it_comes_from(page: Page) -> None:
    load(page, "viewer")
    page.evaluate("show()")
    say(page, drawn(), base64_png())
    stack = page.evaluate("""() => {
      try {
        model.say({type: "more", boxes: [{label: "cat", box: null}]});
      } catch (error) {
        return error.stack;
      }
    }""")
    places = re.findall(r"nbvlm/(\w+\.js):(\d+)", stack)
    assert [file for file, _ in places][-1] == "viewer.js"
    line = next(int(line) for file, line in places if file == "overlay.js")
    source = Path(esm.__file__).with_name("static") / "overlay.js"
    assert "} = rectangle(box.box);" in source.read_text("utf-8").splitlines()[line - 1]


def test_the_old_answer_goes_at_the_press_on_run(page: Page) -> None:
    load(page, "answer")
    page.evaluate("show()")
    say(page, whole("an old answer", "done"))
    page.evaluate("""() => {
      const run = document.createElement("button");
      run.className = "nbvlm-run";
      document.querySelector(".nbvlm-panel").append(run);
    }""")
    page.locator(".nbvlm-run").click()
    assert page.locator(".nbvlm-answer").text_content() == ""
    assert page.locator(".nbvlm-status").get_attribute("data-state") == "running"


@pytest.mark.parametrize("name", ["viewer", "detection_list"])
def test_the_old_boxes_go_at_the_press_on_run_and_come_back_if_nothing_is_asked(
    page: Page, name: str
) -> None:
    picture = {"width": 400, "height": 200}
    load(page, name, {"group": "one"})
    page.evaluate("show()")
    say(page, drawn(BOX), base64_png())
    say(page, {"type": "put", "picture": picture, "boxes": [BOX], "reading": None, "answer": "1"})
    shown = page.locator("svg rect, .nbvlm-found-row[data-index]")
    group = "[...globalThis[Symbol.for('nbvlm.groups')].get('one')].forEach((one) => one(%s))"
    for kind, count in (("asking", 0), ("asked", 1), ("asking", 0)):
        page.evaluate(group % f"'{kind}'")
        assert shown.count() == count, kind
    say(page, {"type": "put", "picture": picture, "boxes": [], "reading": None, "answer": "2"})
    page.evaluate(group % "'asked'")
    assert shown.count() == 0


def test_long_answers_are_appended_not_written_again(page: Page) -> None:
    load(page, "answer")
    page.evaluate("show()")
    say(page, whole(state="running"))
    say(page, {"type": "more", "text": "first"})
    page.evaluate("window.node = document.querySelector('.nbvlm-answer').firstChild")
    say(page, {"type": "more", "text": ", second"})
    same = "node === document.querySelector('.nbvlm-answer').firstChild && node.data"
    assert page.evaluate(same) == "first, second"


def test_the_picture_says_in_words_what_its_boxes_show(page: Page) -> None:
    load(page, "viewer", {"bare": True})
    page.evaluate("show()")
    say(page, drawn(), base64_png())
    picture = page.locator("img.nbvlm-picture")
    assert picture.get_attribute("alt") == "The chosen picture, cat.png"
    say(page, {"type": "put", "boxes": [BOX, BOX, {**BOX, "label": "dog"}]})
    assert picture.get_attribute("alt") == "cat.png, marked: cat (2), dog"


def test_a_file_travels_in_pieces_each_after_the_last_was_received(page: Page) -> None:
    load(page, "picker")
    page.evaluate("show()")
    data = bytes(range(256)) * 10_000
    page.locator("input[type=file]").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": data}
    )
    sizes = []
    for received in (0, 2**20, 2 * 2**20, len(data)):
        page.evaluate(f"until(() => model.sent.length === {2 + len(sizes)})")
        sent = page.evaluate("model.sent.at(-1)")
        sizes += sent["sizes"] or [sent["content"]["size"]]
        say(page, {"type": "received", "id": sent["content"]["id"], "bytes": received})
    page.evaluate("until(() => model.sent.at(-1).content.type === 'end')")
    assert sizes == [len(data), 2**20, 2**20, len(data) - 2 * 2**20]
    assert page.evaluate("model.sent.at(-1).content.crc") == zlib.crc32(data)


def test_an_upload_can_be_cancelled(page: Page) -> None:
    load(page, "picker")
    page.evaluate("show()")
    data = {"name": "a.png", "mimeType": "image/png", "buffer": b"0" * 3_000_000}
    page.locator("input[type=file]").set_input_files(data)
    assert page.locator(".nbvlm-progress").is_visible()
    page.locator(".nbvlm-cancel").click()
    assert page.evaluate("model.sent.at(-1).content.type") == "cancel"
    assert page.locator(".nbvlm-upload").is_visible()
    page.locator("input[type=file]").set_input_files(data)
    assert page.evaluate("model.sent.at(-1).content.type") == "begin"


def test_two_views_upload_at_the_same_time(page: Page) -> None:
    load(page, "picker")
    page.evaluate("show()")
    page.evaluate("show()")
    files = [bytes([number]) * size for number, size in ((1, 2_500_000), (2, 1_500_000))]
    for number, data in enumerate(files):
        field = page.locator("input[type=file]").nth(number)
        field.set_input_files({"name": f"{number}.png", "mimeType": "image/png", "buffer": data})
    ids, ends, done = [], {}, 0
    while len(ends) < 2:  # replies come in turns, as two views ask
        page.evaluate(f"until(() => model.sent.length > {done} + 1)")
        one = page.evaluate(f"model.sent[{done} + 1].content")
        ids += [one["id"]] if one["type"] == "begin" else []
        if one["type"] == "end":
            ends[one["id"]] = one["crc"]
        say(page, {"type": "arrived" if one["type"] == "end" else "received", "id": one["id"], "bytes": 0})
        done += 1
    assert [ends[key] for key in ids] == [zlib.crc32(data) for data in files]
    page.locator(".nbvlm-upload").nth(0).wait_for()
    page.locator(".nbvlm-upload").nth(1).wait_for()


def test_a_refused_file_frees_the_button(page: Page) -> None:
    load(page, "picker")
    page.evaluate("show()")
    data = {"name": "a.png", "mimeType": "image/png", "buffer": b"0" * 30}
    page.locator("input[type=file]").set_input_files(data)
    say(page, {"type": "refused", "id": page.evaluate("model.sent.at(-1).content.id")})
    page.locator(".nbvlm-upload").wait_for()
    assert page.locator(".nbvlm-progress").is_hidden()


def test_samples_are_chosen_by_mouse_and_by_arrow_keys(page: Page) -> None:
    load(page, "picker")
    say(page, {"type": "gallery", "titles": ["One", "Two"], "mime": "image/png"}, base64_png(), base64_png())
    page.evaluate("show()")
    say(page, {"type": "chosen", "name": "one.png", "detail": "40 × 20 px", "index": 0})
    one, two = page.get_by_role("radio", name="One"), page.get_by_role("radio", name="Two")
    assert (one.get_attribute("aria-checked"), two.get_attribute("aria-checked")) == ("true", "false")
    one.focus()
    page.keyboard.press("ArrowRight")
    first = page.evaluate("model.sent.at(-1).content")
    assert (first["type"], first["index"], first["number"]) == ("choose", 1, 1)
    one.click()
    assert page.evaluate("model.sent.at(-1).content") == first | {"index": 0, "number": 2}


CHOICES = [
    {"value": "demo", "label": "nbvlm/demo", "group": "Here", "note": ""},
    {"value": "nvidia", "label": "google/paligemma", "group": "There", "note": "Known to all."},
]


def test_the_badge_is_there_for_the_demo_model_only(page: Page) -> None:
    load(page, "toolbar", {"demo": True})
    page.evaluate("show()")
    assert page.locator(".nbvlm-badge").is_visible()
    load(page, "toolbar", {"demo": False})
    page.evaluate("show()")
    assert page.locator(".nbvlm-badge").last.is_hidden()


def test_the_list_of_models_shows_groups_and_opens_forms_where_it_is_to(page: Page) -> None:
    load(page, "model_list", {"choices": CHOICES, "choice": "nvidia", "key": {"text": "No key yet"}})
    page.evaluate("show()")
    models = page.locator(".nbvlm-model").last
    assert models.input_value() == "nvidia"
    assert models.locator("optgroup[label=There] option").all_text_contents() == ["google/paligemma"]
    assert models.locator("option").count() == 2
    assert page.locator(".nbvlm-key-button").last.is_hidden()
    load(
        page,
        "model_list",
        {"choices": CHOICES, "choice": "nvidia", "key": {"text": "No key yet"}, "opens": True},
    )
    page.evaluate("show()")
    texts = page.locator(".nbvlm-model").last.locator("option").all_text_contents()
    assert texts[-2:] == ["Another server …", "A recording …"]
    assert page.locator(".nbvlm-key-button").last.is_visible()


def test_the_styles_of_a_widget_reach_it_in_a_shadow_root_and_follow_a_new_version(page: Page) -> None:
    load(page, "answer", {}, "answer")
    page.evaluate("""async () => {
      const host = document.createElement("div");
      document.body.append(host);
      const root = host.attachShadow({mode: "open"});
      const el = document.createElement("div");
      root.append(el);
      await widget.render({model, el});
      await widget.render({model, el});
    }""")
    sheets = "[...document.querySelector('body > div').shadowRoot.querySelectorAll('style')]"
    assert page.evaluate(f"{sheets}.map((one) => one.dataset.nbvlm)") == ["answer answer"]
    width = "getComputedStyle(document.querySelector('body > div').shadowRoot.querySelector('div')).display"
    assert page.evaluate(width) == "flex"
    page.evaluate("show()")
    own = "document.head.querySelector('style[data-nbvlm=\"answer answer\"]')"
    page.evaluate(f"{own}.textContent = 'of an older version'")
    page.evaluate("show()")
    assert ".nbvlm-answer" in page.evaluate(f"{own}.textContent")
