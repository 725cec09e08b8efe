from __future__ import annotations

import gc
import io
import json
import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets
import pytest
from PIL import Image
from support.loopback import Loopback, Reply, delta, problem, stream
from support.panel_page import Page, Screen, family

import nbvlm
from nbvlm import prompts
from nbvlm._background import Task
from nbvlm.demo.gallery import GALLERY
from nbvlm.errors import AuthenticationError, Error, ImageError, PromptError, TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "nvapi-not-a-real-key-but-just-as-secret"
BOXES = "<loc0100><loc0200><loc0300><loc0400> car ; <loc0500><loc0600><loc0700><loc0800> tree"


@pytest.fixture
def panel(page: Page, server: Loopback) -> Iterator[nbvlm.Panel]:
    panel = nbvlm.Panel(client=hosted(server))
    yield panel
    panel.close()


@pytest.fixture
def screen(page: Page, panel: nbvlm.Panel) -> Screen:
    return Screen(page, panel)


def hosted(server: Loopback) -> nbvlm.Client:
    return nbvlm.Client("nvidia", api_key=KEY, base_url=server.url)


def buttons(panel: nbvlm.Panel) -> Any:
    return panel._controller.buttons


def png(size: tuple[int, int] = (40, 30), color: str = "teal") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((200, 200), 90).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


# The first moment


def test_a_new_panel_is_ready_with_the_first_sample(panel: nbvlm.Panel, server: Loopback) -> None:
    scene = GALLERY[0]
    assert panel.image is not None
    assert (panel.image.name, panel.prompt) == (f"{scene.name}.png", scene.prompt)
    assert panel.image.changes == ()
    assert (panel.result, panel.history) == (None, [])
    assert not buttons(panel).run.disabled
    assert buttons(panel).stop.disabled
    assert server.seen == []


def test_a_page_that_opens_receives_everything(page: Page, panel: nbvlm.Panel) -> None:
    controller = panel._controller
    page.send(controller.viewer, {"type": "hello"})
    content, buffers = page.custom(controller.viewer)[-1]
    assert content["type"] == "all"
    width, height = GALLERY[0].picture().size
    name = f"{GALLERY[0].name}.png"
    assert content["picture"] == {"name": name, "width": width, "height": height, "mime": "image/png"}
    assert Image.open(io.BytesIO(buffers[0])).size == (width, height)
    page.send(controller.picker, {"type": "hello"})
    page.wait(lambda: any(content["type"] == "gallery" for content, _ in page.custom(controller.picker)))
    gallery, thumbnails = next(m for m in page.custom(controller.picker) if m[0]["type"] == "gallery")
    assert gallery["titles"] == [scene.title for scene in GALLERY]
    assert [max(Image.open(io.BytesIO(data)).size) for data in thumbnails] == [120] * len(GALLERY)
    chosen = page.custom(controller.picker)[-1][0]
    assert (chosen["index"], chosen["name"]) == (0, f"{GALLERY[0].name}.png")
    assert chosen["detail"].startswith(f"{width} × {height} px · ")


def test_every_class_of_the_contract_is_there_for_widgets(panel: nbvlm.Panel) -> None:
    def classes(widget: Any) -> set[str]:
        inner = [classes(child) for child in getattr(widget, "children", ())]
        return set(widget._dom_classes).union(*inner)

    assert classes(panel.widget) >= {
        "nbvlm-panel",
        "nbvlm-picker",
        "nbvlm-taskbar",
        "nbvlm-prompt",
        "nbvlm-temperature",
        "nbvlm-top-p",
        "nbvlm-max-tokens",
        "nbvlm-run",
        "nbvlm-stop",
    }


def test_without_a_key_the_demo_model_answers_and_says_so(page: Page) -> None:
    panel = nbvlm.Panel()
    header = panel._controller.toolbar
    assert (header.demo, header.model) == (True, "nbvlm/demo")
    panel.close()


def test_the_hosted_model_wears_no_badge(panel: nbvlm.Panel) -> None:
    header = panel._controller.toolbar
    assert (header.demo, header.model) == (False, "google/paligemma")


def test_a_panel_takes_a_picture_a_prompt_and_an_async_client(page: Page, server: Loopback) -> None:
    client = nbvlm.AsyncClient("nvidia", api_key=KEY, base_url=server.url)
    panel = nbvlm.Panel(client=client, image=png(), prompt="detect car")
    assert (panel.image.width, panel.image.height, panel.prompt) == (40, 30, "detect car")
    assert panel.run().text == "a red car"
    panel.close()


