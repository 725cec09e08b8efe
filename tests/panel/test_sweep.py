"""Sweeps: one picture, several prompts, temperatures and repeats, in a grid."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from typing import TYPE_CHECKING, Any

import comm
import ipywidgets
import pytest
from support import made_results as made
from support.loopback import Loopback, Reply, answer, problem
from support.panel_page import Page, Screen

import nbvlm
from nbvlm.batches import RateLimiter
from nbvlm.errors import AuthenticationError, Error, ImageError, ParameterError, PromptError
from nbvlm.panel import sweep as sweeping
from nbvlm.panel import sweep_runner

if TYPE_CHECKING:
    from collections.abc import Iterator


KEY = "nvapi-not-a-real-key-but-just-as-secret"
CAR = "<loc0100><loc0200><loc0300><loc0400> car"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    page = Page()
    monkeypatch.setattr(comm, "create_comm", page.create_comm)
    # The pace has its own tests; the others do not wait for it.
    monkeypatch.setattr(RateLimiter, "take", lambda self: asyncio.sleep(0))
    yield page
    ipywidgets.Widget.close_all()


@pytest.fixture
def panel(page: Page, server: Loopback) -> Iterator[nbvlm.Panel]:
    panel = nbvlm.Panel(client=nbvlm.Client("nvidia", api_key=KEY, base_url=server.url), image=made.image())
    yield panel
    panel.close()


class Shown:
    """What a page that heard everything shows of the sweep."""

    def __init__(self, page: Page, panel: nbvlm.Panel) -> None:
        self.page, self.widget = page, panel._controller.sweeps.grid
        self.sequence = 0

    @property
    def now(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"plan": None, "cells": {}, "state": "idle", "refused": "", "drawn": set()}
        for content, _ in self.page.custom(self.widget):
            if content["type"] == "all":
                shown |= content | {"cells": dict(content["cells"]), "drawn": set(content["drawn"])}
            elif content["type"] == "cell":
                shown["cells"][content["index"]] = content["cell"]
            elif content["type"] == "thumbnail":
                shown["drawn"].add(content["index"])
            else:
                shown |= {
                    "refused": content.get("sentence", ""),
                    "state": content.get("state", shown["state"]),
                }
        return shown

    @property
    def begun(self) -> list[int]:
        """The cells in the order in which they began."""
        cells = [content for content, _ in self.page.custom(self.widget) if content["type"] == "cell"]
        return [content["index"] for content in cells if content["cell"]["state"] == "busy"]

    @property
    def said(self) -> list[str]:
        return [cell.get("said", cell["state"]) for _, cell in sorted(self.now["cells"].items())]

    def start(self, prompts: list[str], temperatures: list[str] | None = None, repeats: Any = 1) -> None:
        message = {"type": "start", "prompts": prompts, "temperatures": temperatures, "repeats": repeats}
        self.page.send(self.widget, message)

    def wait(self, state: str) -> None:
        self.page.wait(lambda: self.now["state"] == state)


@pytest.fixture
def shown(page: Page, panel: nbvlm.Panel) -> Shown:
    return Shown(page, panel)


def asked(server: Loopback) -> list[tuple[str, float]]:
    bodies = [seen.json for seen in server.seen]
    return [(body["messages"][0]["content"].partition(" <img")[0], body["temperature"]) for body in bodies]


# The value


def test_a_sweep_from_python_asks_every_cell_and_gives_a_frozen_value(
    panel: nbvlm.Panel, server: Loopback, shown: Shown
) -> None:
    swept = panel.run_sweep(["caption en", "detect car"], [0.2, 0.9], repeats=2)
    assert swept is panel.sweep
    assert repr(swept) == "<Sweep: 2 prompts × 2 temperatures × 2 repeats, 8 of 8 done>"
    assert [(cell.prompt, cell.temperature, cell.repeat) for cell in swept][:5] == [
        ("caption en", 0.2, 1),
        ("caption en", 0.2, 2),
        ("caption en", 0.9, 1),
        ("caption en", 0.9, 2),
        ("detect car", 0.2, 1),
    ]
    assert sorted(asked(server)) == sorted((cell.prompt, cell.temperature) for cell in swept)
    assert {cell.result.parameters["top_p"] for cell in swept} == {0.7}
    assert len(swept.results) == 8
    with pytest.raises(AttributeError):
        swept.repeats = 3
    assert shown.now["state"] == "done"
    assert shown.said == ["a red car"] * 8


def test_every_cell_is_asked_once_before_any_is_asked_twice(
    panel: nbvlm.Panel, server: Loopback, shown: Shown
) -> None:
    swept = panel.run_sweep(["one", "two", "three"], 0.5, repeats=2)
    # Three are under way at a time: the requests may arrive in another order than they begin.
    assert [swept[index].repeat for index in shown.begun] == [1, 1, 1, 2, 2, 2]
    assert sorted(prompt for prompt, _ in asked(server)) == sorted(["one", "two", "three"] * 2)


def test_a_sweep_becomes_a_table(panel: nbvlm.Panel, server: Loopback) -> None:
    server.text = CAR
    server.replies += [problem(422, "no"), *[answer(CAR)] * 3]
    frame = panel.run_sweep(["detect car", "caption en"], [0.2, 0.9]).to_dataframe()
    assert list(frame.columns) == list(sweeping.COLUMNS)
    assert len(frame) == 4
    assert frame["found"].sum() == 3
    assert frame["error"].notna().sum() == 1
    assert frame["seconds"].notna().sum() == 3


def test_without_pandas_a_sweep_says_what_to_install(
    panel: nbvlm.Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(Error, match=r'pip install "nbvlm\[pandas\]"'):
        panel.run_sweep("caption en").to_dataframe()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([" ", ""],), PromptError, "no prompt"),
        ((["a"], [0.5, 7]), ParameterError, "Temperature 7 is out of range. Give numbers above 0 up to 1."),
        ((["a"], [0]), ParameterError, "Temperature 0 is out of range"),
        ((["a"], []), ParameterError, "no temperature"),
        ((["a"], [0.2], 0), ParameterError, "repeats must be a positive integer, got 0"),
        ((["a"], [0.2], 201), ParameterError, "at most 200 questions, got 201"),
    ],
    ids=["no prompt", "too hot", "too cold", "none", "no repeat", "too many"],
)
def test_what_cannot_be_swept_is_refused_before_any_question(
    panel: nbvlm.Panel, server: Loopback, arguments: tuple[Any, ...], error: type[Error], words: str
) -> None:
    with pytest.raises(error, match=words):
        panel.run_sweep(*arguments)
    assert (panel.sweep, server.seen) == (None, [])


def test_without_a_picture_no_sweep(panel: nbvlm.Panel) -> None:
    panel.image = None
    with pytest.raises(ImageError, match="No picture is chosen"):
        panel.run_sweep("caption en")


def test_a_sweep_takes_the_route_that_was_chosen(panel: nbvlm.Panel, server: Loopback) -> None:
    panel._controller.picker.take_route("asset")
    swept = panel.run_sweep("caption en")
    assert swept[0].result.route == "asset"
    assert list(server.created) == server.deleted


def test_the_same_prompt_or_temperature_twice_counts_once(panel: nbvlm.Panel) -> None:
    assert len(panel.run_sweep(["a", " a ", "b"], [0.2, 0.2])) == 2


# The grid


def test_the_form_starts_a_sweep_and_the_grid_fills(
    panel: nbvlm.Panel, server: Loopback, shown: Shown
) -> None:
    server.text = CAR
    shown.start(["detect car", "caption en"], ["0.2", "0.9"], 1)
    shown.wait("done")
    assert shown.now["plan"] == {
        "prompts": ["detect car", "caption en"],
        "temperatures": [0.2, 0.9],
        "repeats": 1,
        "picture": "picture",
    }
    assert shown.said == ["1 car."] * 4
    shown.page.wait(lambda: shown.now["drawn"] == {0, 1, 2, 3})
    assert panel.sweep.done == 4
    assert panel.history == []


def test_a_page_that_opens_late_gets_the_whole_grid(panel: nbvlm.Panel, shown: Shown) -> None:
    panel.run_sweep(["one", "two"])
    shown.page.send(shown.widget, {"type": "hello"})
    content = shown.page.custom(shown.widget)[-1][0]
    assert (content["type"], content["state"], len(content["cells"])) == ("all", "done", 2)


@pytest.mark.parametrize(
    ("prompts", "temperatures", "repeats", "words"),
    [
        ([], ["0.2"], 1, "no prompt"),
        (["a"], ["hot"], 1, "A temperature must be a number, got 'hot'. Give numbers with a point"),
        (["a"], ["0.2"], 1.5, "repeats must be a positive integer"),
    ],
)
def test_the_form_says_what_it_cannot_take(
    shown: Shown, prompts: list[str], temperatures: list[str], repeats: Any, words: str
) -> None:
    shown.start(prompts, temperatures, repeats)
    assert words in shown.now["refused"]
    assert shown.now["state"] == "idle"


def test_a_failure_is_shown_in_its_cell_and_the_others_go_on(
    panel: nbvlm.Panel, server: Loopback, shown: Shown
) -> None:
    server.replies += [problem(422, "Inference error"), answer("fine"), answer("fine")]
    swept = panel.run_sweep(["one", "two", "three"])
    assert [cell.error is not None for cell in swept].count(True) == 1
    failed = next(cell for cell in shown.now["cells"].values() if cell["state"] == "failed")
    assert failed["said"]
    assert failed["more"]
    assert shown.now["state"] == "done"
    error = next(cell.error for cell in swept if cell.error)
    assert (error.__traceback__, error.__context__) == (None, None)


def test_what_will_not_get_better_ends_the_sweep(panel: nbvlm.Panel, server: Loopback, shown: Shown) -> None:
    server.replies += [problem(401, "Authentication failed")] * 50
    swept = panel.run_sweep([f"prompt {number}" for number in range(50)])
    assert shown.now["state"] == "failed"
    assert isinstance(next(cell.error for cell in swept if cell.error), AuthenticationError)
    assert len(server.seen) < 10
    server.replies.clear()
    assert panel.run_sweep("caption en").done == 1


def test_stop_ends_a_sweep_and_keeps_what_came(
    page: Page, panel: nbvlm.Panel, server: Loopback, shown: Shown
) -> None:
    server.replies += [answer("one"), *[Reply(hold=True, pieces=[])] * 5]
    shown.start([f"prompt {number}" for number in range(6)], ["0.2"])
    page.wait(lambda: "one" in shown.said)
    page.send(shown.widget, {"type": "stop"})
    assert shown.now["state"] == "stopped"
    assert panel.sweep.done == 1
    assert [cell["state"] for cell in shown.now["cells"].values() if cell["state"] == "done"] == ["done"]
    assert server.wait_for(lambda: server.open == 0)
    server.replies.clear()
    assert panel.run_sweep("caption en").done == 1


def test_a_sweep_right_after_stop_runs_to_its_own_end(
    panel: nbvlm.Panel, server: Loopback, shown: Shown
) -> None:
    for _ in range(3):
        server.replies.append(Reply(hold=True, pieces=[]))
        panel.run_sweep("caption en", wait=False)
        assert server.wait_for(lambda: server.open == 1)
        panel.stop()
        assert panel.run_sweep(["one", "two", "three"]).done == 3
        assert shown.now["state"] == "done"
        assert server.wait_for(lambda: server.open == 0)


def test_a_second_sweep_waits_for_the_first(panel: nbvlm.Panel, server: Loopback, shown: Shown) -> None:
    server.replies.append(Reply(hold=True, pieces=[]))
    panel.run_sweep("caption en", wait=False)
    with pytest.raises(Error, match="A sweep is under way"):
        panel.run_sweep("caption en")
    shown.start(["caption en"], ["0.2"])
    assert "A sweep is under way" in shown.now["refused"]
    panel.stop()
    assert shown.now["state"] == "stopped"


def test_run_and_a_sweep_go_side_by_side(panel: nbvlm.Panel, server: Loopback, shown: Shown) -> None:
    server.replies.append(Reply(hold=True, pieces=[]))
    panel.run_sweep("caption en", wait=False)
    assert server.wait_for(lambda: server.open == 1)
    result = panel.run()
    assert panel.result is result
    assert shown.now["state"] == "running"
    panel.stop()


def test_another_picture_leaves_the_sweep_as_it_is(panel: nbvlm.Panel, shown: Shown) -> None:
    swept = panel.run_sweep("caption en")
    panel.image = made.photo((64, 48))
    assert panel.sweep is swept
    assert shown.now["state"] == "done"


def test_an_opened_cell_comes_to_the_stage_and_into_the_history(
    page: Page, panel: nbvlm.Panel, server: Loopback, shown: Shown
) -> None:
    server.text = CAR
    swept = panel.run_sweep(["caption en", "detect car"], [0.2, 0.9])
    for _ in range(2):
        page.send(shown.widget, {"type": "open", "index": 3})
    assert panel.history == [swept[3].result]
    assert panel.result is swept[3].result
    assert (panel.prompt, panel._controller.parameters.value["temperature"]) == ("detect car", 0.9)
    assert Screen(page, panel).text == CAR


def test_a_panel_without_references_stops_its_sweep(page: Page, server: Loopback) -> None:
    panel = nbvlm.Panel(client=nbvlm.Client("nvidia", api_key=KEY, base_url=server.url), image=made.image())
    gone = weakref.ref(panel)
    server.replies.append(Reply(hold=True, pieces=[]))
    panel.run_sweep("caption en", wait=False)
    assert server.wait_for(lambda: server.open == 1)
    del panel

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    # The loop's thread may hold it for the moment of an event, and is then the one that closes it.
    page.wait_until(is_gone)
    assert server.wait_for(lambda: server.open == 0)


# The pace


def test_the_pace_keeps_within_what_a_service_allows() -> None:
    async def starts(rate: RateLimiter, count: int) -> list[float]:
        began, found = time.monotonic(), []
        for _ in range(count):
            await rate.take()
            found.append(time.monotonic() - began)
        return found

    times = asyncio.run(starts(RateLimiter(3000), 5))
    assert all(at >= number * 60 / 3000 for number, at in enumerate(times))


def test_a_sweep_keeps_to_the_endpoints_pace(panel: nbvlm.Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float | None] = []

    def limiter(rate: float | None) -> RateLimiter:
        rates.append(rate)
        return RateLimiter(rate)

    monkeypatch.setattr(sweep_runner, "RateLimiter", limiter)
    assert panel.run_sweep(["one", "two"]).done == 2
    assert rates == [40]


def test_the_form_shows_the_endpoints_pace(page: Page, panel: nbvlm.Panel, shown: Shown) -> None:
    page.send(shown.widget, {"type": "facts"})
    facts = page.custom(shown.widget)[-1][0]["facts"]
    assert facts == {"perMinute": 40, "hasTemperature": True}
    demo = nbvlm.Panel(client=nbvlm.Client("demo"), image=made.image())
    other = Shown(page, demo)
    page.send(other.widget, {"type": "facts"})
    assert page.custom(other.widget)[-1][0]["facts"]["perMinute"] is None
    demo.close()
