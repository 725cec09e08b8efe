// The sweep: a form, and a grid of prompts and temperatures that fills with answers.

import { dataUri, element, numbered, sharedViews } from "./dom.js";

const MOST = 200;
const ENDINGS = {
  running: "",
  done: "All cells are done.",
  stopped: "Stopped. The answers so far stay.",
  failed: "Ended early, because the other questions would have failed as well.",
};

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.round(seconds / 60)} min`;
}

let names = 0;

function field(label, control, hint) {
  const id = `nbvlm-sweep-${++names}`;
  control.id = id;
  const root = element("div", "nbvlm-sweep-field");
  root.append(element("label", "nbvlm-heading", { for: id }, label), control);
  if (hint) {
    const words = element("span", "nbvlm-sweep-hint", { id: `${id}-hint` }, hint);
    control.setAttribute("aria-describedby", words.id);
    root.append(words);
  }
  return root;
}

function form(store, act) {
  const root = element("div", "nbvlm-sweep-form");
  const prompts = element("textarea", "nbvlm-sweep-prompts", { rows: "4", spellcheck: "false" });
  prompts.placeholder = "caption en\ndetect cat ; dog";
  const heats = element("input", "nbvlm-sweep-heats", {
    type: "text",
    inputmode: "decimal",
    value: "0.2, 0.6, 1",
  });
  const repeats = element("input", "nbvlm-sweep-repeats", {
    type: "number",
    min: "1",
    max: "50",
    value: "1",
  });
  const heatField = field("Temperatures", heats, "Numbers, separated by commas");
  const start = element("button", "nbvlm-sweep-start", { type: "button" }, "Start the sweep");
  const stop = element("button", "nbvlm-sweep-stop", { type: "button" }, "Stop");
  const estimate = element("span", "nbvlm-sweep-estimate");
  const refused = element("div", "nbvlm-sweep-refused", { role: "alert" });
  const side = element("div", "nbvlm-sweep-side");
  const actions = element("div", "nbvlm-sweep-actions");
  actions.append(start, stop);
  side.append(heatField, field("Repeats", repeats), actions);
  root.append(field("Prompts, one per line", prompts), side, estimate, refused);

  const wanted = () => ({
    prompts: prompts.value
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean),
    temperatures: store.facts.hasTemperature ? heats.value.split(/[,;\s]+/).filter(Boolean) : null,
    repeats: Number(repeats.value),
  });
  const judge = () => {
    const { prompts: lines, temperatures, repeats: times } = wanted();
    const cells = new Set(lines).size * (temperatures ? new Set(temperatures).size : 1) * times;
    const { perMinute } = store.facts;
    const pace = perMinute ? `, about ${duration((60 * cells) / perMinute)} at ${perMinute} a minute` : "";
    const limit = cells > MOST ? `; at most ${MOST} are allowed` : "";
    estimate.textContent = cells ? `${count(cells, "question")}${pace}${limit}` : "";
  };
  root.addEventListener("input", judge);
  start.addEventListener("click", () => {
    refused.textContent = "";
    act({ type: "start", ...wanted() });
  });
  stop.addEventListener("click", () => act({ type: "stop" }));

  const show = () => {
    const running = store.state === "running";
    start.disabled = running;
    stop.disabled = !running;
    heatField.hidden = !store.facts.hasTemperature;
    refused.textContent = store.refused;
    refused.hidden = !store.refused;
    judge();
  };
  const fill = (prompt) => {
    if (!prompts.value && prompt) prompts.value = prompt;
    judge();
  };
  return { root, show, fill };
}

function repeatOf(cell, index, act) {
  const { state = "waiting" } = cell ?? {};
  const tag = state === "done" ? "button" : "div";
  const node = element(
    tag,
    `nbvlm-sweep-cell nbvlm-sweep-${state}`,
    tag === "button" ? { type: "button" } : {},
  );
  if (cell?.src)
    node.append(element("img", "nbvlm-sweep-picture", { src: cell.src, alt: "", draggable: "false" }));
  const words = { waiting: "–", busy: "Asking…" }[state] ?? cell.said;
  node.append(element("span", "nbvlm-sweep-said", {}, words));
  if (cell?.more) node.append(element("span", "nbvlm-sweep-more", {}, cell.more));
  if (state === "done") {
    node.title = "Show this answer, and keep it in the history";
    node.addEventListener("click", () => act({ type: "open", index }));
  }
  return node;
}

// Repeats are there to show whether the answers agree.
function agreement(cells) {
  const done = cells.filter((cell) => cell?.state === "done");
  if (done.length < 2) return null;
  const tally = new Map();
  for (const { text } of done) tally.set(text, (tally.get(text) ?? 0) + 1);
  const most = Math.max(...tally.values());
  const some = most === 1 ? "all differ" : `${most} of ${done.length} say the same`;
  return element("div", "nbvlm-sweep-agree", {}, most === done.length ? `all ${most} say the same` : some);
}

function table(store, act) {
  const { prompts, temperatures, repeats, picture } = store.plan;
  const root = element("table", "nbvlm-sweep-table");
  root.append(element("caption", "nbvlm-sweep-caption", {}, `Answers about ${picture}`));
  const head = element("tr", "");
  head.append(element("th", "", { scope: "col" }, "Prompt"));
  for (const heat of temperatures)
    head.append(element("th", "", { scope: "col" }, heat === null ? "Answer" : `T ${heat}`));
  root.append(element("thead", ""), element("tbody", ""));
  root.tHead.append(head);
  const places = new Map();
  prompts.forEach((prompt, row) => {
    const line = element("tr", "");
    line.append(element("th", "nbvlm-sweep-prompt", { scope: "row" }, prompt));
    temperatures.forEach((_, column) => {
      const first = (row * temperatures.length + column) * repeats;
      const place = element("td", "");
      line.append(place);
      const draw = () => {
        const indices = Array.from({ length: repeats }, (_, at) => first + at);
        const cells = indices.map((index) => store.cells.get(index));
        const held = [...place.querySelectorAll("button")].indexOf(place.getRootNode().activeElement);
        place.replaceChildren(...indices.map((index, at) => repeatOf(cells[at], index, act)));
        const agree = agreement(cells);
        if (agree) place.append(agree);
        if (held >= 0) place.querySelectorAll("button")[held]?.focus();
      };
      draw();
      for (let at = 0; at < repeats; at++) places.set(first + at, draw);
    });
    root.tBodies[0].append(line);
  });
  return { root, draw: (index) => places.get(index)?.() };
}

function view(el, store, send, model) {
  const act = (message) => send(numbered(el, message));
  const details = element("details", "nbvlm-sweep-details");
  const summary = element("summary", "nbvlm-sweep-summary");
  const quiet = element("span", "nbvlm-quiet", {}, "several prompts and temperatures at once");
  summary.append(element("strong", "", {}, "Sweep"), " ", quiet);
  const fields = form(store, act);
  const bar = element("progress", "nbvlm-sweep-bar", { "aria-label": "Questions answered" });
  const words = element("span", "nbvlm-sweep-words", { role: "status" });
  const progress = element("div", "nbvlm-sweep-progress");
  progress.append(bar, words);
  const scroller = element("div", "nbvlm-sweep-scroller");
  details.append(summary, fields.root, progress, scroller);
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    act({ type: "facts" });
    fields.fill(el.closest(".nbvlm-panel")?.querySelector(".nbvlm-prompt textarea")?.value);
  });
  el.classList.add("nbvlm-sweep");
  el.replaceChildren(details);
  let shown = null;
  let planned = null;

  const showProgress = () => {
    const cells = [...store.cells.values()];
    const done = cells.filter((cell) => cell.state === "done").length;
    const failed = cells.filter((cell) => cell.state === "failed").length;
    const total = store.plan
      ? store.plan.prompts.length * store.plan.temperatures.length * store.plan.repeats
      : 0;
    progress.hidden = !total;
    bar.max = total || 1;
    bar.value = done + failed;
    const parts = [
      `${done + failed} of ${total}`,
      failed ? `${failed} failed` : "",
      ENDINGS[store.state] ?? "",
    ];
    const left = total - done - failed;
    const pace = store.facts.perMinute;
    if (store.state === "running" && left && pace) parts.push(`about ${duration((60 * left) / pace)} left`);
    words.textContent = parts.filter(Boolean).join(" · ");
  };
  const show = (index) => {
    if (store.plan !== planned) {
      planned = store.plan;
      shown = planned && table(store, act);
      scroller.replaceChildren(...(shown ? [shown.root] : []));
      if (planned) details.open = true;
    } else if (index !== undefined) shown?.draw(index);
    else if (planned) for (const at of Array(bar.max).keys()) shown.draw(at);
    fields.show();
    showProgress();
    offered();
  };
  // A sweep that Python has started is shown also where none can be started from the page.
  const offered = () => {
    const offers = (model.get("offered") ?? []).includes("sweep");
    el.hidden = !offers && !store.plan;
    fields.root.hidden = !offers;
  };
  model.on("change:offered", offered);
  return { show, stop: () => model.off("change:offered", offered) };
}

export default () => {
  const facts = { perMinute: null, hasTemperature: true };
  const store = { facts, plan: null, cells: new Map(), state: "idle", refused: "" };
  const put = (index, changes) => store.cells.set(index, { ...store.cells.get(index), ...changes });

  function receive(message, buffers) {
    const picture = (at) => ({ src: dataUri(buffers[at], "image/jpeg") });
    if (message.type === "all") {
      Object.assign(store, { facts: message.facts, plan: message.plan, state: message.state, refused: "" });
      store.cells = new Map(message.cells);
      for (const [at, index] of message.drawn.entries()) put(index, picture(at));
    } else if (message.type === "cell") put(message.index, message.cell);
    else if (message.type === "thumbnail") put(message.index, picture(0));
    else if (message.type === "facts") store.facts = message.facts;
    else if (message.type === "refused") store.refused = message.sentence;
    else if (message.type === "state") {
      store.state = message.state;
      for (const [index, cell] of store.cells) if (cell.state === "busy") store.cells.delete(index);
    }
    return message.index;
  }

  return sharedViews(receive, (el, send, model) => view(el, store, send, model));
};
