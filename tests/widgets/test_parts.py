"""The parts of the panel, each alone: traits, pages, and the end of their lives."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets
import pytest
import traitlets
from PIL import Image
from support.loopback import Loopback, delta, stream

import nbvlm
from nbvlm import widgets
from nbvlm.errors import ImageError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.panel_page import Page

PARTS: dict[str, Callable[[], Any]] = {
    "Picker": lambda: widgets.Picker(Image.new("RGB", (60, 40), "teal")),
    "Parameters": widgets.Parameters,
    "TaskBar": lambda: widgets.TaskBar("detect cat"),
    "Answer": widgets.Answer,
    "History": widgets.History,
    "ErrorCard": lambda: widgets.ErrorCard(nbvlm.Error("The lamp is off."), actions={"again": print}),
    "ModelChoice": lambda: widgets.ModelChoice(nbvlm.Client("demo")),
    "Connection": lambda: widgets.connect(
        Image.new("RGB", (9, 9)), "caption en", client=nbvlm.Client("demo")
    ),
}


@pytest.fixture(scope="module")
def result() -> nbvlm.Result:
    return nbvlm.Client("demo").ask(nbvlm.demo.scenes.sample(3).picture, "detect cat ; dog")


@pytest.fixture(scope="module")
def boxed() -> nbvlm.Result:
    """An answer with two boxes."""
    found = nbvlm.Detections([[10, 10, 40, 40], [50, 20, 90, 60]], ["cat", "dog"], (100, 80))
    answer = nbvlm.Client("demo").ask(Image.new("RGB", (100, 80)), "detect cat ; dog")
    return replace(answer, detections=found)


def alive() -> set[str]:
    gc.collect()
    return set(ipywidgets.widgets.widget._instances)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_leaves_nothing_behind(page: Page, name: str) -> None:
    before = alive()
    part = PARTS[name]()
    box = ipywidgets.HBox([part])
    assert part.model_id in ipywidgets.widgets.widget._instances
    box.layout.close()
    box.close()
    part.close()
    part.close()
    assert alive() == before
    there = weakref.ref(PARTS[name]())
    gc.collect()
    assert there() is None
    assert alive() == before


@pytest.mark.parametrize("name", [name for name in PARTS if name != "Connection"])
def test_a_part_that_refuses_a_keyword_leaves_nothing(page: Page, name: str) -> None:
    before = alive()
    with pytest.raises(TypeError, match="There is no keyword 'colour'"):
        getattr(widgets, name)(**{"colour": 1} | ({"client": nbvlm.Client("demo")} if "Mod" in name else {}))
    assert alive() == before


def test_parameters_check_each_value_at_once(page: Page) -> None:
    parameters = widgets.Parameters(temperature=0.9)
    defaults = {one.name: one.default for one in nbvlm.endpoints.get("demo").parameters}
    assert parameters.value == {**defaults, "temperature": 0.9}
    for name, value in (("temperature", 7.0), ("temperature", "warm"), ("max_tokens", 0)):
        with pytest.raises(ParameterError):
            setattr(parameters, name, value)
    with pytest.raises(ParameterError):
        parameters.value = {"temperature": 0.3, "top_p": 9}
    assert parameters.value == {**defaults, "temperature": 0.9}
    parameters.temperature = None
    assert parameters.value == defaults


def test_setting_some_parameters_leaves_the_others(page: Page) -> None:
    parameters = widgets.Parameters(value={"top_p": 0.3}, temperature=0.9)
    parameters.value = {"max_tokens": 64}
    assert parameters.value == {"temperature": 0.9, "top_p": 0.3, "max_tokens": 64}
    parameters.value = {"top_p": None}
    assert parameters.value == {"temperature": 0.9, "top_p": 0.7, "max_tokens": 64}
    parameters.value = {}
    with pytest.raises(ParameterError):
        parameters.value = {"seed": 3}
    assert parameters.value == {"temperature": 0.9, "top_p": 0.7, "max_tokens": 64}


def test_parameters_are_linked_and_follow_the_page(page: Page) -> None:
    parameters = widgets.Parameters()
    slider = ipywidgets.FloatSlider(value=0.5, min=0.1, max=1.0)
    traitlets.link((slider, "value"), (parameters, "temperature"))
    assert parameters.value["temperature"] == 0.5
    changes: list[Any] = []
    parameters.observe(lambda change: changes.append(change.new), "value")
    page.update(parameters._sliders["temperature"], value=0.7)
    assert slider.value == 0.7
    assert [one["temperature"] for one in changes] == [0.7]
    page.click(parameters._reset)
    assert slider.value == 0.2


def test_a_picker_chooses_by_python_and_by_its_page(page: Page) -> None:
    picker = widgets.Picker()
    assert (picker.image, picker.value) == (None, None)
    seen: list[Any] = []
    picker.observe(lambda change: seen.append(change.new), "value")
    page.send(picker, {"type": "choose", "index": 1, "fields": None})
    assert seen == [picker.image]
    assert picker.sample == nbvlm.demo.gallery.GALLERY[1].prompt
    picker.value = Image.new("RGB", (60, 40))
    assert picker.image is not None
    assert (picker.image.width, picker.sample) == (60, "")
    with pytest.raises(ImageError):
        picker.image = "no-such-file.jpg"
    assert picker.image.width == 60
    with pytest.raises(ParameterError):
        picker.route = "by hand"
    assert picker.route == "auto"


def test_a_sample_is_one_from_python_too(page: Page, tmp_path: Path) -> None:
    gallery = nbvlm.demo.gallery.GALLERY
    picker = widgets.Picker(gallery[0])

    def marked() -> Any:
        return page.custom(picker)[-1][0]["index"]

    assert (picker.sample, marked()) == (gallery[0].prompt, 0)
    picker.image = nbvlm.Picture.load(gallery[2])
    assert (picker.sample, marked()) == (gallery[2].prompt, 2)
    picker.value = gallery[11]
    assert (picker.sample, marked()) == (gallery[11].prompt, 11)
    like = tmp_path / f"{gallery[0].name}.png"  # another picture of this name
    Image.new("RGB", (60, 40)).save(like)
    picker.image = like
    assert (picker.sample, marked()) == ("", None)


def test_a_path_that_cannot_be_read_is_shown_and_changes_nothing(page: Page) -> None:
    picker = widgets.Picker(Image.new("RGB", (60, 40)), allow=["path"])
    page.send(picker, {"type": "open", "place": "/no/such/file.png"})
    page.wait_until(lambda: picker.error is not None)
    assert isinstance(picker.error, ImageError)
    assert picker.image is not None
    page.send(picker, {"type": "open", "place": "https://example.org/a.png"})
    page.wait_until(lambda: isinstance(picker.error, nbvlm.Error) and "offer" in str(picker.error))


def test_a_task_bar_and_its_field_have_one_prompt(page: Page) -> None:
    bar = widgets.TaskBar("detect cat ; dog")
    assert bar._page.things == ["cat", "dog"]
    page.update(bar._field, value="caption en")
    assert bar.prompt == "caption en"
    bar.image = Image.new("RGB", (60, 40))
    assert bar._page.size == [60, 40]
    page.send(bar._page, {"type": "region", "on": True})
    assert bar.drawing
    bar.take_region((1, 2, 30, 20))
    assert not bar.drawing
    assert page.custom(bar._page)[-1][0] == {"type": "region", "box": [1.0, 2.0, 30.0, 20.0]}


def test_an_answer_takes_events_and_then_the_result(page: Page, result: nbvlm.Result) -> None:
    answer = widgets.Answer()
    answer.feed(nbvlm.ReasoningDelta("Hm."))
    answer.feed(nbvlm.TextDelta("<loc0001>"))
    answer.feed(nbvlm.TextDelta(" cat"))
    assert (answer.text, answer.reasoning, answer.running) == ("<loc0001> cat", "Hm.", True)
    answer.feed(result)
    assert (answer.text, answer.running, answer.result) == (result.text, False, result)
    last = page.custom(answer._page)[-1][0]
    assert (last["text"], last["notes"]) == (result.text, list(result.notices))
    answer.clear()
    assert (answer.text, answer.result) == ("", None)
    with pytest.raises(TypeError, match="feed takes"):
        answer.feed("cat")  # type: ignore[arg-type]


def test_an_answer_draws_its_boxes_in_a_viewer(page: Page, boxed: nbvlm.Result) -> None:
    viewer = widgets.Viewer(boxed.picture)
    answer = widgets.Answer(viewer=viewer, prompt="detect cat ; dog")
    assert answer.group == viewer.group
    one, two = boxed.detections
    answer.feed(nbvlm.DetectionFound(one))
    page.wait_until(lambda: viewer.detections == nbvlm.Detections.of([one], one.size))
    answer.feed(nbvlm.DetectionFound(two))
    answer.stop()
    assert list(viewer.detections) == [one, two]
    assert viewer.things == ["cat", "dog"]
    answer.begin()
    assert viewer.detections is None
    answer.finish(boxed)
    assert (viewer.result, viewer.detections) == (boxed, boxed.detections)
    page.send(answer._page, {"type": "hello"})
    shown = page.custom(answer._page)[-1][0]
    assert shown["picture"] == {"width": boxed.picture.width, "height": boxed.picture.height}
    answer.clear()
    assert (viewer.result, viewer.detections, viewer.image) == (None, None, boxed.picture)


def test_an_observer_of_the_boxes_may_end_the_answer(page: Page, boxed: nbvlm.Result) -> None:
    viewer = widgets.Viewer(boxed.picture)
    answer = widgets.Answer(viewer=viewer)
    answer.begin("detect cat")
    taken = threading.Event()
    viewer.observe(lambda change: taken.wait(20) and answer.stop(), "detections")
    for detection in boxed.detections:
        answer.feed(nbvlm.DetectionFound(detection))
    taken.set()
    page.wait_until(lambda: not answer.running)
    assert len(viewer.detections) == 2
    viewer.unobserve_all("detections")
    asking = widgets.connect(
        nbvlm.demo.scenes.sample(3).picture,
        "detect cat ; dog ; star",
        client=nbvlm.Client("demo", pace=40),
        answer=answer,
    )
    viewer.observe(lambda change: asking.stop() if change["new"] is not None else None, "detections")
    assert asking.run() is None
    assert (asking.running, answer.running) == (False, False)


def test_an_observer_of_a_viewer_that_fails_ends_nothing(
    page: Page, boxed: nbvlm.Result, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = widgets.Viewer()
    answer = widgets.Answer(viewer=viewer)
    viewer.observe(lambda change: 1 / 0, ["result", "detections"])
    answer.feed(nbvlm.DetectionFound(boxed.detections[0]))
    answer.finish(boxed)
    assert (answer.result, viewer.result, answer.running) == (boxed, boxed, False)
    asking = widgets.connect(boxed.picture, "caption en", client=nbvlm.Client("demo"), viewer=viewer)
    assert asking.run() == asking.result
    assert not asking.running
    assert "A viewer, or an observer of it, failed." in caplog.text


def test_boxes_are_drawn_on_the_picture_that_was_asked_about_only(page: Page, boxed: nbvlm.Result) -> None:
    viewer = widgets.Viewer(boxed.picture)
    answer = widgets.Answer(viewer=viewer)
    answer.begin("detect cat")
    viewer.image = other = nbvlm.Picture.load(Image.new("RGB", (33, 44)))
    answer.feed(nbvlm.DetectionFound(boxed.detections[0]))
    answer.finish(boxed)
    assert (viewer.image, viewer.detections, viewer.result) == (other, None, None)
    answer.finish(boxed)  # shown again, by hand
    assert viewer.result is boxed
    answer.begin()
    answer.feed(nbvlm.DetectionFound(nbvlm.Detection("cat", (1, 2, 9, 9))))  # which knows no size
    answer.stop()
    assert viewer.detections.size == (100, 80)
    asking = widgets.connect(other, "caption en", client=nbvlm.Client("demo"), answer=answer)
    asking.run()
    assert viewer.image is other


def test_the_answer_that_began_last_has_the_viewer(page: Page, boxed: nbvlm.Result) -> None:
    viewer = widgets.Viewer(boxed.picture)
    one, two = widgets.Answer(viewer=viewer), widgets.Answer(viewer=viewer)
    cat, dog = boxed.detections
    one.begin("detect cat")
    two.begin("detect dog")
    two.feed(nbvlm.DetectionFound(dog))
    one.feed(nbvlm.DetectionFound(cat))
    one.finish(boxed)
    with pytest.raises(ValueError, match="while an answer streams"):
        viewer.add_box((1, 2, 9, 9))
    two.stop()
    assert list(viewer.detections) == [dog]
    viewer.add_box((1, 2, 9, 9))
    assert len(viewer.detections) == 2


def test_a_closed_answer_takes_no_events_and_wrong_values_end_nothing(
    page: Page, boxed: nbvlm.Result
) -> None:
    answer = widgets.Answer()
    answer.feed(nbvlm.TextDelta("a"))
    for call in (answer.finish, answer.fail, answer.feed):
        with pytest.raises(TypeError):
            call(nbvlm.TextDelta)
    assert answer.running
    answer.close()
    answer.feed(nbvlm.TextDelta("b"))
    assert (answer.running, answer.text) == (False, "a")
    with pytest.raises(nbvlm.Error, match="closed"):
        answer.begin()


def test_a_viewer_that_comes_later_shows_the_answer(page: Page, boxed: nbvlm.Result) -> None:
    answer, viewer = widgets.Answer(boxed), widgets.Viewer()
    answer.viewer = viewer
    assert (viewer.result, answer.group) == (boxed, viewer.group)
    assert widgets.Answer(group="mine", viewer=viewer).group == "mine"
    answer.viewer = None
    assert answer.group == ""


def test_many_boxes_are_few_messages(page: Page, boxed: nbvlm.Result) -> None:
    viewer = widgets.Viewer(boxed.picture)
    answer, rows = widgets.Answer(viewer=viewer), widgets.DetectionList(viewer)
    for _ in range(100):
        for detection in boxed.detections:
            answer.feed(nbvlm.TextDelta("<loc0001>"))
            answer.feed(nbvlm.DetectionFound(detection))
    answer.stop()
    assert len(viewer.detections) == len(rows.detections) == 100 * len(boxed.detections)
    kinds = [content["type"] for part in (viewer, rows) for content, _ in page.custom(part)]
    assert len(kinds) < 20


def test_a_task_bar_outlives_its_viewer(page: Page) -> None:
    bar = widgets.TaskBar(viewer=widgets.Viewer(Image.new("RGB", (60, 40))))
    bar.viewer.close()
    bar.close()
    assert bar.comm is None


def test_a_thousand_tokens_are_few_messages_and_no_state(page: Page) -> None:
    answer = widgets.Answer()
    for number in range(1000):
        answer.feed(nbvlm.TextDelta(f"w{number} "))
    answer.stop()
    sent = page.custom(answer._page)
    assert len(sent) < 100
    assert len(json.dumps([content for content, _ in sent])) < 60_000
    text = "".join(content.get("text", "") for content, _ in sent if content["type"] == "more")
    assert text == answer.text


def test_a_history_is_selected_pinned_and_deleted_both_ways(page: Page, result: nbvlm.Result) -> None:
    other = nbvlm.Client("demo").ask(nbvlm.demo.scenes.sample(4).picture, "caption en")
    again: list[Any] = []
    history = widgets.History([result], on_again=again.append)
    history.add(other)
    assert history.selected is other
    page.send(history._page, {"type": "show", "answer": 1})
    assert history.selected is result
    page.send(history._page, {"type": "pin", "answer": 1, "pinned": True})
    page.send(history._page, {"type": "again", "answer": 2})
    page.send(history._page, {"type": "clear"})
    assert (history.entries, history.pinned, again) == ([result], [result], [other])
    page.send(history._page, {"type": "undo"})
    assert (history.entries, history.pinned) == ([result, other], [result])
    history.undo()
    history.delete(other)
    with pytest.raises(traitlets.TraitError, match="Add the answer first"):
        history.selected = other
    page.send(history._page, {"type": "delete", "answer": 1})
    assert (history.entries, history.pinned, history.selected) == ([], [], None)
    history.undo()
    assert (history.entries, history.pinned) == ([result], [result])


def test_another_form_of_an_answer_takes_its_place_in_a_history(page: Page, result: nbvlm.Result) -> None:
    other = nbvlm.Client("demo").ask(result.picture, "caption en")
    history = widgets.History([result, other], pinned=[result], selected=result)
    again = replace(result, text="a longer text")
    history.replace(result, again)
    assert [one is two for one, two in zip(history.entries, [again, other], strict=True)] == [True, True]
    assert history.pinned[0] is again
    assert history.selected is again
    cards = [card for one, _ in page.custom(history._page) for card in one.get("cards", ())]
    assert cards[-1]["number"] == 1
    history.replace(result, other)  # it is not there any more
    assert history.entries[0] is again


def test_a_limited_history_drops_the_oldest_answers(
    result: nbvlm.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbvlm.widgets.history_store.MOST", 2)
    results = [replace(result, text=f"answer {number}") for number in range(4)]
    history = widgets.History(results[:3], limited=True)
    assert history.entries == results[1:3]
    history.pinned = [results[1]]
    history.add(results[3])
    assert (history.entries, history.pinned, history.selected) == (results[1::2], [results[1]], results[3])
    assert widgets.History(results).entries == results


def test_a_value_that_is_refused_changes_nothing(page: Page, result: nbvlm.Result) -> None:
    history = widgets.History([result], selected=result)
    other = replace(result, text="another one")
    wrong: Any
    for wrong in (None, "a text", [other]):
        with pytest.raises(traitlets.TraitError, match="takes answers"):
            history.add(wrong)
        with pytest.raises(traitlets.TraitError, match="takes answers"):
            history.replace(result, wrong)
    assert (history.entries, history.selected) == ([result], result)
    history.add(other)
    assert (history.entries, history.selected) == ([result, other], other)
    answer = widgets.Answer()
    answer.feed(nbvlm.TextDelta("a"))
    with pytest.raises(traitlets.TraitError):
        answer.begin(5)  # type: ignore[arg-type]
    assert (answer.text, answer.running) == ("a", True)
    answer.stop()
    bar = widgets.TaskBar(drawing=True)
    with pytest.raises(ValueError, match="could not convert"):
        bar.take_region(("left", 2, 30, 20))  # type: ignore[arg-type]
    assert bar.drawing


def test_a_sample_that_is_not_there_changes_nothing(page: Page, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (60, 40)).save(tmp_path / name)
    picker = widgets.Picker(allow=["samples", "path"])
    page.send(picker, {"type": "open", "place": str(tmp_path)})
    page.wait_until(lambda: picker.image is not None)
    chosen, series = picker.image, picker.series
    for index in (-1, 99):
        with pytest.raises(IndexError, match=f"There is no sample {index}"):
            picker.choose(index)
    assert (picker.image, picker.series) == (chosen, series)


@pytest.mark.parametrize("wrong", [5, None, [5]])
def test_what_is_not_an_answer_is_refused_as_documented(page: Page, wrong: Any) -> None:
    before = alive()
    for part in (widgets.History, widgets.Comparison):
        with pytest.raises(traitlets.TraitError):
            part(wrong)
    assert alive() == before


def test_an_observer_may_change_the_history_that_it_observes(result: nbvlm.Result) -> None:
    results = [replace(result, text=f"answer {number}") for number in range(4)]
    history = widgets.History(results[:2])

    def keep_two(change: Any) -> None:
        history.entries = change.new[-2:]

    history.observe(keep_two, "entries")
    history.add(results[2])
    assert (history.entries, history.selected) == (results[1:3], results[2])
    history.undo()
    assert history.entries == results[1:3]


def test_an_error_card_has_the_buttons_that_were_given(page: Page) -> None:
    pressed: list[str] = []
    error = nbvlm.RateLimitError("The limit is reached.")
    card = widgets.ErrorCard(error, actions={"again": lambda: pressed.append("again")})
    shown = card._page.card
    assert shown is not None
    assert [one["id"] for one in shown["actions"]] == ["again"]
    page.send(card._page, {"type": "act", "action": "model:demo"})
    assert (pressed, card.error) == ([], error)
    page.send(card._page, {"type": "act", "action": "again"})
    assert (pressed, card.error) == (["again"], None)
    card.error = error
    page.send(card._page, {"type": "close"})
    assert card.error is None


def test_a_model_is_chosen_by_a_person_or_by_python_only(page: Page) -> None:
    given = nbvlm.Client("demo")
    choice = widgets.ModelChoice(given, models=["demo", "nvidia"])
    assert (choice.client, choice.endpoint.name) == (given, "demo")
    page.send(choice._list, {"type": "model", "choice": "nvidia"})
    assert (choice.endpoint.name, choice.client.settings.endpoint.name) == ("nvidia", "nvidia")
    choice.endpoint = "demo"
    assert choice.client.settings.endpoint.name == "demo"
    choice.client = given
    assert choice._list.choice == "demo"
    with pytest.raises(ValueError, match="nowhere"):
        choice.endpoint = "nowhere"
    assert choice.client is given


def test_a_panel_of_ones_own(page: Page, server: Loopback) -> None:
    server.text = "a red car"
    client = nbvlm.Client("nvidia", api_key="nvapi-secret", base_url=server.url)
    picker = widgets.Picker(Image.new("RGB", (60, 40)))
    bar, slider = widgets.TaskBar("caption en"), ipywidgets.FloatSlider(value=0.5, min=0.1, max=1.0)
    answer, viewer, history = widgets.Answer(), widgets.Viewer(), widgets.History()
    asking = widgets.connect(
        picker, bar, temperature=slider, client=client, answer=answer, viewer=viewer, history=history
    )
    counted: list[Any] = []
    asking.on_answer(counted.append)
    result = asking.run()
    assert result is not None
    assert (result.text, answer.text, viewer.result) == ("a red car", "a red car", result)
    assert (asking.result, counted, history.entries) == (result, [result], [result])
    assert result.parameters["temperature"] == 0.5
    server.replies.append(stream("slow", hold=True, done=False))
    page.click(asking._run)
    page.wait_until(lambda: answer.text == "slow")
    assert (asking.running, asking.result) == (True, None)
    with pytest.raises(nbvlm.Error, match="under way"):
        asking.run()
    page.click(asking._stop)
    assert (asking.running, answer.running, answer.text) == (False, False, "slow")
    asking.close()
    assert server.wait_for(lambda: server.open == 0)


def test_an_observer_that_fails_ends_no_question(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    picker, bar, sliders = widgets.Picker(Image.new("RGB", (60, 40))), widgets.TaskBar(), widgets.Parameters()
    answer, viewer, history, card = (
        widgets.Answer(),
        widgets.Viewer(),
        widgets.History(),
        widgets.ErrorCard(),
    )
    parts = {"answer": answer, "viewer": viewer, "history": history, "error_card": card}
    asking = widgets.connect(picker, bar, sliders, client=nbvlm.Client("demo"), **parts)
    seen: list[str] = []

    def fail(_change: Any) -> None:
        raise ZeroDivisionError

    for part in (picker, bar, sliders, asking, answer, history, card):
        part.observe(fail)
    viewer.observe(fail, ["image", "result", "detections"])
    asking.observe(lambda change: seen.append(change.name))
    asking.on_answer(lambda result: seen.append(result.prompt))
    picker.image = Image.new("RGB", (70, 40))
    bar.prompt = "caption en"
    sliders.temperature = 0.5
    for count in (1, 2):
        result = asking.run()
        assert result is not None
        assert (asking.result, answer.result, viewer.result, history.selected) == (result,) * 4
        assert (asking.running, answer.text, len(history.entries)) == (False, result.text, count)
        assert (result.picture, result.parameters["temperature"]) == (picker.image, 0.5)
    assert seen.count("caption en") == 2
    assert seen.count("running") == 4
    bar.prompt = ""
    page.click(asking._run)
    page.wait_until(lambda: asking.error is not None)
    assert card.error is asking.error
    assert "An observer of a Connection failed." in caplog.text


def test_an_observer_that_fails_can_be_taken_off(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    bar = widgets.TaskBar()
    seen: list[Any] = []

    def fail(change: Any) -> None:
        seen.append(change.new)
        raise ZeroDivisionError

    bar.observe(fail, "prompt")
    bar.observe(fail, "prompt")  # the same one: it is called once
    bar.prompt = "caption en"
    bar.unobserve(fail, "prompt")
    bar.prompt = "detect cat"
    assert seen == ["caption en"]


def test_a_connected_history_asks_the_same_again(page: Page) -> None:
    client, picture = nbvlm.Client("demo"), nbvlm.Picture.load(Image.new("RGB", (60, 40)))
    bar, history, viewer = widgets.TaskBar("caption en"), widgets.History(), widgets.Viewer()

    def offers() -> Any:
        page.send(history, {"type": "hello"})
        return page.custom(history)[-1][0]["asks"]

    assert not offers()
    asking = widgets.connect(
        picture, bar, client=client, temperature=0.5, history=history, viewer=viewer, max_tokens=64
    )
    assert offers()
    first = asking.run()
    assert first is not None
    bar.prompt = "detect cat"
    page.send(history, {"type": "again", "answer": 1})
    page.wait_until(lambda: len(history.entries) == 2 and not asking.running)
    again = history.entries[1]
    assert (again.picture, again.prompt, again.parameters) == (picture, "caption en", first.parameters)
    assert (bar.prompt, viewer.result) == ("detect cat", again)
    # Of two connections the newer one asks, and the other one once that is closed.
    other = widgets.connect(picture, "caption de", client=nbvlm.Client("demo", pace=1), history=history)
    page.send(history, {"type": "again", "answer": 1})
    assert (other.running, asking.running) == (True, False)
    page.send(history, {"type": "again", "answer": 2})  # in place of the answer under way
    assert (other.running, other.error) == (True, None)
    other.close()
    assert offers()
    asking.close()
    assert not offers()
    own = widgets.History([first], on_again=lambda result: bar.take_region(None))
    asking = widgets.connect(picture, bar, client=client, history=own)
    page.send(own, {"type": "again", "answer": 1})
    assert not asking.running
    assert len(own.entries) == 1


def test_a_second_press_leaves_the_answer_under_way(page: Page, server: Loopback) -> None:
    client = nbvlm.Client("nvidia", api_key="nvapi-secret", base_url=server.url)
    answer, card = widgets.Answer(), widgets.ErrorCard()
    asking = widgets.connect(
        Image.new("RGB", (60, 40)), "caption en", client=client, answer=answer, error_card=card
    )
    server.replies.append(stream("slow", hold=True, done=False))
    for _ in range(2):
        page.click(asking._run)
    page.wait_until(lambda: answer.text == "slow")
    assert (asking.running, answer.running, asking.error, card.error) == (True, True, None, None)
    asking.close()


def test_what_cannot_be_asked_is_an_error_on_the_card(page: Page) -> None:
    picker, card = widgets.Picker(), widgets.ErrorCard()
    asking = widgets.connect(picker, "caption en", client=nbvlm.Client("demo"), error_card=card)
    with pytest.raises(ImageError, match="No picture is chosen"):
        asking.run()
    page.click(asking._run)
    assert isinstance(card.error, ImageError)
    assert asking.error is card.error
    with pytest.raises(TypeError, match="has no trait 'image'"):
        widgets.connect(ipywidgets.HBox(), "caption en")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"picture": None}, "picture must be"),
        ({"prompt": None}, "prompt must be"),
        ({"prompt": 5}, "prompt must be"),
        ({"prompt": ipywidgets.IntSlider()}, "prompt must be"),
        ({"parameters": 5}, "parameters must be"),
        ({"answer": "x"}, "answer must be"),
        ({"viewer": widgets.Answer}, "viewer must be"),
        ({"history": []}, "history must be"),
        ({"error_card": widgets.Viewer}, "error_card must be"),
        ({"client": "demo"}, "client must be"),
        ({"temperature": ipywidgets.HBox()}, "has no trait 'value'"),
    ],
)
def test_what_cannot_take_its_place_is_refused(page: Page, given: Any, message: str) -> None:
    made = {name: one() if isinstance(one, type) else one for name, one in given.items()}
    usual = {"picture": Image.new("RGB", (60, 40)), "prompt": "caption en", "client": nbvlm.Client("demo")}
    before = alive()
    with pytest.raises(TypeError, match=message):
        widgets.connect(**(usual | made))
    assert alive() == before


def test_a_prompt_that_is_not_chosen_is_not_asked(page: Page) -> None:
    choice = ipywidgets.Dropdown(options=["caption en", "detect cat"], value=None)
    asking = widgets.connect(Image.new("RGB", (60, 40)), choice, client=nbvlm.Client("demo"))
    with pytest.raises(nbvlm.errors.PromptError, match="No prompt is chosen"):
        asking.run()
    assert not asking.running
    choice.value = "caption en"
    result = asking.run()
    assert result is not None
    assert result.prompt == "caption en"


def test_a_connection_without_references_ends_its_question(page: Page, server: Loopback) -> None:
    client = nbvlm.Client("nvidia", api_key="nvapi-secret", base_url=server.url)
    asking = widgets.connect(Image.new("RGB", (60, 40)), "caption en", client=client)
    server.replies.append(stream("a", hold=True, done=False))
    asking.run(wait=False)
    assert server.wait_for(lambda: server.open == 1)
    gone = weakref.ref(asking)
    del asking

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    page.wait_until(is_gone)
    assert server.wait_for(lambda: server.open == 0)


def test_boxes_are_in_the_viewer_while_the_answer_streams(page: Page, server: Loopback) -> None:
    client = nbvlm.Client("nvidia", api_key="nvapi-secret", base_url=server.url)
    viewer = widgets.Viewer()
    asking = widgets.connect(Image.new("RGB", (60, 40)), "detect cat ; dog", client=client, viewer=viewer)
    cat, dog = "<loc0100><loc0200><loc0300><loc0400> cat", "<loc0500><loc0500><loc0900><loc0900> dog"
    server.replies.append(stream(f"{cat} ; ", 0.5, f"{dog} ; ", 0.5, cat, delta("", "stop")))
    asking.run(wait=False)
    page.wait_until(lambda: viewer.detections is not None and list(viewer.detections.labels) == ["cat"])
    viewer.selected = [0]
    page.wait_until(lambda: asking.result is not None)
    assert viewer.result is asking.result
    assert (list(viewer.detections.labels), viewer.selected) == (["cat", "dog", "cat"], [0])
    shown = [content for content, _ in page.custom(viewer)]
    assert [one["type"] for one in shown].count("all") == 1  # the picture is sent once
    assert [len(one["boxes"]) for one in shown if one["type"] == "put"][-1] == 3
    asking.close()


def test_a_region_for_the_task_is_drawn_in_the_viewer(page: Page) -> None:
    bar, viewer = widgets.TaskBar(), widgets.Viewer(Image.new("RGB", (60, 40)))
    widgets.connect(viewer, bar, client=nbvlm.Client("demo"), viewer=viewer)
    assert (bar.viewer, bar._page.size) == (viewer, [60, 40])
    for box, region in (([50, 30, 10, 5], (10.0, 5.0, 50.0, 30.0)), (None, (10.0, 5.0, 50.0, 30.0))):
        page.send(bar._page, {"type": "region", "on": True})
        assert viewer.mode == "region"
        page.send(viewer, {"type": "region", "box": box})
        assert (bar.drawing, viewer.mode, viewer.region) == (False, "select", region)
    drawn = [one["box"] for one, _ in page.custom(bar._page) if one["type"] == "region"]
    assert drawn == [[10.0, 5.0, 50.0, 30.0], None]
    page.send(bar._page, {"type": "region", "on": True})
    page.send(bar._page, {"type": "region", "on": False})
    assert viewer.mode == "select"
    page.send(bar._page, {"type": "region", "on": True})
    viewer.image = Image.new("RGB", (90, 80))
    assert (bar.drawing, viewer.mode, bar._page.size) == (False, "select", [90, 80])


@pytest.fixture
def choice(page: Page, monkeypatch: pytest.MonkeyPatch) -> Iterator[widgets.ModelChoice]:
    """A choice that has asked the demo model; keys are forgotten afterwards."""
    monkeypatch.setattr("nbvlm.client.keys._memory", {})
    choice = widgets.ModelChoice(nbvlm.Client("demo"), models=["demo", "nvidia"])
    yield choice
    choice.close()


def test_a_key_is_taken_by_a_model_choice_and_is_in_no_trait_or_message(
    page: Page, choice: widgets.ModelChoice, caplog: pytest.LogCaptureFixture
) -> None:
    key = "nvapi-not-a-real-key-but-just-as-secret"
    choice.endpoint = "nvidia"
    assert choice.key_state == "No key yet"
    page.click(button_of(choice, "nbvlm-open-key"))
    assert page.custom(choice._key_page)[-1][0] == {"type": "open", "again": False}
    page.send(choice._key_page, {"type": "key"}, [key.encode()])
    assert choice.key_state == "Key from this panel"
    assert choice.client.settings.api_key.reveal() == key
    page.send(choice._key_page, {"type": "key"}, [b"two words"])
    assert page.custom(choice._key_page)[-1][0]["type"] == "refused"
    assert choice.client.settings.api_key.reveal() == key
    said = repr(page.sent) + caplog.text + repr(choice) + repr(choice.trait_values()) + repr(vars(choice))
    assert key not in said
    states = json.dumps(ipywidgets.Widget.get_manager_state()) + repr(choice._key_page.get_state())
    assert key not in states
    choice.endpoint = "demo"
    choice.endpoint = "nvidia"
    assert choice.client.settings.api_key.reveal() == key


def test_a_model_choice_connects_a_server_by_its_address(
    page: Page, choice: widgets.ModelChoice, server: Loopback
) -> None:
    server.text = "a red car"
    page.click(button_of(choice, "nbvlm-open-server"))
    assert page.custom(choice._form_page)[-1][0] == {"type": "open", "name": "nbvlm-server"}
    page.send(choice._form_page, {"type": "connect", "url": "nowhere at all", "model": "m"})
    assert page.custom(choice._form_page)[-1][0]["words"]
    assert choice.endpoint.name == "demo"
    wanted = {"type": "connect-keyed", "url": f"{server.url}/v1", "model": "house/vlm"}
    page.send(choice._form_page, wanted, [b"nvapi-of-the-house"])
    assert page.custom(choice._form_page)[-1][0] == {"type": "connected"}
    shown = choice._list.choices[-1]
    assert (choice.endpoint.model, choice._list.choice) == ("house/vlm", shown["value"])
    assert shown["label"].partition(" at ")[0] == "house/vlm"
    assert choice.client.settings.api_key.reveal() == "nvapi-of-the-house"
    asking = widgets.connect(Image.new("RGB", (60, 40)), "caption en", client=choice)
    result = asking.run()
    assert result is not None
    assert (result.text, result.model) == ("a red car", "house/vlm")
    asking.close()
    page.send(choice._list, {"type": "model", "choice": "demo"})
    assert choice.endpoint.name == "demo"
    page.send(choice._list, {"type": "model", "choice": shown["value"]})
    assert choice.endpoint.model == "house/vlm"


def test_a_model_choice_plays_a_recording(page: Page, choice: widgets.ModelChoice, tmp_path: Path) -> None:
    picture = Image.new("RGB", (60, 40), "teal")
    with nbvlm.Client("demo", transport=nbvlm.record(tmp_path / "lesson.json")) as client:
        told = client.ask(picture, "caption en")
    page.click(button_of(choice, "nbvlm-open-path"))
    assert page.custom(choice._form_page)[-1][0] == {"type": "open", "name": "nbvlm-recording"}
    page.send(choice._form_page, {"type": "play", "path": str(tmp_path / "none.json")})
    assert page.custom(choice._form_page)[-1][0]["words"]
    page.send(choice._form_page, {"type": "play", "path": str(tmp_path / "lesson.json")})
    asking = widgets.connect(picture, "caption en", client=choice)
    assert asking.run().text == told.text
    asking.close()


def test_a_model_choice_offers_what_it_may(page: Page, tmp_path: Path) -> None:
    choice = widgets.ModelChoice(nbvlm.Client("demo"), allow=["models", "path"], paths=tmp_path)
    assert button_of(choice, "nbvlm-open-key") is None
    page.send(choice._key_page, {"type": "key"}, [b"nvapi-not-a-real-key"])
    page.send(choice._form_page, {"type": "connect", "url": "http://127.0.0.1:1/v1", "model": "m"})
    page.send(choice._form_page, {"type": "play", "path": "/etc/hostname"})
    assert "is not in the folder" in page.custom(choice._form_page)[-1][0]["words"]
    assert (choice.endpoint.name, choice.client.settings.api_key) == ("demo", None)
    choice.close()


def test_visitors_of_a_model_choice_find_no_models_of_the_owners_key(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    choice = widgets.ModelChoice(nbvlm.Client("nvidia", api_key="nvapi-not-a-real-key"))
    assert choice.models == ["demo"]
    assert {one["value"] for one in choice._list.choices} == {"nvidia", "demo"}
    page.send(choice._list, {"type": "model", "choice": "google/gemma-4-31b-it"})
    assert choice.endpoint.name == "nvidia"
    choice.close()
    alone = widgets.ModelChoice(nbvlm.Client("demo"), models=[])
    assert [one["value"] for one in alone._list.choices] == ["demo"]
    alone.close()


def button_of(choice: widgets.ModelChoice, name: str) -> Any:
    row = next(one for one in choice.children if "nbvlm-model-forms" in one._dom_classes)
    return next((one for one in row.children if name in one._dom_classes), None)
