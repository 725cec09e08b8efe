// The viewer as a widget: the picture with its boxes and masks, to look through, select and correct.

import { dataUri, element, subscribe } from "./dom.js";
import { hiddenSet, lights, listenToEscape, oldBoxes, partStore } from "./part_store.js";
import { viewer } from "./picture_view.js";
import { voice } from "./status_line.js";

const LOOKS = { masks: "show_masks", labels: "show_labels", opacity: "opacity" };
const TRAITS = [...Object.values(LOOKS), "mode", "editable", "region", "can_undo", "can_redo"];
const PLAIN_PAINT = { color: "#d55e00", ink: "#000000" };

function newStore() {
  const store = {
    picture: null,
    src: "",
    boxes: [],
    shapes: {},
    alt: "",
    notes: [],
    labels: [],
    status: { state: "waiting", parts: [] },
    noPicture: "No picture yet", // null in a panel, where a picture is chosen
    selected: [],
    hidden: [],
    opacity: 0.3,
    show_masks: true,
    show_labels: true,
    mode: "select",
    editable: true,
    region: null,
    can_undo: false,
    can_redo: false,
    get picking() {
      return store.mode === "region" && store.picture !== null;
    },
    get editing() {
      return store.mode === "edit" && store.editable && store.picture !== null;
    },
    get look() {
      return {
        masks: store.show_masks,
        labels: store.show_labels,
        opacity: store.opacity,
        hidden: hidden(),
      };
    },
  };
  const hidden = hiddenSet(store);
  return store;
}

function view(el, store, act) {
  const speech = voice();
  const notes = element("ul", "nbvlm-notes nbvlm-viewer-notes", { "aria-label": "About these detections" });
  const lit = lights(
    (index) => shown.light(index),
    () => store.selected,
  );
  const actions = {
    ...act,
    hover: (index) => lit.set("hover", index) && act.say("light", index),
    pin: (index, event) => {
      const chosen = new Set(store.selected);
      const more = event?.ctrlKey || event?.metaKey || event?.shiftKey;
      const alone = chosen.size === 1 && chosen.has(index);
      if (index === null) act.select([]);
      else if (!more) act.select(alone ? [] : [index]);
      else if (chosen.delete(index)) act.select([...chosen]);
      else act.select([...chosen, index]);
    },
    hide: (indices, show = indices.some((index) => store.look.hidden.has(index))) => {
      const hidden = new Set(store.hidden);
      for (const index of indices) hidden[show ? "delete" : "add"](index);
      act.set("hidden", [...hidden]);
    },
    speak: speech.say,
  };
  const shown = viewer(store, actions);
  el.classList.add("nbvlm-viewer-part", ...(act.bare ? [] : ["nbvlm-part"]));
  el.replaceChildren(shown.root, notes, speech.root);

  const put = (changes) => {
    if ("picture" in changes) shown.picture();
    else if ("boxes" in changes || "shapes" in changes) shown.boxes();
    if ("shapes" in changes) shown.reshape();
    shown.words();
    if ("notes" in changes) {
      notes.replaceChildren(...store.notes.map((text) => element("li", "", {}, text)));
      notes.hidden = !store.notes.length;
    }
    if ("boxes" in changes) lit.clear();
    shown.edited();
  };
  put(store);
  shown.look();
  return {
    put,
    more: (boxes) => {
      shown.add(boxes);
      shown.edited();
    },
    shapes: shown.shapes,
    moved: shown.moved,
    traits: (name) => {
      if (name === "mode" || name === "region" || name === "editable") shown.pick();
      if (name === "selected") lit.show();
      else shown.look();
      shown.edited();
    },
    said: (kind, value) => {
      if (kind === "light") lit.set("focus", value);
      if (kind === "choose") act.select(value);
      if (kind === "onto" && store.boxes[value]) shown.onto(value);
      if (kind === "copy" && store.boxes[value]) shown.crop(value);
    },
    listen: (signal) => {
      shown.listen(signal);
      listenToEscape(el, store, signal, () => act.select([]));
    },
    stop: shown.stop,
  };
}

