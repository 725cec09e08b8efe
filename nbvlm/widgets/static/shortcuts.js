// The list of the panel's keys, and the keys that open it and lead to the answer.

import { element, textButton } from "./dom.js";
import { focusedIn } from "./focus.js";
import { focusReturn } from "./focus_return.js";

/** @type {[string, [string, string][]][]} What the keys are for, with the keys and what each does. */
const KEYS = [
  [
    "Anywhere in the panel",
    [
      ["Ctrl + Enter, ⌘ + Enter", "run"],
      ["Esc", "stop the answer; close a form, or leave the answer, and go back to where you came from"],
      ["Alt + A", "go to the answer"],
      ["?", "show these keys; outside of text fields"],
    ],
  ],
  ["Prompt", [["↑, ↓", "earlier and later prompts"]]],
  ["Sample pictures", [["Arrows", "choose the next one"]]],
  [
    "Picture",
    [
      ["+, −, 0", "zoom in, zoom out, show all of it"],
      ["Arrows", "move it, when zoomed"],
    ],
  ],
  [
    "A region on the picture",
    [
      ["Arrows, Shift + arrows", "move the box, resize it"],
      ["Enter, Esc", "take it, leave it"],
    ],
  ],
  [
    "Answer and detections",
    [
      ["Arrows", "from box to box"],
      ["Enter", "zoom to the box"],
    ],
  ],
  [
    "History",
    [
      ["Arrows", "from answer to answer"],
      ["Enter, R", "show it again, ask it again"],
      ["P, Delete", "pin it, delete it"],
      ["Ctrl + Z", "bring back what was deleted or cleared last"],
    ],
  ],
];

export function shortcutList() {
  const id = `nbvlm-keys-${Math.random().toString(36).slice(2)}`;
  const root = element("dialog", "nbvlm-shortcuts", { "aria-labelledby": id });
  const close = textButton("nbvlm-drawer-close", "Close");
  const groups = element("div", "nbvlm-shortcuts-groups");
  for (const [title, keys] of KEYS) {
    const group = element("section", "nbvlm-shortcuts-group", { "aria-label": title });
    const list = element("dl", "");
    for (const [key, what] of keys) list.append(element("dt", "", key), element("dd", "", what));
    group.append(element("div", "nbvlm-heading", title), list);
    groups.append(group);
  }
  const head = element("div", "nbvlm-shortcuts-head");
  head.append(element("strong", "", { id }, "Keys"), close);
  root.append(head, groups);
  const button = textButton("nbvlm-keys-button", "?");
  button.title = "Keys (?)";
  button.setAttribute("aria-label", "Keys");
  button.setAttribute("aria-expanded", "false");
  let back = () => {};
  const show = () => button.setAttribute("aria-expanded", String(root.open));
  const leave = () => {
    if (!root.open) return;
    const held = root.contains(focusedIn(root));
    root.close();
    show();
    if (held) back();
  };
  // Not a modal dialog: in a notebook's frame its place could be far from what is on the screen.
  const open = () => {
    if (root.open) return leave();
    back = focusReturn(root);
    root.show();
    close.focus({ preventScroll: true });
    root.scrollIntoView({ block: "nearest" });
    show();
  };
  button.addEventListener("click", open);
  close.addEventListener("click", leave);
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    leave();
  });
  return { root, button, open };
}

const TYPES = "input, textarea, select, [contenteditable='true']";

// Keys without Ctrl. A letter alone leads nowhere: in a notebook it is pressed by habit, and screen readers keep
// it for themselves. Returns the function that handles a key.
export function plainKeys(panel, openKeys) {
  let back = null;
  const toAnswer = () => {
    const answer = panel.querySelector(".nbvlm-answer");
    if (!answer || answer === focusedIn(panel)) return;
    back = focusReturn(panel);
    answer.focus();
    answer.scrollIntoView({ block: "nearest" });
  };
  const leaveAnswer = (target) => {
    if (!back || !target.closest(".nbvlm-answer")) return false;
    back();
    back = null;
    return true;
  };
  return (event) => {
    const { target, key, code, altKey } = event;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.isComposing) return;
    const types = target.matches(TYPES) && target.type !== "range";
    if (altKey) {
      if (code !== "KeyA") return;
      toAnswer();
    } else if (key === "Escape") {
      if (!leaveAnswer(target)) return;
    } else if (types) return;
    else if (key === "?") openKeys();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
}
