"""A host in miniature that joins real widgets of this process to a page: each receives from the other."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import comm
import ipywidgets
from comm.base_comm import BaseComm

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from playwright.sync_api import Page

HOST = """
window.models = {};
window.outbox = [];
window.join = async (id, source, state) => {
  const listeners = new Map();
  const heard = (name) => listeners.get(name) ?? [];
  const emit = (name, ...values) => heard(name).forEach((listener) => listener(...values));
  let changed = {};
  const model = {
    get: (name) => state[name],
    set: (name, value) => {
      if (JSON.stringify(state[name]) === JSON.stringify(value)) return;
      state[name] = value;
      changed[name] = value;
      emit(`change:${name}`);
    },
    save_changes: () => {
      outbox.push({id, data: {method: "update", state: changed, buffer_paths: []}});
      changed = {};
    },
    send: (content) => outbox.push({id, data: {method: "custom", content}}),
    on: (name, listener) => listeners.set(name, [...heard(name), listener]),
    off: (name, listener) => listeners.set(name, heard(name).filter((one) => one !== listener)),
  };
  const unpacked = (text) => new DataView(Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer);
  models[id] = {
    model,
    custom: (content, buffers) => emit("msg:custom", content, buffers.map(unpacked)),
    update: (news) => {
      for (const [name, value] of Object.entries(news)) {
        state[name] = value;
        emit(`change:${name}`);
      }
    },
  };
  const url = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
  const module = await import(url);
  const widget = typeof module.default === "function" ? await module.default() : module.default;
  models[id].end = await widget.initialize?.({model});
  models[id].show = async (place) => {
    const el = document.createElement("div");
    place.append(el);
    return await widget.render({model, el});
  };
};
window.box = (names) => {
  const root = document.createElement("div");
  root.className = names;
  document.body.append(root);
  window.place = root;
};
"""


class Wired:
    """Widgets of this process, on one page."""

    def __init__(self, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
        self.page = page
        self._widgets: dict[str, Any] = {}
        self._sent: list[tuple[str, dict[str, Any], list[Any]]] = []
        monkeypatch.setattr(comm, "create_comm", self._create_comm)
        page.add_script_tag(content=HOST)
        page.evaluate("box('place')")

    def _create_comm(self, **options: Any) -> BaseComm:
        host = self

        class Comm(BaseComm):
            def publish_msg(
                self, kind: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
            ) -> None:
                host._sent.append((self.comm_id, data or {}, list(buffers or [])))

        return Comm(**options)

    def show(self, widget: Any) -> None:
        """Put a widget, and all inside it, on the page."""
        if isinstance(widget, ipywidgets.Box):
            self.page.evaluate("names => box(names)", " ".join(widget._dom_classes))
            for child in widget.children:
                self.show(child)
            return
        self._widgets[widget.model_id] = widget
        state = {name: value for name, value in widget.get_state().items() if not name.startswith("_")}
        state.pop("layout", None)
        self.page.evaluate(
            "([id, source, state]) => join(id, source, state).then(() => models[id].show(place))",
            [widget.model_id, widget._esm, state],
        )
        self.pump()

    def pump(self) -> None:
        """Carry messages both ways until both sides are silent."""
        silent = False
        while not silent:
            said = self.page.evaluate("outbox.splice(0)")
            for message in said:
                self._widgets[message["id"]].comm.handle_msg(
                    {"content": {"data": message["data"]}, "buffers": []}
                )
            sent, self._sent = self._sent, []
            for comm_id, data, buffers in sent:
                if comm_id not in self._widgets:
                    continue
                if data.get("method") == "custom":
                    packed = [base64.b64encode(buffer).decode() for buffer in buffers]
                    self.page.evaluate(
                        "([id, content, buffers]) => models[id].custom(content, buffers)",
                        [comm_id, data["content"], packed],
                    )
                elif data.get("method") in ("update", "echo_update"):
                    self.page.evaluate(
                        "([id, state]) => models[id].update(state)", [comm_id, data.get("state", {})]
                    )
            silent = not said and not sent

    def until(self, holds: Callable[[], Any]) -> None:
        """Carry messages until something is true."""
        for _ in range(200):
            self.pump()
            if holds():
                return
            self.page.wait_for_timeout(25)
        raise AssertionError("it does not come true")

    def key(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)
            self.pump()

    def drag(self, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one place of an element to another, both as shares of its sides."""
        box = self.page.locator(selector).bounding_box()
        assert box is not None
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        self.page.mouse.move(*points[1], steps=3)
        self.page.mouse.up()
        self.pump()

    def click(self, selector: str, at: tuple[float, float] = (0.5, 0.5), **options: Any) -> None:
        """Click a place of an element."""
        box = self.page.locator(selector).bounding_box()
        assert box is not None
        position = {"x": at[0] * box["width"], "y": at[1] * box["height"]}
        self.page.locator(selector).click(position=position, **options)
        self.pump()