export default () => {
  const store = newStore();
  const views = new Set();
  const each = (call) => {
    for (const one of views) call(one);
  };
  const page = Math.random().toString(36).slice(2);
  let edits = 0; // corrections that were sent
  let part = null;
  let send = (_message) => {};

  /** @param {Object<string, any>} message */
  const put = ({ page: from, edit, ...changes }) => {
    if (from === page && edit !== edits) {
      // The answer to a correction that later ones have overtaken.
      delete changes.boxes;
      delete changes.shapes;
    }
    if ("boxes" in changes) old.drop();
    show(changes);
  };
  /** @param {Object<string, any>} changes */
  const show = (changes) => {
    Object.assign(store, changes);
    each((one) => one.put(changes));
  };
  const old = oldBoxes(store, show);
  const takers = {
    put: ({ type, ...changes }) => put(changes),
    all: ({ type, ...changes }, buffers) => {
      store.src = buffers[0] ? dataUri(buffers[0], changes.picture.mime) : "";
      store.status = { state: "empty", parts: [] };
      put(changes);
    },
    more: ({ boxes }) => {
      old.drop();
      store.boxes = [...store.boxes, ...boxes];
      each((one) => one.more(boxes));
    },
    shapes: ({ shapes }) => {
      store.shapes = { ...store.shapes, ...shapes };
      each((one) => one.shapes());
    },
  };
  const receive = (message, buffers) => takers[message.type]?.(message, buffers);

  // Corrections are shown at once; the kernel answers each with the boxes as they are then.
  const edit = (message) => {
    edits += 1;
    send({ ...message, page, edit: edits });
  };
  const redraw = (boxes, selected = store.selected) => {
    store.boxes = boxes;
    part.local("selected", selected);
    each((one) => one.put({ boxes }));
  };
  const paintOf = (label) => {
    const same = store.boxes.find((box) => box.label === label) ?? PLAIN_PAINT;
    return { color: same.color, ink: same.ink };
  };
  const corrections = {
    move: (boxes) => {
      store.boxes = store.boxes.map((one, at) => (boxes.has(at) ? { ...one, box: boxes.get(at) } : one));
      each((one) => one.moved([...boxes.keys()]));
      edit({ type: "move", boxes: [...boxes] });
    },
    add: (box, label) => {
      const boxes = [...store.boxes, { label, box, ...paintOf(label) }];
      redraw(boxes, [boxes.length - 1]);
      edit({ type: "add", box, label });
    },
    relabel: (indices, label) => {
      const paint = paintOf(label);
      redraw(store.boxes.map((one, at) => (indices.includes(at) ? { ...one, label, ...paint } : one)));
      edit({ type: "relabel", indices, label });
    },
    remove: (indices) => {
      const left = store.boxes.map((_, at) => at).filter((at) => !indices.includes(at));
      const hidden = left.flatMap((from, at) => (store.hidden.includes(from) ? [at] : []));
      const shapes = left.flatMap((from, at) => (store.shapes[from] ? [[at, store.shapes[from]]] : []));
      store.shapes = Object.fromEntries(shapes);
      part.local("hidden", hidden);
      redraw(
        left.map((at) => store.boxes[at]),
        [],
      );
      edit({ type: "delete", indices });
    },
    undo: () => edit({ type: "undo" }),
    redo: () => edit({ type: "redo" }),
  };

  return {
    initialize({ model }) {
      if (model.get("bare")) store.noPicture = null;
      part = partStore(model, store, each, TRAITS, old.said);
      send = (message) => model.send(message);
      const stop = subscribe(model, receive);
      return () => {
        part.stop();
        stop();
      };
    },
    render({ model, el }) {
      const controller = new AbortController();
      const one = view(el, store, {
        set: part.set,
        say: part.say,
        select: (indices) => part.set("selected", indices),
        change: (look) => {
          for (const [name, value] of Object.entries(look)) part.set(LOOKS[name], value);
        },
        picked: (box) => {
          part.local("mode", "select");
          if (box) part.local("region", box);
          send({ type: "region", box });
        },
        edits: corrections,
        bare: model.get("bare"),
      });
      views.add(one);
      one.listen(controller.signal);
      return () => {
        controller.abort();
        views.delete(one);
        one.stop();
      };
    },
  };
};
