// The status line: the state, its duration, the cost of the answer; and one live region for screen readers.

import { element } from "./dom.js";

const IDLE = {
  waiting: "Waiting for the kernel",
  empty: "Choose a picture to begin",
  ready: "Ready",
  failed: "No answer",
};

// Screen readers read changes of state, but not each token or each second of a countdown.
export function voice() {
  const root = element("div", "nbvlm-unseen nbvlm-voice", { role: "status", "aria-live": "polite" });
  let said = "";
  const say = (text) => {
    if (!text || text === said) return;
    said = text;
    root.textContent = text;
  };
  return { root, say };
}

function partOf(part) {
  if (typeof part === "string") return element("span", "nbvlm-status-part", {}, part);
  const { text, title, copy } = part;
  if (!copy) return element("span", "nbvlm-status-part", { title: title ?? "" }, text);
  const button = element(
    "button",
    "nbvlm-status-part nbvlm-status-copy",
    { type: "button", title: title ?? "Copy" },
    text,
  );
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(copy);
      button.title = "Copied";
    } catch {
      getSelection()?.selectAllChildren(button);
    }
  });
  return button;
}

export function statusView(store, say) {
  const root = element("div", "nbvlm-status");
  const light = element("span", "nbvlm-light", { "aria-hidden": "true" });
  const words = element("span", "nbvlm-status-words");
  const clock = element("span", "nbvlm-clock", { "aria-hidden": "true" });
  const wait = element("progress", "nbvlm-wait", { max: "1", "aria-label": "Until the next try" });
  const line = element("div", "nbvlm-status-line");
  line.append(light, words, clock);
  root.append(line, wait);
  let timer = 0;
  let started = 0;

  const tick = () => {
    const now = performance.now();
    const { until, seconds } = store.wait ?? {};
    const left = until ? Math.max(0, until - now) / 1000 : 0;
    clock.textContent = left > 0 ? `${Math.ceil(left)} s left` : `${((now - started) / 1000).toFixed(1)} s`;
    wait.hidden = !until || left <= 0;
    if (!wait.hidden) wait.value = 1 - left / seconds;
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    clock.textContent = "";
    wait.hidden = true;
  };
  const run = () => {
    if (!timer) {
      started = performance.now() - 1000 * (store.status.seconds ?? 0);
      timer = setInterval(tick, 100);
    }
    tick();
  };
  const spoken = ({ state, parts }) => {
    // A caveat belongs to the answer, also where it is spoken.
    if (state === "done" && store.said) return ["Answer:", store.said, ...(store.notes ?? [])].join(" ");
    if (state === "done") return "The answer is complete";
    if (state === "waiting" || state === "ready" || state === "empty") return "";
    return parts.length ? parts.map((part) => part.text ?? part).join(", ") : IDLE[state];
  };
  const show = () => {
    const { state, parts } = store.status;
    root.dataset.state = state;
    const nodes = (parts.length ? parts : [IDLE[state] ?? ""]).map(partOf);
    words.replaceChildren(
      ...nodes.flatMap((node, at) => (at ? [element("span", "nbvlm-dot", {}, " · "), node] : [node])),
    );
    if (state === "running") run();
    else stop();
    say(spoken(store.status));
  };
  stop();
  return { root, show, stop };
}