def test_a_picture_that_cannot_be_read_is_refused_at_once(page: Page, server: Loopback) -> None:
    with pytest.raises(ImageError, match=r"missing\.png"):
        nbvlm.Panel(client=hosted(server), image="missing.png")


def test_a_value_that_is_not_a_client_is_refused_with_an_example(page: Page) -> None:
    with pytest.raises(TypeError, match=r'such as nbvlm\.Client\("demo"\), not str'):
        nbvlm.Panel(client="demo")


def test_the_repr_is_short_and_serialises_nothing(panel: nbvlm.Panel) -> None:
    assert repr(panel) == f"<nbvlm.Panel: {GALLERY[0].name}.png, 0 answers>"
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == repr(panel)
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == panel.widget.model_id


# Run


def test_run_streams_text_and_boxes_and_ends_with_a_result(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    server.replies.append(stream("<loc0100><loc0200>", "<loc0300><loc0400> car", " ; ", 0.2, BOXES[43:]))
    page.click(buttons(panel).run)
    screen.wait("done")
    assert screen.text == panel.result.text == BOXES
    assert [box["label"] for box in screen.boxes] == ["car", "tree"]
    width, height = panel.image.width, panel.image.height
    box = [200 * width / 1023, 100 * height / 1023, 400 * width / 1023, 300 * height / 1023]
    assert screen.boxes[0]["box"] == pytest.approx(box, abs=0.1)
    route, sent, tokens, first, total, *_ = screen.status["parts"]
    assert (route, tokens) == ("Inline", "≈ 4 tokens")  # the stream does not tell its usage
    assert sent.endswith(" kB sent")
    assert (first.split()[:2], total.split()[0]) == (["first", "token"], "total")
    assert panel.history == [panel.result]
    assert screen.error is None
    while_it_ran = [content for content, _ in page.custom(screen.answer) if content["type"] == "more"]
    assert [box["label"] for content in while_it_ran for box in content.get("boxes", [])] == ["car", "tree"]
    assert "".join(content.get("text", "") for content in while_it_ran) == BOXES


def test_what_is_asked_is_what_the_fields_say(page: Page, panel: nbvlm.Panel, server: Loopback) -> None:
    page.update(panel._controller.task_bar._field, value="answer en how many cars?")
    page.update(panel._controller.parameters._sliders["temperature"], value=0.5)
    page.update(panel._controller.parameters._sliders["max_tokens"], value=64)
    panel.run()
    body = server.seen[-1].json
    assert body["messages"][0]["content"].startswith("answer en how many cars? <img src=")
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.5, 0.7, 64)
    assert body["stream"] is True


def test_run_from_python_waits_and_returns_what_the_screen_shows(panel: nbvlm.Panel, screen: Screen) -> None:
    result = panel.run()
    assert result is panel.result
    assert (screen.state, screen.text) == ("done", result.text)


