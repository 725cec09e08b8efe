// Boxes are corrected here, by pointer and by keyboard: moved, resized, added, named, deleted.

import { element, options, textButton } from "./dom.js";
import { focusedIn } from "./focus.js";
import { rectangle, within } from "./geometry.js";
import { iconButton } from "./icons.js";
import { nameOf } from "./marking.js";

const SIDES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const NEAR = 4; // pixels of the screen up to which a press is a click
const IDLE = 400; // milliseconds without a key after which a movement is done
const KEYS = [
  ["N, P", "next or previous box"],
  ["Arrows", "move it"],
  ["Shift + arrows", "resize it"],
  ["A", "add a box"],
  ["Enter", "name it"],
  ["Delete", "remove it"],
  ["Ctrl + Z, Ctrl + Y", "undo, redo"],
  ["Esc", "select nothing, then end"],
];

function rounded(box) {
  return box.map((value) => Math.round(value * 10) / 10);
}

/** @param {number[]} box */
function ordered([x0, y0, x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
}

/**
 * Boxes moved together stay within the picture together.
 * @param {Map<number, number[]>} boxes
 * @param {number[]} by
 */
function shifted(boxes, [right, low], { width, height }) {
  const all = [...boxes.values()].map(ordered);
  const dx = within(
    right,
    -Math.min(...all.map((box) => box[0])),
    width - Math.max(...all.map((box) => box[2])),
  );
  const dy = within(
    low,
    -Math.min(...all.map((box) => box[1])),
    height - Math.max(...all.map((box) => box[3])),
  );
  /** @param {number[]} box */
  const move = ([x0, y0, x1, y1]) => rounded([x0 + dx, y0 + dy, x1 + dx, y1 + dy]);
  return new Map([...boxes].map(([index, box]) => [index, move(ordered(box))]));
}

/**
 * @param {number[]} box
 * @param {string} side
 * @param {number[]} by
 */
function resized(box, side, [right, low], { width, height }) {
  let [x0, y0, x1, y1] = ordered(box);
  if (side.includes("w")) x0 = within(x0 + right, 0, width);
  if (side.includes("e")) x1 = within(x1 + right, 0, width);
  if (side.includes("n")) y0 = within(y0 + low, 0, height);
  if (side.includes("s")) y1 = within(y1 + low, 0, height);
  const [left, top, end, bottom] = rounded(ordered([x0, y0, x1, y1]));
  return [left, top, Math.max(end, Math.min(left + 1, width)), Math.max(bottom, Math.min(top + 1, height))];
}

function helpOf() {
  const root = element("details", "nbvlm-edit-keys");
  const list = element("dl", "");
  for (const [keys, what] of KEYS) list.append(element("dt", "", {}, keys), element("dd", "", {}, what));
  root.append(element("summary", "", {}, "Keys"), list);
  return root;
}

function barOf(act) {
  const root = element("div", "nbvlm-edit-bar", { role: "group", "aria-label": "Correct the boxes" });
  const id = `nbvlm-labels-${Math.random().toString(36).slice(2)}`;
  const name = element("label", "nbvlm-edit-name");
  const field = element("input", "nbvlm-edit-label", {
    type: "text",
    list: id,
    maxlength: "200",
    "data-lm-suppress-shortcuts": "true",
  });
  const offered = element("datalist", "", { id });
  name.append(element("span", "", {}, "Label"), field, offered);
  const tools = element("div", "nbvlm-view-group");
  const add = iconButton("nbvlm-edit-add", "addBox", "Add a box (A)", act.add);
  const remove = iconButton("nbvlm-edit-delete", "bin", "Delete the selected boxes (Delete)", act.remove);
  const undo = iconButton("nbvlm-edit-undo", "undo", "Undo (Ctrl+Z)", act.undo);
  const redo = iconButton("nbvlm-edit-redo", "redo", "Redo (Ctrl+Y)", act.redo);
  const done = textButton("nbvlm-view-button nbvlm-edit-done", "Done");
  done.addEventListener("click", act.done);
  tools.append(add, remove, undo, redo);
  root.append(name, tools, helpOf(), done);
  return { root, field, offered, remove, undo, redo };
}

export function boxEditor(store, { viewport, frame, zoom, drawn, act }) {
  let drag = null; // what the pointer does now
  let held = null; // boxes that keys have moved, until they are sent
  let timer = 0;
  let next = ""; // label of the next box

  const chosen = () => store.selected.filter((index) => store.boxes[index]);
  const boxesOf = (indices) => new Map(indices.map((index) => [index, store.boxes[index].box]));
  const described = (index, box = store.boxes[index].box) => {
    const { x, y, width, height } = rectangle(box);
    const places = [x, y, width, height].map(Math.round);
    return `${nameOf(store.boxes[index])} ${index + 1}: left ${places[0]}, top ${places[1]}, ${places[2]} × ${places[3]}`;
  };
  const preview = (boxes) => {
    for (const [index, box] of boxes) drawn.move(index, box);
    place(boxes);
  };
  const commit = (boxes) => {
    if (!boxes) return;
    const changed = [...boxes].filter(([index, box]) => String(store.boxes[index]?.box) !== String(box));
    if (!changed.length) return;
    act.edits.move(new Map(changed));
    act.speak(changed.length === 1 ? described(...changed[0]) : `${changed.length} boxes moved`);
  };
  const settle = () => {
    clearTimeout(timer);
    const boxes = held;
    held = null;
    commit(boxes);
  };
  const labelOfNext = () => next || store.boxes.at(-1)?.label || store.labels[0] || "";
  const add = (box) => {
    settle();
    const label = labelOfNext();
    act.edits.add(rounded(box), label);
    act.speak(`Added ${described(store.boxes.length - 1)}`);
  };
  const addInMiddle = () => {
    const { width, height } = store.picture;
    add([0.4 * width, 0.4 * height, 0.6 * width, 0.6 * height]);
    viewport.focus({ preventScroll: true });
  };
  const remove = () => {
    settle();
    const indices = chosen();
    if (!indices.length) return;
    const said = indices.length === 1 ? described(indices[0]).split(":")[0] : `${indices.length} boxes`;
    act.edits.remove(indices);
    act.speak(`Deleted ${said}`);
    viewport.focus({ preventScroll: true });
  };
  const undo = () => {
    settle();
    act.edits.undo();
    act.speak("Undone");
  };
  const redo = () => {
    settle();
    act.edits.redo();
    act.speak("Done again");
  };
  const end = () => {
    settle();
    const holder = focusedIn(viewport);
    if (holder === viewport || bar.root.contains(holder)) toggle.focus({ preventScroll: true });
    act.set("mode", "select");
  };
  const bar = barOf({ add: addInMiddle, remove, undo, redo, done: end });
  const toggle = iconButton("nbvlm-edit-toggle", "pencil", "Correct the boxes", () =>
    store.editing ? end() : begin(),
  );
  toggle.append(element("span", "", {}, "Edit"));
  const begin = () => {
    act.set("mode", "edit");
    viewport.focus({ preventScroll: true });
  };

  const handles = element("div", "nbvlm-handles", { "aria-hidden": "true" });
  handles.append(
    ...SIDES.map((side) => element("span", `nbvlm-handle nbvlm-handle-${side}`, { "data-side": side })),
  );
  frame.append(handles);
  const place = (boxes = new Map()) => {
    const [index, ...others] = chosen();
    const box = index === undefined || others.length ? null : (boxes.get(index) ?? store.boxes[index].box);
    const { x, y, width, height } = rectangle(box ?? [0, 0, 0, 0]);
    handles.hidden = !store.editing || !box || !width || !height || store.look.hidden.has(index);
    if (handles.hidden) return;
    const percent = (value, of) => `${(100 * value) / of}%`;
    handles.style.left = percent(x, store.picture.width);
    handles.style.top = percent(y, store.picture.height);
    handles.style.width = percent(width, store.picture.width);
    handles.style.height = percent(height, store.picture.height);
  };

  // The pointer

  const point = (event) => {
    const [x, y] = zoom.under(event.clientX, event.clientY);
    return [x * store.picture.width, y * store.picture.height];
  };
  const under = (at) => {
    const inside = chosen().find((index) => {
      const { x, y, width, height } = rectangle(store.boxes[index].box);
      return at[0] >= x && at[0] <= x + width && at[1] >= y && at[1] <= y + height;
    });
    return inside ?? drawn.at(at);
  };
  const down = (event) => {
    if (!store.editing || event.button || event.target.closest("button, input")) return;
    event.preventDefault();
    settle();
    viewport.focus({ preventScroll: true });
    viewport.setPointerCapture(event.pointerId);
    const from = point(event);
    const side = event.target.dataset?.side;
    const hit = side ? chosen()[0] : under(from);
    const more = event.ctrlKey || event.metaKey || event.shiftKey;
    if (hit !== null && !side && !more && !store.selected.includes(hit)) act.select([hit]);
    const indices = store.selected.includes(hit) ? chosen() : [];
    drag = {
      from,
      side,
      hit,
      first: boxesOf(indices),
      at: [event.clientX, event.clientY],
      boxes: null,
      moved: false,
    };
  };
  const move = (event) => {
    if (!drag) return;
    const way = [event.clientX - drag.at[0], event.clientY - drag.at[1]];
    if (!drag.moved && Math.hypot(...way) < NEAR) return;
    drag.moved = true;
    const [x, y] = point(event);
    const by = [x - drag.from[0], y - drag.from[1]];
    const { width, height } = store.picture;
    if (drag.side) {
      const [[index, box]] = drag.first;
      drag.boxes = new Map([[index, resized(box, drag.side, by, store.picture)]]);
    } else if (drag.first.size) drag.boxes = shifted(drag.first, by, store.picture);
    else if (drag.hit === null) {
      const corner = [within(drag.from[0], 0, width), within(drag.from[1], 0, height)];
      drag.drawn = ordered([...corner, within(x, 0, width), within(y, 0, height)]);
      drawn.draw(drag.drawn);
    }
    if (drag.boxes) preview(drag.boxes);
  };
  const up = (event) => {
    if (!drag) return;
    move(event);
    const { moved, hit, side, boxes, drawn: box } = drag;
    drag = null;
    drawn.draw(store.region);
    if (!moved && !side) act.pick(hit === null ? null : hit, event);
    else if (boxes) commit(boxes);
    else if (box && box[2] - box[0] >= 1 && box[3] - box[1] >= 1) add(box);
  };
  const lost = () => {
    if (!drag) return;
    const { first } = drag;
    drag = null;
    drawn.draw(store.region);
    preview(first);
  };

  // The keyboard

  const step = () => {
    const pixels = store.picture.width / zoom.sizes().width; // of the picture, for one of the screen
    return Math.max(1, Math.round(2 * pixels));
  };
  const arrow = ([right, low], sized) => {
    const indices = chosen();
    const by = [right * step(), low * step()];
    const now = held ?? boxesOf(indices);
    held = sized
      ? new Map([...now].map(([index, box]) => [index, resized(box, "se", by, store.picture)]))
      : shifted(now, by, store.picture);
    preview(held);
    clearTimeout(timer);
    timer = setTimeout(settle, IDLE);
  };
  const walk = (by) => {
    settle();
    const seen = store.boxes.map((_, at) => at).filter((at) => !store.look.hidden.has(at));
    if (!seen.length) return;
    const at = seen.indexOf(chosen().at(by > 0 ? -1 : 0));
    const to = at < 0 ? (by > 0 ? 0 : seen.length - 1) : (at + by + seen.length) % seen.length;
    act.select([seen[to]]);
    act.speak(described(seen[to]));
  };
  const PLAIN = {
    n: () => walk(1),
    p: () => walk(-1),
    a: addInMiddle,
    Delete: remove,
    Backspace: remove,
    Enter: () => {
      settle();
      bar.field.focus({ preventScroll: true });
      bar.field.select();
    },
  };
  const leave = () => {
    if (drag) lost();
    else if (chosen().length) act.select([]);
    else end();
  };
  const command = (event) => {
    const name = event.key.toLowerCase();
    if (name === "z") return event.shiftKey ? redo : undo;
    return name === "y" ? redo : null;
  };
  const action = (event) => {
    if (event.altKey) return null;
    if (event.ctrlKey || event.metaKey) return command(event);
    if (ARROWS[event.key]) return chosen().length ? () => arrow(ARROWS[event.key], event.shiftKey) : null;
    return event.key === "Escape"
      ? leave
      : PLAIN[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  };
  // Returns true if the key has done something here.
  const key = (event) => {
    const found = store.editing && !event.target.closest("input, button") ? action(event) : null;
    if (!found) return false;
    if (!ARROWS[event.key]) settle();
    found();
    event.preventDefault();
    event.stopPropagation();
    return true;
  };

  // The label

  const named = () => {
    next = bar.field.value.trim();
    const indices = chosen();
    if (indices.some((index) => store.boxes[index].label !== next)) {
      act.edits.relabel(indices, next);
      act.speak(`Named ${next || "nothing"}`);
    }
  };
  bar.field.addEventListener("change", named);
  bar.field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    if (event.key === "Enter") named();
    else bar.field.value = shownLabel();
    viewport.focus({ preventScroll: true });
  });
  const shownLabel = () => {
    const labels = new Set(chosen().map((index) => store.boxes[index].label));
    if (labels.size) return labels.size === 1 ? [...labels][0] : "";
    return next;
  };

  const show = () => {
    const on = store.editing;
    bar.root.hidden = !on;
    toggle.hidden = !store.editable || !store.picture;
    toggle.setAttribute("aria-pressed", String(on));
    viewport.classList.toggle("nbvlm-editing", on);
    if (!drag && !held) place();
    if (!on) return;
    const root = /** @type {Document | ShadowRoot} */ (bar.field.getRootNode());
    if (root.activeElement !== bar.field) bar.field.value = shownLabel();
    const labels = [...new Set([...store.labels, ...store.boxes.map((box) => box.label)])].filter(Boolean);
    bar.offered.replaceChildren(...options(labels.map((label) => [label, label])));
    bar.field.placeholder = chosen().length ? "" : "of the next box";
    bar.remove.disabled = !chosen().length;
    bar.undo.disabled = !store.can_undo;
    bar.redo.disabled = !store.can_redo;
  };
  const listen = (signal) => {
    viewport.addEventListener("pointerdown", down, { signal });
    viewport.addEventListener("pointermove", move, { signal });
    viewport.addEventListener("pointerup", up, { signal });
    viewport.addEventListener("pointercancel", lost, { signal });
    viewport.addEventListener("keyup", (event) => ARROWS[event.key] && settle(), { signal });
    viewport.addEventListener("blur", settle, { signal });
  };
  return { bar: bar.root, toggle, key, listen, show, stop: settle, busy: () => Boolean(drag || held) };
}
