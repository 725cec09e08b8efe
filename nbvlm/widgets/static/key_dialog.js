// The key field. The key leaves the page in the buffer of one message, for kernels and pages may log
// messages, and the field forgets it.

import { element, numbered, textButton, whenInPanel } from "./dom.js";
import { focusedIn } from "./focus.js";
import { announce, focusReturn } from "./focus_return.js";

function keyForm(about, onKey, onClose) {
  const root = element("div", "nbvlm-drawer", { role: "group", "aria-label": "Key" });
  const label = element("label", "nbvlm-drawer-field");
  const field = element("input", "nbvlm-key-input", {
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
  });
  field.setAttribute("data-1p-ignore", "");
  field.setAttribute("data-lpignore", "true");
  field.placeholder = "Paste the key here";
  label.append(
    element("span", "", "Key (kept in memory until the kernel stops, never saved in the notebook)"),
    field,
  );
  const use = textButton("nbvlm-key-use nbvlm-drawer-main", "Use this key");
  const close = textButton("nbvlm-drawer-close", "Cancel");
  const words = element("p", "nbvlm-drawer-words", { role: "alert" });
  const hint = element("p", "nbvlm-drawer-hint", about);
  const row = element("div", "nbvlm-drawer-row");
  row.append(label, use, close);
  root.append(row, words, hint);
  const submit = () => {
    const key = field.value;
    field.value = "";
    if (key.trim()) onKey(key);
    else field.focus();
  };
  use.addEventListener("click", submit);
  close.addEventListener("click", onClose);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") submit();
    else if (event.key === "Escape") onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { root, field, words };
}

export default () => {
  const views = new Set();

  function receive(message) {
    for (const one of views) one[message.type]?.(message);
  }

  return {
    initialize({ model }) {
      model.on("msg:custom", receive);
      return () => model.off("msg:custom", receive);
    },
    render({ model, el }) {
      const controller = new AbortController();
      let form = null;
      let again = false;
      let back = () => {};
      const close = () => {
        const held = form?.root.contains(focusedIn(el));
        if (form) form.field.value = "";
        el.replaceChildren();
        el.hidden = true;
        form = null;
        if (held) back();
      };
      const send = (key) =>
        model.send(numbered(el, { type: "key" }), undefined, [new TextEncoder().encode(key).buffer]);
      const view = {
        open: (message) => {
          again = Boolean(message?.again);
          if (!form) back = focusReturn(el);
          el.hidden = false;
          form = keyForm(model.get("about") ?? "", send, close);
          el.replaceChildren(form.root);
          // A person who types in a cell keeps the focus there, and so does one who chooses a model.
          const holder = focusedIn(el);
          if (!holder || (el.closest(".nbvlm-panel")?.contains(holder) && !holder.matches("select")))
            form.field.focus({ preventScroll: true });
          else announce(el, "A field for a key is open below the model");
        },
        close,
        refused: ({ words }) => {
          if (!form) return;
          form.words.textContent = words;
          form.field.focus();
        },
        taken: () => {
          const asked = form !== null && again;
          close();
          if (asked) el.closest(".nbvlm-panel")?.querySelector("button.nbvlm-run")?.click();
        },
      };
      close();
      views.add(view);
      whenInPanel(el, controller.signal, (panel) =>
        panel.addEventListener("nbvlm-key", (event) => view.open(event.detail), {
          signal: controller.signal,
        }),
      );
      return () => {
        controller.abort();
        views.delete(view);
        close();
      };
    },
  };
};
