"""A panel is a widget with traits: read, set, observed and linked, in agreement with its pages."""

from __future__ import annotations

import gc
import json
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets
import pytest
import traitlets
from PIL import Image
from support import made_results as made
from support.loopback import stream
from support.panel_page import family

import nbvlm
from nbvlm import endpoints
from nbvlm.demo.gallery import GALLERY
from nbvlm.errors import Error, ImageError, ParameterError
from nbvlm.panel.notifications import Notifications

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.loopback import Loopback
    from support.panel_page import Page

KEY = "nvapi-not-a-real-key-but-just-as-secret"
TRAITS = {
    "image", "prompt", "temperature", "top_p", "max_tokens", "parameters", "pace", "route", "client",
    "endpoint", "running", "result", "history",
}  # fmt: skip
KEPT = ipywidgets.widgets.widget._instances


@pytest.fixture
def client(server: Loopback) -> nbvlm.Client:
    return nbvlm.Client("nvidia", api_key=KEY, base_url=server.url)


@pytest.fixture
def panel(page: Page, client: nbvlm.Client) -> Iterator[nbvlm.Panel]:
    panel = nbvlm.Panel(made.image(), "detect car", client=client)
    yield panel
    panel.close()


class Seen:
    """The changes of a panel that an observer of all its traits has seen."""

    def __init__(self, panel: nbvlm.Panel) -> None:
        self.panel, self.changes, self.threads = panel, [], []
        self.news = threading.Condition()
        panel.observe(self.take, list(TRAITS))

    def take(self, change: Any) -> None:
        with self.news:
            self.changes.append((change.name, change.old, change.new))
            self.threads.append(threading.current_thread())
            assert change.owner is self.panel
            self.news.notify_all()

    def wait(self, name: str, condition: Callable[[Any], Any] = lambda value: True) -> Any:
        """Wait for a change; return its old and new values."""
        with self.news:
            found = self.news.wait_for(
                lambda: [one for one in self.changes if one[0] == name and condition(one[2])], 20
            )
        assert found, f"{name} has not changed"
        return found[-1][1:]


# A widget


def test_a_panel_is_a_box_with_traits(panel: nbvlm.Panel) -> None:
    assert isinstance(panel, ipywidgets.VBox)
    assert panel.widget is panel
    assert set(panel.trait_names()) >= TRAITS
    assert not TRAITS & set(panel.keys)  # none of them is sent to a page or saved
    assert "nbvlm-panel" in panel._dom_classes


def test_picture_and_prompt_are_given_in_order_and_the_rest_by_name(
    page: Page, client: nbvlm.Client, tmp_path: Path
) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "photo.jpg")
    panel = nbvlm.Panel(
        tmp_path / "photo.jpg", "detect cat", temperature=0.1, max_tokens=64, route="inline", client=client,
        layout={"width": "50%"},
    )  # fmt: skip
    assert (panel.image.name, panel.prompt, panel.route) == ("photo.jpg", "detect cat", "inline")
    assert panel.parameters == {"temperature": 0.1, "top_p": 0.7, "max_tokens": 64}
    assert (panel.temperature, panel.top_p, panel.max_tokens) == (0.1, 0.7, 64)
    assert (panel.client, panel.endpoint) == (client, endpoints.get("nvidia"))
    assert (panel.running, panel.result, panel.history) == (False, None, [])
    assert panel.layout.width == "50%"
    panel.close()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"temperature": 3.0}, ParameterError),
        ({"max_tokens": "many"}, ParameterError),
        ({"route": "pigeon"}, ParameterError),
        ({"image": "missing.png"}, ImageError),
        ({"prompt": 5}, traitlets.TraitError),
        ({"client": "demo"}, TypeError),
    ],
)
def test_a_panel_that_cannot_be_made_leaves_nothing(
    page: Page, given: dict[str, Any], error: type[Exception]
) -> None:
    before = set(KEPT)
    with pytest.raises(error):
        nbvlm.Panel(**{"client": nbvlm.Client("demo"), **given})
    assert set(KEPT) == before


def test_a_client_in_the_place_of_the_picture_is_named(page: Page) -> None:
    with pytest.raises(TypeError, match="give the client as client=…"):
        nbvlm.Panel(nbvlm.Client("demo"))


