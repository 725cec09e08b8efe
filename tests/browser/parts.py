"""A host in miniature for single page parts: strict rules, and a model of our own."""

from __future__ import annotations

import base64
import io
from importlib import resources
from typing import TYPE_CHECKING, Any

from PIL import Image

from nbvlm.widgets.esm import script

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

# About what VS Code grants to a widget: nothing from anywhere, pictures as data only.
POLICY = "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; img-src data:"
BASE = """
window.makeModel = (given) => {
  const ways = ["samples", "upload", "camera", "link", "path"];
  const state = { offered: [...ways, "models", "server", "key", "sweep", "exports"], ...given };
  const listeners = new Map();
  const heard = (name) => listeners.get(name) ?? [];
  const model = {
    sent: [],
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes() {},
    send: (content, callbacks, buffers = []) =>
      model.sent.push({
        content,
        sizes: buffers.map((buffer) => buffer.byteLength),
        texts: buffers.map((buffer) => (buffer.byteLength < 99 ? new TextDecoder().decode(buffer) : "")),
      }),
    on: (name, callback) => listeners.set(name, [...heard(name), callback]),
    off: (name, callback) => listeners.set(name, heard(name).filter((one) => one !== callback)),
    count: () => [...listeners.values()].flat().length,
    say: (message, base64 = []) => {
      const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
      const buffers = base64.map((text) => new DataView(bytes(text).buffer));
      heard("msg:custom").forEach((listener) => listener(message, buffers));
    },
  };
  return model;
};
window.until = (holds) => new Promise((resolve) => {
  const look = () => (holds() ? resolve() : setTimeout(look, 5));
  look();
});
window.load = async (source, state) => {
  const url = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
  const module = await import(url);
  window.widget = typeof module.default === "function" ? await module.default() : module.default;
  window.model = makeModel(state);
  window.end = await widget.initialize?.({model});
  window.cleanups = [];
};
window.show = async () => {
  const panel = document.createElement("div");
  panel.className = "nbvlm-panel";
  const el = document.createElement("div");
  const proxy = {...model}; // a view gets another object than the one that was initialised
  cleanups.push(await widget.render({model: proxy, el}));
  panel.append(el);
  document.body.append(panel);
};
"""


def load(page: Page, name: str, state: dict[str, Any] | None = None, *styles: str) -> None:
    page.evaluate("([source, state]) => load(source, state)", [script(name, *styles), state or {}])


def base64_png() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def say(page: Page, message: dict[str, Any], *buffers: str) -> None:
    page.evaluate("([message, buffers]) => model.say(message, buffers)", [message, list(buffers)])


# HoloViz Panel shows widgets within shadow roots.
AXE = """async (selector) => {
  const within = (root) => [...root.querySelectorAll("*")].filter((one) => one.shadowRoot);
  const all = (root) =>
    [...root.querySelectorAll(selector), ...within(root).flatMap((one) => all(one.shadowRoot))];
  const found = await axe.run({include: all(document)}, {resultTypes: ["violations"]});
  return found.violations.map(({id, nodes}) => [id, nodes.map(({html}) => html.slice(0, 160))]);
}"""


def violations(page: Page | Frame, selector: str = ".nbvlm-panel") -> list[Any]:
    """What axe-core finds in the panel, be it grave or slight: names of rules, and the elements."""
    if not page.evaluate("'axe' in window"):
        # Run as a script tag of the page: its rules allow that, and forbid eval.
        axe = resources.files("axe_playwright_python") / "axe.min.js"
        page.add_script_tag(content=axe.read_text(encoding="utf-8"))
    found: list[Any] = page.evaluate(AXE, selector)
    return found
