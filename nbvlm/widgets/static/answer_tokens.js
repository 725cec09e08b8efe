// The answer as text; location and mask tokens are chips that belong to a box.

import { element } from "./dom.js";
import { nameOf, paint, placeOf, reveal } from "./marking.js";

const TOKEN = /<(loc)(\d{4})>|<(seg)(\d{3})>/g;
const CUT = /<(?:l(?:o(?:c\d{0,4})?)?|s(?:e(?:g\d{0,3})?)?)?$/;
const SIDES = ["top", "left", "bottom", "right"];

// The whole token stays in the text, so that it is read and copied as the model wrote it.
function tokenChip(kind, digits, order) {
  const chip = element("span", `nbvlm-token nbvlm-token-${kind}`);
  chip.append(
    element("span", "nbvlm-bracket", {}, "<"),
    element("span", "nbvlm-token-kind", {}, kind),
    digits,
    element("span", "nbvlm-bracket", {}, ">"),
  );
  chip.title =
    kind === "loc" ? `${SIDES[order % 4]} edge, ${Number(digits)} of 1023` : `mask code ${order + 1} of 16`;
  return chip;
}

export function answerView(store, act) {
  const root = element("div", "nbvlm-answer", {
    "data-placeholder": "The answer appears here, word by word.",
    role: "region",
    "aria-label": "Answer",
    tabindex: "0",
    "data-lm-suppress-shortcuts": "true",
  });
  let groups = []; // runs of tokens: node, values of the locations, codes, words after, box
  let linked = []; // the group of each box
  let open = null; // the group that the next token or word belongs to
  let tail = "";
  let bright = null;
  let next = 0; // the first group that an earlier box has not passed

  const plain = (parent, text) => {
    const last = parent.lastChild;
    if (last?.nodeType === Node.TEXT_NODE) last.appendData(text);
    else parent.append(document.createTextNode(text));
  };
  const start = () => {
    const node = element("span", "nbvlm-tokens");
    root.append(node);
    open = { node, values: [], codes: 0, words: null, box: null };
    groups.push(open);
  };
  const token = (kind, digits) => {
    const full = open && (open.words || (kind === "loc" && (open.codes || open.values.length === 4)));
    if (!open || full) start();
    const order = kind === "loc" ? open.values.length : open.codes;
    open.node.append(tokenChip(kind, digits, order));
    if (kind === "loc") open.values.push(Number(digits));
    else open.codes += 1;
  };
  const words = (text) => {
    const end = text.search(/[;\n]/);
    if (!open) plain(root, text);
    else if (end >= 0) {
      if (end) words(text.slice(0, end));
      open = null;
      plain(root, text.slice(end, end + 1));
      if (text.length > end + 1) words(text.slice(end + 1));
    } else if (!open.words && !text.trim()) plain(open.node, text);
    else {
      if (!open.words) {
        open.words = element("span", "nbvlm-words");
        root.append(open.words);
        if (open.box !== null) join(open, open.box);
      }
      plain(open.words, text);
    }
  };
  const write = (text) => {
    let from = 0;
    for (const found of text.matchAll(TOKEN)) {
      if (found.index > from) words(text.slice(from, found.index));
      token(found[1] ?? found[3], found[2] ?? found[4]);
      from = found.index + found[0].length;
    }
    if (from < text.length) words(text.slice(from));
  };
  const join = (group, index) => {
    group.box = index;
    linked[index] = group;
    for (const node of [group.node, group.words]) {
      if (!node) continue;
      node.dataset.index = index;
      node.classList.add("nbvlm-linked");
      paint(node, store.boxes[index]);
    }
    group.node.tabIndex = -1;
    group.node.setAttribute("role", "button");
    const box = store.boxes[index];
    const place = store.picture ? `, ${placeOf(box, store.picture)}` : "";
    group.node.setAttribute("aria-label", `Box ${index + 1}: ${nameOf(box)}${place}`);
    group.node.dataset.lmSuppressShortcuts = "true";
    if (!root.querySelector(".nbvlm-linked[tabindex='0']")) group.node.tabIndex = 0;
  };
  // Boxes come in the order of the text. A group of tokens may match no box: the parser skipped it.
  const link = () => {
    const { width, height } = store.picture ?? {};
    for (let index = linked.length; width && index < store.boxes.length; index += 1) {
      const [x0, y0, x1, y1] = store.boxes[index].box;
      const wanted = [y0 / height, x0 / width, y1 / height, x1 / width].map((share) => share * 1023);
      const fits = ({ values }) =>
        values.length === 4 && values.every((value, at) => Math.abs(value - wanted[at]) < 1.7);
      const at = groups.findIndex((group, number) => number >= next && fits(group));
      linked[index] = undefined;
      if (at < 0) continue;
      join(groups[at], index);
      next = at + 1;
    }
  };
  const add = (text) => {
    const below = root.scrollHeight - root.scrollTop - root.clientHeight < 24;
    if (tail) root.lastChild.remove();
    const all = tail + text;
    tail = all.match(CUT)?.[0] ?? "";
    write(tail ? all.slice(0, -tail.length) : all);
    if (tail) root.append(element("span", "nbvlm-cut", {}, tail));
    if (below) root.scrollTop = root.scrollHeight;
  };
  const show = () => {
    root.replaceChildren();
    [groups, linked, open, tail, next] = [[], [], null, "", 0];
    if (store.text) add(store.text);
    link();
  };
  // Lights the tokens of one box or several.
  const light = (index) => {
    for (const [indices, on] of [
      [bright, false],
      [index, true],
    ]) {
      for (const at of [indices].flat()) {
        for (const node of [linked[at]?.node, linked[at]?.words]) node?.classList.toggle("nbvlm-lit", on);
      }
    }
    bright = index;
  };
  const indexOf = (event) => {
    const node = event.target.closest?.(".nbvlm-linked");
    return node ? Number(node.dataset.index) : null;
  };
  const step = (event) => {
    const index = indexOf(event);
    if (index === null || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") act.onto(index);
    else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const there = linked.filter(Boolean).map(({ node }) => node);
      const other = there[there.indexOf(linked[index].node) + (event.key === "ArrowRight" ? 1 : -1)];
      if (!other) return;
      event.target.tabIndex = -1;
      other.tabIndex = 0;
      other.focus({ preventScroll: true });
      reveal(root, other);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  root.addEventListener("keydown", step);
  root.addEventListener("click", (event) => indexOf(event) !== null && act.pin(indexOf(event)));
  root.addEventListener("pointerover", (event) => act.hover(indexOf(event)));
  root.addEventListener("pointerleave", () => act.hover(null));
  root.addEventListener("focusin", (event) => act.focus(indexOf(event)));
  root.addEventListener("focusout", () => act.focus(null));
  return {
    root,
    add,
    show,
    link,
    light,
    reveal: (index) => linked[index] && reveal(root, linked[index].node),
  };
}
