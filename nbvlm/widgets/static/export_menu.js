// Exports an answer: as a file, as code on the clipboard, as a new cell.

import { INSERT, inserted } from "./cells.js";
import { copyText } from "./clipboard.js";
import { download, element, subscribe, whenInPanel } from "./dom.js";

/** @type {[string, string, string][]} Format, text and title of each button. */
const FILES = [
  ["png", "PNG", "The picture with its boxes"],
  ["svg", "SVG", "The picture with boxes and masks as shapes"],
  ["json", "JSON", "Everything known about the answer; Result.from_json reads it"],
  ["csv", "CSV", "A table of the detections"],
  ["coco", "COCO", "Boxes and masks as a COCO data set"],
  ["html", "HTML", "One page with picture, table and code"],
];
/** @type {[string, string, string][]} */
const CODE = [
  ["python", "Copy as Python", "Code that asks the same again"],
  ["curl", "Copy as curl", "A shell script that asks the same again"],
];

const textOf = ({ parts }) => new Blob(parts).text();

function fallback(text) {
  const area = element("textarea", "nbvlm-export-code", {
    readonly: "",
    rows: "6",
    "aria-label": "Code to copy",
  });
  area.value = text;
  area.addEventListener("focus", () => area.select());
  return area;
}

function view(el, store, model, ask) {
  const bar = element("div", "nbvlm-exports-bar");
  const said = element("span", "nbvlm-exports-said", { role: "status" });
  const below = element("div", "nbvlm-exports-below");
  const say = (text, code) => {
    said.textContent = text;
    below.replaceChildren(...(code ? [fallback(code)] : []));
  };
  const group = (label, buttons) => {
    const root = element("div", "nbvlm-exports-group", { role: "group", "aria-label": label });
    root.append(element("span", "nbvlm-exports-label", { "aria-hidden": "true" }, label), ...buttons);
    return root;
  };
  const make = ([format, text, title], finish, action = format) => {
    const node = element(
      "button",
      `nbvlm-quiet-button nbvlm-export-${action}`,
      { type: "button", title },
      text,
    );
    node.addEventListener("click", () => {
      node.disabled = true;
      say("Preparing it…");
      ask(format, async (file) => {
        node.disabled = false;
        if (file) await finish(file);
        else say("");
      });
    });
    return node;
  };
  const save = ({ name, mime, parts }) => {
    download(name, new Blob(parts, { type: mime }));
    say(`${name} is in your downloads.`);
  };
  const copy = async (file) => {
    const text = await textOf(file);
    if (await copyText(text)) say("Copied.");
    else say("This page cannot write to the clipboard. Copy the code from here:", text);
  };
  const insert = async (file) => put(await textOf(file));
  const put = async (text) => {
    if (await inserted(el, text)) say("The code is in a new cell below.");
    else if (await copyText(text))
      say("Widgets cannot add cells here. The code is copied: paste it into a new cell.");
    else say("Widgets cannot add cells here. Copy the code from here:", text);
  };
  const cell = make(
    ["python", "Insert as cell", "Code that asks the same again, in a new cell"],
    insert,
    "cell",
  );
  bar.append(
    group(
      "Save as",
      FILES.map((one) => make(one, save)),
    ),
    group("Code", [...CODE.map((one) => make(one, copy)), cell]),
  );
  el.classList.add("nbvlm-exports");
  el.replaceChildren(bar, said, below);

  const show = () => {
    el.hidden = !store.offered || !(model.get("offered") ?? []).includes("exports");
    // A cell can be inserted only in a notebook that can be edited.
    cell.hidden = Boolean(el.isConnected && !el.closest(".jp-NotebookPanel")?.querySelector(INSERT));
    say("");
  };
  return { show, put };
}

export default () => {
  const store = { offered: false };
  const views = new Set();
  const waiting = new Map();
  let count = 0;

  function end(id, file) {
    waiting.get(id)?.finish(file);
    waiting.delete(id);
  }

  function receive(message, buffers) {
    const request = waiting.get(message.id);
    if (message.type === "offer") {
      store.offered = message.offered;
      for (const one of views) one.show();
    } else if (!request)
      return; // the request of another page
    else if (message.type === "failed") end(message.id, null);
    else if (message.type === "file") request.file = { ...message, parts: [] };
    else if (message.type === "piece") {
      const data = buffers[0];
      request.file.parts.push(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
      if (request.file.parts.length === request.file.pieces) end(message.id, request.file);
    }
  }

  return {
    initialize({ model }) {
      return subscribe(model, receive);
    },
    render({ model, el }) {
      const page = Math.random().toString(36).slice(2);
      const one = view(el, store, model, (format, finish) => {
        const id = `${page}-${++count}`;
        waiting.set(id, { finish, file: null });
        model.send({ type: "make", format, id });
      });
      views.add(one);
      one.show();
      model.on("change:offered", one.show);
      const controller = new AbortController();
      const { signal } = controller;
      whenInPanel(el, signal, (panel) =>
        panel.addEventListener("nbvlm-cell", (event) => one.put(event.detail), { signal }),
      );
      return () => {
        controller.abort();
        views.delete(one);
        model.off("change:offered", one.show);
      };
    },
  };
};
