// The key field. The key leaves the page in the buffer of one message, for kernels and pages may log
// messages, and the field forgets it.

import { element, numbered, textButton } from "./dom.js";
import { drawerField, drawers, onKeys } from "./drawer.js";
import { focusedIn } from "./focus.js";
import { announce } from "./focus_return.js";

function keyForm(about, onKey, onClose) {
  const root = element("div", "nbvlm-drawer", { role: "group", "aria-label": "Key" });
  const { label, field } = drawerField(
    "Key (kept in memory until the kernel stops, never saved in the notebook)",
    {
      class: "nbvlm-key-input",
      type: "password",
      "data-1p-ignore": "",
      "data-lpignore": "true",
      placeholder: "Paste the key here",
    },
  );
  const use = textButton("nbvlm-key-use nbvlm-drawer-main", "Use this key");
  const close = textButton("nbvlm-drawer-close", "Cancel");
  const words = element("p", "nbvlm-drawer-words", { role: "alert" });
  const hint = element("p", "nbvlm-drawer-hint", about);
  const row = element("div", "nbvlm-drawer-row");
  row.append(label, use, close);
  root.append(row, words, hint);
  const forget = () => {
    field.value = "";
  };
  const submit = () => {
    const key = field.value;
    forget();
    if (key.trim()) onKey(key);
    else field.focus();
  };
  use.addEventListener("click", submit);
  close.addEventListener("click", onClose);
  onKeys(field, submit, onClose);
  return { root, field, words, forget };
}

export default () =>
  drawers((el, model, drawer) => {
    let again = false;
    const send = (key) =>
      model.send(numbered(el, { type: "key" }), undefined, [new TextEncoder().encode(key).buffer]);
    const open = (message) => {
      again = Boolean(message?.again);
      const form = keyForm(model.get("about") ?? "", send, drawer.close);
      drawer.open(form);
      // A person who types in a cell keeps the focus there, and so does one who chooses a model.
      const holder = focusedIn(el);
      if (!holder || (el.closest(".nbvlm-panel")?.contains(holder) && !holder.matches("select")))
        form.field.focus({ preventScroll: true });
      else announce(el, "A field for a key is open below the model");
    };
    const refused = ({ words }) => {
      if (!drawer.form) return;
      drawer.form.words.textContent = words;
      drawer.form.field.focus();
    };
    const taken = () => {
      const asked = drawer.form !== null && again;
      drawer.close();
      if (asked) el.closest(".nbvlm-panel")?.querySelector("button.nbvlm-run")?.click();
    };
    return {
      takers: { open, close: drawer.close, refused, taken },
      events: { "nbvlm-key": (event) => open(event.detail) },
    };
  });
