"""The playground, and parts shown in a single anywidget: one connection for all widgets inside."""

from __future__ import annotations

import gc
import io
import json
import os
import weakref
import zlib
from typing import TYPE_CHECKING, Any

import ipywidgets
import pytest
import traitlets
from PIL import Image
from support.loopback import Loopback

import nbvlm
from nbvlm import widgets
from nbvlm.demo.gallery import GALLERY
from nbvlm.errors import ImageError, ParameterError, PromptError
from nbvlm.widgets._carrier import Carrier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.panel_page import Page


def alive() -> set[str]:
    gc.collect()
    return set(ipywidgets.widgets.widget._instances)


@pytest.fixture
def playground(page: Page) -> Iterator[widgets.Playground]:
    made = widgets.Playground(client=nbvlm.Client("demo"))
    yield made
    made.close()


def node(carrier: Any, **wanted: Any) -> dict[str, Any]:
    """The first widget inside with this kind, and this class."""

    def walk(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield one
        for child in one.get("children", ()):
            yield from walk(child)

    fits = (one for one in walk(carrier._tree) if wanted.get("kind") in (None, one["kind"]))
    return next(one for one in fits if wanted.get("name") in (None, *one["classes"]))


def test_its_traits_are_those_of_its_parts(playground: widgets.Playground) -> None:
    assert (playground.prompt, playground.temperature, playground.result) == ("detect cat ; dog", 0.2, None)
    seen: list[tuple[str, Any]] = []
    playground.observe(lambda change: seen.append((change.name, change.new)), ["temperature", "prompt"])
    slider = ipywidgets.FloatSlider(value=0.5, min=0.1, max=1.0)
    traitlets.link((slider, "value"), (playground, "temperature"))
    playground.top_p = 0.3
    playground.parameters = {"temperature": 0.9, "max_tokens": 64}
    playground.prompt = "caption en"
    assert (slider.value, playground.top_p, playground.max_tokens) == (0.9, 0.3, 64)
    assert seen == [("temperature", 0.5), ("temperature", 0.9), ("prompt", "caption en")]
    for name, value, error in (
        ("temperature", 7.0, ParameterError),
        ("image", "no-such-file.jpg", ImageError),
        ("prompt", 3, traitlets.TraitError),
        ("route", "by hand", ParameterError),
        ("running", True, traitlets.TraitError),
        ("client", "demo", traitlets.TraitError),
    ):
        with pytest.raises(error):
            setattr(playground, name, value)
    assert (playground.temperature, playground.image.name) == (0.9, "pets.png")  # type: ignore[union-attr]


def test_a_sample_brings_its_prompt_unless_one_was_given(page: Page) -> None:
    client = nbvlm.Client("demo")
    playground = widgets.Playground(GALLERY[1], client=client)
    assert playground.prompt == GALLERY[1].prompt
    playground.image = GALLERY[2]
    assert playground.prompt == GALLERY[2].prompt
    playground.prompt = "detect my own thing"
    playground.image = GALLERY[3]
    assert playground.prompt == "detect my own thing"
    assert widgets.Playground(GALLERY[1], "detect cat", client=client).prompt == "detect cat"
    assert widgets.Playground(Image.new("RGB", (60, 40)), client=client).prompt == "caption en"


def test_it_asks_and_reports_the_answer(page: Page) -> None:
    playground = widgets.Playground(
        Image.new("RGB", (60, 40), "teal"), "detect cat", client=nbvlm.Client("demo"), temperature=0.5
    )
    answers: list[nbvlm.Result] = []
    events: list[Any] = []
    playground.on_answer(answers.append)
    playground.on_event(events.append)
    result = playground.run()
    assert result is not None
    page.wait_until(lambda: answers == [result] and playground.answered == 1)
    assert (playground.result, playground.running) == (result, False)
    assert result.parameters["temperature"] == 0.5
    assert events
    # What limits the answer is on the page with it.
    shown = [one["content"] for one, _ in page.custom(playground) if one.get("content", {}).get("notes")]
    assert result.notices
    assert shown[-1]["notes"] == list(result.notices)
    playground.prompt = ""
    with pytest.raises(PromptError):
        playground.run()
    playground.close()


def test_an_observer_that_fails_ends_no_question(
    playground: widgets.Playground, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_change: Any) -> None:
        raise ZeroDivisionError

    playground.observe(fail)
    for name in ("picker", "bar", "sliders", "asking", "answer", "card"):
        playground._parts[name].observe(fail)
    answers: list[nbvlm.Result] = []
    playground.on_answer(answers.append)
    for count in (1, 2):
        playground.prompt = f"detect {count}"
        result = playground.run()
        assert (playground.result, playground.running, playground.answered) == (result, False, count)
        assert answers[-1] is result
    page.send(playground, {"type": "press", "id": node(playground, name="nbvlm-run")["id"], "values": []})
    page.wait_until(lambda: playground.answered == 3)
    assert "An observer of a Playground failed." in caplog.text


def test_a_press_brings_the_values_of_the_page(playground: widgets.Playground, page: Page) -> None:
    run, prompt = node(playground, name="nbvlm-run"), node(playground, name="nbvlm-prompt")
    warmth = node(playground, name="nbvlm-temperature")
    values = [[prompt["id"], "caption en"], [warmth["id"], 0.7]]
    page.send(playground, {"type": "press", "id": run["id"], "values": values})
    page.wait_until(lambda: playground.result is not None)
    result = playground.result
    assert result is not None
    assert (result.prompt, result.parameters["temperature"]) == ("caption en", 0.7)


def test_a_file_comes_in_pieces(playground: widgets.Playground, page: Page) -> None:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (700, 600), os.urandom(700 * 600 * 3)).save(buffer, "PNG")
    data, picker = buffer.getvalue(), node(playground, kind="picker")["id"]
    size = 2**20

    def send(content: dict[str, Any], *buffers: bytes) -> None:
        kind = "bytes" if buffers else "inner"
        page.send(
            playground, {"type": kind, "id": picker, "content": {"id": "a-1", **content}}, list(buffers)
        )

    send({"type": "begin", "name": "noise.png", "size": len(data)})
    for offset in range(0, len(data), size):
        send({"type": "chunk", "offset": offset}, data[offset : offset + size])
    send({"type": "end", "crc": zlib.crc32(data)})
    page.wait_until(lambda: playground.image is not None and playground.image.name == "noise.png")
    replies = [one["content"]["type"] for one, _ in page.custom(playground) if "content" in one]
    assert replies.count("received") == 3
    assert "arrived" in replies