def test_a_new_run_clears_the_answer_and_the_result(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    panel.run()
    server.replies.append(Reply(hold=True, headers={"content-type": "text/event-stream"}, pieces=[]))
    panel.run(wait=False)
    assert (screen.state, screen.text, screen.boxes) == ("running", "", [])
    assert panel.result is None
    assert len(panel.history) == 1
    panel.stop()


def test_run_and_stop_say_what_they_would_do(page: Page, panel: nbvlm.Panel, server: Loopback) -> None:
    server.replies.append(stream("a", hold=True, done=False))
    pressed = buttons(panel)
    page.click(pressed.run)
    assert (pressed.run.description, pressed.stop.disabled) == ("Run next", False)
    page.click(pressed.stop)
    assert (pressed.run.description, pressed.stop.disabled) == ("Run", True)


def test_a_second_run_while_one_is_under_way_is_refused(panel: nbvlm.Panel, server: Loopback) -> None:
    server.replies.append(stream("a", hold=True, done=False))
    panel.run(wait=False)
    with pytest.raises(Error, match="answering already"):
        panel.run()
    panel.stop()


# Stop


def test_stop_ends_a_long_answer_and_keeps_what_came(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    server.replies.append(stream("a ", "red ", hold=True, done=False))
    page.click(buttons(panel).run)
    page.wait(lambda: screen.text == "a red ")
    page.click(buttons(panel).stop)
    assert (screen.state, screen.text) == ("stopped", "a red ")
    assert screen.status["parts"][0].startswith("Stopped after ")
    assert (panel.result, panel.history) == (None, [])
    assert server.wait_for(lambda: server.open == 0)
    assert panel.run().text == "a red car"


def test_stop_while_python_waits_gives_none(panel: nbvlm.Panel, screen: Screen, server: Loopback) -> None:
    server.replies.append(stream("a", hold=True, done=False))
    stopper = threading.Thread(target=lambda: (screen.page.wait(lambda: screen.text == "a"), panel.stop()))
    stopper.start()
    assert panel.run() is None
    stopper.join()
    assert screen.state == "stopped"


def test_an_interrupt_of_the_kernel_stops_the_answer(
    panel: nbvlm.Panel, screen: Screen, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(job: Task[Any], timeout: float | None = None) -> Any:
        raise KeyboardInterrupt

    server.replies.append(stream("a", hold=True, done=False))
    monkeypatch.setattr(Task, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        panel.run()
    assert screen.state == "stopped"


def test_stop_without_an_answer_under_way_does_nothing(panel: nbvlm.Panel, screen: Screen) -> None:
    panel.stop()
    result = panel.run()
    panel.stop()
    assert (screen.state, panel.result) == ("done", result)


def test_a_stopped_answer_cannot_write_over_the_next_one(
    panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    for _ in range(5):
        server.replies.append(stream("late ", *[0.001, "late "] * 200, hold=True, done=False))
        panel.run(wait=False)
        screen.page.wait(lambda: "late" in screen.text)
        panel.stop()
        assert panel.run().text == screen.text == "a red car"


# Errors


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (problem(401, "Authentication failed"), AuthenticationError),
        (problem(403, "Authorization failed"), AuthenticationError),
        (problem(404, "Function 'x': Not found for account 'y'"), nbvlm.NotFoundError),
        (problem(422, "Inference error"), nbvlm.RequestRejected),
        (stream("a red ", cut=True, done=False), nbvlm.TruncatedStream),
    ],
    ids=["401", "403", "404", "422", "cut off"],
)
def test_each_failure_is_one_sentence_with_what_to_do_and_the_panel_goes_on(
    panel: nbvlm.Panel, screen: Screen, server: Loopback, reply: Reply, kind: type[Error]
) -> None:
    server.replies.append(reply)
    with pytest.raises(kind) as caught:
        panel.run()
    assert screen.state == "failed"
    assert screen.error["message"].startswith(caught.value.message)
    assert screen.error["hint"]
    assert panel.result is None
    assert panel.run().text == "a red car"
    assert (screen.state, screen.error) == ("done", None)


def test_an_empty_prompt_is_refused_without_the_network(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    page.update(panel._controller.task_bar._field, value="  ")
    page.click(buttons(panel).run)
    screen.wait("failed")
    assert screen.sentence.startswith("The prompt is empty.")
    assert server.seen == []
    with pytest.raises(PromptError):
        panel.run()


def test_a_missing_network_is_shown(page: Page) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    client = nbvlm.Client(
        "nvidia", api_key=KEY, base_url=f"http://127.0.0.1:{port}", retry=nbvlm.client.Retry.never()
    )
    panel = nbvlm.Panel(client=client)
    screen = Screen(page, panel)
    with pytest.raises(TransportError):
        panel.run()
    assert screen.sentence
    assert not buttons(panel).run.disabled
    panel.close()


def test_without_a_picture_run_says_so(page: Page, panel: nbvlm.Panel, screen: Screen) -> None:
    panel.image = None
    assert screen.state == "empty"
    page.click(buttons(panel).run)
    assert screen.sentence == "No picture is chosen. Choose a sample or upload a picture."
    panel.image = png()
    assert panel.run().text == "a red car"


def test_an_error_in_a_callback_is_seen(
    page: Page, panel: nbvlm.Panel, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvlm.widgets.picture_source.sample_picture", lambda scene: {}[scene])
    page.send(panel._controller.picker, {"type": "choose", "index": 1})
    assert screen.sentence.startswith("nbvlm failed with an unexpected KeyError.")
    assert panel.run().text == "a red car"


# Pictures


def test_a_sample_brings_its_prompt_unless_a_person_wrote_one(page: Page, panel: nbvlm.Panel) -> None:
    picker = panel._controller.picker
    page.send(picker, {"type": "choose", "index": 1})
    assert (panel.image.name, panel.prompt) == (f"{GALLERY[1].name}.png", GALLERY[1].prompt)
    page.update(panel._controller.task_bar._field, value="detect my own thing")
    page.send(picker, {"type": "choose", "index": 2})
    assert (panel.image.name, panel.prompt) == (f"{GALLERY[2].name}.png", "detect my own thing")


def test_a_sample_is_one_from_python_too(page: Page, server: Loopback) -> None:
    made = nbvlm.Panel(GALLERY[1], client=hosted(server))
    picker = made._controller.picker
    assert (made.prompt, picker.sample) == (GALLERY[1].prompt, GALLERY[1].prompt)
    made.image = GALLERY[2]
    assert (made.prompt, picker.sample) == (GALLERY[2].prompt, GALLERY[2].prompt)
    result = made.run()
    assert result is not None
    made.prompt = "detect my own thing"
    made.image = png()
    assert (made.prompt, picker.sample) == ("detect my own thing", "")
    made._controller.restore(result)
    assert (made.prompt, picker.sample) == (result.prompt, GALLERY[2].prompt)
    made.close()
    given = nbvlm.Panel(GALLERY[1], "detect my own thing", client=hosted(server))
    assert given.prompt == "detect my own thing"
    given.close()
    other = nbvlm.Panel(png(), client=hosted(server))
    assert other.prompt == "caption en"
    other.close()


def test_choosing_a_picture_ends_the_answer_and_clears_the_stage(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    panel.run()
    server.replies.append(stream("a", hold=True, done=False))
    panel.run(wait=False)
    # A question that is stopped before it is sent leaves the kept connection of the first one open.
    page.wait(lambda: screen.text == "a")
    page.send(panel._controller.picker, {"type": "choose", "index": 3})
    assert (screen.state, screen.text, screen.boxes, panel.result) == ("ready", "", [], None)
    assert screen.picture["name"] == f"{GALLERY[3].name}.png"
    assert len(panel.history) == 1
    assert server.wait_for(lambda: server.open == 0)


@pytest.mark.parametrize("size", [(40, 30), (1500, 1200)], ids=["one piece", "several pieces"])
def test_an_uploaded_picture_is_chosen_byte_for_byte(
    page: Page, panel: nbvlm.Panel, screen: Screen, size: tuple[int, int]
) -> None:
    buffer = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").save(buffer, "PNG")
    data = buffer.getvalue()
    replies = page.upload(panel, "my cat.png", data)
    assert [reply["type"] for reply in replies] == ["received"] * (len(replies) - 1) + ["arrived"]
    assert len(replies) == 2 + -(-len(data) // 2**20)
    page.wait(lambda: screen.now().get("picture", {}).get("name") == "my cat.png")
    assert panel.image.data == data
    assert (screen.picture["width"], screen.picture["height"]) == size
    assert panel.run().picture.sha256 == panel.image.sha256


def test_what_the_browser_draws_of_a_large_picture_is_small(
    page: Page, panel: nbvlm.Panel, screen: Screen
) -> None:
    panel.image = Image.effect_noise((3000, 2000), 90).convert("RGB")
    _, (data,) = page.custom(screen.viewer)[-1]
    assert Image.open(io.BytesIO(data)).size == (1280, 853)
    assert (screen.picture["width"], screen.picture["height"]) == (3000, 2000)


@pytest.mark.parametrize("size", [(70_000, 12), (12, 70_000)])
def test_a_picture_with_an_endless_side_is_asked_about_and_shown_by_small_copies(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback, size: tuple[int, int]
) -> None:
    server.text = BOXES
    panel.image = Image.new("RGB", size, "teal")
    _, (data,) = page.custom(screen.viewer)[-1]
    assert max(Image.open(io.BytesIO(data)).size) == 1280
    panel.run()
    panel.run()
    for number in (1, 2):
        page.send(panel._controller.answers.history._page, {"type": "pin", "answer": number, "pinned": True})
    for widget in (panel._controller.answers.history._page, panel._controller.answers.comparison):
        page.send(widget, {"type": "hello"})
        _, pictures = page.custom(widget)[-1]
        assert [max(Image.open(io.BytesIO(one)).size) < 1000 for one in pictures] == [True, True]
    assert panel.run_sweep(["caption en"]).results


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("notes.txt", b"Just some notes.\n" * 20, "notes.txt"),
        ("paper.pdf", b"%PDF-1.7\n" + b"0" * 500, "PDF"),
        ("half.jpg", jpeg()[:4000], "half.jpg"),
        ("cat.png", png()[:40], "cat.png"),
        ("empty.png", b"", "empty"),
    ],
    ids=["text", "pdf", "truncated jpeg", "truncated png", "empty"],
)
def test_a_bad_file_is_one_sentence_and_the_picture_stays(
    page: Page, panel: nbvlm.Panel, screen: Screen, name: str, data: bytes, words: str
) -> None:
    before = panel.image
    page.upload(panel, name, data)
    page.wait(lambda: screen.error is not None)
    assert words in screen.error["message"]
    assert screen.error["hint"]
    assert panel.image is before
    assert panel.run().text == "a red car"


def test_a_file_that_arrives_damaged_is_refused(page: Page, panel: nbvlm.Panel, screen: Screen) -> None:
    picker, data = panel._controller.picker, png()
    page.send(picker, {"type": "begin", "id": 1, "name": "cat.png", "size": len(data)})
    page.send(picker, {"type": "chunk", "id": 1, "offset": 0}, [data])
    page.send(picker, {"type": "end", "id": 1, "crc": 1})
    assert page.custom(picker)[-1][0] == {"type": "refused", "id": 1}
    assert screen.sentence == "The file cat.png did not arrive as it was sent. Choose it again."


# Tasks and sliders


def test_sliders_have_the_endpoints_own_ranges_and_defaults(panel: nbvlm.Panel) -> None:
    ranges = {name: (s.min, s.max, s.value) for name, s in panel._controller.parameters._sliders.items()}
    assert ranges == {
        "temperature": (0.01, 1.0, 0.2),
        "top_p": (0.01, 1.0, 0.7),
        "max_tokens": (1, 1024, 1024),
    }


def test_presets_and_languages_are_those_that_the_model_knows(page: Page, panel: nbvlm.Panel) -> None:
    demo = nbvlm.Panel(client=nbvlm.Client("demo"))
    own, hosted = (
        {one["kind"]: one for one in each._controller.task_bar._page.tasks} for each in (demo, panel)
    )
    assert (
        own.keys() == hosted.keys() >= {"caption", "describe", "ocr", "answer", "detect", "segment", "region"}
    )
    assert [code for code, _ in own["caption"]["languages"]] == ["en", "es", "fr", "de"]
    assert len(hosted["caption"]["languages"]) == len(prompts.LANGUAGES)
    demo.close()


def test_the_task_bar_knows_what_a_sample_holds(page: Page, panel: nbvlm.Panel) -> None:
    task = panel._controller.task_bar._page
    scene = GALLERY[0].scene()
    kinds = {thing.kind for thing in scene.things}
    assert (set(task.things), task.size) == (kinds, list(scene.size))
    panel.image = png()
    assert (task.things, task.size) == ([], [40, 30])


def test_reset_brings_the_sliders_back_and_the_advice_is_there_while_it_holds(
    page: Page, panel: nbvlm.Panel
) -> None:
    fields = panel._controller.parameters
    assert fields._note.layout.display == "none"
    page.update(fields._sliders["temperature"], value=0.5)
    assert fields._note.layout.display == "none"
    page.update(fields._sliders["top_p"], value=0.9)
    assert fields._note.layout.display == ""
    page.send(panel._controller.toolbar, {"type": "reset"})
    assert fields.value == {"temperature": 0.2, "top_p": 0.7, "max_tokens": 1024}
    assert fields._note.layout.display == "none"


# What must never be


def state_of(panel: nbvlm.Panel) -> str:
    """All that a notebook would save of the panel's widgets."""
    states = [widget.get_state() for widget in family(panel.widget)]
    return json.dumps(states, default=lambda value: value.hex())


def test_no_picture_travels_in_a_synced_trait_and_the_state_stays_small(
    page: Page, panel: nbvlm.Panel, screen: Screen
) -> None:
    page.upload(panel, "big.png", png((2000, 1500)))
    page.wait(lambda: screen.now().get("picture", {}).get("name") == "big.png")
    for _ in range(10):
        panel.run()
    assert len(state_of(panel)) < 200_000
    assert all(not buffers for _, _, data, buffers in page.sent if data.get("method") != "custom")


def test_the_key_is_nowhere(page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback) -> None:
    panel.run()
    server.replies.append(problem(401, f"the key {KEY} is unknown"))
    with pytest.raises(AuthenticationError) as caught:
        panel.run()
    messages = repr([message[:3] for message in page.sent])
    seen = (messages, state_of(panel), repr(panel), repr(panel._repr_mimebundle_()), str(caught.value))
    assert not any(KEY in text for text in seen)


def test_deltas_are_paced_and_the_whole_text_comes_once(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    words = [f"w{number} " for number in range(500)]
    server.replies.append(stream(*words, delta("", "stop")))
    panel.run()
    kinds = [content["type"] for content, _ in page.custom(screen.answer)]
    assert kinds.count("more") < 100
    whole = [content for content, _ in page.custom(screen.answer) if content.get("text") == "".join(words)]
    assert [content["type"] for content in whole].count("put") == 1
    assert screen.answer.answer == "".join(words)


# Lives and ends


def test_two_panels_do_not_disturb_each_other(page: Page, panel: nbvlm.Panel, server: Loopback) -> None:
    with Loopback() as other_server:
        other_server.text = "a blue boat"
        other = nbvlm.Panel(client=hosted(other_server))
        server.replies.append(stream("slow", hold=True, done=False))
        panel.run(wait=False)
        assert other.run().text == "a blue boat"
        one = Screen(page, panel)
        page.wait(lambda: one.text == "slow")
        assert (one.state, Screen(page, other).text) == ("running", "a blue boat")
        panel.stop()
        other.close()


def test_a_panel_without_references_and_pages_stops_its_work(page: Page, server: Loopback) -> None:
    panel = nbvlm.Panel(client=hosted(server))
    inner, gone = panel.children[0], weakref.ref(panel)
    server.replies.append(stream("a", hold=True, done=False))
    panel.run(wait=False)
    assert server.wait_for(lambda: server.open == 1)
    del panel

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    # The loop's thread may hold it for the moment of an event, and is then the one that closes it.
    page.wait_until(is_gone)
    assert inner.comm is None
    assert server.wait_for(lambda: server.open == 0)


def test_a_panel_on_the_screen_lives_on_without_a_name(page: Page, server: Loopback) -> None:
    panel = nbvlm.Panel(client=hosted(server))
    panel._repr_mimebundle_()
    run, screen = buttons(panel).run, Screen(page, panel)
    del panel
    gc.collect()
    page.click(run)
    screen.wait("done")
    assert screen.text == "a red car"


def test_a_panel_is_made_of_the_public_parts(panel: nbvlm.Panel) -> None:
    def inside(widget: Any) -> list[Any]:
        return [widget, *(one for child in getattr(widget, "children", ()) for one in inside(child))]

    made = inside(panel)
    for part in (
        "Picker",
        "TaskBar",
        "Parameters",
        "ModelChoice",
        "Answer",
        "History",
        "Comparison",
        "ErrorCard",
    ):
        assert sum(isinstance(one, getattr(nbvlm.widgets, part)) for one in made) == 1, part


def test_close_takes_everything_away_and_may_be_called_again(page: Page, server: Loopback) -> None:
    before = set(ipywidgets.widgets.widget._instances)
    panel = nbvlm.Panel(client=hosted(server))
    panel.run()
    panel.close()
    panel.close()
    assert set(ipywidgets.widgets.widget._instances) == before
    assert server.wait_for(lambda: server.open == 0)


def test_history_keeps_the_newest_within_its_bounds(
    panel: nbvlm.Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvlm.widgets.history_store.MOST", 3)
    results = [panel.run() for _ in range(4)]
    assert panel.history == results[1:]
    monkeypatch.setattr("nbvlm.widgets.history_store.MEMORY", 1)
    panel.image = png()
    assert panel.history == results[1:]
    newest = panel.run()
    assert panel.history == [newest]


def test_many_runs_leave_no_thread_behind(panel: nbvlm.Panel) -> None:
    panel.run()
    before = threading.active_count()
    for _ in range(20):
        panel.run()
    assert threading.active_count() <= before
    assert len(panel.history) == 21
