// The legend with a switch for each label, and the list of detections, which arrow keys move through.

import { element, options } from "./dom.js";
import { rectangle } from "./geometry.js";
import { iconButton } from "./icons.js";
import { nameOf, paint, placeOf, reveal } from "./marking.js";

const CELLS = ".nbvlm-found-eye, .nbvlm-found-name, .nbvlm-found-copy";

export function legend(store, hide) {
  const root = element("div", "nbvlm-legend", { role: "group", "aria-label": "Labels shown" });
  let known = "";
  let chips = [];
  const chip = (name, indices) => {
    const button = element("button", "nbvlm-legend-chip", { type: "button" });
    paint(button, store.boxes[indices[0]]);
    button.append(
      element("span", "nbvlm-swatch", { "aria-hidden": "true" }),
      element("span", "nbvlm-legend-name", {}, name),
    );
    if (indices.length > 1) button.append(element("span", "nbvlm-legend-count", {}, String(indices.length)));
    button.addEventListener("click", () =>
      hide(
        indices,
        indices.every((index) => store.look.hidden.has(index)),
      ),
    );
    return { button, indices };
  };
  const show = () => {
    const groups = new Map();
    for (const [index, box] of store.boxes.entries()) {
      groups.set(nameOf(box), [...(groups.get(nameOf(box)) ?? []), index]);
    }
    const wanted = JSON.stringify([...groups, store.boxes.map((box) => box.color)]);
    if (wanted !== known) {
      chips = [...groups].map(([name, indices]) => chip(name, indices));
      root.replaceChildren(...chips.map(({ button }) => button));
      known = wanted;
    }
    root.hidden = !chips.length;
    for (const { button, indices } of chips) {
      button.setAttribute("aria-pressed", String(indices.some((index) => !store.look.hidden.has(index))));
    }
  };
  return { root, show };
}

function rowOf(store, index, act) {
  const box = store.boxes[index];
  const { x, y, width, height } = rectangle(box.box);
  const name = `${nameOf(box)} ${index + 1}`;
  const row = element("div", "nbvlm-found-row", { role: "row", "data-index": index });
  const cell = (className, ...nodes) => {
    const node = element("div", className, { role: "gridcell" });
    node.append(...nodes);
    return node;
  };
  const eye = iconButton("nbvlm-found-eye", "eye", `Show ${name}`, () => act.hide([index]));
  const label = element("button", "nbvlm-found-name", {
    type: "button",
    title: "Zoom to it",
    "aria-label": `${nameOf(box)}, ${placeOf(box, store.picture)}`,
  });
  label.append(
    element("span", "nbvlm-swatch", { "aria-hidden": "true" }),
    element("span", "nbvlm-found-label", {}, nameOf(box)),
  );
  label.addEventListener("click", (event) => act.onto(index, event));
  const copy = iconButton("nbvlm-found-copy", "copy", `Copy the crop of ${name}`, () => act.copy(index));
  const share = (100 * width * height) / (store.picture.width * store.picture.height);
  row.append(
    cell("", eye),
    cell("nbvlm-found-main", label),
    cell("nbvlm-found-place", `${Math.round(x)}, ${Math.round(y)}`),
    cell("nbvlm-found-size", `${Math.round(width)} × ${Math.round(height)}`),
    cell("nbvlm-found-area", share < 1 ? `${share.toFixed(1)} %` : `${Math.round(share)} %`),
    cell("", copy),
  );
  paint(row, box);
  for (const node of row.querySelectorAll("button")) node.tabIndex = -1;
  return row;
}

function headRow() {
  const row = element("div", "nbvlm-found-row nbvlm-found-head", { role: "row" });
  const titles = ["Shown", "Label", "Left, top", "Size", "Area", "Copy"];
  row.append(
    ...titles.map((title, at) => {
      const cell = element("div", at % 5 ? "" : "nbvlm-unseen", { role: "columnheader" });
      cell.textContent = title;
      return cell;
    }),
  );
  return row;
}

const ORDERS = [
  ["xyxy", "x before y"],
  ["yxyx", "y before x"],
];
const SCALES = [1000, 100, 1];

