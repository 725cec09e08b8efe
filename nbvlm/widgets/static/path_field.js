// The field for an address or a path on the server, with completions.

import { element, numbered, textButton } from "./dom.js";

let lists = 0;

export function openView(model, store) {
  const root = element("div", "nbvlm-open");
  root.hidden = true;
  const label = element("label", "nbvlm-open-label");
  label.textContent = "Address, or path on the server";
  const field = element("input", "nbvlm-place", { type: "text", spellcheck: "false", autocomplete: "off" });
  field.placeholder = "https://… or pictures/cat.jpg";
  const list = element("datalist", "", {
    id: `nbvlm-places-${++lists}-${Math.random().toString(36).slice(2)}`,
  });
  field.setAttribute("list", list.id);
  const open = textButton("nbvlm-open-button nbvlm-way", "Open");
  const view = { root, onDone: () => {} };
  let timer = 0;
  const submit = () => {
    clearTimeout(timer);
    if (!field.value.trim()) return;
    model.send(numbered(root, { type: "open", place: field.value }));
    field.select();
  };
  open.addEventListener("click", submit);
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => model.send(numbered(root, { type: "complete", text: field.value })), 120);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) submit();
    else if (event.key === "Escape") view.onDone();
  });
  const row = element("div", "nbvlm-open-row");
  row.append(field, open);
  label.append(row);
  root.append(label, list);
  view.toggle = (on) => {
    root.hidden = !on;
    if (!on) return;
    model.send(numbered(root, { type: "complete", text: field.value }));
    field.focus();
  };
  view.show = () =>
    list.replaceChildren(...(store.places ?? []).map((place) => element("option", "", { value: place })));
  return view;
}
