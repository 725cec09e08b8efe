"""The page parts that choose and type, against a model of our own."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from browser.parts import base64_png, load, say
from nbvlm import prompts
from nbvlm.endpoints import get
from nbvlm.widgets.task_bar import tasks_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

FIELDS = """() => {
  const panel = document.querySelector(".nbvlm-panel");
  panel.insertAdjacentHTML("beforeend",
    '<div class="nbvlm-prompt"><textarea style="font: 13px monospace; width: 300px"></textarea></div>' +
    '<button class="nbvlm-run"></button>');
}"""


def task_bar(page: Page, prompt: str = "", **state: Any) -> None:
    """Show a task bar above a prompt field."""
    load(
        page,
        "task_bar",
        {"tasks": tasks_for(get("nvidia")), "things": ["car", "tree"], "size": [400, 200], **state},
    )
    page.evaluate("show()")
    page.evaluate(FIELDS)
    page.locator("textarea").fill(prompt)


def prompt(page: Page) -> str:
    return page.locator("textarea").input_value()


def sent(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("model.sent.at(-1).content")
    return found


# Tasks


@pytest.mark.parametrize(
    ("title", "written"),
    [
        ("Caption", "caption en"),
        ("Describe", "describe en"),
        ("Detect", "detect car ; tree"),
        ("Segment", "segment car ; tree"),
        ("Ask", "answer en what color is the car?"),
        ("Count", "answer en how many cars are there?"),
        ("Read text", "ocr"),
    ],
)
def test_a_preset_writes_the_prompt_and_the_prompt_shows_its_preset(
    page: Page, title: str, written: str
) -> None:
    task_bar(page)
    page.locator(".nbvlm-task select").select_option(title)
    assert prompt(page) == written
    page.locator("textarea").fill("What is going on here?")
    expect(page.locator(".nbvlm-task select")).to_have_value("Own words")
    page.locator("textarea").fill(written)
    expect(page.locator(".nbvlm-task select")).to_have_value(title)


def test_languages_questions_and_prompts_follow_each_other(page: Page) -> None:
    task_bar(page, "caption de")
    language, question = page.locator(".nbvlm-language"), page.locator(".nbvlm-question")
    expect(language).to_have_value("de")
    language.select_option("fr")
    assert prompt(page) == "caption fr"
    page.locator(".nbvlm-task select").select_option("Ask")
    expect(language).to_have_value("fr")
    question.fill("Who is there?")
    assert prompt(page) == "answer fr Who is there?"
    page.locator("textarea").fill("answer es cuántos?")
    expect(question).to_have_value("cuántos?")
    expect(language).to_have_value("es")


def test_things_are_chips_added_and_removed_by_keyboard_and_mouse(page: Page) -> None:
    task_bar(page, "detect dog")
    field = page.locator(".nbvlm-thing")
    field.focus()
    page.keyboard.type("left wheel")
    page.keyboard.press("Enter")
    page.keyboard.type("cat; <b>bird</b>,")
    assert prompt(page) == "detect dog ; left wheel ; cat ; <b>bird</b>"
    assert page.evaluate("document.activeElement.className") == "nbvlm-thing"
    page.keyboard.press("Backspace")
    page.get_by_role("button", name="Remove dog").click()
    page.get_by_role("button", name="Add car").click()
    assert prompt(page) == "detect left wheel ; cat ; car"
    page.locator(".nbvlm-task select").select_option("Segment")
    assert prompt(page) == "segment left wheel ; cat ; car"


def test_a_region_is_written_as_the_package_writes_it(page: Page) -> None:
    task_bar(page)
    page.locator(".nbvlm-task select").select_option("Caption a region")
    assert sent(page) == {"type": "region", "on": True}
    expect(page.locator(".nbvlm-pick-region")).to_have_attribute("aria-pressed", "true")
    chance = random.Random(7)
    for _ in range(40):
        x0, y0 = chance.uniform(0, 390), chance.uniform(0, 190)
        box = [x0, y0, chance.uniform(x0 + 2, 400), chance.uniform(y0 + 2, 200)]
        say(page, {"type": "region", "box": box})
        assert prompt(page) == prompts.caption_region([round(value) for value in box], (400, 200))
    expect(page.locator(".nbvlm-pick-region")).to_have_attribute("aria-pressed", "false")


def test_a_region_can_be_typed(page: Page) -> None:
    task_bar(page)
    page.locator(".nbvlm-task select").select_option("Caption a region")
    for name, value in {"left": "10", "top": "20", "right": "100", "bottom": "200"}.items():
        page.get_by_label(f"Region: {name}, in pixels").fill(value)
        page.keyboard.press("Tab")
    assert prompt(page) == prompts.caption_region((10, 20, 100, 200), (400, 200))
    expect(page.locator(".nbvlm-task select")).to_have_value("Caption a region")


def test_the_fields_follow_what_the_kernel_writes(page: Page) -> None:
    task_bar(page)
    page.evaluate("document.querySelector('textarea').value = 'segment sky'")
    say(page, {"type": "look"})
    expect(page.locator(".nbvlm-task select")).to_have_value("Segment")
    expect(page.locator(".nbvlm-chip-thing")).to_have_text("sky")


# Prompts asked before


def test_the_arrow_keys_bring_prompts_back_at_the_edges_of_the_field_only(page: Page) -> None:
    task_bar(page, "draft")
    say(page, {"type": "asked", "prompts": ["first", "second line\nof two", "third"]})
    field, press = page.locator("textarea"), page.keyboard.press
    field.focus()
    press("ArrowUp")
    assert prompt(page) == "third"
    press("ArrowUp")
    assert prompt(page) == "second line\nof two"
    press("ArrowUp")  # the caret is in the second line: it moves there
    assert prompt(page) == "second line\nof two"
    press("ArrowUp")
    assert prompt(page) == "first"
    press("ArrowUp")
    assert prompt(page) == "first"
    for expected in ("second line\nof two", "third", "draft", "draft"):
        press("ArrowDown")
        assert prompt(page) == expected
    field.fill("one two three four five six seven eight nine ten eleven twelve thirteen")
    press("ArrowUp")  # within a line that is broken
    assert prompt(page).startswith("one two")


# The error card


CARD = {
    "title": "Too many requests",
    "message": "Too many requests (429).",
    "hint": "Wait <b>a minute</b>.",
    "details": [["Status", "429"], ["The service said", "<script>window.hacked = 1</script>"]],
    "actions": [{"id": "again", "label": "Ask again"}, {"id": "model:demo", "label": "Ask the demo model"}],
    "seconds": 2,
}


def test_a_card_counts_down_and_its_buttons_act(page: Page) -> None:
    load(page, "error_card")
    page.evaluate("show()")
    page.evaluate(FIELDS)
    page.evaluate("document.querySelector('.nbvlm-run').onclick = () => { window.ran = true; }")
    say(page, {"type": "card", "card": CARD})
    card = page.get_by_role("alert")
    expect(card).to_contain_text("Too many requests (429). Wait <b>a minute</b>.")
    expect(card.get_by_role("timer")).to_have_text("Ask again in 2 s")
    expect(card.get_by_role("timer")).to_have_text("You can ask again now.")
    card.get_by_role("button", name="Ask again").click()
    assert page.evaluate("window.ran")
    card.get_by_role("button", name="Ask the demo model").click()
    act = sent(page)
    assert (act["type"], act["action"], act["number"]) == ("act", "model:demo", 1)
    assert page.evaluate("window.hacked") is None


def test_details_are_folded_and_copied_as_text(page: Page) -> None:
    load(page, "error_card")
    page.evaluate("show()")
    say(page, {"type": "card", "card": CARD})
    assert page.get_by_text("429", exact=True).is_hidden()
    page.get_by_text("Details", exact=True).click()
    page.evaluate(
        """() => document.addEventListener("copy", () => { window.copied = String(getSelection()); })"""
    )
    page.get_by_role("button", name="Copy details").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("window.copied").splitlines()[0] == "Too many requests"
    page.get_by_role("button", name="Close this message").click()
    assert page.get_by_role("alert").count() == 0
    assert sent(page) == {"type": "close"}
    say(page, {"type": "card", "card": CARD | {"seconds": None}})
    assert page.get_by_role("alert").is_visible()


# The key field


def test_a_key_leaves_by_one_message_and_nothing_of_it_stays(page: Page) -> None:
    load(page, "key_dialog")
    page.evaluate("show()")
    page.evaluate(FIELDS)
    page.evaluate("document.querySelector('.nbvlm-run').onclick = () => { window.ran = true; }")
    assert page.locator("input").count() == 0
    say(page, {"type": "open", "again": True})
    field = page.locator("input")
    assert field.get_attribute("type") == "password"
    field.fill("nvapi-secret")
    page.keyboard.press("Enter")
    assert sent(page).keys() == {"type", "page", "number"}
    assert page.evaluate("model.sent.at(-1).texts") == ["nvapi-secret"]  # kernels log all but buffers
    assert (sent(page)["type"], field.input_value()) == ("key", "")
    say(page, {"type": "refused", "words": "The key holds a blank."})
    expect(page.get_by_role("alert")).to_have_text("The key holds a blank.")
    field.fill("nvapi-secret")
    page.get_by_role("button", name="Use this key").click()
    say(page, {"type": "taken"})
    assert page.locator("input").count() == 0
    assert page.evaluate("window.ran")
    assert "nvapi-secret" not in page.content()


def test_the_key_field_takes_no_keys_from_who_types_elsewhere(page: Page) -> None:
    load(page, "key_dialog")
    page.evaluate("show()")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<textarea id=cell></textarea>')")
    page.locator("#cell").focus()
    say(page, {"type": "open", "again": False})
    assert page.evaluate("document.activeElement.id") == "cell"


# The picker


def test_a_place_is_typed_completed_and_opened(page: Page) -> None:
    load(page, "picker")
    page.evaluate("show()")
    page.get_by_role("button", name="Link or path").click()
    field = page.locator(".nbvlm-place")
    field.fill("pictures/c")
    page.evaluate("until(() => model.sent.at(-1).content.text === 'pictures/c')")
    say(page, {"type": "completions", "text": "pictures/c", "places": ["pictures/cat.png"]})
    assert page.locator(".nbvlm-open datalist option").get_attribute("value") == "pictures/cat.png"
    field.fill("pictures/cat.png")
    page.keyboard.press("Enter")
    assert (sent(page)["type"], sent(page)["place"]) == ("open", "pictures/cat.png")
    say(page, {"type": "opening", "name": "cat.png"})
    page.get_by_role("button", name="Cancel").click()
    assert sent(page)["type"] == "cancel-open"
    say(page, {"type": "opening", "name": ""})
    field.focus()
    page.keyboard.press("Escape")
    assert field.is_hidden()


def test_the_chosen_picture_has_a_thumbnail_a_route_and_a_reset(page: Page) -> None:
    load(page, "picker")
    page.evaluate("show()")
    facts = {
        "name": "<b>cat.png",
        "detail": "40 × 20 px · 1 kB",
        "way": "travels inline, as it is",
        "index": None,
    }
    routes = {"route": "auto", "routes": ["auto", "inline"], "mime": "image/png"}
    say(page, {"type": "chosen", **facts, **routes}, base64_png())
    expect(page.locator(".nbvlm-chosen-name")).to_have_text("<b>cat.png")
    expect(page.locator(".nbvlm-chosen-way")).to_have_text("travels inline, as it is")
    assert (
        page.locator(".nbvlm-chosen-image").evaluate("image => image.decode().then(() => image.naturalWidth)")
        == 40
    )
    page.locator(".nbvlm-route").select_option("inline")
    assert (sent(page)["type"], sent(page)["route"]) == ("route", "inline")
    page.get_by_role("button", name="Reset").click()
    assert sent(page)["type"] == "reset"


def test_a_page_that_may_not_use_the_camera_says_so(page: Page) -> None:
    load(page, "picker")
    page.evaluate("show()")
    page.get_by_role("button", name="Webcam").click()
    expect(page.locator(".nbvlm-booth-words")).to_contain_text("https pages and on this computer only")
    assert page.locator("video").is_hidden()  # nothing is to be seen, so nothing takes its room
    page.keyboard.press("Escape")
    assert page.locator(".nbvlm-booth").is_hidden()
    page.get_by_role("button", name="Webcam").click()
    page.get_by_role("button", name="Close the camera").click()
    assert page.locator(".nbvlm-booth").is_hidden()


# The server form


def test_the_form_for_a_server_lists_its_models_and_connects(page: Page) -> None:
    load(page, "server_dialog")
    page.evaluate("show()")
    page.evaluate("new Promise(requestAnimationFrame)")
    page.evaluate("document.querySelector('.nbvlm-panel').dispatchEvent(new CustomEvent('nbvlm-server'))")
    page.locator(".nbvlm-server-url").fill("http://127.0.0.1:8000/v1")
    page.get_by_role("button", name="List its models").click()
    assert sent(page)["type"] == "models"
    say(page, {"type": "models", "names": ["m1", "m2"], "words": ""})
    expect(page.locator(".nbvlm-server-model")).to_have_value("m1")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Connect").click()
    assert (sent(page)["type"], sent(page)["model"]) == ("connect", "m1")
    say(page, {"type": "connected"})
    assert page.locator(".nbvlm-drawer").count() == 0


def test_models_on_this_computer_are_listed_and_asked_at_a_press(page: Page) -> None:
    load(page, "server_dialog")
    page.evaluate("show()")
    page.evaluate("new Promise(requestAnimationFrame)")
    page.evaluate("document.querySelector('.nbvlm-panel').dispatchEvent(new CustomEvent('nbvlm-server'))")
    button = page.get_by_role("button", name="Look for models on this computer")
    button.click()
    assert sent(page)["type"] == "local"
    expect(button).to_be_disabled()
    label = "<b>qwen3-vl</b> · Ollama"
    models = [{"service": "ollama", "model": "qwen3-vl:8b", "label": label}]
    say(page, {"type": "here", "models": models, "words": "vLLM: no vision model."})
    expect(button).to_be_enabled()
    expect(page.locator(".nbvlm-drawer-words")).to_have_text("vLLM: no vision model.")
    page.get_by_role("button", name=label).click()
    assert {name: sent(page)[name] for name in ("type", "url", "model")} == {
        "type": "connect",
        "url": "ollama",
        "model": "qwen3-vl:8b",
    }
    say(page, {"type": "here", "models": [], "words": "No model server responds."})
    assert page.locator(".nbvlm-server-found").count() == 0


def test_a_choice_opens_a_form_without_the_focus_and_esc_takes_it_back(page: Page) -> None:
    load(page, "server_dialog")
    page.evaluate("show()")
    page.evaluate("new Promise(requestAnimationFrame)")
    page.evaluate("""() => {
      const panel = document.querySelector(".nbvlm-panel");
      panel.insertAdjacentHTML("afterbegin", "<select><option>a<option>b</select><button>Open</button>");
      panel.addEventListener("nbvlm-say", (event) => { window.said = event.detail; });
      const open = (event) => event.target.matches("select, button") && event.isTrusted &&
        panel.dispatchEvent(new CustomEvent("nbvlm-server"));
      panel.querySelector("select").addEventListener("change", open);
      panel.querySelector("button").addEventListener("click", open);
    }""")
    choice, field = page.locator("select"), page.locator(".nbvlm-server-url")
    choice.focus()
    page.keyboard.press("ArrowDown")
    expect(field).to_be_visible()
    expect(choice).to_be_focused()
    assert "OpenAI-compatible server" in page.evaluate("window.said")
    page.evaluate("document.querySelector('.nbvlm-panel').dispatchEvent(new CustomEvent('nbvlm-form-enter'))")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    expect(choice).to_be_focused()
    page.get_by_role("button", name="Open").click()
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Open")).to_be_focused()


def test_the_form_for_a_recording_asks_for_its_path_and_says_what_is_wrong(page: Page) -> None:
    load(page, "server_dialog")
    page.evaluate("show()")
    page.evaluate("new Promise(requestAnimationFrame)")
    page.evaluate("document.querySelector('.nbvlm-panel').dispatchEvent(new CustomEvent('nbvlm-recording'))")
    path = page.get_by_label("Path of a recording")
    expect(path).to_be_focused()
    path.fill("lesson.json")
    page.keyboard.press("Enter")
    assert (sent(page)["type"], sent(page)["path"]) == ("play", "lesson.json")
    say(page, {"type": "models", "names": [], "words": "There is no recording 'lesson.json'."})
    expect(page.get_by_role("status")).to_contain_text("There is no recording")
    say(page, {"type": "connected"})
    assert page.locator(".nbvlm-drawer").count() == 0


def test_the_key_of_a_server_leaves_in_a_buffer_and_nothing_of_it_stays(page: Page) -> None:
    load(page, "server_dialog")
    page.evaluate("show()")
    page.evaluate("new Promise(requestAnimationFrame)")
    page.evaluate("document.querySelector('.nbvlm-panel').dispatchEvent(new CustomEvent('nbvlm-server'))")
    page.locator(".nbvlm-server-url").fill("https://models.example/v1")
    page.locator(".nbvlm-server-model").fill("m1")
    key = page.get_by_label("Key, if the server asks for one")
    expect(key).to_have_attribute("type", "password")
    key.fill("sk-typed")
    page.get_by_role("button", name="List its models").click()
    assert page.evaluate("model.sent.at(-1).texts") == ["sk-typed"]
    assert sent(page)["type"] == "models-keyed"
    page.get_by_role("button", name="Connect").click()
    assert page.evaluate("model.sent.at(-1).texts") == ["sk-typed"]
    assert sent(page)["type"] == "connect-keyed"
    assert "sk-typed" not in page.evaluate("JSON.stringify(model.sent.map((one) => one.content))")
    field = key.element_handle()
    say(page, {"type": "connected"})
    assert field.evaluate("field => field.value") == ""


# What is dropped and pasted, and several pictures

TRANSFER = """([kind, files, texts, place]) => {
  const transfer = new DataTransfer();
  for (const [name, type] of files) transfer.items.add(new File(["content"], name, { type }));
  for (const [format, text] of Object.entries(texts)) transfer.setData(format, text);
  const options = { bubbles: true, cancelable: true };
  const event = kind === "drop"
    ? new DragEvent("drop", { ...options, dataTransfer: transfer })
    : new ClipboardEvent("paste", { ...options, clipboardData: transfer });
  document.querySelector(place).dispatchEvent(event);
}"""


def bring(
    page: Page,
    kind: str,
    files: list[tuple[str, str]] | None = None,
    place: str = ".nbvlm-upload",
    **texts: str,
) -> list[dict[str, Any]]:
    """Drop or paste; return the messages that this sends."""
    before = page.evaluate("model.sent.length")
    named = {"uris": "text/uri-list", "plain": "text/plain"}
    page.evaluate(TRANSFER, [kind, files or [], {named[name]: text for name, text in texts.items()}, place])
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 30))")
    found: list[dict[str, Any]] = page.evaluate(f"model.sent.slice({before}).map((one) => one.content)")
    return found


def test_addresses_and_paths_are_dropped_and_pasted(page: Page) -> None:
    load(page, "picker")
    page.evaluate("show()")
    page.evaluate("new Promise(requestAnimationFrame)")
    places = {
        "https://example.org/cat.jpg": ("drop", {"uris": "# a comment\r\nhttps://example.org/cat.jpg\r\n"}),
        "https://example.org/dog": ("paste", {"plain": " https://example.org/dog "}),
        "pictures/cat.png": ("paste", {"plain": '"pictures/cat.png"'}),
        "/data/lesson": ("paste", {"plain": "/data/lesson"}),
    }
    for place, (kind, texts) in places.items():
        assert [(one["type"], one["place"]) for one in bring(page, kind, **texts)] == [("open", place)]
    assert bring(page, "paste", plain="a sentence about cats") == []
    page.get_by_role("button", name="Link or path").click()
    assert bring(page, "paste", place=".nbvlm-place", plain="https://example.org/cat.jpg") == []
    page.evaluate("model.set('offered', ['upload', 'link'])")
    assert bring(page, "paste", plain="pictures/cat.png") == []


def test_several_dropped_files_are_sent_one_after_the_other(page: Page) -> None:
    load(page, "picker")
    page.evaluate("show()")
    page.evaluate("new Promise(requestAnimationFrame)")
    files = [("a.png", "image/png"), ("notes.txt", "text/plain"), ("b.heic", "")]
    first = bring(page, "drop", files)
    assert [(one["type"], one["name"]) for one in first] == [("begin", "a.png")]
    expect(page.locator(".nbvlm-chosen-name")).to_have_text("a.png (1 of 2)")
    for _ in range(3):
        say(page, {"type": "received", "id": first[0]["id"], "bytes": 7})
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 30))")
    second = sent(page)
    assert (second["type"], second["name"], second["group"]) == ("begin", "b.heic", first[0]["group"])
    assert "group" not in bring(page, "drop", [("c.png", "image/png")])[-1]
    assert bring(page, "drop", [("notes.txt", "text/plain")])[-1]["name"] == "notes.txt"


def test_the_bar_of_several_pictures_walks_asks_and_closes(page: Page) -> None:
    load(page, "series_bar")
    page.evaluate("show()")
    bar = page.locator(".nbvlm-panel > div")
    assert bar.is_hidden()
    say(page, {"type": "series", "title": "<b>cats", "names": ["a.png", "b.png"], "index": 1, "all": True})
    expect(page.locator(".nbvlm-series-title")).to_have_text("<b>cats")
    page.get_by_role("button", name="Next").click()
    assert (sent(page)["type"], sent(page)["index"]) == ("pick", 0)
    page.get_by_role("button", name="Previous").click()
    assert sent(page)["index"] == 0
    page.get_by_label("Picture", exact=True).select_option("1")
    assert sent(page)["index"] == 1
    page.get_by_role("button", name="Ask about all 2").click()
    assert sent(page)["type"] == "ask-all"
    say(page, {"type": "asked", "words": "1 of 2 pictures", "running": True, "table": False})
    page.get_by_role("button", name="Stop").click()
    assert sent(page)["type"] == "stop-all"
    say(page, {"type": "asked", "words": "2 answers", "running": False, "table": True})
    expect(page.get_by_role("status")).to_have_text("2 answers")
    page.get_by_role("button", name="Close").click()
    assert sent(page)["type"] == "leave"
    say(page, {"type": "series", "title": "", "names": [], "index": None, "all": True})
    assert bar.is_hidden()
