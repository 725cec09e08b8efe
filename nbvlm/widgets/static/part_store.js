// The state of a part that shows detections, shared by all its views, and kept equal to its group.

import { joinGroup } from "./group.js";

const TRAITS = ["selected", "hidden"];

function sorted(indices) {
  return [...indices].sort((one, other) => one - other);
}

// `each` calls all views; `more` are names of further traits that views read from the store; `said` takes what
// another part says to all views at once.
export function partStore(model, store, each, more = [], said = (_kind) => {}) {
  const same = (name, value) => JSON.stringify(store[name]) === JSON.stringify(value);
  const put = (name, value) => {
    if (same(name, value)) return false;
    store[name] = value;
    each((one) => one.traits(name));
    return true;
  };
  // What another part says is shown at once; the kernel informs each part by itself.
  const take = (kind, value) => {
    said(kind);
    if (TRAITS.includes(kind)) put(kind, value);
    else each((one) => one.said?.(kind, value));
  };
  let group = joinGroup(model.get("group") ?? "", take);
  const regroup = () => {
    group.leave();
    group = joinGroup(model.get("group"), take);
    each((one) => one.said?.("members", group.members()));
  };
  const listeners = [...TRAITS, ...more].map((name) => [
    `change:${name}`,
    () => put(name, model.get(name) ?? store[name]),
  ]);
  for (const [event, listener] of listeners) model.on(event, listener);
  model.on("change:group", regroup);
  for (const name of [...TRAITS, ...more]) store[name] = model.get(name) ?? store[name];

  // A view changes a trait: shown at once here and in the group, then sent to the kernel.
  const set = (name, value) => {
    const next = TRAITS.includes(name) ? sorted(value) : value;
    if (!put(name, next)) return;
    if (TRAITS.includes(name)) group.say(name, next);
    model.set(name, next);
    model.save_changes();
  };
  const local = (name, value) => put(name, value) && TRAITS.includes(name) && group.say(name, value);
  const stop = () => {
    group.leave();
    for (const [event, listener] of listeners) model.off(event, listener);
    model.off("change:group", regroup);
  };
  return {
    set,
    local,
    say: (kind, value) => group.say(kind, value),
    members: () => group.members(),
    stop,
  };
}

// The old boxes go at the press on Run, without waiting for the kernel, and come back if it asks nothing.
export function oldBoxes(store, show) {
  let kept = null;
  const drop = () => {
    kept = null;
  };
  const said = (kind) => {
    if (kind === "asking" && !kept) {
      kept = { boxes: store.boxes, shapes: store.shapes };
      show({ boxes: [], shapes: {} });
    } else if (kind === "asked" && kept) {
      show(kept);
      drop();
    }
  };
  return { said, drop };
}

// Esc selects nothing; without a selection the key is for what is around the part.
export function listenToEscape(el, store, signal, clear) {
  const leave = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || !store.selected.length) return;
    event.stopPropagation();
    clear();
  };
  el.addEventListener("keydown", leave, { signal });
}

// Returns what gives the hidden detections as a set, which is made again only where they have changed.
export function hiddenSet(store) {
  const kept = { of: null, hidden: new Set() };
  return () => {
    if (kept.of !== store.hidden) Object.assign(kept, { of: store.hidden, hidden: new Set(store.hidden) });
    return kept.hidden;
  };
}

// The pointer, the focus and the selection each choose the detections that are lit, in this order.
export function lights(apply, selected) {
  const now = { hover: null, focus: null };
  const first = () => {
    const chosen = selected();
    return now.hover ?? now.focus ?? (chosen.length ? chosen : null);
  };
  const show = () => apply(first());
  const set = (source, index) => {
    if (now[source] === index) return false;
    now[source] = index;
    show();
    return true;
  };
  const clear = () => {
    Object.assign(now, { hover: null, focus: null });
    show();
  };
  return { set, show, clear };
}
