// The answer: its text with chips, what limits it, and the status line.

import { answerView } from "./answer_tokens.js";
import { element, subscribe, whenInPanel } from "./dom.js";
import { joinGroup } from "./group.js";
import { lights, listenToEscape } from "./part_store.js";
import { statusView, voice } from "./status_line.js";

// The state of an answer, shared by all its views: one that opens while text streams shows all of it.
function newStore() {
  return {
    text: "",
    boxes: [],
    picture: null, // its width and height
    selected: [],
    said: "",
    notes: [],
    reasoning: "",
    by: "",
    asked: "",
    step: "",
    wait: null,
    status: { state: "waiting", parts: [] },
  };
}

// What to do about a caveat of the embedded model: another model, where the panel offers one.
function nextStep(el, store) {
  const choice = el.closest(".nbvlm-panel")?.querySelector(".nbvlm-model:enabled");
  if (!store.step || !store.notes.length || !choice) return [];
  const button = element("button", "nbvlm-notes-step", { type: "button" }, "Choose another model");
  button.addEventListener("click", () => {
    choice.focus();
    try {
      choice.showPicker();
    } catch {
      // The list opens by the keyboard, too.
    }
  });
  const item = element("li", "nbvlm-notes-last");
  item.append(button);
  return [item];
}

function view(el, store, say) {
  const speech = voice();
  const lit = lights(
    (index) => answer.light(index),
    () => store.selected,
  );
  const answer = answerView(store, {
    hover: (index) => lit.set("hover", index) && say("light", index),
    focus: (index) => lit.set("focus", index) && say("light", index),
    pin: (index) => say("choose", store.selected.includes(index) ? [] : [index]),
    onto: (index) => {
      say("choose", [index]);
      say("onto", index);
    },
  });
  const status = statusView(store, speech.say);
  const heading = element("div", "nbvlm-heading nbvlm-answer-title");
  const by = element("span", "nbvlm-by");
  heading.append(element("span", "", {}, "Answer"), by);
  const notes = element("ul", "nbvlm-notes", { "aria-label": "About this answer" });
  const asked = element("div", "nbvlm-asked", { tabindex: "0", role: "note" });
  const thinking = element("details", "nbvlm-reasoning");
  const thoughts = element("div", "nbvlm-reasoning-text", { tabindex: "0" });
  thinking.append(element("summary", "", {}, "Reasoning"), thoughts);
  el.classList.add("nbvlm-answer-part");
  el.replaceChildren(heading, notes, answer.root, asked, thinking, status.root, speech.root);

  const put = (changes) => {
    if ("boxes" in changes) lit.clear();
    if ("text" in changes || "boxes" in changes) answer.show();
    else if ("picture" in changes) answer.link();
    if ("notes" in changes || "by" in changes) {
      by.textContent = store.by;
      notes.replaceChildren(
        ...store.notes.map((text) => element("li", "", {}, text)),
        ...nextStep(el, store),
      );
      notes.hidden = !store.notes.length;
    }
    if ("asked" in changes) {
      asked.replaceChildren(element("span", "", {}, "asked as "), element("q", "", {}, store.asked));
      asked.hidden = !store.asked;
    }
    if ("status" in changes || "notes" in changes) {
      status.show();
      el.dataset.state = store.status.state;
    }
    if ("reasoning" in changes) {
      thoughts.textContent = store.reasoning;
      thinking.hidden = !store.reasoning;
    }
  };
  put(store);
  return {
    put,
    more: (message) => {
      if (message.text) answer.add(message.text);
      if (message.text || message.boxes) answer.link();
      if (message.status) put({ status: message.status });
    },
    said: (kind, value) => {
      if (kind === "light") lit.set("hover", value);
      if (kind !== "selected") return;
      lit.show();
      if (value.length) answer.reveal(value[0]);
    },
    listen: (signal) => listenToEscape(el, store, signal, () => say("choose", [])),
    stop: status.stop,
  };
}

// The old answer goes at the press on Run, without waiting for the kernel.
const ASKING = {
  text: "",
  boxes: [],
  said: "",
  notes: [],
  step: "",
  reasoning: "",
  by: "",
  asked: "",
  status: { state: "running", parts: ["Asking"] },
};

function onRun(el, signal, callback) {
  const press = (event) => event.target.closest?.(".nbvlm-run:not(:disabled)") && callback();
  whenInPanel(el, signal, (panel) => panel.addEventListener("click", press, { signal, capture: true }));
}

export default () => {
  const store = newStore();
  const views = new Set();
  let group = null;
  const each = (call) => {
    for (const one of views) call(one);
  };
  const countdown = ({ wait }) => {
    store.wait = wait ? { seconds: wait, until: performance.now() + 1000 * wait } : null;
  };
  const put = (changes) => {
    Object.assign(store, changes);
    if ("boxes" in changes) store.selected = [];
    if (changes.status) countdown(changes.status);
    each((one) => one.put(changes));
    if (changes.status && changes.status.state !== "running") group?.say("asked", null);
  };
  const more = (message) => {
    store.text += message.text ?? "";
    if (message.boxes) store.boxes = [...store.boxes, ...message.boxes];
    if (message.status) {
      store.status = message.status;
      countdown(message.status);
    }
    each((one) => one.more(message));
  };
  const takers = { more, put: ({ type, ...changes }) => put(changes) };
  const receive = (message) => takers[message.type]?.(message);
  // What another part of the group says, such as a viewer.
  const take = (kind, value) => {
    if (kind === "selected") store.selected = value;
    each((one) => one.said(kind, value));
  };

  return {
    initialize({ model }) {
      store.text = model.get("answer") ?? "";
      const join = () => {
        group?.leave();
        group = model.get("group") ? joinGroup(model.get("group"), take) : null;
      };
      join();
      model.on("change:group", join);
      const stop = subscribe(model, receive);
      return () => {
        group?.leave();
        model.off("change:group", join);
        stop();
      };
    },
    render({ el }) {
      const controller = new AbortController();
      const say = (kind, value) => group?.say(kind, value);
      const one = view(el, store, say);
      views.add(one);
      one.listen(controller.signal);
      // A press while an answer streams waits for its end, and so does the old answer.
      onRun(el, controller.signal, () => {
        if (store.status.state === "running") return;
        put(ASKING);
        say("asking", null);
      });
      return () => {
        controller.abort();
        views.delete(one);
        one.stop();
      };
    },
  };
};
