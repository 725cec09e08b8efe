// Fields and buttons of ipywidgets, for pages that have none of their own.

import { element, options } from "./dom.js";

// `make(el, model)` fills an element and returns what shows the model's state; that follows the named traits.
function field(names, make) {
  return {
    render({ model, el }) {
      const show = make(el, model);
      for (const name of names) model.on(`change:${name}`, show);
      show();
      return () => {
        for (const name of names) model.off(`change:${name}`, show);
      };
    },
  };
}

function commit(model, name, value) {
  model.set(name, value);
  model.save_changes();
}

let count = 0;

function labelled(el, className, control) {
  control.id = `nbvlm-field-${++count}-${Math.random().toString(36).slice(2)}`;
  const label = element("label", "widget-label", { for: control.id });
  el.classList.add(className);
  el.append(label, control);
  return label;
}

const textarea = field(["value", "description", "placeholder", "tooltip"], (el, model) => {
  const area = element("textarea", "", { spellcheck: "false" });
  const label = labelled(el, "widget-textarea", area);
  area.addEventListener("change", () => commit(model, "value", area.value));
  return () => {
    label.textContent = model.get("description");
    area.placeholder = model.get("placeholder") ?? "";
    area.title = model.get("tooltip") ?? "";
    if (area.value !== model.get("value")) area.value = model.get("value");
  };
});

// The slider shows each value on the way, and reports the one at which it is left.
const slider = field(["value", "min", "max", "step", "description", "tooltip"], (el, model) => {
  const bar = element("input", "nbvlm-range", { type: "range" });
  const label = labelled(el, "widget-slider", bar);
  const readout = element("input", "widget-readout", { type: "number" });
  const place = element("div", "slider-container");
  place.append(bar);
  el.append(place, readout);
  const digits = () => Number(/\.(\d+)/.exec(model.get("readout_format") ?? "")?.[1] ?? 0);
  const write = (value) => {
    readout.value = value.toFixed(digits());
    const [low, high] = [model.get("min"), model.get("max")];
    bar.style.setProperty("--nbvlm-share", String((value - low) / (high - low || 1)));
  };
  const put = (value) => {
    const inside = Math.min(Math.max(value, model.get("min")), model.get("max"));
    if (Number.isFinite(inside)) commit(model, "value", Number(inside.toFixed(6)));
    show();
  };
  const show = () => {
    for (const one of [bar, readout])
      for (const name of ["min", "max", "step"]) one[name] = String(model.get(name));
    label.textContent = model.get("description");
    readout.setAttribute("aria-label", `${model.get("description")}, as a number`);
    el.title = model.get("tooltip") ?? "";
    bar.value = String(model.get("value"));
    write(model.get("value"));
  };
  bar.addEventListener("input", () => write(Number(bar.value)));
  bar.addEventListener("change", () => put(Number(bar.value)));
  readout.addEventListener("change", () =>
    put(readout.value === "" ? model.get("value") : Number(readout.value)),
  );
  return show;
});

const dropdown = field(["index", "_options_labels", "description", "tooltip"], (el, model) => {
  const select = element("select", "");
  const label = labelled(el, "widget-dropdown", select);
  select.addEventListener("change", () => commit(model, "index", Number(select.value)));
  return () => {
    label.textContent = model.get("description");
    select.title = model.get("tooltip") ?? "";
    select.replaceChildren(...options((model.get("_options_labels") ?? []).map((text, at) => [at, text])));
    select.value = String(model.get("index"));
  };
});

const button = field(["description", "disabled", "tooltip", "button_style"], (el, model) => {
  el.type = "button";
  el.classList.add("widget-button");
  el.addEventListener("click", model.press);
  return () => {
    el.textContent = model.get("description");
    el.title = model.get("tooltip") ?? "";
    el.disabled = model.get("disabled");
    el.classList.toggle("mod-primary", model.get("button_style") === "primary");
  };
});

const label = field(["value"], (el, model) => () => {
  el.textContent = model.get("value");
});

// Only the text of it: what Python writes here has no elements.
const html = field(["value"], (el, model) => () => {
  el.textContent = new DOMParser().parseFromString(model.get("value"), "text/html").body.textContent;
});

export const fields = { button, dropdown, html, label, slider, textarea };
