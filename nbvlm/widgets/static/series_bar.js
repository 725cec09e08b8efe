// Several pictures, of a folder or dropped together: the one that is chosen, the next, the previous, all.

import { INSERT, inserted } from "./cells.js";
import { copyText } from "./clipboard.js";
import { element, numbered, options, sharedViews, textButton } from "./dom.js";

const store = () => ({
  title: "",
  names: [],
  index: null,
  all: false,
  words: "",
  running: false,
  table: false,
});

function bar(el, state, send, model) {
  const say = (message) => send(numbered(el, message));
  const title = element("span", "nbvlm-series-title");
  const leave = textButton("nbvlm-series-leave", "");
  leave.setAttribute("aria-label", "Close these pictures");
  leave.addEventListener("click", () => say({ type: "leave" }));
  const head = element("div", "nbvlm-series-head");
  head.append(title, leave);
  const before = textButton("nbvlm-series-previous nbvlm-way", "Previous");
  const after = textButton("nbvlm-series-next nbvlm-way", "Next");
  const names = element("select", "nbvlm-series-names", { "aria-label": "Picture" });
  const pick = (index) => say({ type: "pick", index });
  const count = () => state.names.length;
  const step = (by) => pick(state.index === null ? 0 : (state.index + by + count()) % count());
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
  cell.addEventListener("click", () => say({ type: "cell" }));
  const words = element("span", "nbvlm-series-words", { role: "status" });
  const all = element("div", "nbvlm-series-row");
  all.append(ask, cell, words);
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", "Several pictures");
  el.replaceChildren(head, row, all);
  let listed = null;
  const show = () => {
    el.hidden = !count();
    if (listed !== state.names) {
      listed = state.names;
      const own = state.names.map((name, index) => [index, `${index + 1} of ${count()}: ${name}`]);
      names.replaceChildren(...options([["", `${count()} pictures`], ...own]));
      names.firstChild.hidden = true;
    }
    title.textContent = state.title;
    names.value = state.index === null ? "" : String(state.index);
    names.title = state.names[state.index] ?? "";
    before.disabled = after.disabled = count() < 2;
    const offered = state.all && (model.get("offered") ?? []).includes("sweep");
    all.hidden = !offered && !state.words;
    ask.hidden = !offered && !state.running;
    ask.textContent = state.running ? "Stop" : `Ask about all ${count()}`;
    const can = !el.isConnected || el.closest(".jp-NotebookPanel")?.querySelector(INSERT);
    cell.hidden = !state.table || state.running || !can;
    words.textContent = state.words;
  };
  // Every page hears of the cell; the one whose button was pressed makes it.
  let wanted = false;
  cell.addEventListener("click", () => {
    wanted = true;
  });
  const insert = async (code) => {
    if (!wanted) return;
    wanted = false;
    if (await inserted(el, code)) words.textContent = "The table is in a new cell below: run it.";
    else if (await copyText(code)) words.textContent = "The code is copied: paste it into a new cell.";
    else words.textContent = `Type this into a new cell: ${code}`;
  };
  const changed = (message) => (message?.type === "cell" ? insert(message.code) : show());
  model.on("change:offered", show);
  return { show: changed, stop: () => model.off("change:offered", show) };
}

export default () => {
  const state = store();
  const receive = (message) => {
    if (message.type === "series") {
      const { title, names, index, all } = message;
      const same = names.join("\n") === state.names.join("\n");
      Object.assign(state, { title, index, all, names: same ? state.names : names });
    } else if (message.type === "asked") {
      const { words, running, table } = message;
      Object.assign(state, { words, running, table });
    }
    return message;
  };
  return sharedViews(receive, (el, send, model) => bar(el, state, send, model));
};
