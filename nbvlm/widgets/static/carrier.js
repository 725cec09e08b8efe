// Several widgets in one: their states and messages travel through the one that carries them.

import answer from "./answer.js";
import detection_list from "./detection_list.js";
import { element, subscribe } from "./dom.js";
import error_card from "./error_card.js";
import { fields } from "./fields.js";
import history_strip from "./history_strip.js";
import { keepKeys } from "./keep_keys.js";
import key_dialog from "./key_dialog.js";
import model_list from "./model_list.js";
import picker from "./picker.js";
import series_bar from "./series_bar.js";
import server_dialog from "./server_dialog.js";
import slider_names from "./slider_names.js";
import { followFields } from "./sliders.js";
import task_bar from "./task_bar.js";
import viewer from "./viewer.js";

const KINDS = {
  answer,
  detection_list,
  error_card,
  history_strip,
  key_dialog,
  model_list,
  picker,
  series_bar,
  server_dialog,
  slider_names,
  task_bar,
  viewer,
  ...fields,
};

// The model of a widget inside. `own` has what this page has set and the kernel has not changed since.
function innerModel(id, carry) {
  let state = {};
  let changed = {};
  const listeners = new Map();
  const heard = (name) => listeners.get(name) ?? [];
  const emit = (name, ...values) => {
    for (const listener of heard(name)) listener(...values);
  };
  const own = new Set();
  const put = (name, value) => {
    const same = JSON.stringify(state[name]) === JSON.stringify(value);
    state = { ...state, [name]: value };
    if (!same) emit(`change:${name}`);
    return !same;
  };
  const model = {
    get: (name) => state[name],
    set: (name, value) => {
      if (!put(name, value)) return;
      own.add(name);
      changed[name] = value;
    },
    save_changes: () => {
      if (Object.keys(changed).length) carry({ type: "inner", id, state: changed });
      changed = {};
    },
    send: (content, _callbacks, buffers = []) =>
      carry({ type: buffers.length ? "bytes" : "inner", id, content }, buffers),
    press: () => carry({ type: "press", id }),
    on: (name, listener) => listeners.set(name, [...heard(name), listener]),
    off: (name, listener) =>
      listeners.set(
        name,
        heard(name).filter((one) => one !== listener),
      ),
  };
  const take = (news) => {
    for (const [name, value] of Object.entries(news)) {
      own.delete(name);
      put(name, value);
    }
  };
  return { model, own, take, say: (content, buffers) => emit("msg:custom", content, buffers) };
}

// `extra(el, signal)` adds what a page does with all of its widgets.
export function carrying(extra = (_el, _signal) => {}) {
  return () => {
    const inside = new Map();
    const views = new Set();
    let tree = null;

    const start = async (node, carry) => {
      const one = { ...innerModel(node.id, carry), widget: null, end: null };
      inside.set(node.id, one);
      const made = KINDS[node.kind];
      one.widget = typeof made === "function" ? await made() : made;
      return one;
    };
    const nodesOf = (node) => [node, ...(node.children ?? []).flatMap(nodesOf)];
    const build = async (message, carry) => {
      const same = JSON.stringify(tree) === JSON.stringify(message.tree);
      tree = message.tree;
      const nodes = nodesOf(tree);
      for (const [id, { end }] of [...inside]) {
        if (nodes.some((node) => node.id === id)) continue;
        inside.delete(id);
        end?.();
      }
      const fresh = nodes.filter((node) => !inside.has(node.id));
      await Promise.all(fresh.map((node) => start(node, carry)));
      for (const [id, state] of Object.entries(message.states)) inside.get(id)?.take(state);
      for (const { id } of fresh) {
        const one = inside.get(id);
        one.end = await one?.widget?.initialize?.({ model: one.model });
      }
      if (!same) for (const one of views) one.build();
    };

    const draw = (node, ends) => {
      const el = element(node.kind === "button" ? "button" : "div", node.classes.join(" "));
      const { widget, model } = inside.get(node.id);
      const names = new Set();
      const lay = () => {
        const css = model.get("_css") ?? {};
        for (const name of names) if (!(name in css)) el.style.removeProperty(name);
        for (const [name, value] of Object.entries(css)) el.style.setProperty(name, value);
        for (const name of Object.keys(css)) names.add(name);
      };
      lay();
      model.on("change:_css", lay);
      ends.push(() => model.off("change:_css", lay));
      if (node.kind === "box") {
        el.classList.add("widget-box");
        el.append(...node.children.map((child) => draw(child, ends)));
        return el;
      }
      Promise.resolve(widget.render({ model, el })).then((end) => ends.push(end));
      return el;
    };
    const view = (el) => {
      let ends = [];
      const clear = () => {
        for (const end of ends) end?.();
        ends = [];
      };
      const waiting = element("p", "nbvlm-carrier-waiting", { role: "status" }, "Waiting for the kernel …");
      const show = () => {
        clear();
        el.replaceChildren(tree ? draw(tree, ends) : waiting);
      };
      show();
      return { build: show, stop: clear };
    };

    return {
      initialize({ model }) {
        let turn = Promise.resolve(); // messages are taken one after the other, the first ones wait for modules
        const carry = (message, buffers = []) => {
          if (message.type !== "press") return model.send(message, undefined, buffers);
          const values = [...inside].filter(([, one]) => one.own.has("value"));
          const own = values.map(([id, one]) => [id, one.model.get("value")]);
          return model.send({ ...message, values: own });
        };
        const receive = (message, buffers) => {
          turn = turn.then(() => {
            if (message.type === "tree") return build(message, carry);
            const one = inside.get(message.id);
            if (message.state) one?.take(message.state);
            else one?.say(message.content, buffers);
          });
        };
        const stop = subscribe(model, receive);
        return () => {
          stop();
          for (const { end } of inside.values()) end?.();
        };
      },
      render({ el }) {
        const controller = new AbortController();
        el.classList.add("nbvlm-carrier");
        followFields(el, controller.signal, () => keepKeys(el));
        extra(el, controller.signal);
        const one = view(el);
        views.add(one);
        return () => {
          controller.abort();
          views.delete(one);
          one.stop();
        };
      },
    };
  };
}

export default carrying();
