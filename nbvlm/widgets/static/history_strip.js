// The history strip: one card for each answer, in the order of `panel.history`.

import { dataUri, element, numbered, sharedViews } from "./dom.js";
import { focusedIn } from "./focus.js";
import { svgElement } from "./svg.js";

const ICONS = {
  pin: "M9.5 1.5l5 5-1 1-1-.3-2.7 2.7.2 2.6-1 1-3-3-4 4-.7-.7 4-4-3-3 1-1 2.6.2L8.8 3.5l-.3-1z",
  again: "M13.6 3v4h-4l1.6-1.6A4.3 4.3 0 1 0 12.2 9h1.4A5.7 5.7 0 1 1 12.2 4.4z",
  delete: "M4.3 3.3L8 7l3.7-3.7 1 1L9 8l3.7 3.7-1 1L8 9l-3.7 3.7-1-1L7 8 3.3 4.3z",
};

function icon(name) {
  const svg = svgElement("svg", "", { viewBox: "0 0 16 16", "aria-hidden": "true" });
  svg.append(svgElement("path", "", { d: ICONS[name] }));
  return svg;
}

function clock(created) {
  const time = new Date(created);
  return Number.isNaN(time.getTime())
    ? ""
    : time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function tool(name, action) {
  const button = element("button", `nbvlm-tool nbvlm-card-${name}`, { type: "button" });
  button.append(icon(name));
  button.addEventListener("click", action);
  return button;
}

function makeCard(number, act) {
  const root = element("li", "nbvlm-card");
  const main = element("button", "nbvlm-card-main", { type: "button" });
  const image = element("img", "nbvlm-card-picture", { alt: "", draggable: "false" });
  const parts = {
    head: element("span", "nbvlm-card-head"),
    said: element("span", "nbvlm-card-said"),
    prompt: element("span", "nbvlm-card-prompt"),
    detail: element("span", "nbvlm-card-detail"),
  };
  main.append(image, parts.said, parts.head, parts.prompt, parts.detail);
  const tools = element("div", "nbvlm-card-tools");
  const pin = tool("pin", () => act("pin", number));
  const again = tool("again", () => act("again", number));
  const remove = tool("delete", () => act("delete", number));
  tools.append(pin, again, remove);
  root.append(main, tools);
  main.addEventListener("click", () => act("show", number));

  const show = (card, current, asks) => {
    again.hidden = !asks;
    root.dataset.answer = card.number;
    root.classList.toggle("nbvlm-card-pinned", card.pinned);
    root.classList.toggle("nbvlm-card-current", current);
    if (card.src && image.src !== card.src) image.src = card.src;
    image.hidden = !card.src;
    parts.head.textContent = [`#${card.number}`, clock(card.created)].filter(Boolean).join(" · ");
    parts.prompt.textContent = card.prompt;
    parts.detail.textContent = card.detail;
    parts.said.textContent = card.said;
    main.title = `${card.prompt}\n${card.said}\n${card.model}, ${card.picture}, ${card.detail}`;
    main.setAttribute(
      "aria-label",
      `Show answer ${card.number} again: ${card.prompt}. ${card.said} ${card.detail}`,
    );
    if (current) main.setAttribute("aria-current", "true");
    else main.removeAttribute("aria-current");
    pin.setAttribute("aria-pressed", String(card.pinned));
    pin.setAttribute("aria-label", `Pin answer ${card.number} to compare it`);
    pin.title = card.pinned ? "Pinned: compared with the others that are (P)" : "Pin to compare (P)";
    again.setAttribute("aria-label", `Ask for answer ${card.number} again`);
    again.title = "Ask the same again (R)";
    remove.setAttribute("aria-label", `Delete answer ${card.number}`);
    remove.title = "Delete (Del)";
  };
  return { root, main, buttons: [main, pin, again, remove], show };
}

function view(el, store, send) {
  const heading = element("div", "nbvlm-heading", {}, "History");
  const words = element("span", "nbvlm-strip-words", { role: "status" });
  const clear = element("button", "nbvlm-quiet-button nbvlm-clear", { type: "button" }, "Clear");
  clear.title = "Delete all answers that are not pinned";
  const undo = element("button", "nbvlm-quiet-button nbvlm-undo", { type: "button" }, "Undo");
  undo.title = "Bring back what was deleted or cleared last (Ctrl+Z)";
  const head = element("div", "nbvlm-strip-head");
  head.append(heading, words, undo, clear);
  const owner = `nbvlm-owner-${Math.random().toString(36).slice(2)}`;
  el.classList.add(owner);
  const style = element("style", "");
  const list = element("ol", "nbvlm-cards", { "aria-label": "Answers so far" });
  el.classList.add("nbvlm-strip");
  el.replaceChildren(style, head, list);
  const shown = new Map();
  let active = null;

  const act = (type, number) => {
    const card = store.cards.get(number);
    if (!card) return;
    if (type === "delete") step(number, 1) || step(number, -1);
    send(
      numbered(
        el,
        type === "pin" ? { type, answer: number, pinned: !card.pinned } : { type, answer: number },
      ),
    );
  };
  const take = (type) => () => send(numbered(el, { type }));
  clear.addEventListener("click", take("clear"));
  undo.addEventListener("click", take("undo"));
  el.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || !store.removed) return;
    event.preventDefault();
    event.stopPropagation();
    undo.click();
  });

  const step = (number, by) => {
    const numbers = [...store.cards.keys()];
    const next = shown.get(numbers[numbers.indexOf(number) + by]);
    if (next && list.contains(el.getRootNode().activeElement)) next.main.focus();
    return next;
  };
  // One card at a time is in the tab order, with its tools; arrow keys go from card to card.
  const reach = () => {
    const { cards, current } = store;
    if (!cards.has(active)) active = cards.has(current) ? current : [...cards.keys()].at(-1);
    for (const [number, { buttons }] of shown) {
      for (const button of buttons) button.tabIndex = number === active ? 0 : -1;
    }
  };
  list.addEventListener("focusin", (event) => {
    const number = Number(event.target.closest(".nbvlm-card")?.dataset.answer);
    if (number) active = number;
    reach();
  });
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const number = Number(event.target.closest(".nbvlm-card")?.dataset.answer);
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const again = store.asks ? "again" : undefined;
    const action = { p: "pin", r: again, Delete: "delete", Backspace: "delete" }[event.key];
    if (!number || !(by || action)) return;
    event.preventDefault();
    event.stopPropagation();
    if (by) step(number, by);
    else act(action, number);
  });

  const show = () => {
    style.textContent = eitherOr(store, owner);
    const holder = focusedIn(el);
    const held = el.contains(holder);
    for (const [number, card] of shown) {
      if (store.cards.has(number)) continue;
      card.root.remove();
      shown.delete(number);
    }
    let grown = false;
    for (const [number, card] of store.cards) {
      if (!shown.has(number)) {
        shown.set(number, makeCard(number, act));
        list.append(shown.get(number).root);
        grown = true;
      }
      shown.get(number).show(card, number === store.current, store.asks);
    }
    const pinned = [...store.cards.values()].filter((card) => card.pinned).length;
    const count = `${store.cards.size} ${store.cards.size === 1 ? "answer" : "answers"}`;
    const removed = store.removed ? `${store.removed} deleted` : "";
    const parts = [count, removed, pinned ? `${pinned} pinned` : "", hint(store.cards.size, pinned)];
    words.textContent = parts.filter(Boolean).join(" · ");
    clear.disabled = pinned === store.cards.size;
    undo.hidden = !store.removed;
    el.hidden = !store.cards.size && !store.removed;
    list.hidden = !store.cards.size;
    reach();
    // A button that is gone or does nothing now gives the focus to the one that takes it back.
    if (held && (!el.contains(holder) || holder.hidden || holder.disabled))
      (undo.hidden ? clear : undo).focus({ preventScroll: true });
    if (grown) list.scrollLeft = list.scrollWidth;
  };
  return { show };
}

