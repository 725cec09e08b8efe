// The viewer: the picture with its boxes and masks, the answer, the list of detections, the status line.

import { answerView } from "./answer_tokens.js";
import { foundList } from "./detections_list.js";
import { dataUri, element, numbered, subscribe, whenInPanel } from "./dom.js";
import { viewer } from "./picture_view.js";
import { statusView, voice } from "./status_line.js";
import { emptyStore } from "./viewer_state.js";

function parts(store, act) {
  const speech = voice();
  return {
    viewer: viewer(store, act),
    answer: answerView(store, act),
    found: foundList(store, act),
    status: statusView(store, speech.say),
    speech,
  };
}

// The pointer, the focus and a pinned click can each choose the detection that is lit, in this order.
function lights(apply) {
  const said = { hover: null, focus: null, pin: null };
  const applyFirst = () => apply(said.hover ?? said.focus ?? said.pin);
  const set = (source, index) => {
    if (said[source] === index) return;
    said[source] = index;
    applyFirst();
  };
  const clear = () => {
    Object.assign(said, { hover: null, focus: null, pin: null });
    applyFirst();
  };
  return { said, set, clear };
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

function view(el, store, { change, picked, reread }) {
  const lit = lights((index) => {
    for (const one of [all.viewer, all.answer, all.found]) one.light(index);
  });
  const act = {
    change,
    picked,
    reread,
    hide: (indices, show = indices.some((index) => store.look.hidden.has(index))) => {
      const hidden = new Set(store.look.hidden);
      for (const index of indices) hidden[show ? "delete" : "add"](index);
      change({ hidden });
    },
    hover: (index) => lit.set("hover", index),
    focus: (index) => lit.set("focus", index),
    pin: (index) => {
      const next = index === lit.said.pin ? null : index;
      lit.set("pin", next);
      if (next === null) return;
      all.found.reveal(next);
      all.answer.reveal(next);
    },
    onto: (index) => {
      lit.set("pin", index);
      all.viewer.onto(index);
    },
    copy: (index) => all.viewer.crop(index),
  };
  const all = parts(store, act);
  const words = element("div", "nbvlm-words-area");
  const heading = element("div", "nbvlm-heading nbvlm-answer-title");
  const by = element("span", "nbvlm-by");
  heading.append(element("span", "", {}, "Answer"), by);
  const notes = element("ul", "nbvlm-notes", { "aria-label": "About this answer" });
  const asked = element("div", "nbvlm-asked", { tabindex: "0", role: "note" });
  const thinking = element("details", "nbvlm-reasoning");
  const thoughts = element("div", "nbvlm-reasoning-text", { tabindex: "0" });
  thinking.append(element("summary", "", {}, "Reasoning"), thoughts);
  words.append(heading, notes, all.answer.root, asked, thinking);
  const below = element("div", "nbvlm-below");
  below.append(words, all.found.root);
  el.classList.add("nbvlm-stage");
  el.replaceChildren(all.viewer.root, below, all.status.root, all.speech.root);

  const found = () => {
    all.found.show();
    all.found.look();
    below.classList.toggle("nbvlm-below-both", store.boxes.length > 0);
  };
  const put = (changes) => {
    if ("picture" in changes) all.viewer.picture();
    else if ("boxes" in changes || "alt" in changes) all.viewer.boxes();
    if ("boxes" in changes) {
      lit.clear();
      found();
    }
    if ("text" in changes || "boxes" in changes) all.answer.show();
    if ("notes" in changes || "by" in changes) {
      by.textContent = store.by;
      notes.replaceChildren(...store.notes.map((text) => element("li", "", {}, text)), ...nextStep(el, store));
      notes.hidden = !store.notes.length;
    }
    if ("asked" in changes) {
      asked.replaceChildren(element("span", "", {}, "asked as "), element("q", "", {}, store.asked));
      asked.hidden = !store.asked;
    }
    if ("reading" in changes) all.found.read();
    if ("status" in changes || "notes" in changes) {
      all.status.show();
      el.dataset.state = store.status.state;
    }
    if ("reasoning" in changes) {
      thoughts.textContent = store.reasoning;
      thinking.hidden = !store.reasoning;
    }
    if ("picking" in changes || "region" in changes) all.viewer.pick();
  };
  const more = ({ text, boxes, status }) => {
    if (text) all.answer.add(text);
    if (boxes) {
      all.viewer.add(boxes);
      found();
    }
    if (text || boxes) all.answer.link();
    if (status) put({ status });
  };
  const look = () => {
    all.viewer.look();
    all.found.look();
  };
  const leave = (event) => {
    if (event.key !== "Escape" || lit.said.pin === null) return;
    event.stopPropagation();
    lit.set("pin", null);
  };
  put(store);
  return {
    put,
    more,
    look,
    shapes: all.viewer.shapes,
    listen: (signal) => {
      all.viewer.listen(signal);
      el.addEventListener("keydown", leave, { signal });
    },
    stop: () => {
      all.status.stop();
      all.viewer.stop();
    },
  };
}

// The old answer goes at the press on Run, without waiting for the kernel.
const ASKING = {
  text: "",
  boxes: [],
  alt: "",
  said: "",
  notes: [],
  step: "",
  reasoning: "",
  by: "",
  asked: "",
  reading: null,
  status: { state: "running", parts: ["Asking"] },
};

function onRun(el, signal, callback) {
  const press = (event) => event.target.closest?.(".nbvlm-run:not(:disabled)") && callback();
  whenInPanel(el, signal, (panel) => panel.addEventListener("click", press, { signal, capture: true }));
}

export default () => {
  const store = emptyStore();
  const views = new Set();
  const each = (call) => {
    for (const one of views) call(one);
  };

  function countdown({ wait }) {
    store.wait = wait ? { seconds: wait, until: performance.now() + 1000 * wait } : null;
  }

  function put(changes) {
    const others = "boxes" in changes && JSON.stringify(changes.boxes) !== JSON.stringify(store.boxes);
    if (others) {
      store.shapes = {};
      store.look = { ...store.look, hidden: new Set() };
    }
    Object.assign(store, changes);
    if (changes.status) countdown(changes.status);
    each((one) => one.put(changes));
  }

  function more(message) {
    store.text += message.text ?? "";
    if (message.boxes) store.boxes = [...store.boxes, ...message.boxes];
    if (message.status) {
      store.status = message.status;
      countdown(message.status);
    }
    each((one) => one.more(message));
  }

  function shapes({ shapes: made }) {
    store.shapes = { ...store.shapes, ...made };
    each((one) => one.shapes());
  }

  const takers = {
    more,
    shapes,
    put: ({ type, ...changes }) => put(changes),
    all: ({ type, ...changes }, buffers) => {
      store.src = changes.picture ? dataUri(buffers[0], changes.picture.mime) : "";
      put({ notes: [], alt: "", ...changes });
    },
  };
  const receive = (message, buffers) => takers[message.type]?.(message, buffers);
  const change = (look) => {
    store.look = { ...store.look, ...look };
    each((one) => one.look());
  };

  return {
    initialize({ model }) {
      store.text = model.get("answer") ?? "";
      return subscribe(model, receive);
    },
    render({ model, el }) {
      const controller = new AbortController();
      const picked = (box) => {
        put({ picking: false, region: box ?? store.region });
        model.send({ type: "region", box });
      };
      const reread = (order, scale) => model.send(numbered(el, { type: "reread", order, scale }));
      const one = view(el, store, { change, picked, reread });
      views.add(one);
      one.listen(controller.signal);
      // A press while an answer streams waits for its end, and so does the old answer.
      onRun(el, controller.signal, () => store.picture && store.status.state !== "running" && put(ASKING));
      return () => {
        controller.abort();
        views.delete(one);
        one.stop();
      };
    },
  };
};
