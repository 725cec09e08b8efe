"""Messages that no page of ours sends: they change nothing, raise nothing, and are one line of the log."""

from __future__ import annotations

import json
import logging
import math
from typing import TYPE_CHECKING, Any

import pytest
from support import made_results as made
from support.panel_page import family

import nbvlm
from nbvlm.widgets._base import PageState, PageWidget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.loopback import Loopback
    from support.panel_page import Page

TRASH: list[Any] = [
    None, True, -1, 1.5, math.nan, math.inf, -1e308, 10**400, "", "x", "\ud800", [], [[[]]], [None] * 5000,
    {}, {"a": {"b": [math.nan]}}, "y" * (2**20 + 1),
]  # fmt: skip
#: Well-formed messages that name things of another panel.
OTHERS: list[dict[str, Any]] = [
    {"type": "choose", "index": 10**6, "fields": {"prompt": "changed"}},
    {"type": "route", "route": "pigeon"},
    {"type": "model", "choice": "nonsense", "fields": {"prompt": "changed"}},
    {"type": "act", "action": "model:demo", "fields": {"prompt": "changed"}},
    {"type": "show", "answer": 99},
    {"type": "again", "answer": 99},
    {"type": "pin", "answer": 99, "pinned": True},
    {"type": "open", "index": 99},
    {"type": "make", "format": "exe", "id": "1"},
]
GOOD: list[Any] = ["1", "xyxy", 1, True, {}, ["1"], [1, 2], [1, 2, 3, 4], [[1, [1, 2, 3, 4]]]]
FIELDS: list[Any] = [
    {"prompt": 5}, {"parameters": {"temperature": "hot"}}, {"edition": []}, {"tuning": math.nan},
]  # fmt: skip


@pytest.fixture
def panel(page: Page, server: Loopback) -> Iterator[nbvlm.Panel]:
    client = nbvlm.Client("nvidia", api_key="nvapi-not-a-key", base_url=server.url)
    panel = nbvlm.Panel(client=client, image=made.image(), prompt="detect car")
    panel.run()
    yield panel
    panel.close()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    caplog.clear()
    return caplog


def now(panel: nbvlm.Panel, server: Loopback) -> Any:
    """All that a message could change."""
    controller = panel._controller
    shown = [json.dumps(widget.get_state(), default=repr) for widget in family(panel.widget)]
    return (
        shown, panel.image, panel.prompt, controller.parameters.value, controller.picker.route,
        controller.connection.choice, panel.history, panel.result, controller.error_card.card,
        panel.sweep, len(server.seen),
    )  # fmt: skip


def bad_messages(widget: PageWidget) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    """Messages of the right types in which one part does not fit."""
    for kind, message in widget.messages.items():
        good = {"type": kind} | {
            name: next(value for value in GOOD if check(value)) for name, check in message._checks.items()
        }
        buffers = [b"1"] if message._buffer else []
        for wrong in ([b"1", b"2"], [] if buffers else [b""], [bytes(2 * 2**20)]):
            yield good, wrong
        for number in (*TRASH[1:], 0, "1"):
            yield {**good, "page": "a", "number": number}, buffers
        yield {**good, "page": 5, "number": 1}, buffers
        for name, check in message._checks.items():
            wrong_values = [value for value in (*TRASH, *FIELDS) if not check(value)]
            assert wrong_values
            yield from (({**good, name: value}, buffers) for value in wrong_values)


def test_messages_that_do_not_fit_are_ignored(
    page: Page, panel: nbvlm.Panel, server: Loopback, log: pytest.LogCaptureFixture
) -> None:
    before, sent = now(panel, server), 0
    for widget in family(panel.widget):
        if not isinstance(widget, PageWidget):
            continue
        unknown = [({"type": value}, []) for value in (*TRASH, "nonsense")] + [({}, []), ({"x": {}}, [b""])]
        others = [(one, []) for one in OTHERS if one["type"] in widget.messages]
        for content, buffers in [*unknown, *others, *bad_messages(widget)]:
            page.send(widget, content, buffers)
            sent += 1
            assert len(log.records) == sent, content
    assert sent > 1000
    assert not any(record.exc_info for record in log.records)
    assert {record.name for record in log.records} == {"nbvlm"}
    assert now(panel, server) == before


def test_state_that_a_page_does_not_set_is_ignored(
    page: Page, panel: nbvlm.Panel, server: Loopback, log: pytest.LogCaptureFixture
) -> None:
    before = now(panel, server)
    for widget in family(panel.widget):
        for name in (*widget.keys, "comm", "nonsense"):
            for value in (*TRASH, "IPY_MODEL_nonsense", 1e9):
                if not (isinstance(widget, PageState) and widget.accepts(name, value)):
                    page.update(widget, **{name: value})
        for data in (None, {}, {"method": "update"}, {"method": []}, {"method": "custom"}, []):
            widget.comm.handle_msg({"content": {"data": data}, "buffers": []})
        paths = {"method": "update", "state": {}, "buffer_paths": [["value", 0], [], 5]}
        widget.comm.handle_msg({"content": {"data": paths}, "buffers": [memoryview(b"x")]})
        widget.comm.handle_msg({"content": {}})
    assert not any(record.exc_info for record in log.records)
    assert now(panel, server) == before


def test_a_log_line_holds_no_value_of_the_message(
    page: Page, panel: nbvlm.Panel, log: pytest.LogCaptureFixture
) -> None:
    field = panel._controller.choice._key_page
    page.send(field, {"type": "key", "key": "nvapi-typed-and-secret"})  # an old page
    page.send(field, {"type": "key"}, [b"nvapi-typed-and-secret"] * 2)
    assert [record.getMessage() for record in log.records] == [
        "KeyField ignored a message of its page: 'key' does not fit: its buffers."
    ] * 2


def test_parameters_of_a_page_that_are_out_of_range_are_ignored_one_by_one(
    page: Page, panel: nbvlm.Panel
) -> None:
    toolbar = panel._controller.toolbar
    fields = {"temperature": 1e300, "top_p": 0.5, "max_tokens": -3, "nonsense": 4}
    page.send(toolbar, {"type": "run", "parameters": fields, "tuning": toolbar.tuning})
    page.wait(lambda: len(panel.history) == 2)
    assert panel.history[-1].parameters == {"temperature": 0.2, "top_p": 0.5, "max_tokens": 1024}
