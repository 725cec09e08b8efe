// The head of the panel, and the keys of the whole panel.

import { element, numbered, textButton, whenInPanel } from "./dom.js";
import { keepKeys } from "./keep_keys.js";
import { plainKeys, shortcutList } from "./shortcuts.js";
import { followFields, nameSliders } from "./sliders.js";

// Ctrl+S still saves the notebook: of the keys with Ctrl or Cmd, the panel keeps those for text and Run.
function shareKeys(panel, event) {
  const { target } = event;
  if (!(target instanceof HTMLElement) || !panel.contains(target)) return;
  const ours = !(event.ctrlKey || event.metaKey) || /^(enter|[acvxz])$/i.test(event.key);
  if (ours) target.dataset.lmSuppressShortcuts = "true";
  else delete target.dataset.lmSuppressShortcuts;
}

// Key events of the panel's own, which the host is not to see.
const ownEvents = new WeakSet();

// ipywidgets sends the value of a text field when it is left, that of a slider's number field on Enter only.
function commit(field) {
  if (field?.matches?.("textarea")) field.dispatchEvent(new Event("change", { bubbles: true }));
  if (!field?.matches?.(".widget-readout[contenteditable]")) return;
  const enter = new KeyboardEvent("keydown", { key: "Enter", keyCode: 13, bubbles: true, cancelable: true });
  ownEvents.add(enter);
  field.dispatchEvent(enter);
}

function press(panel, selector) {
  const button = panel.querySelector(selector);
  if (!button || button.disabled) return false;
  if (panel.contains(document.activeElement)) commit(document.activeElement);
  button.click();
  return true;
}

// Reads the fields of this moment, which the kernel may not have received yet.
function readFields(panel, names) {
  const parameters = {};
  for (const name of names) {
    const field = panel.querySelector(`.nbvlm-${name.replaceAll("_", "-")}`);
    const slider = field?.querySelector(".noUi-target")?.noUiSlider;
    const value = slider ? Number(slider.get(true)) : Number.NaN;
    if (Number.isFinite(value)) parameters[name] = value;
  }
  return { prompt: panel.querySelector(".nbvlm-prompt textarea")?.value, parameters };
}

// One message carries the press and the question: the button's own message could overtake the fields'.
function onClick(event, model) {
  const panel = event.currentTarget;
  const button = event.target.closest?.(".nbvlm-run, .nbvlm-stop, .nbvlm-reset");
  if (!button || button.disabled) return;
  event.stopPropagation();
  if (button.classList.contains("nbvlm-stop")) {
    model.send(numbered(panel, { type: "stop" }));
    return;
  }
  if (button.classList.contains("nbvlm-reset")) {
    model.send(numbered(panel, { type: "reset" }));
    return;
  }
  model.send(numbered(panel, { type: "run", ...currentFields(panel, model) }));
}

function currentFields(panel, model) {
  return {
    edition: model.get("edition"),
    tuning: model.get("tuning"),
    ...readFields(panel, model.get("parameters")),
  };
}

// The Stop button is enabled only once the kernel has begun; a request to stop is sent before that, too.
function stop(panel, model) {
  if (press(panel, ".nbvlm-stop")) return true;
  const asking = panel.querySelector(".nbvlm-status[data-state=running]") !== null;
  if (asking) model.send(numbered(panel, { type: "stop" }));
  return asking;
}

function onKeyDown(event, model) {
  const panel = event.currentTarget;
  if (event.target.closest(".nbvlm-shortcuts") && event.key === "Escape") return;
  const isRun = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  const pressed = isRun ? press(panel, ".nbvlm-run") : event.key === "Escape" && stop(panel, model);
  if (isRun || pressed) {
    event.preventDefault();
    event.stopPropagation();
  }
}

// For the screen that a class sees: paths, the key and folders go.
function hideButton(model) {
  const root = textButton("nbvlm-hide-button", "");
  root.addEventListener("click", () => model.send({ type: "hide", hidden: !model.get("hidden") }));
  const show = () => {
    const hidden = model.get("hidden");
    root.hidden = !model.get("hideable");
    root.setAttribute("aria-pressed", String(hidden));
    root.textContent = hidden ? "Hidden for class" : "Hide for class";
    root.title = hidden
      ? "Paths, the key and folders are hidden. Press to show them again"
      : "Hide paths, the key and folders while others see this screen";
  };
  return { root, show };
}

const SHOWN = ["model", "demo", "gateway", "recorded", "answerer", "hideable", "hidden"];

const EMBEDDED = {
  "nbvlm/demo-scenes": ["Demo model: scenes", "A small model of picture-book scenes has answered."],
  "nbvlm/demo-photos": ["Demo model: photographs", "A small detector of 80 everyday kinds has answered."],
};
const HERE =
  "Small models inside the package answer, on this computer: one knows picture-book scenes, one finds 80 " +
  "everyday kinds in photographs. Choose another model beside the name of the panel for better answers.";

const RECORDED =
  "A recording answers: only the questions that it holds, each with the answer that a model gave when it was " +
  "recorded.";

function render({ model, el }) {
  const controller = new AbortController();
  const { signal } = controller;

  const badge = element("span", "nbvlm-badge", "Demo model");
  const hide = hideButton(model);
  const keys = shortcutList();
  const speech = element("div", "nbvlm-unseen", { role: "status" });
  const last = element("span", "nbvlm-header-last");
  last.append(badge, hide.root, keys.button);
  el.replaceChildren(last, keys.root, speech);

  const show = () => {
    hide.show();
    const [text, answered] = EMBEDDED[model.get("answerer")] ?? ["Demo model", ""];
    const gateway = model.get("gateway");
    const recorded = model.get("recorded");
    badge.textContent = recorded ? "Recording" : gateway ? "Class gateway" : text;
    badge.title = recorded ? RECORDED : `${answered} ${gateway || HERE}`.trim();
    badge.hidden = !(recorded || gateway || model.get("demo"));
  };
  for (const name of SHOWN) model.on(`change:${name}`, show);
  show();

  whenInPanel(el, signal, (panel) => {
    // Text fields keep their keys to themselves, so the panel listens on the way down.
    panel.addEventListener("keydown", (event) => onKeyDown(event, model), { signal, capture: true });
    panel.addEventListener("click", (event) => onClick(event, model), { signal, capture: true });
    panel.addEventListener("keydown", (event) => ownEvents.has(event) && event.stopPropagation(), { signal });
    panel.addEventListener("focusout", (event) => commit(event.target), { signal });
    panel.addEventListener("nbvlm-say", (event) => speech.replaceChildren(event.detail), { signal });
    const plain = plainKeys(panel, keys.open);
    panel.addEventListener("keydown", plain, { signal });
    panel.addEventListener("keydown", (event) => event.altKey && plain(event), { signal, capture: true });
    window.addEventListener("keydown", (event) => shareKeys(panel, event), { signal, capture: true });
    panel.nbvlmFields = () => currentFields(panel, model);
    panel.setAttribute("role", "group");
    panel.setAttribute("aria-label", "Ask a vision-language model about a picture");
    followFields(panel, signal, () => {
      keepKeys(panel);
      nameSliders(panel);
    });
  });

  return () => {
    controller.abort();
    for (const name of SHOWN) model.off(`change:${name}`, show);
  };
}

export default { render };
