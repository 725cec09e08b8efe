"""The model and its key: chosen in the panel, typed into it, and never shown."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support import model_servers
from support.loopback import Loopback, Reply, problem, stream
from support.panel_page import Page, Screen, family

import nbvlm
from nbvlm.client import Retry, keys
from nbvlm.demo import scenes
from nbvlm.errors import ParameterError
from nbvlm.widgets import ModelConnection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "nvapi-not-a-real-key-but-just-as-secret"
TYPED = "nvapi-typed-and-just-as-secret"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NVIDIA_API_KEY", raising=False)
    keys.forget()
    yield
    keys.forget()


@pytest.fixture
def panel(page: Page, server: Loopback) -> Iterator[nbvlm.Panel]:
    panel = nbvlm.Panel(client=nbvlm.Client("nvidia", api_key=KEY, base_url=server.url, retry=Retry.never()))
    yield panel
    panel.close()


def choose(page: Page, panel: nbvlm.Panel, choice: str) -> None:
    page.send(panel._controller.choice._list, {"type": "model", "choice": choice})


def test_the_head_names_the_models_and_where_the_key_comes_from(page: Page, panel: nbvlm.Panel) -> None:
    header = panel._controller.choice._list
    choices = {choice["value"]: choice for choice in header.choices}
    assert list(choices)[:2] == ["demo", "nvidia"]
    assert choices["google/gemma-4-31b-it"]["group"] == "Hosted by NVIDIA"
    assert (header.choice, header.key) == ("nvidia", {"state": "there", "text": "Key from the argument"})


def test_another_model_is_asked_from_the_next_question_on(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    choose(page, panel, "google/gemma-4-31b-it")
    assert panel.run().model == "google/gemma-4-31b-it"
    assert server.seen[-1].path == "/v1/chat/completions"
    assert server.seen[-1].headers["authorization"] == f"Bearer {KEY}"
    choose(page, panel, "demo")
    header = panel._controller.toolbar
    assert (header.demo, header.model) == (True, "nbvlm/demo")
    assert panel._controller.choice._list.key["text"] == ""
    assert panel.run().model == "nbvlm/demo-scenes"
    assert server.wait_for(lambda: server.open == 0)


def test_the_sliders_fit_the_model_and_keep_what_fits(page: Page, panel: nbvlm.Panel) -> None:
    fields = panel._controller.parameters
    page.update(fields._sliders["temperature"], value=0.5)
    choose(page, panel, "moonshotai/kimi-k3")
    assert (fields._sliders["temperature"].min, fields._sliders["temperature"].value) == (0.0, 0.5)
    page.update(fields._sliders["temperature"], value=1.5)
    choose(page, panel, "nvidia")
    assert fields.value["temperature"] == 1.0


def test_sliders_moved_just_before_the_choice_come_along_to_the_other_model(
    page: Page, panel: nbvlm.Panel
) -> None:
    header = panel._controller.toolbar
    fields = {"prompt": "x", "edition": header.edition, "parameters": {"top_p": 0.5}, "tuning": header.tuning}
    choice = panel._controller.choice._list
    page.send(choice, {"type": "model", "choice": "google/gemma-4-31b-it", "fields": fields})
    assert panel._controller.parameters.value["top_p"] == 0.5
    assert panel.prompt == "x"


def test_choosing_a_model_ends_the_answer_under_way(page: Page, panel: nbvlm.Panel, server: Loopback) -> None:
    screen = Screen(page, panel)
    server.replies.append(stream("a", hold=True, done=False))
    panel.run(wait=False)
    page.wait(lambda: screen.text == "a")
    choose(page, panel, "demo")
    assert screen.state == "stopped"
    assert server.wait_for(lambda: server.open == 0)


def test_a_server_is_asked_for_its_models_and_then_for_answers(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    form = panel._controller.choice._form_page
    page.send(form, {"type": "models", "url": f"{server.url}/v1"})
    page.wait(lambda: page.custom(form))
    assert page.custom(form)[-1][0] == {"type": "models", "names": ["m1", "m2"], "words": ""}
    page.send(form, {"type": "connect", "url": f"{server.url}/v1", "model": "m1"})
    assert page.custom(form)[-1][0] == {"type": "connected"}
    shown = panel._controller.choice._list
    assert panel._controller.toolbar.model == "m1"
    assert (shown.choice, shown.key["text"]) == ("server", "No key")
    assert shown.choices[-1]["label"].startswith("m1 at 127.0.0.1")
    assert panel.run().text == "a red car"
    assert server.seen[-1].path == "/v1/chat/completions"
    assert "authorization" not in server.seen[-1].headers
    choose(page, panel, "nvidia")
    choose(page, panel, "server")
    assert panel._controller.connection.endpoint.model == "m1"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"type": "connect", "url": "not an address", "model": "m"}, "address"),
        ({"type": "connect", "url": "http://127.0.0.1:1/v1", "model": " "}, "name of a model"),
        ({"type": "connect", "url": "http://example.org/v1", "model": "m"}, "Plain http"),
        ({"type": "models", "url": "http://127.0.0.1:1/v1"}, "No connection"),
    ],
)
def test_what_is_wrong_with_a_server_is_said_below_its_form(
    page: Page, panel: nbvlm.Panel, message: dict[str, str], words: str
) -> None:
    form = panel._controller.choice._form_page
    page.send(form, message)
    page.wait(lambda: page.custom(form))
    assert words in page.custom(form)[-1][0]["words"]
    assert panel._controller.connection.choice == "nvidia"


def test_models_on_this_computer_are_offered_and_asked(
    page: Page, panel: nbvlm.Panel, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    server.pages = model_servers.ollama_pages(qwen3_vl__8b=["vision"], qwen3__8b=["completion"])
    form = panel._controller.choice._form_page
    page.send(form, {"type": "local"})
    page.wait(lambda: page.custom(form))
    offer = page.custom(form)[-1][0]
    assert offer["models"] == [{"service": "ollama", "model": "qwen3-vl:8b", "label": "qwen3-vl:8b · Ollama"}]
    page.send(form, {"type": "connect", "url": "ollama", "model": "qwen3-vl:8b"})
    assert page.custom(form)[-1][0] == {"type": "connected"}
    assert panel.run().model == "qwen3-vl:8b"
    seen = server.seen[-1]
    assert seen.path == "/v1/chat/completions"
    assert "authorization" not in seen.headers


def test_without_a_model_server_the_form_says_where_it_looked(page: Page, panel: nbvlm.Panel) -> None:
    form = panel._controller.choice._form_page
    page.send(form, {"type": "local"})
    page.wait(lambda: page.custom(form))
    assert page.custom(form)[-1][0]["models"] == []
    assert "Ollama" in page.custom(form)[-1][0]["words"]


def test_thinking_is_shown_as_such(page: Page, panel: nbvlm.Panel, server: Loopback) -> None:
    choose(page, panel, "google/gemma-4-31b-it")
    message = {"role": "assistant", "content": "a cat", "reasoning_content": "Let me look."}
    body = json.dumps({"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    server.replies.append(Reply(headers={"content-type": "application/json"}, body=body.encode()))
    assert panel.run().reasoning == "Let me look."
    shown = [
        message for message, _ in page.custom(panel._controller.answer._page) if message.get("reasoning")
    ]
    assert shown[-1]["reasoning"] == "Let me look."


def test_a_model_that_is_gone_leads_to_another_at_a_press_only(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    server.pages = model_servers.nvidia_pages("google/gemma-4-31b-it")
    server.replies.append(model_servers.end_of_life("google/paligemma"))
    with pytest.raises(nbvlm.NotFoundError):
        panel.run()
    assert panel._controller.connection.choice == "nvidia"
    card = panel._controller.error_card
    assert [action["id"] for action in card.card["actions"]] == ["model:google/gemma-4-31b-it", "model:demo"]
    page.send(card, {"type": "act", "action": "model:google/gemma-4-31b-it"})
    page.wait_until(lambda: server.seen[-1].path == "/v1/chat/completions")
    assert server.seen[-1].json["model"] == "google/gemma-4-31b-it"


def test_a_panel_that_has_answered_does_not_hold_up_the_end_of_the_process() -> None:
    code = "import nbvlm; panel = nbvlm.Panel(prompt='caption en'); panel.run(); other = [panel]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


# Recordings


@pytest.mark.parametrize("where", ["nvidia", "openai", "demo"])
def test_a_recording_answers_as_the_model_that_was_recorded(
    page: Page, panel: nbvlm.Panel, server: Loopback, tmp_path: Path, where: str
) -> None:
    path = tmp_path / "lesson.json"
    options: dict[str, Any] = {"transport": nbvlm.record(path)}
    clients = {
        "nvidia": lambda: nbvlm.Client("nvidia", api_key=KEY, base_url=server.url, **options),
        "openai": lambda: nbvlm.Client(f"{server.url}/v1", model="m1", **options),
        "demo": lambda: nbvlm.Client("demo", **options),
    }
    picture = scenes.sample(3).picture
    with clients[where]() as client:
        expected, model = client.ask(picture, "caption en", max_tokens=20), client.endpoint.model
    asked = len(server.seen)
    page.send(panel._controller.choice._form_page, {"type": "play", "path": f" {path} "})
    assert page.custom(panel._controller.choice._form_page)[-1][0] == {"type": "connected"}
    shown = panel._controller.choice._list
    assert panel._controller.toolbar.model == model
    assert (shown.choice, shown.key["text"]) == ("recording", "")
    assert shown.choices[-1]["label"] == f"{model} in lesson.json"
    panel.image, panel.prompt = picture, "caption en"
    played = panel.run()
    assert (played.text, played.model) == (expected.text, expected.model)
    panel.prompt = "ocr"
    with pytest.raises(nbvlm.ReplayMiss):
        panel.run()
    choose(page, panel, "demo")
    choose(page, panel, "recording")
    assert panel._controller.toolbar.model == model
    assert len(server.seen) == asked


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "cannot be read"), ("none.json", "does not exist"), ("a.json", "is not a recording")],
)
def test_what_is_wrong_with_a_recording_is_said_below_its_form(
    page: Page, panel: nbvlm.Panel, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "a.json").write_text("[]")
    page.send(panel._controller.choice._form_page, {"type": "play", "path": str(tmp_path / name)})
    assert words in page.custom(panel._controller.choice._form_page)[-1][0]["words"]
    assert panel._controller.connection.choice == "nvidia"


# Keys


def test_a_typed_key_is_used_and_nowhere_to_be_seen(page: Page, server: Loopback) -> None:
    panel = nbvlm.Panel(client=nbvlm.Client("nvidia", api_key=KEY, base_url=server.url, retry=Retry.never()))
    server.replies.append(problem(401, f"the key {KEY} is unknown"))
    with pytest.raises(nbvlm.AuthenticationError):
        panel.run()
    choice, card = panel._controller.choice, panel._controller.error_card
    assert page.custom(choice._key_page)[-1][0] == {"type": "open", "again": True}
    page.key(panel, f"  {TYPED}\n")
    assert page.custom(choice._key_page)[-1][0] == {"type": "taken"}
    assert card.card is None
    assert panel._controller.choice._list.key == {"state": "there", "text": "Key from this panel"}
    panel.run()
    assert server.seen[-1].headers["authorization"] == f"Bearer {TYPED}"
    states = json.dumps(
        [widget.get_state() for widget in family(panel.widget)], default=lambda value: value.hex()
    )
    sent = repr([message[:3] for message in page.sent]) + states + repr(panel._controller.connection.settings)
    assert TYPED not in sent
    assert KEY not in sent
    panel.close()


def test_a_typed_key_serves_other_clients_of_this_kernel(page: Page, panel: nbvlm.Panel) -> None:
    page.key(panel, TYPED)
    assert repr(nbvlm.Client()) == "Client('nvidia', model='google/paligemma', key from login())"
    choose(page, panel, "google/gemma-4-31b-it")
    assert panel._controller.connection.settings.api_key.reveal() == TYPED


def test_what_cannot_be_a_key_is_refused_below_the_field_without_repeating_it(
    page: Page, panel: nbvlm.Panel
) -> None:
    field = panel._controller.choice._key_page
    page.key(panel, "two words")
    refusal = page.custom(field)[-1][0]
    assert refusal["type"] == "refused"
    assert "blank" in refusal["words"]
    assert "two words" not in repr([message[:3] for message in page.sent])
    page.key(panel, "  ")
    assert "empty" in page.custom(field)[-1][0]["words"]


def test_a_key_for_a_server_of_ones_own_stays_with_it(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    page.send(
        panel._controller.choice._form_page,
        {"type": "connect", "url": f"{server.url}/v1", "model": "m1"},
    )
    page.key(panel, TYPED)
    panel.run()
    assert server.seen[-1].headers["authorization"] == f"Bearer {TYPED}"
    assert keys.find() is None
    choose(page, panel, "nvidia")
    panel.run()
    assert server.seen[-1].headers["authorization"] == f"Bearer {KEY}"


def test_the_form_of_a_server_takes_its_key_and_refusals_name_that_server(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    form, field = panel._controller.choice._form_page, panel._controller.choice._key_page
    assert "build.nvidia.com" in ModelConnection(nbvlm.Client("nvidia")).about_key()
    host = server.url.partition("//")[2]
    connect = {"type": "connect", "url": f"{server.url}/v1", "model": "m1"}
    page.send(form, {"type": "models-keyed", "url": f"{server.url}/v1"}, [TYPED.encode()])
    page.wait(lambda: page.custom(form))
    assert server.seen[-1].headers["authorization"] == f"Bearer {TYPED}"
    page.send(form, connect)
    server.replies.append(problem(401, "no key"))
    with pytest.raises(nbvlm.AuthenticationError, match=f"The server {host} asks for a key"):
        panel.run()
    screen = Screen(page, panel)
    assert field.about == f"The key of {host}; no other server receives it."
    assert "nvidia" not in repr([screen.error, field.about]).lower().replace("ask the demo", "")
    keyed = {**connect, "type": "connect-keyed"}
    page.send(form, keyed, [b"two words"])
    assert "blank" in page.custom(form)[-1][0]["words"]
    page.send(form, keyed, [f" {TYPED}\n".encode()])
    panel.run()
    assert server.seen[-1].headers["authorization"] == f"Bearer {TYPED}"
    assert keys.find() is None
    server.replies.append(problem(401, "old key"))
    with pytest.raises(nbvlm.AuthenticationError, match=f"The server {host} refused the key"):
        panel.run()
    page.send(form, connect)  # again, without typing it again
    panel.run()
    assert server.seen[-1].headers["authorization"] == f"Bearer {TYPED}"
    states = [widget.get_state() for widget in family(panel.widget)]
    sent = repr([message[:3] for message in page.sent])
    assert TYPED not in json.dumps(states, default=lambda value: value.hex()) + sent
    choose(page, panel, "nvidia")
    panel.run()
    assert server.seen[-1].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_typed_before_the_press_is_used_whatever_comes_first(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    screen = Screen(page, panel)
    page.send(panel._controller.toolbar, {"type": "run", "prompt": "x", "page": "one", "number": 2})
    page.key(panel, TYPED, page="one", number=1)
    screen.wait("done")
    assert server.seen[-1].headers["authorization"] == f"Bearer {TYPED}"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: nbvlm.Client("demo"), ("none", "")),
        (lambda: nbvlm.Client("nvidia"), ("missing", "No key yet")),
        (lambda: nbvlm.Client("nvidia", api_key=KEY), ("there", "Key from the argument")),
        (lambda: nbvlm.Client("http://127.0.0.1:9/v1", model="m"), ("none", "No key")),
    ],
)
def test_the_panel_shows_where_the_key_came_from(made: Any, expected: tuple[str, str]) -> None:
    assert tuple(ModelConnection(made()).key().values()) == expected


def test_a_key_of_the_environment_is_distinguished_from_one_of_login(monkeypatch: pytest.MonkeyPatch) -> None:
    later = ModelConnection(nbvlm.Client("nvidia"))
    nbvlm.login(KEY)
    assert later.key()["text"] == "Key from login()"
    monkeypatch.setenv("NVIDIA_API_KEY", KEY)
    assert ModelConnection(nbvlm.Client("nvidia")).key()["text"] == "Key from NVIDIA_API_KEY"


def test_a_panel_of_an_unlisted_client_offers_it_first(page: Page, server: Loopback) -> None:
    panel = nbvlm.Panel(client=nbvlm.Client(f"{server.url}/v1", model="m2"))
    assert panel._controller.choice._list.choices[0]["label"].startswith("m2 at 127.0.0.1")
    choose(page, panel, "demo")
    choose(page, panel, "own")
    assert panel.run().model == "m2"
    panel.close()


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(ParameterError, match="Unknown endpoint"):
        ModelConnection(nbvlm.Client("demo")).choose("nonsense")


# The buttons of the error card


def test_ask_another_model_switches_and_asks(page: Page, panel: nbvlm.Panel, server: Loopback) -> None:
    screen = Screen(page, panel)
    server.replies.append(problem(410, "end of life"))
    with pytest.raises(nbvlm.NotFoundError):
        panel.run()
    page.send(panel._controller.error_card, {"type": "act", "action": "model:demo", "fields": None})
    screen.wait("done")
    assert panel.result.model == "nbvlm/demo-scenes"
    assert screen.error is None


def test_shrink_sends_the_picture_inside_the_request(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    from PIL import Image

    panel.image = Image.effect_noise((900, 900), 90).convert("RGB")
    server.asset_replies.append(problem(400, "no assets for you"))
    screen = Screen(page, panel)
    with pytest.raises(nbvlm.Error):
        panel.run()
    page.send(panel._controller.error_card, {"type": "act", "action": "shrink", "fields": None})
    screen.wait("done")
    assert panel.result.route == "inline"
    assert panel._controller.picker.route == "inline"


# Recordings


def test_a_recording_lists_its_questions_and_one_is_asked_by_a_press(page: Page) -> None:
    panel = nbvlm.Panel(client=nbvlm.Client("demo"))
    controller = panel._controller
    assert controller.recorded._pictures == []
    page.send(controller.choice._form_page, {"type": "play", "path": "photographs"})
    page.wait(lambda: controller.toolbar.recorded)
    pictures = controller.recorded._pictures
    assert [picture["name"] for picture in pictures] == [
        "cat.png",
        "coffee.png",
        "astronaut.png",
        "camera.png",
    ]
    index, prompt = pictures[1]["asks"][0]
    page.send(controller.recorded, {"type": "ask", "index": index})
    page.wait(lambda: panel.result is not None)
    assert panel.image.name.startswith("coffee.")
    assert (panel.prompt, panel.result.prompt) == (prompt, prompt)
    assert panel.result.model == "nbvlm/demo-photos"
    page.send(controller.recorded, {"type": "ask", "index": 9999})  # is ignored
    panel.prompt = "detect cups"
    with pytest.raises(nbvlm.ReplayMiss):
        panel.run()
    card = controller.error_card.card
    assert {"id": "nearest", "label": "Ask “detect cup ; table”"} in card["actions"]
    page.send(controller.error_card, {"type": "act", "action": "nearest"})
    page.wait(lambda: panel.result is not None)
    assert panel.result.prompt == "detect cup ; table"
    panel.client = nbvlm.Client("demo")
    assert (controller.recorded._pictures, controller.toolbar.recorded) == ([], False)
    panel.close()


def test_a_question_about_a_picture_that_is_not_there_names_it(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "lesson.json"
    scene = scenes.sample(5, pixels=200).picture
    scene.save(tmp_path / "own.png")
    with nbvlm.Client("demo", transport=nbvlm.record(file)) as client:
        client.ask(tmp_path / "own.png", "caption en")
    panel = nbvlm.Panel(client=nbvlm.Client(transport=nbvlm.replay(file)))
    page.send(panel._controller.recorded, {"type": "ask", "index": 0})
    page.wait(lambda: panel._controller.error_card.card)
    assert "about the picture 'own.png'" in panel._controller.error_card.card["message"]
    panel.image = tmp_path / "own.png"
    page.send(panel._controller.recorded, {"type": "ask", "index": 0})
    page.wait(lambda: panel.result is not None)
    panel.close()
