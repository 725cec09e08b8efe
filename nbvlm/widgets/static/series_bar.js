// Several pictures, of a folder or dropped together: the one that is chosen, the next, the previous, all.

import { element, numbered, options, sharedViews, textButton } from "./dom.js";

function bar(el, state, send, model) {
  const say = (message) => send(numbered(el, message));
  const title = element("span", "nbvlm-series-title");
  const leave = textButton("nbvlm-way", "Close");
  leave.addEventListener("click", () => say({ type: "leave" }));
  const head = element("div", "nbvlm-series-row");
  head.append(title, leave);
  const before = textButton("nbvlm-way", "Previous");
  const after = textButton("nbvlm-way", "Next");
  const names = element("select", "nbvlm-series-names", { "aria-label": "Picture" });
  const pick = (index) => say({ type: "pick", index });
  const count = () => state.names.length;
  const step = (by) => pick(state.index == null ? 0 : (state.index + by + count()) % count());
  before.addEventListener("click", () => step(-1));
  after.addEventListener("click", () => step(1));
  names.addEventListener("change", () => pick(Number(names.value)));
  const row = element("div", "nbvlm-series-row");
  row.append(before, names, after);
  const ask = textButton("nbvlm-series-ask nbvlm-way", "");
  ask.addEventListener("click", () => {
    const fields = el.closest(".nbvlm-panel")?.nbvlmFields?.() ?? null;
    say(state.running ? { type: "stop-all" } : { type: "ask-all", fields });
  });
  const cell = textButton("nbvlm-series-cell nbvlm-way", "Table in a new cell");
  const words = element("span", "nbvlm-series-words", { role: "status" });
  const all = element("div", "nbvlm-series-row");
  all.append(ask, cell, words);
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", "Several pictures");
  el.replaceChildren(head, row, all);
  const show = () => {
    el.hidden = !count();
    const own = state.names.map((name, index) => [index, `${index + 1} of ${count()}: ${name}`]);
    names.replaceChildren(...options([["", `${count()} pictures`], ...own]));
    title.textContent = state.title;
    names.value = state.index ?? "";
    const offered = state.all && (model.get("offered") ?? []).includes("sweep");
    all.hidden = !offered && !state.words;
    ask.hidden = !offered && !state.running;
    ask.textContent = state.running ? "Stop" : `Ask about all ${count()}`;
    cell.hidden = !state.table || state.running;
    words.textContent = state.words ?? "";
  };
  // Every page hears of the cell; that whose button was pressed has its export menu make it.
  let wanted = false;
  cell.addEventListener("click", () => {
    wanted = true;
    say({ type: "cell" });
  });
  const changed = (message) => {
    if (message?.type !== "cell") return show();
    if (wanted)
      el.closest(".nbvlm-panel")?.dispatchEvent(new CustomEvent("nbvlm-cell", { detail: message.code }));
    wanted = false;
  };
  model.on("change:offered", show);
  return { show: changed, stop: () => model.off("change:offered", show) };
}

export default () => {
  const state = { names: [] };
  const receive = (message) => Object.assign(state, message) && message;
  return sharedViews(receive, (el, send, model) => bar(el, state, send, model));
};
