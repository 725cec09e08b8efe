// The field for an address or a path on the server, with completions.

import { element, numbered, textButton } from "./dom.js";

let lists = 0;

export function openView(model, store) {
  const root = element("div", "nbvlm-open");
  root.hidden = true;
  const label = element("label", "nbvlm-open-label");
  const words = element("span", "");
  label.append(words);
  const field = element("input", "nbvlm-place", { type: "text", spellcheck: "false", autocomplete: "off" });
  const list = element("datalist", "", {
    id: `nbvlm-places-${++lists}-${Math.random().toString(36).slice(2)}`,
  });
  field.setAttribute("list", list.id);
  const open = textButton("nbvlm-open-button nbvlm-way", "Open");
  const view = { root, onDone: () => {} };
  let timer = 0;
  let offered = "";
  // What was typed for something else is not left on the screen.
  view.offer = (places) => {
    if (places.join() === offered) return;
    offered = places.join();
    field.value = "";
    words.textContent =
      { link: "Address of a picture", path: "Path on the server" }[offered] ??
      "Address, or path on the server";
    field.placeholder =
      { link: "https://…", path: "pictures/cat.jpg" }[offered] ?? "https://… or pictures/cat.jpg";
    list.replaceChildren();
  };
  const complete = () => {
    if (offered.includes("path")) model.send(numbered(root, { type: "complete", text: field.value }));
  };
  const submit = () => {
    clearTimeout(timer);
    if (!field.value.trim()) return;
    model.send(numbered(root, { type: "open", place: field.value }));
    field.select();
  };
  open.addEventListener("click", submit);
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(complete, 120);
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
    complete();
    field.focus();
  };
  view.show = () =>
    list.replaceChildren(...(store.places ?? []).map((place) => element("option", "", { value: place })));
  return view;
}