// A page shows either the panel or its static output. The panel is shown once the kernel has answered the page.
// The host marks the widgets of a kernel that is gone; the panel cannot do anything then, and is hidden.
function eitherOr({ still, answered }, owner) {
  if (!still) return "";
  const off = ".jupyter-widgets-disconnected";
  const gone = `body:has(.${still}) .nbvlm-panel${off}:has(.${owner})`;
  const alive = `body:has(.nbvlm-panel:not(${off}) .${owner}) :is(.${still}, .jp-OutputArea-child:has(.${still}))`;
  return `${answered ? `${gone}, ${alive}` : gone} { display: none !important; }`;
}

function hint(count, pinned) {
  if (pinned === 1) return "pin another to compare";
  return !pinned && count > 1 ? "pin two to compare" : "";
}

export default () => {
  const store = { cards: new Map(), current: null, removed: 0, still: "", answered: false, asks: false };

  function receive(message, buffers) {
    if (message.type === "all") {
      store.cards.clear();
      store.answered = true;
    }
    for (const number of message.gone ?? []) store.cards.delete(number);
    for (const card of message.cards ?? [])
      store.cards.set(card.number, { ...store.cards.get(card.number), ...card });
    const drawn = message.type === "thumbnail" ? [message.number] : (message.drawn ?? []);
    drawn.forEach((number, index) => {
      const card = store.cards.get(number);
      if (card) card.src = dataUri(buffers[index], "image/jpeg");
    });
    store.removed = message.removed ?? store.removed;
    store.asks = message.asks ?? store.asks;
    if (message.type === "mark" || message.type === "all") store.current = message.number;
  }

  return sharedViews(receive, (el, send, model) => {
    store.still = model.get("still");
    return view(el, store, send);
  });
};
