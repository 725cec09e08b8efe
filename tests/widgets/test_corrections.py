"""Corrections of boxes: what stays hidden and selected, what observers read, and the list of the viewer."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import traitlets
from PIL import Image

import nbvlm
from nbvlm import widgets
from nbvlm.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.panel_page import Page

BOXES = [(20, 20, 80, 60), (120, 50, 180, 90), (0, 0, 10, 10)]


def three() -> nbvlm.Detections:
    return nbvlm.Detections(BOXES, ["a", "b", "c"], (200, 100))


@pytest.fixture
def viewer(page: Page) -> widgets.Viewer:
    return widgets.Viewer(Image.new("RGB", (200, 100)), three())


def hidden(viewer: widgets.Viewer) -> set[str]:
    assert viewer.detections is not None
    return {viewer.detections.labels[at] for at in viewer.hidden}


CORRECTIONS: dict[str, Callable[[widgets.Viewer], Any]] = {
    "add": lambda viewer: viewer.add_box((1, 1, 9, 9), "z"),
    "move": lambda viewer: viewer.move_boxes({0: (22, 20, 82, 60)}),
    "relabel": lambda viewer: viewer.relabel([1], "z"),
    "delete": lambda viewer: viewer.delete([0]),
    "delete the hidden one": lambda viewer: viewer.delete([2]),
    "delete all": lambda viewer: viewer.delete([0, 1, 2]),
}


@pytest.mark.parametrize("name", CORRECTIONS)
def test_what_is_hidden_stays_so_through_undo_and_redo(viewer: widgets.Viewer, name: str) -> None:
    viewer.hidden = [2]
    CORRECTIONS[name](viewer)
    after = set() if name in ("delete the hidden one", "delete all") else {"c"}
    for _ in range(2):
        assert hidden(viewer) == after
        viewer.undo()
        assert hidden(viewer) == {"c"}
        viewer.redo()
    assert hidden(viewer) == after


def test_what_is_hidden_after_a_correction_stays_so_when_it_is_undone(viewer: widgets.Viewer) -> None:
    viewer.add_box((1, 1, 9, 9), "z")
    viewer.delete([0])
    viewer.hidden = [0, 2]
    viewer.undo()
    assert hidden(viewer) == {"b", "z"}
    viewer.undo()
    assert hidden(viewer) == {"b"}
    viewer.hidden = [0]
    viewer.redo()
    viewer.redo()
    assert hidden(viewer) == {"z"}
    viewer.detections = three()
    assert viewer.hidden == []


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("name", CORRECTIONS)
def test_observers_find_a_correction_whole(viewer: widgets.Viewer, name: str, listed: bool) -> None:
    rows = widgets.DetectionList(viewer) if listed else None
    viewer.selected, viewer.hidden = [0], [2]
    seen: list[tuple[str, Any]] = []

    def note(change: Any) -> None:
        seen.append((change.name, (viewer.detections, viewer.selected, viewer.hidden)))

    viewer.observe(note, ["detections", "selected", "hidden"])
    for change in (CORRECTIONS[name], widgets.Viewer.undo, widgets.Viewer.redo):
        before = {one: getattr(viewer, one) for one in ("detections", "selected", "hidden")}
        change(viewer)
        after = (viewer.detections, viewer.selected, viewer.hidden)
        assert [state for _, state in seen] == [after] * len(seen)
        changed = [one for one, value in before.items() if value != getattr(viewer, one)]
        assert sorted(one for one, _ in seen) == sorted(changed)
        assert rows is None or (rows.detections, rows.selected, rows.hidden) == after
        seen.clear()


def test_observers_of_another_answer_find_nothing_selected(viewer: widgets.Viewer) -> None:
    viewer.selected, viewer.hidden, viewer.region = [2], [0], (0, 0, 5, 5)
    seen: list[Any] = []
    for name in ("detections", "image"):
        viewer.observe(lambda _: seen.append((viewer.selected, viewer.hidden, viewer.region)), name)
    viewer.image = Image.new("RGB", (60, 40))
    assert seen == [([], [], None)] * 2


def test_detections_of_no_boxes_begin_a_new_history(viewer: widgets.Viewer) -> None:
    viewer.selected = [1]
    viewer.delete([0])
    viewer.detections = None
    assert (viewer.selected, viewer.hidden, viewer.can_undo) == ([], [], False)
    viewer.add_box((1, 1, 9, 9), "z")
    viewer.undo()
    assert viewer.detections is not None
    assert len(viewer.detections) == 0


def test_a_refused_correction_keeps_the_steps_to_undo(viewer: widgets.Viewer) -> None:
    viewer.delete([0])
    viewer.feed = object()  # an answer streams into the viewer
    for correct in (viewer.undo, lambda: viewer.delete([0])):
        with pytest.raises(ValueError, match="while an answer streams"):
            correct()
    viewer.feed = None
    viewer.undo()
    assert (viewer.detections, viewer.can_undo, viewer.can_redo) == (three(), False, True)


@pytest.mark.parametrize(
    ("index", "error"), [(0.5, TypeError), ("0", TypeError), (3, IndexError), (-1, IndexError)]
)
def test_a_number_that_no_detection_has_is_an_error(
    viewer: widgets.Viewer, index: Any, error: type[Exception]
) -> None:
    calls: tuple[Callable[[], Any], ...] = (
        lambda: viewer.delete([index]),
        lambda: viewer.relabel([0, index], "z"),
        lambda: viewer.move_boxes({index: (0, 0, 5, 5)}),
    )
    for call in calls:
        with pytest.raises(error, match=f"{index}"):
            call()
    for name in ("selected", "hidden"):
        with pytest.raises(traitlets.TraitError):
            setattr(viewer, name, [index])
    assert (viewer.detections, viewer.can_undo) == (three(), False)


# The list


def test_a_list_and_its_viewer_refuse_the_same(viewer: widgets.Viewer) -> None:
    rows = widgets.DetectionList(viewer)
    other = nbvlm.Detections([(0, 0, 5, 5)], ["q"], (50, 50))
    wrong: dict[str, Any] = {
        "detections": other,
        "selected": [3],
        "hidden": [3],
        "colors": {"a": "no colour"},
    }
    before = {name: getattr(viewer, name) for name in rows.shared}
    for name, value in wrong.items():
        with pytest.raises(traitlets.TraitError):
            setattr(rows, name, value)
        assert {one: getattr(rows, one) for one in rows.shared} == before
        assert {one: getattr(viewer, one) for one in rows.shared} == before


def test_a_list_and_its_viewer_follow_each_other(viewer: widgets.Viewer) -> None:
    rows = widgets.DetectionList(viewer, hidden=[1])
    assert (viewer.hidden, rows.group) == ([1], viewer.group)
    rows.selected, rows.colors, viewer.things = [0], {"a": "teal"}, ["a", "b"]
    assert (viewer.selected, viewer.colors, rows.things) == ([0], {"a": "teal"}, ["a", "b"])
    rows.detections = found = nbvlm.Detections(BOXES[:1], ["q"], (200, 100))
    assert viewer.detections is found
    assert (rows.selected, rows.hidden, viewer.selected, viewer.hidden) == ([], [], [], [])
    rows.close()
    viewer.selected = [0]
    assert rows.selected == []
    other = widgets.DetectionList(viewer)
    viewer.close()
    other.close()


def test_a_list_ends_with_its_last_reference(viewer: widgets.Viewer) -> None:
    there = weakref.ref(widgets.DetectionList(viewer))
    gc.collect()
    assert there() is None
    viewer.selected = [1]
    viewer.delete([0])


# Regions


def test_a_drawing_that_is_given_up_is_reported_once(page: Page, viewer: widgets.Viewer) -> None:
    bar, drawn = widgets.TaskBar(viewer=viewer), list[Any]()
    viewer.on_region(drawn.append)
    other = widgets.Viewer(Image.new("RGB", (60, 40)))
    begin = {"type": "region", "on": True}
    ends: dict[str, Callable[[], Any]] = {
        "the button again": lambda: page.send(bar._page, {"type": "region", "on": False}),
        "Esc": lambda: page.send(viewer, {"type": "region", "box": None}),
        "Python": lambda: setattr(bar, "drawing", False),
        "another picture": lambda: setattr(viewer, "image", Image.new("RGB", (90, 80))),
        "another viewer": lambda: setattr(bar, "viewer", other),
        "the end": lambda: bar.close(),
    }
    for name, end in ends.items():
        bar.viewer = viewer
        page.send(bar._page, begin)
        page.send(bar._page, begin)  # asks again
        assert (viewer.mode, drawn) == ("region", []), name
        end()
        assert (bar.drawing, viewer.mode, drawn) == (False, "select", [None]), name
        drawn.clear()


# Constructors that fail


def test_a_widget_that_cannot_be_made_says_so_once(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    client, viewer = nbvlm.Client("demo"), widgets.Viewer(three())
    calls: tuple[Callable[[], Any], ...] = (
        lambda: widgets.DetectionList(viewer, foo=1),
        lambda: widgets.DetectionList(viewer, colors={"a": "no colour"}),
        lambda: widgets.DetectionList(viewer, detections=None),  # type: ignore[misc]
        lambda: widgets.ModelChoice(client, allow=["zz"]),
        lambda: widgets.ModelChoice(client, client=client),  # type: ignore[misc]
        lambda: widgets.Answer(None, None),  # type: ignore[misc]
        *(
            lambda part=part: part(foo=1)  # type: ignore[misc]
            for part in (widgets.Answer, widgets.Viewer, widgets.TaskBar, widgets.Picker, widgets.Playground)
        ),
    )
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: ignored.append(raised.exc_value))
    for call in calls:
        with pytest.raises((TypeError, traitlets.TraitError, Error)):
            call()
        gc.collect()
    assert ignored == []
