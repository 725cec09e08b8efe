// Forms that open below the choice of the model; all views of a widget take its messages.

import { element, whenInPanel } from "./dom.js";
import { focusedIn } from "./focus.js";
import { focusReturn } from "./focus_return.js";

export function drawerField(title, attributes) {
  const label = element("label", "nbvlm-drawer-field");
  const field = element("input", "", {
    type: "text",
    spellcheck: "false",
    autocomplete: "off",
    ...attributes,
  });
  label.append(element("span", "", title), field);
  return { label, field };
}

export function onKeys(root, submit, onClose) {
  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) submit();
    else if (event.key === "Escape") onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

// `make(el, model, drawer)` returns what takes the messages of the kernel, by their types (`takers`), and the events of
// the panel, by their names (`events`). A form has `root`, and `forget` where it holds a key.
export function drawers(make) {
  const views = new Set();
  const receive = (message) => {
    for (const takers of views) takers[message.type]?.(message);
  };
  return {
    initialize({ model }) {
      model.on("msg:custom", receive);
      return () => model.off("msg:custom", receive);
    },
    render({ model, el }) {
      const controller = new AbortController();
      const { signal } = controller;
      let back = () => {};
      const drawer = {
        form: null,
        open: (form) => {
          if (!drawer.form) back = focusReturn(el);
          el.hidden = false;
          drawer.form = form;
          el.replaceChildren(form.root);
        },
        close: () => {
          const { form } = drawer;
          const held = form?.root.contains(focusedIn(el));
          form?.forget?.();
          el.replaceChildren();
          el.hidden = true;
          drawer.form = null;
          if (held) back();
        },
      };
      const { takers, events } = make(el, model, drawer);
      drawer.close();
      views.add(takers);
      whenInPanel(el, signal, (panel) => {
        for (const [name, take] of Object.entries(events)) panel.addEventListener(name, take, { signal });
      });
      return () => {
        controller.abort();
        views.delete(takers);
        drawer.close();
      };
    },
  };
}