# Values that do not fit


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("temperature", 3.0, ParameterError, "3.0 is outside its range. It must be above 0 and at most 1"),
        ("temperature", "hot", ParameterError, "temperature must be a number, not 'hot'"),
        ("temperature", float("nan"), ParameterError, "outside its range"),
        ("top_p", True, ParameterError, "must be a number"),
        ("max_tokens", 1.5, ParameterError, "must be a whole number"),
        ("max_tokens", 0, ParameterError, "outside its range"),
        ("parameters", {"temprature": 0.2}, ParameterError, "temperature"),
        ("parameters", {"temperature": 0.3, "top_p": 7}, ParameterError, "outside its range"),
        ("parameters", 0.2, traitlets.TraitError, "parameters must be a dictionary"),
        ("prompt", None, traitlets.TraitError, "prompt must be a text, got None"),
        ("image", "missing.png", ImageError, r"missing\.png"),
        ("image", 5, ImageError, "int"),
        ("route", "pigeon", ParameterError, "route must be one of 'auto', 'inline', 'asset'"),
        ("route", [], ParameterError, "route must be one of"),
        ("client", "demo", traitlets.TraitError, "client must be a Client or an AsyncClient"),
        ("endpoint", "nvidea", ParameterError, "nvidia"),
        ("endpoint", 5, traitlets.TraitError, "endpoint must be an Endpoint or the name of one"),
        ("running", True, traitlets.TraitError, "read-only"),
        ("result", None, traitlets.TraitError, "read-only"),
        ("history", [], traitlets.TraitError, "read-only"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error_at_once_and_changes_nothing(
    panel: nbvlm.Panel, name: str, value: Any, error: type[Exception], words: str
) -> None:
    before = {one: getattr(panel, one) for one in TRAITS}
    seen = Seen(panel)
    with pytest.raises(error, match=words):
        setattr(panel, name, value)
    assert {one: getattr(panel, one) for one in TRAITS} == before
    assert seen.changes == []


# Python and pages agree


def test_what_python_sets_is_on_the_page_and_observed_at_once(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    seen, task_bar = Seen(panel), panel._controller.task_bar
    picture = made.photo((64, 48))
    panel.image = picture
    panel.prompt = "caption en"
    panel.temperature, panel.top_p, panel.max_tokens = 0.4, 0.5, 64
    panel.parameters = {"temperature": None, "max_tokens": 12}
    panel.route = "inline"
    panel.client = nbvlm.Client("demo")
    panel.endpoint = "google/gemma-4-31b-it"
    assert {thread is threading.current_thread() for thread in seen.threads} == {True}
    last = {name: new for name, _, new in seen.changes}
    assert last.keys() == {
        "image", "prompt", "temperature", "top_p", "max_tokens", "parameters", "route", "client", "endpoint",
    }  # fmt: skip
    assert all(old is not new for _, old, new in seen.changes)
    assert [new for name, _, new in seen.changes if name == "temperature"][:2] == [0.4, 0.2]
    assert [new for name, _, new in seen.changes if name == "max_tokens"][:2] == [64, 12]
    assert all(same(value, getattr(panel, name)) for name, value in last.items())
    assert task_bar._field.value == "caption en"
    assert panel._controller.choice._list.choice == "google/gemma-4-31b-it"
    shown = [content for content, _ in page.custom(panel._controller.viewer) if content["type"] == "all"]
    assert shown[-1]["picture"]["width"] == 64


def test_setting_one_parameter_leaves_the_others(panel: nbvlm.Panel) -> None:
    panel.temperature, panel.top_p, panel.max_tokens = 0.4, 0.5, 64
    assert panel.parameters == {"temperature": 0.4, "top_p": 0.5, "max_tokens": 64}
    slider = ipywidgets.FloatSlider(value=0.3, min=0.1, max=1.0)
    traitlets.link((slider, "value"), (panel, "temperature"))
    seen = Seen(panel)
    slider.value = 0.6
    assert {name for name, _, _ in seen.changes} == {"temperature", "parameters"}
    panel.parameters = {"top_p": None, "max_tokens": 12}
    assert panel.parameters == {"temperature": 0.6, "top_p": 0.7, "max_tokens": 12}


def same(one: Any, other: Any) -> bool:
    return one is other or bool(one == other)


def test_what_a_page_changes_is_in_the_traits_and_observed(
    page: Page, panel: nbvlm.Panel, client: nbvlm.Client
) -> None:
    seen, controller = Seen(panel), panel._controller
    page.update(controller.task_bar._field, value="detect tree")
    assert seen.wait("prompt") == ("detect car", "detect tree")
    page.update(controller.parameters._sliders["temperature"], value=0.5)
    assert seen.wait("temperature") == (0.2, 0.5)
    assert seen.wait("parameters")[1] == {"temperature": 0.5, "top_p": 0.7, "max_tokens": 1024}
    page.send(controller.picker, {"type": "choose", "index": 1})
    assert seen.wait("image")[1].name == f"{GALLERY[1].name}.png"
    page.send(controller.picker, {"type": "route", "route": "asset"})
    assert seen.wait("route") == ("auto", "asset")
    page.send(controller.choice._list, {"type": "model", "choice": "demo"})
    old, new = seen.wait("client")
    assert (old, new.endpoint.name, panel.client) == (client, "demo", new)
    assert seen.wait("endpoint")[1] == panel.endpoint == endpoints.get("demo")
    page.send(controller.choice._list, {"type": "model", "choice": "nvidia"})
    seen.wait("client", lambda value: value.endpoint.name == "nvidia")
    assert KEY not in repr([seen.changes, panel, panel.client, panel.traits()])


def test_values_that_lie_between_the_steps_of_a_slider_survive_the_page(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    panel.parameters = {"temperature": 0.123, "top_p": 0.005}
    toolbar = panel._controller.toolbar
    sliders = {"temperature": 0.12, "top_p": 0.005, "max_tokens": 1024.0}  # as a browser rounds them
    page.send(toolbar, {"type": "run", "parameters": sliders, "tuning": toolbar.tuning})
    page.wait(lambda: len(panel.history) == 1)
    assert panel.history[0].parameters == {"temperature": 0.123, "top_p": 0.005, "max_tokens": 1024}
    page.send(toolbar, {"type": "run", "parameters": {"temperature": 0.13}, "tuning": toolbar.tuning})
    page.wait(lambda: len(panel.history) == 2)
    assert panel.temperature == 0.13


def test_an_answer_changes_running_result_and_history(panel: nbvlm.Panel) -> None:
    seen = Seen(panel)
    one = panel.run()
    assert [change for change in seen.changes if change[0] == "running"] == [
        ("running", False, True),
        ("running", True, False),
    ]
    assert seen.wait("result") == (None, one)
    assert seen.wait("history") == ([], [one])
    assert [thread for thread in seen.threads if thread.name == "nbvlm"] == []  # the loop is never held up
    panel.image = None
    assert seen.wait("result", lambda value: value is None) == (one, None)


# Links


def test_panels_are_linked_with_each_other_and_with_other_widgets(page: Page, panel: nbvlm.Panel) -> None:
    other = nbvlm.Panel(client=nbvlm.Client("demo"))
    slider = ipywidgets.FloatSlider(value=0.3, min=0.1, max=1.0)
    text = ipywidgets.Text()
    traitlets.link((panel, "image"), (other, "image"))
    traitlets.link((panel, "prompt"), (other, "prompt"))
    traitlets.link((slider, "value"), (panel, "temperature"))
    traitlets.dlink((panel, "result"), (text, "value"), lambda result: result.text if result else "")
    assert (other.image, other.prompt, panel.temperature) == (panel.image, "detect car", 0.3)
    other.image = picture = nbvlm.Picture.load(made.photo((64, 48)))
    assert panel.image is other.image is picture
    slider.value = 0.6
    assert panel.temperature == 0.6
    seen = Seen(other)
    page.update(panel._controller.task_bar._field, value="detect tree")
    assert seen.wait("prompt")[1] == "detect tree"
    panel.run()
    assert text.value == "a red car"
    other.close()


# Callbacks


def test_what_cannot_be_called_is_no_callback(panel: nbvlm.Panel, server: Loopback) -> None:
    for register in (panel.on_answer, panel.on_event):
        with pytest.raises(TypeError, match="The callback must be a function, got int"):
            register(3)
    server.replies.append(stream("a car"))
    assert panel.run().text == "a car"


def test_an_unknown_keyword_is_answered_with_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"There is no keyword 'temprature'\. Did you mean 'temperature'"):
        nbvlm.Panel(temprature=0.5)
    panel = nbvlm.Panel(made.image(), client=nbvlm.Client("demo"), layout={"width": "50%"}, box_style="info")
    assert (panel.layout.width, panel.box_style) == ("50%", "info")
    panel.close()


def test_callbacks_take_answers_and_events_and_their_errors_are_logged(
    panel: nbvlm.Panel, server: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Any] = []
    events: list[Any] = []
    panel.on_answer(lambda result: 1 / 0)
    panel.on_event(lambda event: 1 / 0)
    panel.observe(lambda change: 1 / 0, "result")
    panel.on_answer(answers.append)
    panel.on_event(events.append)
    server.replies.append(stream("a ", "<loc0100><loc0200><loc0300><loc0400> car"))
    with caplog.at_level(logging.ERROR):
        result = panel.run()
    assert answers == [result]
    assert "".join(one.text for one in events if isinstance(one, nbvlm.TextDelta)) == result.text
    assert sum(isinstance(one, nbvlm.DetectionFound) for one in events) == 1
    assert {record.name for record in caplog.records} == {"nbvlm"}
    assert len(caplog.records) == 2 + len(events)
    panel.on_answer(answers.append, remove=True)
    panel.on_event(events.append, remove=True)
    before = len(events)
    assert panel.run() is not None
    assert (answers, len(events)) == ([result], before)


def test_an_observer_may_ask_again_and_wait(page: Page, panel: nbvlm.Panel, server: Loopback) -> None:
    """Both where Python and where a page made the change, with messages of the page that are out of order."""
    done = threading.Event()

    def ask(change: Any) -> None:
        assert panel.run().picture is change.new
        done.set()

    panel.observe(ask, "image")
    panel.image = made.photo((64, 48))
    assert done.is_set()
    done.clear()
    picker = panel._controller.picker
    page.send(picker, {"type": "choose", "index": 2, "page": "a", "number": 2})
    page.send(picker, {"type": "complete", "text": "x", "page": "a", "number": 4})
    assert done.wait(20)
    answers: list[Any] = []

    def ask_again(result: nbvlm.Result) -> None:
        answers.append(result)
        if len(answers) < 3:
            panel.run()

    panel.unobserve_all()
    panel.on_answer(ask_again)
    panel.run()
    page.wait(lambda: len(panel.history) == 5)


def test_a_slow_callback_holds_up_neither_the_answer_nor_other_panels(
    page: Page, panel: nbvlm.Panel, server: Loopback
) -> None:
    go_on, waited = threading.Event(), []
    panel.on_event(lambda event: waited.append(go_on.wait(20)))
    panel.run(wait=False)
    page.wait(lambda: len(panel.history) == 1)
    other = nbvlm.Panel(client=nbvlm.Client("demo"))
    assert other.run() is other.result
    assert waited == []
    go_on.set()
    page.wait_until(lambda: waited)
    assert all(waited)
    other.close()


def test_a_thread_makes_its_own_calls_and_not_the_slow_ones_of_another() -> None:
    go_on, made, waited = threading.Event(), [], []
    notifications = Notifications()
    with notifications.at_once():
        notifications.add(made.append, "mine")
        slow = threading.Thread(target=notifications.add, args=(lambda: waited.append(go_on.wait(20)),))
        slow.start()
        slow.join()
    assert (made, waited) == (["mine"], [])
    go_on.set()
    notifications.flush()
    assert waited == [True]


# What is sent and saved


def test_no_trait_brings_pictures_answers_or_keys_into_the_state(page: Page, panel: nbvlm.Panel) -> None:
    for _ in range(5):
        panel.run()
    states = json.dumps([widget.get_state() for widget in family(panel)])
    assert len(states) < 200_000
    assert KEY not in states + repr([message[:3] for message in page.sent])
    assert all(not buffers for _, _, data, buffers in page.sent if data.get("method") != "custom")


# The life of a panel


def test_a_closed_panel_says_so_and_keeps_its_answers(
    panel: nbvlm.Panel, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    result = panel.run()
    panel.close()
    panel.close()
    assert repr(panel) == "<nbvlm.Panel: closed>"
    assert panel._repr_mimebundle_() == {"text/plain": "<nbvlm.Panel: closed>"}
    panel._ipython_display_()
    assert "<nbvlm.Panel: closed>" in capsys.readouterr().out
    assert (panel.result, panel.history, panel.prompt) == (result, [result], "detect car")
    with pytest.raises(Error, match="The panel is closed"):
        panel.run()
    with pytest.raises(Error, match="The panel is closed"):
        panel.run_sweep("caption en")


@pytest.mark.parametrize("how", ["closed", "collected", "shown and closed", "observed", "linked"])
def test_nothing_of_a_panel_that_ended_is_kept(
    page: Page, client: nbvlm.Client, server: Loopback, how: str
) -> None:
    before = set(KEPT)
    panel = nbvlm.Panel(made.image(), "detect car", client=client)
    panel.run()
    if how == "shown and closed":
        panel._repr_mimebundle_()
    if how == "observed":
        panel.observe(lambda change, panel=panel: panel.run, "result")
    if how == "linked":
        traitlets.link((panel, "image"), (panel, "image")).unlink()
    if "closed" in how:
        panel.close()
    gone = [weakref.ref(panel), *(weakref.ref(child) for child in panel.children)]
    controller = weakref.ref(panel._controller)
    del panel
    page.wait_until(lambda: gc.collect() and not any(one() for one in [*gone, controller]))
    assert set(KEPT) == before
    assert server.wait_for(lambda: server.open == 0)


def test_a_panel_in_another_widget_lives_on_without_a_name(page: Page, client: nbvlm.Client) -> None:
    box = ipywidgets.HBox([nbvlm.Panel(made.image(), "detect car", client=client), ipywidgets.Button()])
    gc.collect()
    identity = json.loads(json.dumps(box.get_state()["children"]))[0].removeprefix("IPY_MODEL_")
    panel = KEPT[identity]
    assert panel is box.children[0]
    page.click(panel._controller.buttons.run)
    page.wait(lambda: panel.history)
    panel.close()


# The pace of the embedded model


def test_the_panel_answers_at_the_pace_of_a_service_and_python_does_not(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nbvlm.Client("demo") as client:
        assert client.settings.pace is None
        panel = nbvlm.Panel(client=client)
        assert panel.pace is None  # the tests set it off
        panel.close()
        monkeypatch.delenv("NBVLM_PANEL_PACE")
        panel = nbvlm.Panel(client=client)
        assert panel.pace == 30
        assert panel.client is client
        panel.close()
        monkeypatch.setenv("NBVLM_PANEL_PACE", "12")
        panel = nbvlm.Panel(client=client)
        assert panel.pace == 12
        panel.close()
    panel = nbvlm.Panel(client=nbvlm.Client("demo", pace=400))
    assert panel.pace == 400
    panel.close()


def test_the_pace_is_chosen_on_the_page_and_holds_for_the_next_answer(page: Page) -> None:
    panel = nbvlm.Panel(client=nbvlm.Client("demo"))
    seen, field = Seen(panel), panel._controller.parameters._pace_field
    titles = [title for title, _ in field.options]
    assert titles == ["As fast as it can", "30 tokens a second", "5 tokens a second"]
    field.set_state({"index": 2})
    assert seen.wait("pace") == (None, 5)
    started = panel.run(wait=False)
    assert started is None
    page.wait(lambda: "'more'" in str(page.custom(panel._controller.answer._page)))
    panel.stop()
    assert (panel.running, panel.result) == (False, None)
    panel.pace = 1
    assert field.label == "1 token a second"
    panel.pace = 250
    assert field.label == "250 tokens a second"
    assert panel.run().finish_reason == "stop"
    with pytest.raises(ParameterError, match="positive number of tokens"):
        panel.pace = -1
    panel.close()


def test_only_the_embedded_model_has_a_pace(page: Page, client: nbvlm.Client) -> None:
    panel = nbvlm.Panel(client=nbvlm.Client("demo"))
    field = panel._controller.parameters._pace_field
    assert field.layout.display == ""
    panel.client = client
    assert field.layout.display == "none"
    panel.close()
