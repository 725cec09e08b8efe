"""The history strip: what is kept, what its cards say, and what their buttons do."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from support import made_results as made
from support.loopback import Loopback, stream
from support.panel_page import Page, Screen

import nbvlm
from nbvlm.errors import Error
from nbvlm.images.picture import Picture
from nbvlm.widgets import history_store, thumbnails
from nbvlm.widgets.history_store import HistoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "nvapi-not-a-real-key-but-just-as-secret"
CAR = "<loc0100><loc0200><loc0300><loc0400> car"


@pytest.fixture
def panel(page: Page, server: Loopback) -> Iterator[nbvlm.Panel]:
    panel = nbvlm.Panel(client=nbvlm.Client("nvidia", api_key=KEY, base_url=server.url), image=made.image())
    yield panel
    panel.close()


class HistoryView:
    """What a page that heard everything shows of the strip."""

    def __init__(self, page: Page, panel: nbvlm.Panel) -> None:
        self.page, self.widget = page, panel._controller.answers.history._page

    def messages(self, kind: str) -> list[Any]:
        return [one for one in self.page.custom(self.widget) if one[0]["type"] == kind]

    @property
    def cards(self) -> list[dict[str, Any]]:
        shown: dict[int, dict[str, Any]] = {}
        for content, _ in self.page.custom(self.widget):
            if content["type"] == "all":
                shown.clear()
            for number in content.get("gone", []):
                shown.pop(number)
            shown |= {card["number"]: card for card in content.get("cards", [])}
        return list(shown.values())

    @property
    def current(self) -> int | None:
        marks = [one for one, _ in self.page.custom(self.widget) if one["type"] in ("mark", "all")]
        return marks[-1]["number"] if marks else None

    def press(self, kind: str, answer: int, **more: Any) -> None:
        self.page.send(self.widget, {"type": kind, "answer": answer, **more})


@pytest.fixture
def strip(page: Page, panel: nbvlm.Panel) -> HistoryView:
    return HistoryView(page, panel)


# What is kept


def test_the_oldest_go_first_and_the_pinned_ones_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_store, "MOST", 3)
    kept = HistoryStore(limited=True)
    for _ in range(3):
        kept.add(made.result())
    kept.pin(1)
    kept.add(made.result())
    assert [one.number for one in kept.entries] == [1, 3, 4]
    for number in (3, 4):
        kept.pin(number)
    kept.add(made.result())
    assert [one.number for one in kept.entries] == [3, 4, 5]


def test_the_weight_of_pictures_counts_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, other = Picture.load(made.photo((60, 40))), Picture.load(made.photo((80, 50)))
    monkeypatch.setattr(history_store, "MEMORY", picture.nbytes + other.nbytes - 1)
    kept = HistoryStore(limited=True)
    for _ in range(5):
        kept.add(made.result(picture))
    assert len(kept) == 5
    kept.add(made.result(other))
    assert kept.results[-1].picture is other
    assert len(kept) == 1


def test_a_deleted_number_is_not_given_again() -> None:
    kept = HistoryStore(limited=True)
    first = kept.add(made.result())
    kept.delete(first.number)
    kept.delete(first.number)
    assert kept.add(made.result()).number == 2
    with pytest.raises(Error, match="does not hold answer 1 any more"):
        kept.find(1)


def test_clear_keeps_what_is_pinned() -> None:
    kept = HistoryStore(limited=True)
    for _ in range(3):
        kept.add(made.result())
    kept.pin(2)
    kept.clear()
    assert [one.number for one in kept.entries] == [2]


def test_what_was_cleared_or_deleted_last_comes_back_to_its_place() -> None:
    kept = HistoryStore(limited=True)
    for _ in range(4):
        kept.add(made.result(), pieces=7)
    kept.pin(2)
    whole = kept.entries
    kept.clear()
    assert [one.number for one in kept.removed] == [1, 3, 4]
    fifth = kept.add(made.result())
    kept.undo()
    kept.undo()
    assert (kept.entries, kept.removed) == ((*whole, fifth), ())
    kept.delete(2)
    kept.delete(2)  # as a second press before the page heard of the first
    kept.undo()
    assert kept.entries == (*whole, fifth)


def test_what_was_cleared_is_forgotten_before_memory_runs_short(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, other = Picture.load(made.photo((60, 40))), Picture.load(made.photo((60, 40)))
    monkeypatch.setattr(history_store, "MEMORY", picture.nbytes + other.nbytes - 1)
    kept = HistoryStore(limited=True)
    kept.add(made.result(picture))
    kept.clear()
    kept.add(made.result(other))
    assert kept.removed == ()


def test_a_card_says_what_was_asked_and_what_came() -> None:
    card = thumbnails.card(HistoryStore().add(made.result()))
    assert card["prompt"] == "detect cat ; dog"
    assert card["detail"] == "T 0.2 · p 0.7 · 800 ms"
    assert card["said"].startswith("2 cats; 1 dog")
    assert card["pinned"] is False


def test_a_card_has_the_notices_of_its_answer() -> None:
    result = replace(made.result(), notices=("One in six boxes is wrong.",))
    assert thumbnails.card(HistoryStore().add(result))["said"].endswith("One in six boxes is wrong.")


def test_a_card_draws_boxes_small_and_does_without_the_pictures_bytes() -> None:
    result = made.result(made.photo((640, 480)))
    drawn = Image.open(io.BytesIO(thumbnails.thumbnail(result)))
    assert max(drawn.size) == thumbnails.SIDE
    plain = Picture.reference("0" * 64, "image/png", 200, 120)
    assert thumbnails.thumbnail(made.result(plain)) == b""


# What the panel shows of it


def test_every_answer_becomes_a_card_with_a_picture(panel: nbvlm.Panel, strip: HistoryView) -> None:
    panel.prompt = "detect car"
    panel.run()
    panel.prompt = "caption en"
    panel.run()
    assert [card["prompt"] for card in strip.cards] == ["detect car", "caption en"]
    assert [content["number"] for content, _ in strip.messages("thumbnail")] == [1, 2]
    assert all(buffers[0][:2] == b"\xff\xd8" for _, buffers in strip.messages("thumbnail"))
    assert strip.current == 2
    assert [result.prompt for result in panel.history] == ["detect car", "caption en"]


def test_a_stopped_or_failed_answer_gets_no_card(
    panel: nbvlm.Panel, strip: HistoryView, server: Loopback
) -> None:
    panel.run()
    server.replies.append(stream("a", hold=True, done=False))
    panel.run(wait=False)
    assert strip.current is None
    panel.stop()
    panel.prompt = ""
    with pytest.raises(Error):
        panel.run()
    assert [card["number"] for card in strip.cards] == [1]


def test_a_page_that_opens_late_gets_all_cards(panel: nbvlm.Panel, strip: HistoryView) -> None:
    panel.run()
    panel.run()
    strip.page.send(strip.widget, {"type": "hello"})
    content, buffers = strip.messages("all")[-1]
    assert [card["number"] for card in content["cards"]] == content["drawn"] == [1, 2]
    assert (content["number"], len(buffers)) == (2, 2)


def test_an_old_answer_comes_back_with_all_that_was_asked(
    page: Page, panel: nbvlm.Panel, strip: HistoryView, server: Loopback
) -> None:
    server.text = CAR
    page.update(panel._controller.task_bar._field, value="detect car")
    page.update(panel._controller.parameters._sliders["temperature"], value=0.5)
    first, screen = panel.run(), Screen(page, panel)
    before = screen.now()
    panel.image, panel.prompt = made.photo((64, 48)), "caption en"
    page.update(panel._controller.parameters._sliders["temperature"], value=0.9)
    server.text = "a red car"
    panel.run()
    strip.press("show", 1)
    assert panel.result is first
    assert (panel.image, panel.prompt) == (first.picture, "detect car")
    assert panel._controller.parameters.value["temperature"] == 0.5
    after = screen.now()
    assert {key: after[key] for key in ("text", "boxes", "status")} == {
        key: before[key] for key in ("text", "boxes", "status")
    }
    assert strip.current == 1
    assert len(panel.history) == 2


def test_again_asks_the_same_once_more(panel: nbvlm.Panel, strip: HistoryView, server: Loopback) -> None:
    panel.prompt = "detect car"
    panel.run()
    panel.prompt = "caption en"
    strip.press("again", 1)
    strip.page.wait(lambda: len(strip.messages("thumbnail")) == 2)
    assert [result.prompt for result in panel.history] == ["detect car", "detect car"]
    assert server.seen[-1].json["messages"][0]["content"].startswith("detect car ")


def test_pin_delete_and_clear_change_the_history_and_the_strip_alike(
    panel: nbvlm.Panel, strip: HistoryView
) -> None:
    results = [panel.run() for _ in range(4)]
    strip.press("delete", 2)
    assert panel.history == [results[0], results[2], results[3]]
    strip.press("pin", 3, pinned=True)
    assert [card["pinned"] for card in strip.cards] == [False, True, False]
    strip.page.send(strip.widget, {"type": "clear"})
    assert panel.history == [results[2]]
    assert [card["number"] for card in strip.cards] == [3]
    assert panel.result is results[3]  # deleted from the history, still on the screen
    strip.page.send(strip.widget, {"type": "undo"})
    assert panel.history == [results[0], results[2], results[3]]
    content, pictures = strip.messages("cards")[-1]
    assert (content["drawn"], len(pictures), content["removed"]) == ([1, 4], 2, 0)
    strip.page.send(strip.widget, {"type": "undo"})
    assert len(panel.history) == 3


def test_a_press_on_a_deleted_card_has_no_effect(panel: nbvlm.Panel, strip: HistoryView) -> None:
    panel.run()
    strip.press("delete", 1)
    strip.press("show", 1)
    assert Screen(strip.page, panel).error is None
    assert panel.run() is panel.result


def test_another_picture_or_a_new_question_unmarks_the_card(panel: nbvlm.Panel, strip: HistoryView) -> None:
    panel.run()
    panel.image = made.photo((64, 48))
    assert (strip.current, panel.result) == (None, None)


def test_a_history_of_many_costs_no_more_for_one_more(panel: nbvlm.Panel, strip: HistoryView) -> None:
    for _ in range(12):
        panel.run()
    sizes = [len(content["cards"]) for content, _ in strip.messages("cards")]
    assert sizes == [1] * 12


# Side by side


BEFORE = "<loc0100><loc0100><loc0300><loc0300> car ; <loc0500><loc0500><loc0700><loc0700> tree"
AFTER = (
    "<loc0100><loc0100><loc0300><loc0300> car ; <loc0540><loc0540><loc0740><loc0740> tree ; "
    "<loc0800><loc0100><loc0900><loc0200> dog"
)


def pinned(panel: nbvlm.Panel, strip: HistoryView, server: Loopback, *texts: str) -> list[dict[str, Any]]:
    """Columns that are shown after these answers, all of them pinned."""
    for text in texts:
        server.text = text
        panel.run()
        strip.press("pin", panel._controller.answers.history.store.entries[-1].number, pinned=True)
    return strip.page.custom(panel._controller.answers.comparison)[-1][0]["columns"]


def test_two_pinned_answers_are_compared_thing_by_thing(
    panel: nbvlm.Panel, strip: HistoryView, server: Loopback
) -> None:
    first, second = pinned(panel, strip, server, BEFORE, AFTER)
    assert (first["counts"], [box["state"] for box in first["boxes"]]) == (None, ["plain", "plain"])
    assert second["counts"] == {"kept": 1, "moved": 1, "lost": 0, "new": 1}
    states = {box["label"]: box["state"] for box in second["boxes"]}
    assert states == {"car": "kept", "tree": "moved", "dog": "new"}
    moved = next(box for box in second["boxes"] if box["state"] == "moved")
    assert moved["note"] == "8 px right and 5 px down, overlap 47%"
    assert moved["before"] == pytest.approx(first["boxes"][1]["box"], abs=0.1)
    assert {box["label"]: box["color"] for box in first["boxes"]}.items() <= {
        box["label"]: box["color"] for box in second["boxes"]
    }.items()


def test_what_is_lost_is_shown_where_it_was(panel: nbvlm.Panel, strip: HistoryView, server: Loopback) -> None:
    first, second = pinned(panel, strip, server, AFTER, BEFORE)
    assert second["counts"] == {"kept": 1, "moved": 1, "lost": 1, "new": 0}
    lost = next(box for box in second["boxes"] if box["state"] == "lost")
    assert lost["box"] == first["boxes"][2]["box"]


def test_answers_without_boxes_are_compared_word_by_word(
    panel: nbvlm.Panel, strip: HistoryView, server: Loopback
) -> None:
    _, second = pinned(panel, strip, server, "a red car in the street", "a blue car in the wide street")
    assert [" ".join(piece) for piece in second["words"]] == [
        "a same", "red gone", "blue new", "car in the same", "wide new", "street same",
    ]  # fmt: skip


def test_answers_about_different_pictures_stand_beside_each_other_uncompared(
    panel: nbvlm.Panel, strip: HistoryView, server: Loopback
) -> None:
    pinned(panel, strip, server, BEFORE)
    panel.image = made.photo((64, 48))
    first, second = pinned(panel, strip, server, AFTER)
    assert (first["counts"], second["counts"]) == (None, None)
    assert first["base"] != second["base"]


def test_one_pinned_answer_alone_is_not_compared(
    panel: nbvlm.Panel, strip: HistoryView, server: Loopback
) -> None:
    assert pinned(panel, strip, server, BEFORE) == []
    assert len(pinned(panel, strip, server, AFTER)) == 2
    strip.press("pin", 1, pinned=False)
    assert strip.page.custom(panel._controller.answers.comparison)[-1][0]["columns"] == []
