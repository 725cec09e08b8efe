// The bar of a review: which row is shown, how far the review is, and its buttons.

import { element, sharedViews, textButton, whenFound } from "./dom.js";
import { voice } from "./status_line.js";

const STATES = { open: "open", kept: "kept", corrected: "corrected", error: "skipped" };
const KEYS = { k: "keep", PageDown: "next", PageUp: "previous", r: "reset" };

function view(el, store, send) {
  const speech = voice();
  const button = (name, text, title) => {
    const made = textButton(`nbvlm-review-button nbvlm-review-${name}`, text);
    made.title = title;
    made.addEventListener("click", () => send({ type: name }));
    return made;
  };
  const head = element("div", "nbvlm-review-head");
  const place = element("strong", "nbvlm-review-place");
  const name = element("span", "nbvlm-review-name");
  const state = element("span", "nbvlm-review-state");
  head.append(place, name, state);
  const asked = element("div", "nbvlm-review-asked");
  const notes = element("ul", "nbvlm-notes", { "aria-label": "About this answer" });
  const progress = element("progress", "nbvlm-review-progress", { "aria-label": "Reviewed rows" });
  const counts = element("span", "nbvlm-review-counts");
  const bar = element("div", "nbvlm-review-bar");
  bar.append(progress, counts);
  const tools = element("div", "nbvlm-review-tools", { role: "group", "aria-label": "Review" });
  const previous = button("previous", "Previous", "The row before (Page Up)");
  const next = button("next", "Next", "The next row (Page Down)");
  const keep = button("keep", "Keep", "Keep the row as it is on the screen, and go on (K)");
  const reset = button("reset", "Reset", "The boxes of the model again (R)");
  const save = button("save", "Write zip", "Write the reviewed pictures with COCO annotations");
  tools.append(previous, next, keep, reset, save);
  const message = element("div", "nbvlm-review-message");
  const skipped = element("details", "nbvlm-review-skipped");
  const summary = element("summary", "");
  const reasons = element("ul", "");
  skipped.append(summary, reasons);
  el.classList.add("nbvlm-part", "nbvlm-review-part");
  el.replaceChildren(head, asked, notes, bar, tools, message, skipped, speech.root);

  const show = () => {
    const { counts: found, index, row, changed } = store;
    if (!found) return;
    const all = Object.values(found).reduce((one, other) => one + other, 0);
    const done = found.kept + found.corrected;
    place.textContent = row ? `${index + 1} of ${all}` : "No row to review";
    name.textContent = row?.source ?? "";
    const unsaved = changed && row?.state !== "corrected";
    state.textContent = row ? (unsaved ? "corrected, not kept yet" : STATES[row.state]) : "";
    state.dataset.state = row?.state ?? "";
    asked.textContent = row ? [row.prompt, row.model].filter(Boolean).join(" · ") : "";
    notes.replaceChildren(...(row?.notices ?? []).map((text) => element("li", "", {}, text)));
    notes.hidden = !row?.notices.length;
    progress.max = Math.max(1, all - found.error);
    progress.value = done;
    const words = Object.entries(STATES).filter(([key]) => found[key]);
    counts.textContent = words.map(([key, text]) => `${found[key]} ${text}`).join(" · ");
    keep.textContent = changed ? "Keep corrected" : "Keep";
    for (const one of [previous, next, keep, reset]) one.disabled = !row;
    save.disabled = !done && !changed;
    message.textContent = store.message;
    message.hidden = !store.message;
    skipped.hidden = !store.skipped.length;
    summary.textContent = `${found.error} ${found.error === 1 ? "row is" : "rows are"} skipped`;
    reasons.replaceChildren(
      ...store.skipped.map(({ row: at, source, error }) =>
        element("li", "", {}, `Row ${at + 1}, ${source}: ${error}`),
      ),
    );
    const said = row ? `Row ${index + 1} of ${all}, ${row.source}, ${state.textContent}` : "No row to review";
    // A caveat belongs to the answer, also where it is spoken.
    speech.say([store.message, said, ...(row?.notices ?? [])].filter(Boolean).join(". "));
  };
  const controller = new AbortController();
  const key = (event) => {
    const type = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const typing = event.target.closest?.("input:not([type=range]), textarea, select");
    if (!type || typing || event.ctrlKey || event.metaKey || event.altKey || !store.row) return;
    event.preventDefault();
    event.stopPropagation();
    send({ type });
  };
  const { signal } = controller;
  for (const one of tools.children) one.setAttribute("data-lm-suppress-shortcuts", "true");
  // Keys work in the whole review.
  whenFound(
    () => el.closest(".nbvlm-review"),
    signal,
    (review) => review.addEventListener("keydown", key, { signal }),
  );
  return { show, stop: () => controller.abort() };
}

export default () => {
  const store = { counts: null, index: -1, row: null, changed: false, skipped: [], message: "" };
  const receive = ({ type, ...news }) => {
    if (type === "put") Object.assign(store, news);
  };
  return sharedViews(receive, (el, send) => view(el, store, send));
};
