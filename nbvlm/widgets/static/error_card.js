// The error area: a card with buttons, folded details, and a countdown where the service asks for a wait.

import { copyText } from "./clipboard.js";
import { element, numbered, subscribe, textButton } from "./dom.js";
import { focusedIn } from "./focus.js";

const inWords = (card) =>
  [card.title, `${card.message} ${card.hint}`, ...card.details.map((pair) => pair.join(": "))].join("\n");

function detailsView(card) {
  const root = element("details", "nbvlm-error-details");
  const summary = element("summary", "", { "data-lm-suppress-shortcuts": "true" }, "Details");
  const list = element("dl", "", { tabindex: "0", "aria-label": "Details of the failure" }); // it scrolls
  for (const [name, text] of card.details) list.append(element("dt", "", name), element("dd", "", text));
  const copying = textButton("nbvlm-error-copy", "Copy details");
  const done = element("span", "nbvlm-error-copied", { role: "status" });
  copying.addEventListener("click", async () => {
    done.textContent = (await copyText(inWords(card)))
      ? "Copied"
      : "Copying failed. Select the text and copy it.";
  });
  const row = element("div", "nbvlm-error-copying");
  row.append(copying, done);
  root.append(summary, list, row);
  return root;
}

// The countdown begins with the card, so a view that opens later shows the time that is left.
function countdownView(until, onEnd) {
  const root = element("p", "nbvlm-error-wait", { role: "timer" });
  let timer = 0;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    root.textContent = left > 0 ? `Ask again in ${left} s` : "You can ask again now.";
    if (left > 0) return;
    clearInterval(timer);
    onEnd();
  };
  timer = setInterval(tick, 250);
  tick();
  return { root, stop: () => clearInterval(timer) };
}

function actionButtons(card, act) {
  return card.actions.map(({ id, label }, index) => {
    const first = index === 0 && !card.seconds; // after a wait, the countdown makes it bold
    const node = textButton(first ? "nbvlm-error-action nbvlm-error-first" : "nbvlm-error-action", label);
    node.dataset.action = id;
    node.addEventListener("click", () => act(id));
    return node;
  });
}

function view(el, store, send) {
  let stop = () => {};
  const show = () => {
    stop();
    stop = () => {};
    const { card } = store;
    // The focus does not vanish with the card.
    if (el.contains(focusedIn(el)))
      el.closest(".nbvlm-panel")?.querySelector("button.nbvlm-run")?.focus({ preventScroll: true });
    el.hidden = !card;
    if (!card) {
      el.replaceChildren();
      return;
    }
    const root = element("div", "nbvlm-error", { role: "alert" });
    const title = element("strong", "nbvlm-error-title", card.title);
    const words = element("p", "nbvlm-error-words");
    const message = element("span", "nbvlm-error-message", card.message);
    words.append(message, " ", element("span", "nbvlm-error-hint", card.hint));
    const close = textButton("nbvlm-error-close", "");
    close.setAttribute("aria-label", "Close this message");
    close.addEventListener("click", () => send({ type: "close" }));
    const actions = element("div", "nbvlm-error-actions");
    actions.append(...actionButtons(card, (id) => act(el, id, send)));
    root.append(title, close, words);
    if (store.until) {
      const again = actions.querySelector('[data-action="again"]');
      const countdown = countdownView(store.until, () => again?.classList.add("nbvlm-error-ready"));
      stop = countdown.stop;
      root.append(countdown.root);
    }
    if (card.actions.length) root.append(actions);
    root.append(detailsView(card));
    el.replaceChildren(root);
  };
  show();
  return { show, stop: () => stop() };
}

// The page does itself what needs no kernel. Asking again presses Run, which carries the fields' values.
function act(el, id, send) {
  const panel = el.closest(".nbvlm-panel") ?? document;
  if (el.closest(".nbvlm-own")) return send(numbered(el, { type: "act", action: id, fields: null }));
  const own = { again: "button.nbvlm-run", upload: "button.nbvlm-upload" }[id];
  if (own) panel.querySelector(own)?.click();
  else if (id === "prompt") panel.querySelector(".nbvlm-prompt textarea")?.focus();
  else if (id === "key") panel.dispatchEvent(new CustomEvent("nbvlm-key", { detail: { again: true } }));
  else if (id === "recording") panel.dispatchEvent(new CustomEvent("nbvlm-recording"));
  else if (id === "models") panel.querySelector("select.nbvlm-model")?.focus();
  else send(numbered(el, { type: "act", action: id, fields: panel.nbvlmFields?.() ?? null }));
}

export default () => {
  const store = { card: null, until: 0 };
  const views = new Set();

  function put(card) {
    store.card = card;
    store.until = card?.seconds ? Date.now() + 1000 * card.seconds : 0;
    for (const one of views) one.show();
  }

  return {
    initialize({ model }) {
      return subscribe(model, (message) => put(message.card));
    },
    render({ model, el }) {
      const one = view(el, store, (message) => {
        if (message.type === "close") put(null);
        model.send(message);
      });
      views.add(one);
      return () => {
        views.delete(one);
        one.stop();
      };
    },
  };
};
