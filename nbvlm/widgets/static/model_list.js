// The models that can be asked, the entries that open a form, and the button of the key.

import { element, numbered, options, textButton, whenInPanel } from "./dom.js";

const FORMS = { "nbvlm-server": "Another server …", "nbvlm-recording": "A recording …" };
const NEEDS = { "nbvlm-server": "server", "nbvlm-recording": "path" };
const SHOWN = ["choices", "choice", "key", "offered", "opens"];

// A list of the models by group.
function modelChoice(model) {
  const root = element("select", "nbvlm-model", { "aria-label": "Model" });
  const show = () => {
    const groups = new Map();
    for (const { value, label, group, note } of model.get("choices") ?? []) {
      if (!groups.has(group)) groups.set(group, element("optgroup", "", { label: group }));
      groups.get(group).append(element("option", "", { value, title: note }, label));
    }
    const offered = model.get("opens") ? (model.get("offered") ?? []) : [];
    const forms = Object.entries(FORMS).filter(([name]) => offered.includes(NEEDS[name]));
    root.replaceChildren(...groups.values(), ...options(forms));
    root.disabled = root.options.length < 2;
    root.value = model.get("choice");
    root.title = root.selectedOptions[0]?.title || "Which model answers";
  };
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey || !FORMS[root.value]) return;
    event.preventDefault();
    root.closest(".nbvlm-panel")?.dispatchEvent(new CustomEvent("nbvlm-form-enter"));
  });
  root.addEventListener("change", () => {
    const panel = root.closest(".nbvlm-panel");
    if (FORMS[root.value]) panel?.dispatchEvent(new CustomEvent(root.value));
    else
      model.send(
        numbered(root, { type: "model", choice: root.value, fields: panel?.nbvlmFields?.() ?? null }),
      );
  });
  return { root, show };
}

function keyButton(model) {
  const root = textButton("nbvlm-key-button", "");
  root.addEventListener("click", () =>
    root.closest(".nbvlm-panel")?.dispatchEvent(new CustomEvent("nbvlm-key", { detail: {} })),
  );
  const show = () => {
    const { state, text } = model.get("key") ?? {};
    root.hidden = !(text && model.get("opens"));
    root.textContent = text;
    root.dataset.state = state;
    root.title = state === "missing" ? "Enter a key" : "Enter another key";
  };
  return { root, show };
}

function render({ model, el }) {
  const controller = new AbortController();
  const { signal } = controller;
  const choice = modelChoice(model);
  const key = keyButton(model);
  const name = element("span", "nbvlm-heading", { "aria-hidden": "true" }, "Model");
  el.replaceChildren(name, choice.root, key.root);
  const show = () => {
    name.hidden = model.get("opens");
    choice.show();
    key.show();
  };
  for (const trait of SHOWN) model.on(`change:${trait}`, show);
  show();
  whenInPanel(el, signal, (panel) => panel.addEventListener("nbvlm-server-closed", choice.show, { signal }));
  return () => {
    controller.abort();
    for (const trait of SHOWN) model.off(`change:${trait}`, show);
  };
}

export default { render };
