"""What a person did, in the order in which it was done, in whatever order the kernel hears of it."""

from __future__ import annotations

import threading
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from support.loopback import Loopback, stream
from support.panel_page import Page, Screen

import nbvlm
from nbvlm.demo.gallery import GALLERY
from nbvlm.panel.messages import MessageSequencer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WAIT = 10


@pytest.fixture
def panel(page: Page, server: Loopback) -> Iterator[nbvlm.Panel]:
    panel = nbvlm.Panel(client=nbvlm.Client("nvidia", api_key="nvapi-none", base_url=server.url))
    yield panel
    panel.close()


@pytest.fixture
def screen(page: Page, panel: nbvlm.Panel) -> Screen:
    return Screen(page, panel)


def press(panel: nbvlm.Panel, number: int, prompt: str, **parameters: float) -> dict[str, Any]:
    """What the page sends for a press on Run."""
    edition = panel._controller.toolbar.edition
    fields = {"prompt": prompt, "parameters": parameters, "edition": edition}
    return {"type": "run", "page": "one", "number": number, **fields}


def asked(server: Loopback) -> list[str]:
    """Prompts that the service was asked, without the picture."""
    return [seen.json["messages"][0]["content"].partition(" <img")[0] for seen in server.seen]


def test_a_press_that_overtakes_the_fields_asks_what_they_say(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    page.send(
        panel._controller.toolbar, press(panel, 1, "detect fast fingers", temperature=0.3, max_tokens=7)
    )
    screen.wait("done")
    page.update(panel._controller.task_bar._field, value="detect fast fingers")
    page.update(panel._controller.parameters._sliders["temperature"], value=0.3)
    assert asked(server) == ["detect fast fingers"]
    body = server.seen[0].json
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.3, 0.7, 7)
    assert panel.prompt == "detect fast fingers"
    assert panel._controller.parameters.value["max_tokens"] == 7


def test_what_a_browser_adds_to_a_number_is_rounded_off(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    page.send(panel._controller.toolbar, press(panel, 1, "x", temperature=0.1 + 0.2, max_tokens=12.0))
    screen.wait("done")
    assert server.seen[0].json["temperature"] == 0.3
    assert (
        server.seen[0].body.count(b'"max_tokens":12,') + server.seen[0].body.count(b'"max_tokens":12}') == 1
    )


def test_a_press_before_the_choice_that_it_follows_waits_for_it(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    run = press(panel, 2, GALLERY[0].prompt)  # the page has not seen the sample's own prompt yet
    page.send(panel._controller.toolbar, run)
    page.send(panel._controller.picker, {"type": "choose", "index": 1, "page": "one", "number": 1})
    screen.wait("done")
    assert panel.result.picture.name == f"{GALLERY[1].name}.png"
    assert asked(server) == [GALLERY[1].prompt]


def test_a_stop_that_overtakes_its_run_still_stops_it(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    server.replies.append(stream("a", hold=True, done=False))
    page.send(panel._controller.toolbar, {"type": "stop", "page": "one", "number": 2})
    page.send(panel._controller.toolbar, press(panel, 1, "caption en"))
    assert screen.state == "stopped"
    assert not panel._controller.running


def test_a_message_that_never_comes_holds_nothing_up_for_long(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    page.send(panel._controller.toolbar, press(panel, 5, "caption en"))
    screen.wait("done")
    assert asked(server) == ["caption en"]


def test_two_pages_of_one_panel_have_each_their_own_order(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    page.send(panel._controller.toolbar, press(panel, 1, "first"))
    screen.wait("done")
    page.send(panel._controller.toolbar, press(panel, 1, "second") | {"page": "two"})
    page.wait(lambda: len(panel.history) == 2)
    assert asked(server) == ["first", "second"]


def done_in(arrival: Iterable[int]) -> list[int]:
    order, done = MessageSequencer(patience=WAIT), []
    for number in arrival:
        order.take({"page": "a", "number": number}, lambda number=number: done.append(number))
    return done


def test_any_order_of_arrival_becomes_the_order_of_sending() -> None:
    for arrival in permutations(range(1, 6)):
        assert done_in(arrival) == [1, 2, 3, 4, 5]


def test_what_comes_too_late_is_still_done() -> None:
    order, late, done = MessageSequencer(patience=0.01), threading.Event(), []
    order.take({"page": "a", "number": 3}, lambda: (done.append(3), late.set()))
    assert late.wait(WAIT)
    for number in (2, 4, 1):
        order.take({"page": "a", "number": number}, lambda number=number: done.append(number))
    assert done == [3, 2, 4, 1]


def test_messages_of_many_threads_are_done_one_after_the_other() -> None:
    order, done = MessageSequencer(patience=WAIT), []

    def send(first: int) -> None:
        for number in range(first, 401, 4):
            order.take({"page": "a", "number": number}, lambda number=number: done.append(number))

    threads = [threading.Thread(target=send, args=(first,)) for first in (4, 3, 2, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert done == list(range(1, 401))


# A queue of one


def test_a_press_while_an_answer_comes_asks_the_newest_question_once(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    go_on = threading.Event()
    server.replies.append(lambda seen: (go_on.wait(WAIT), stream("first"))[1])
    header, run = panel._controller.toolbar, panel._controller.buttons.run
    page.send(header, press(panel, 1, "first"))
    page.send(header, press(panel, 2, "second"))
    page.send(header, press(panel, 3, "third"))
    assert (screen.state, run.description) == ("running", "Queued")
    go_on.set()
    page.wait(lambda: run.description == "Run" and len(panel.history) == 2)
    assert asked(server) == ["first", "third"]
    assert [result.prompt for result in panel.history] == ["first", "third"]


def test_stop_ends_the_answer_and_forgets_the_question_that_waits(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    server.replies.append(stream("a", hold=True, done=False))
    header = panel._controller.toolbar
    page.send(header, press(panel, 1, "first"))
    page.wait(lambda: screen.text == "a")
    page.send(header, press(panel, 2, "second"))
    page.send(header, {"type": "stop", "page": "one", "number": 3})
    assert (screen.state, panel._controller.running) == ("stopped", False)
    panel.run()
    assert [result.prompt for result in panel.history] == ["second"]  # what the fields say


def test_the_question_that_waits_is_asked_after_a_failure_too(
    page: Page, panel: nbvlm.Panel, screen: Screen, server: Loopback
) -> None:
    go_on = threading.Event()
    server.replies.append(lambda seen: (go_on.wait(WAIT), stream("cut", cut=True, done=False))[1])
    page.send(panel._controller.toolbar, press(panel, 1, "first"))
    page.send(panel._controller.toolbar, press(panel, 2, "second"))
    go_on.set()
    screen.wait("done")
    assert [result.prompt for result in panel.history] == ["second"]
