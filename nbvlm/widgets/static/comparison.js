// Pinned answers side by side, with boxes that were kept, moved, lost or are new.

import { dataUri, element, numbered, sharedViews } from "./dom.js";
import { rectangle } from "./geometry.js";
import { svgElement } from "./svg.js";

const SIGNS = { plain: "", kept: "=", moved: "→", lost: "−", new: "+" };
const ORDER = ["moved", "lost", "new", "kept"];

// A dark line under the coloured one keeps a box visible on every background.
// The style of the line shows the state.
function outline(box, index) {
  const group = svgElement("g", `nbvlm-side-box nbvlm-is-${box.state}`, { "data-index": index });
  if (box.before)
    group.append(svgElement("rect", "nbvlm-side-before", { ...rectangle(box.before), stroke: box.color }));
  const place = rectangle(box.box);
  group.append(svgElement("rect", "nbvlm-side-halo", place));
  group.append(svgElement("rect", "nbvlm-side-line", { ...place, stroke: box.color, fill: box.color }));
  return group;
}

function tag(box, { width, height }) {
  const node = element("span", `nbvlm-side-tag nbvlm-is-${box.state}`);
  const { x, y } = rectangle(box.box);
  node.textContent = `${SIGNS[box.state]} ${box.label || "?"}`.trim();
  node.style.setProperty("--nbvlm-box", box.color);
  node.style.setProperty("--nbvlm-ink", box.ink);
  node.style.left = `${(100 * Math.min(Math.max(0, x), 0.8 * width)) / width}%`;
  node.style.top = `${(100 * Math.max(0, y)) / height}%`;
  node.classList.toggle("nbvlm-label-inside", y < 0.08 * height);
  return node;
}

function pictureOf(column) {
  const frame = element("div", "nbvlm-side-frame");
  frame.style.setProperty("--nbvlm-ratio", column.width / column.height);
  const image = element("img", "nbvlm-side-picture", {
    alt: `${column.picture}: ${column.said}`,
    draggable: "false",
  });
  if (column.src) image.src = column.src;
  const viewBox = `0 0 ${column.width} ${column.height}`;
  const svg = svgElement("svg", "nbvlm-side-svg", {
    viewBox,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  svg.append(...column.boxes.map(outline));
  const tags = element("div", "nbvlm-side-tags", { "aria-hidden": "true" });
  tags.append(...column.boxes.map((box) => tag(box, column)));
  frame.append(image, svg, tags);
  return frame;
}

function tally(column) {
  const line = element("div", "nbvlm-tally");
  if (!column.counts) {
    line.append(
      element("span", "", {}, column.base === column.number ? "The others are compared with this one" : ""),
    );
    return line;
  }
  const found = ORDER.toReversed().filter((state) => column.counts[state]);
  for (const state of found) {
    const text = `${SIGNS[state]} ${column.counts[state]} ${state}`;
    line.append(element("span", `nbvlm-count nbvlm-is-${state}`, {}, text));
  }
  if (
    !found.length &&
    !column.words.some(([, state]) => state === "same" || state === "new" || state === "gone")
  ) {
    line.append(element("span", "", {}, "No boxes in either answer"));
  } else if (found.length === 1 && found[0] === "kept") line.append(element("span", "", {}, "the same"));
  return line;
}

function rows(column, light) {
  const list = element("ul", "nbvlm-side-rows", { "aria-label": `Things in answer ${column.number}` });
  const order = column.boxes.map((box, index) => ({ box, index }));
  if (column.counts) order.sort((one, two) => ORDER.indexOf(one.box.state) - ORDER.indexOf(two.box.state));
  for (const { box, index } of order) {
    const row = element("li", `nbvlm-side-row nbvlm-is-${box.state}`, { tabindex: "0" });
    const swatch = element("span", "nbvlm-swatch", { "aria-hidden": "true" });
    swatch.style.background = box.color;
    const state = box.state === "plain" ? "" : box.state;
    row.append(swatch, element("span", "nbvlm-side-label", {}, box.label || "?"));
    row.append(element("span", "nbvlm-side-note", {}, [state, box.note].filter(Boolean).join(", ")));
    for (const [event, on] of [
      ["pointerenter", true],
      ["focus", true],
      ["pointerleave", false],
      ["blur", false],
    ]) {
      row.addEventListener(event, () => light(on ? index : null));
    }
    list.append(row);
  }
  return list;
}

function answerOf(column) {
  const text = element("p", "nbvlm-side-text");
  for (const [piece, state] of column.words) {
    const kind = { new: "ins", gone: "del" }[state] ?? "span";
    text.append(element(kind, `nbvlm-word-${state}`, {}, piece), " ");
  }
  return text;
}

function side(column, act) {
  const root = element("section", "nbvlm-side", {
    "aria-label": `Answer ${column.number}: ${column.prompt}`,
  });
  const head = element("div", "nbvlm-side-head");
  const show = element("button", "nbvlm-quiet-button", { type: "button" }, "Show");
  const loose = element("button", "nbvlm-quiet-button", { type: "button" }, "Unpin");
  show.setAttribute("aria-label", `Show answer ${column.number} again`);
  loose.setAttribute("aria-label", `Unpin answer ${column.number}`);
  show.addEventListener("click", () => act({ type: "show", answer: column.number }));
  loose.addEventListener("click", () => act({ type: "pin", answer: column.number, pinned: false }));
  const name = element("div", "nbvlm-side-name");
  name.append(element("strong", "", {}, `#${column.number}`), " ", element("code", "", {}, column.prompt));
  const detail = element("div", "nbvlm-side-detail", {}, [column.detail, column.model].join(" · "));
  head.append(name, ...(act ? [show, loose] : []), detail);
  const picture = pictureOf(column);
  const light = (index) => {
    picture.classList.toggle("nbvlm-lit", index !== null);
    picture.querySelectorAll(".nbvlm-side-box").forEach((box) => {
      box.classList.toggle("nbvlm-on", Number(box.dataset.index) === index);
    });
  };
  root.append(head, picture, tally(column));
  root.append(column.boxes.length ? rows(column, light) : answerOf(column));
  return root;
}

function view(el, store, send) {
  const heading = element("div", "nbvlm-heading", {}, "Compare");
  const body = element("div", "nbvlm-sides-body");
  el.classList.add("nbvlm-part", "nbvlm-sides");
  el.setAttribute("role", "region");
  el.setAttribute("aria-label", "Pinned answers side by side");
  el.replaceChildren(heading, body);
  const show = () => {
    el.hidden = store.columns.length < 2;
    body.replaceChildren(
      ...store.columns.map((column) =>
        side(column, store.asks ? (message) => send(numbered(el, message)) : null),
      ),
    );
  };
  return { show };
}

export default () => {
  const store = { columns: [], asks: true };

  function receive(message, buffers) {
    store.asks = message.asks ?? true;
    store.columns = message.columns.map((column, index) => {
      const data = buffers[index];
      return { ...column, src: data?.byteLength ? dataUri(data, "image/jpeg") : "" };
    });
  }

  return sharedViews(receive, (el, send) => view(el, store, send));
};