def test_messages_that_fit_nothing_change_nothing(
    playground: widgets.Playground, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    prompt, slider = node(playground, name="nbvlm-prompt")["id"], node(playground, kind="slider")["id"]
    before = (playground.prompt, playground.parameters)
    for message in (
        {"type": "inner", "id": "nobody", "state": {"value": "x"}},
        {"type": "inner", "id": prompt, "state": {"value": 3}},
        {"type": "inner", "id": prompt, "state": {"placeholder": "x"}},
        {"type": "inner", "id": slider, "state": {"value": 99}},
        {"type": "press", "id": prompt, "values": [[slider, "x"]]},
        {"type": "press", "id": prompt, "values": "x"},
        {"type": "tree"},
    ):
        caplog.clear()
        page.send(playground, message)
        assert "ignored a message of its page" in caplog.text, message
    page.update(playground, answered=7)
    assert (playground.prompt, playground.parameters, playground.answered) == (*before, 0)


def test_neither_keys_nor_bytes_are_in_what_it_sends(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback() as service:
        key = "nvapi-not-a-real-key"
        client = nbvlm.Client("nvidia", api_key=key, base_url=service.url, assets_url=service.url)
        playground = widgets.Playground(client=client)
        playground.run()
        page.send(playground, {"type": "hello"})
        state = playground.get_state()
        assert not [name for name, value in state.items() if isinstance(value, bytes | memoryview)]
        assert len(json.dumps(state)) < 150_000
        assert key not in repr(page.sent)
        assert key not in repr(playground)
        playground.close()


def test_it_has_one_connection_and_leaves_nothing_behind(page: Page) -> None:
    before = alive()
    playground = widgets.Playground(client=nbvlm.Client("demo"))
    opened = {comm_id for comm_id, kind, data, _ in page.sent if "_esm" in data.get("state", {})}
    assert opened == {playground.comm.comm_id}
    playground.close()
    playground.close()
    del playground
    assert alive() == before
    there = weakref.ref(widgets.Playground(client=nbvlm.Client("demo")))
    gc.collect()
    assert there() is None
    with pytest.raises(TypeError, match="There is no keyword 'colour'"):
        widgets.Playground(client=nbvlm.Client("demo"), colour=1)
    with pytest.raises(TypeError, match="client must be"):
        widgets.Playground(client="demo")  # type: ignore[arg-type]


def test_all_parts_of_several_widgets_can_be_carried(page: Page) -> None:
    client = nbvlm.Client("demo")
    made = [widgets.Picker(), widgets.TaskBar(), widgets.Parameters(), widgets.Answer()]
    made += [widgets.History(), widgets.ErrorCard(), widgets.ModelChoice(client)]
    made.append(widgets.connect(made[0], made[1], client=client))
    for part in made:
        carrier = part._display_()
        page.send(carrier, {"type": "hello"})
        told = [one for one, _ in page.custom(carrier) if one["type"] == "tree"][-1]
        assert set(told["states"]) == set(carrier._inside)


def test_a_key_given_inside_is_in_no_state(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbvlm.client.keys._memory", {})
    key = "nvapi-not-a-real-key-but-just-as-secret"
    choice = widgets.ModelChoice(nbvlm.Client("nvidia", api_key="nvapi-not-a-real-key"))
    carrier = choice._display_()
    inside = node(carrier, kind="key_dialog")["id"]
    page.send(carrier, {"type": "bytes", "id": inside, "content": {"type": "key"}}, [key.encode()])
    page.wait_until(lambda: choice.key_state == "Key from this panel")
    assert key not in repr(page.sent)
    assert key not in repr(carrier.get_state())


def test_a_part_is_shown_by_a_host_of_single_anywidgets(page: Page) -> None:
    answer = widgets.Answer()
    shown, again = answer._display_(), answer._display_()
    answer.finish(nbvlm.Client("demo").ask(Image.new("RGB", (60, 40)), "caption en"))
    for carrier in (shown, again):  # one for each place where the part stands
        texts = [one["content"].get("text") for one, _ in page.custom(carrier) if "content" in one]
        assert texts[-1] == answer.text
    sliders = widgets.Parameters("demo")
    carrier = sliders._display_()
    assert node(carrier, kind="slider")["classes"] == ["nbvlm-temperature"]
    sliders.endpoint = "google/gemma-4-31b-it"  # has other sliders
    told = [one for one, _ in page.custom(carrier) if one["type"] == "tree"][-1]
    assert set(told["states"]) == set(carrier._inside)
    note = node(carrier, name="nbvlm-note")["id"]  # shown where two values differ from their defaults
    sliders.endpoint = "nvidia"
    sliders.value = {"temperature": 0.9, "top_p": 0.1}
    laid = [one["state"]["_css"] for one, _ in page.custom(carrier) if one.get("id") == note]
    assert laid[-1]["display"] == ""
    with pytest.raises(TypeError, match="A Play cannot be shown"):
        Carrier(ipywidgets.VBox([ipywidgets.Play()]))
