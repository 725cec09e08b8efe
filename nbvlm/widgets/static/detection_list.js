// The list of detections as a widget.

import { foundList } from "./detections_list.js";
import { numbered, subscribe } from "./dom.js";
import { hiddenSet, lights, listenToEscape, oldBoxes, partStore } from "./part_store.js";

function view(el, store, act) {
  const lit = lights(
    (index) => list.light(index),
    () => store.selected,
  );
  const list = foundList(store, {
    ...act,
    hide: (indices) => {
      const hidden = new Set(store.hidden);
      for (const index of indices) if (!hidden.delete(index)) hidden.add(index);
      act.set("hidden", [...hidden]);
    },
    hover: (index) => lit.set("hover", index) && act.say("light", index),
    focus: (index) => lit.set("focus", index) && act.say("light", index),
    onto: (index, event) => {
      const chosen = new Set(store.selected);
      const more = event?.ctrlKey || event?.metaKey || event?.shiftKey;
      if (more) {
        if (!chosen.delete(index)) chosen.add(index);
        act.set("selected", [...chosen]);
        return;
      }
      act.set("selected", [index]);
      act.say("onto", index);
    },
    copy: (index) => act.say("copy", index),
    reread: (order, scale) => act.send(numbered(el, { type: "reread", order, scale })),
  });
  el.classList.add("nbvlm-list-part", ...(act.bare ? [] : ["nbvlm-part"]));
  el.replaceChildren(list.root);
  const alone = () => el.classList.toggle("nbvlm-list-alone", act.members() < 2);
  const put = () => {
    el.classList.toggle("nbvlm-list-empty", !store.boxes.length);
    list.show();
    list.look();
    list.read();
    list.mark();
    lit.clear();
  };
  put();
  alone();
  return {
    put,
    more: () => {
      list.add();
      list.look();
      el.classList.remove("nbvlm-list-empty");
    },
    traits: (name) => {
      if (name === "hidden") list.look();
      if (name !== "selected") return;
      list.mark();
      lit.show();
      if (store.selected.length) list.reveal(store.selected[0]);
    },
    said: (kind, value) => {
      if (kind === "light") lit.set("hover", value);
      if (kind === "members") alone();
    },
    listen: (signal) => listenToEscape(el, store, signal, () => act.set("selected", [])),
  };
}

export default () => {
  const store = {
    boxes: [],
    shapes: {},
    picture: null,
    reading: null,
    text: "",
    selected: [],
    hidden: [],
    get look() {
      return { hidden: hidden() };
    },
  };
  const hidden = hiddenSet(store);
  const views = new Set();
  const each = (call) => {
    for (const one of views) call(one);
  };
  let part = null;
  const old = oldBoxes(store, (changes) => {
    Object.assign(store, changes);
    each((one) => one.put());
  });
  const receive = ({ type, ...message }) => {
    old.drop();
    if (type === "more") {
      store.boxes = [...store.boxes, ...message.boxes];
      each((one) => one.more());
    } else if (type === "put") {
      Object.assign(store, message, { text: message.answer });
      each((one) => one.put());
    }
  };
  return {
    initialize({ model }) {
      part = partStore(model, store, each, [], old.said);
      const stop = subscribe(model, receive);
      return () => {
        part.stop();
        stop();
      };
    },
    render({ model, el }) {
      const controller = new AbortController();
      const send = (message) => model.send(message);
      const one = view(el, store, {
        set: part.set,
        say: part.say,
        members: part.members,
        send,
        bare: model.get("bare"),
      });
      views.add(one);
      one.listen(controller.signal);
      return () => {
        controller.abort();
        views.delete(one);
      };
    },
  };
};