// Models drift between conventions, and a swapped order cannot be seen in the numbers: a person chooses another.
function rereader(store, act) {
  const root = element("details", "nbvlm-reread");
  const fields = element("div", "nbvlm-reread-fields");
  const field = (text, className) => {
    const label = element("label", "");
    const select = element("select", className);
    label.append(text, select);
    fields.append(label);
    return select;
  };
  const order = field("Order", "nbvlm-reread-order");
  const scale = field("Scale", "nbvlm-reread-scale");
  root.append(element("summary", "", {}, "boxes look wrong?"), fields);
  order.append(...options(ORDERS));
  let first = null; // the scale as the answer was read first
  let read = ""; // the numbers that it belongs to
  const show = () => {
    root.hidden = !store.reading;
    if (!store.reading) return;
    if (read !== store.text) [first, read] = [store.reading.scale, store.text];
    const { width, height } = store.picture;
    const sides = new Map(SCALES.map((side) => [String([side, side]), `0 to ${side}`]));
    sides.set(String([width, height]), "pixels of the picture");
    for (const [wide, high] of [first, store.reading.scale]) {
      const text = wide === high ? `0 to ${wide}` : `${wide} × ${high}`;
      if (!sides.has(String([wide, high]))) sides.set(String([wide, high]), text);
    }
    scale.replaceChildren(...options([...sides]));
    order.value = store.reading.order;
    scale.value = String(store.reading.scale);
  };
  const choose = () => {
    const same = scale.value === String(store.reading.scale);
    act.reread(order.value, same ? null : scale.value.split(",").map(Number));
  };
  order.addEventListener("change", choose);
  scale.addEventListener("change", choose);
  root.hidden = true;
  return { root, show };
}

export function foundList(store, act) {
  const root = element("section", "nbvlm-found", { "aria-label": "Detections" });
  const heading = element("div", "nbvlm-heading nbvlm-found-title");
  const grid = element("div", "nbvlm-found-grid", { role: "grid", "aria-label": "Detections" });
  const head = headRow();
  const body = element("div", "nbvlm-found-body", { role: "rowgroup" });
  const top = element("div", "", { role: "rowgroup" });
  top.append(head);
  grid.append(top, body);
  const again = rereader(store, act);
  root.append(heading, grid, again.root);
  let rows = [];
  let known = "[]";

  const buttons = (row) => [...row.querySelectorAll(CELLS)];
  const only = (button) => {
    for (const one of body.querySelectorAll("button[tabindex='0']")) one.tabIndex = -1;
    button.tabIndex = 0;
  };
  const add = () => {
    const made = store.boxes.slice(rows.length).map((_, at) => rowOf(store, rows.length + at, act));
    const first = !rows.length && made.length;
    rows.push(...made);
    body.append(...made);
    if (first) only(buttons(rows[0])[1]);
    known = JSON.stringify(store.boxes);
    const text = `${rows.length} detection${rows.length === 1 ? "" : "s"}`;
    heading.replaceChildren(
      element("span", "", {}, text),
      element(
        "span",
        "nbvlm-no-scores",
        { title: "The model returns boxes without scores, so a score threshold does not apply." },
        "no scores",
      ),
    );
    root.hidden = !rows.length;
  };
  const show = () => {
    if (JSON.stringify(store.boxes) === known && rows.length === store.boxes.length) return;
    rows = [];
    body.replaceChildren();
    if (store.picture) add();
    root.hidden = !rows.length;
  };
  const look = () => {
    rows.forEach((row, index) => {
      const shown = !store.look.hidden.has(index);
      row.classList.toggle("nbvlm-found-hidden", !shown);
      row.querySelector(".nbvlm-found-eye").setAttribute("aria-pressed", String(shown));
    });
  };
  const step = (event) => {
    const row = event.target.closest(".nbvlm-found-row");
    const at = rows.indexOf(row);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const column = buttons(row).indexOf(event.target.closest("button"));
    const to = {
      ArrowDown: [at + 1, column],
      ArrowUp: [at - 1, column],
      ArrowRight: [at, column + 1],
      ArrowLeft: [at, column - 1],
      Home: [0, column],
      End: [rows.length - 1, column],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    const next = rows[to[0]] && buttons(rows[to[0]])[to[1]];
    if (!next) return;
    next.focus({ preventScroll: true });
    reveal(grid, rows[to[0]], 26);
  };
  const indexOf = (event) => {
    const row = event.target.closest?.(".nbvlm-found-row[data-index]");
    return row ? Number(row.dataset.index) : null;
  };
  body.addEventListener("keydown", step);
  body.addEventListener("focusin", (event) => {
    only(event.target.closest("button") ?? event.target);
    act.focus(indexOf(event));
  });
  body.addEventListener("focusout", () => act.focus(null));
  body.addEventListener("pointerover", (event) => act.hover(indexOf(event)));
  body.addEventListener("pointerleave", () => act.hover(null));
  let bright = null;
  // Lights one row or several.
  const light = (index) => {
    for (const one of [bright].flat()) rows[one]?.classList.remove("nbvlm-lit");
    for (const one of [index].flat()) rows[one]?.classList.add("nbvlm-lit");
    bright = index;
  };
  // Marks the rows that are selected.
  const mark = () => {
    rows.forEach((row, index) => {
      row.setAttribute("aria-selected", String(store.selected.includes(index)));
    });
  };
  root.hidden = true;
  return {
    root,
    add,
    show,
    look,
    light,
    mark,
    read: again.show,
    reveal: (index) => rows[index] && reveal(grid, rows[index], 26),
  };
}
