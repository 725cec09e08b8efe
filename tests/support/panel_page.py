"""A browser page in miniature: records what widgets send, and sends what a page would."""

from __future__ import annotations

import threading
import time
import zlib
from typing import TYPE_CHECKING, Any

import comm
import ipywidgets
import pytest
from comm.base_comm import BaseComm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nbvlm.panel import Panel

SECONDS = 20
CHUNK = 2**20


def family(widget: Any) -> list[Any]:
    """Return a widget with all inside it, their layouts and styles included."""
    own = [getattr(widget, name) for name in ("layout", "style") if widget.has_trait(name)]
    inner = [one for child in getattr(widget, "children", ()) for one in family(child)]
    return list(dict.fromkeys([widget, *own, *inner]))  # some share a layout


class Page:
    """All messages of all widgets that are made while it is in place."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict[str, Any], list[Any]]] = []  # comm id, kind, data, buffers
        self._news = threading.Condition()

    def create_comm(self, **options: Any) -> BaseComm:
        page = self

        class Comm(BaseComm):
            def publish_msg(
                self, kind: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
            ) -> None:
                page._record(self.comm_id, kind, data or {}, list(buffers or []))

        return Comm(**options)

    def _record(self, *message: Any) -> None:
        with self._news:
            self.sent.append(message)
            self._news.notify_all()

    def wait(self, condition: Callable[[], Any]) -> None:
        """Wait until something that only a message can change has come true."""
        with self._news:
            assert self._news.wait_for(condition, SECONDS), "the page waited in vain"

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Wait for something that no message reports."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, "the page waited in vain"
            time.sleep(0.02)

    def custom(self, widget: Any) -> list[tuple[dict[str, Any], list[Any]]]:
        """Custom messages of one widget, in order, with buffers; a part stands for the one inside it."""
        widget = getattr(widget, "_page", widget)
        return [
            (data["content"], buffers)
            for comm_id, _, data, buffers in list(self.sent)
            if comm_id == widget.model_id and data.get("method") == "custom"
        ]

    def send(self, widget: Any, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        data = {"method": "custom", "content": content}
        widget = getattr(widget, "_page", widget)
        views = [memoryview(buffer) for buffer in buffers or []]
        widget.comm.handle_msg({"content": {"data": data}, "buffers": views})

    def update(self, widget: Any, **state: Any) -> None:
        data = {"method": "update", "state": state, "buffer_paths": []}
        widget.comm.handle_msg({"content": {"data": data}, "buffers": []})

    def click(self, button: Any) -> None:
        self.send(button, {"event": "click"})

    def key(self, panel: Panel, text: str, **message: Any) -> None:
        """Send a key as the key field does: in a buffer."""
        self.send(panel._controller.choice._key_page, {"type": "key", **message}, [text.encode()])

    def upload(self, panel: Panel, name: str, data: bytes, key: int = 1, **more: Any) -> list[dict[str, Any]]:
        """Send a file as the file button does; return the replies."""
        picker = panel._controller.picker
        before = len(self.custom(picker))
        self.send(picker, {"type": "begin", "id": key, "name": name, "size": len(data), **more})
        for offset in range(0, len(data), CHUNK):
            piece = data[offset : offset + CHUNK]
            self.send(picker, {"type": "chunk", "id": key, "offset": offset}, [piece])
        self.send(picker, {"type": "end", "id": key, "crc": zlib.crc32(data)})
        replies = [content for content, _ in self.custom(picker)[before:]]
        return [reply for reply in replies if reply["type"] in ("received", "arrived", "refused")]


class Screen:
    """What a page that heard everything shows of a panel's viewer, answer and error card."""

    def __init__(self, page: Page, panel: Panel) -> None:
        controller = panel._controller
        self.page, self.viewer, self.answer = page, controller.viewer, controller.answer._page
        self.rows, self.alert = controller.rows, controller.error_card

    def __getattr__(self, name: str) -> Any:
        return self.now()[name]

    def now(self) -> dict[str, Any]:
        answer, viewer, rows = map(self._shown, (self.answer, self.viewer, self.rows))
        notes = [*answer.get("notes", []), *viewer.get("notes", [])]
        shown = {"status": {"state": "empty"}, **rows, **answer, **viewer}
        return {**shown, "text": answer["text"], "notes": notes}

    def _shown(self, widget: Any) -> dict[str, Any]:
        shown: dict[str, Any] = {"text": "", "boxes": []}
        for content, _ in self.page.custom(widget):
            if content["type"] == "more":
                shown["text"] += content.get("text", "")
                shown["boxes"] = [*shown["boxes"], *content.get("boxes", [])]
                shown |= {"status": content["status"]} if "status" in content else {}
            elif content["type"] == "shapes":
                shown["shapes"] = {**shown.get("shapes", {}), **content["shapes"]}
            else:
                shown |= content
        return shown

    @property
    def error(self) -> dict[str, Any] | None:
        """The card in the error area."""
        cards = [content["card"] for content, _ in self.page.custom(self.alert)]
        return cards[-1] if cards else None

    @property
    def state(self) -> str:
        return str(self.now()["status"]["state"])

    @property
    def sentence(self) -> str:
        """The error area's text."""
        error = self.error
        return "" if error is None else f"{error['message']} {error['hint']}".strip()

    def wait(self, state: str) -> None:
        self.page.wait(lambda: self.state == state)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page that hears all widgets made while it is there."""
    page = Page()
    monkeypatch.setattr(comm, "create_comm", page.create_comm)
    yield page
    ipywidgets.Widget.close_all()
