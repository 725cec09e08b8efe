// The head of the panel, and its keyboard.

const FOCUSABLE = "button, select, input, textarea, [tabindex], [contenteditable='true'], .noUi-handle";

// Notebook 7 takes arrow keys from sliders, and letters typed on a button insert cells, unless the focused
// element itself says that it wants its keys.
function tame(panel) {
  for (const node of panel.querySelectorAll(FOCUSABLE)) node.dataset.lmSuppressShortcuts = "true";
  for (const slider of panel.querySelectorAll(".widget-slider")) {
    const name = slider.querySelector(".widget-label")?.textContent;
    if (!name) continue;
    slider.querySelector(".noUi-handle")?.setAttribute("aria-label", name);
    const readout = slider.querySelector(".widget-readout");
    readout?.setAttribute("aria-label", `${name}, as a number`);
    readout?.setAttribute("role", "textbox");
  }
}

// … but Ctrl+S still saves the notebook: of the keys with Ctrl or Cmd, the panel keeps those for text and Run.
function share(panel, event) {
  const { target } = event;
  if (!(target instanceof HTMLElement) || !panel.contains(target)) return;
  const ours = !(event.ctrlKey || event.metaKey) || /^(enter|[acvxz])$/i.test(event.key);
  if (ours) target.dataset.lmSuppressShortcuts = "true";
  else delete target.dataset.lmSuppressShortcuts;
}

// A text field tells its value when it is left; a slider's number field listens to its Enter key only.
function tell(field) {
  if (field?.matches?.("textarea")) field.dispatchEvent(new Event("change", { bubbles: true }));
  if (!field?.matches?.(".widget-readout[contenteditable]")) return;
  field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", keyCode: 13, bubbles: true, cancelable: true }));
}

function press(panel, selector) {
  const button = panel.querySelector(selector);
  if (!button || button.disabled) return false;
  if (panel.contains(document.activeElement)) tell(document.activeElement);
  button.click();
  return true;
}

// What the fields say at this moment, whether or not the kernel has been told by the fields themselves.
function question(panel, names) {
  const parameters = {};
  for (const name of names) {
    const field = panel.querySelector(`.nbvlm-${name.replaceAll("_", "-")}`);
    const slider = field?.querySelector(".noUi-target")?.noUiSlider;
    const value = slider ? Number(slider.get(true)) : Number.NaN;
    if (Number.isFinite(value)) parameters[name] = value;
  }
  return { prompt: panel.querySelector(".nbvlm-prompt textarea")?.value, parameters };
}

// One message carries the press and what was to be asked: the button's own could overtake the fields'.
function onClick(event, model) {
  const panel = event.currentTarget;
  const button = event.target.closest?.(".nbvlm-run, .nbvlm-stop");
  if (!button || button.disabled) return;
  event.stopPropagation();
  if (button.classList.contains("nbvlm-stop")) {
    model.send(numbered(panel, { type: "stop" }));
    return;
  }
  const edition = model.get("edition");
  model.send(numbered(panel, { type: "run", edition, ...question(panel, model.get("parameters")) }));
}

// Between the press on Run and the kernel's word that it has begun, the button is not yet enabled.
function stop(panel, model) {
  if (press(panel, ".nbvlm-stop")) return true;
  const asking = panel.querySelector(".nbvlm-status[data-state=running]") !== null;
  if (asking) model.send(numbered(panel, { type: "stop" }));
  return asking;
}

function onKeyDown(event, model) {
  const panel = event.currentTarget;
  const isRun = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  const pressed = isRun ? press(panel, ".nbvlm-run") : event.key === "Escape" && stop(panel, model);
  if (isRun || pressed) {
    event.preventDefault();
    event.stopPropagation();
  }
}

// The view is rendered before it is put into the page, so the panel around it is found a moment later.
function whenInPanel(el, signal, callback) {
  const look = () => {
    if (signal.aborted) return;
    const panel = el.closest(".nbvlm-panel");
    if (panel) callback(panel);
    else requestAnimationFrame(look);
  };
  look();
}

function render({ model, el }) {
  const controller = new AbortController();
  const { signal } = controller;

  el.classList.add("nbvlm-header");
  const name = element("span", "nbvlm-model");
  const badge = element("span", "nbvlm-badge", "Demo model");
  badge.title =
    "The small model inside the package answers, on this computer. It knows picture-book scenes; " +
    "set NVIDIA_API_KEY and make a new panel to ask the hosted PaliGemma.";
  el.replaceChildren(element("span", "nbvlm-mark", "nbvlm"), name, badge);

  const show = () => {
    name.textContent = model.get("model");
    badge.hidden = !model.get("demo");
  };
  model.on("change:model", show);
  model.on("change:demo", show);
  show();

  whenInPanel(el, signal, (panel) => {
    const observer = new MutationObserver(() => tame(panel));
    observer.observe(panel, { childList: true, subtree: true });
    signal.addEventListener("abort", () => observer.disconnect());
    // Text fields keep their keys to themselves, so the panel listens on the way down.
    panel.addEventListener("keydown", (event) => onKeyDown(event, model), { signal, capture: true });
    panel.addEventListener("click", (event) => onClick(event, model), { signal, capture: true });
    window.addEventListener("keydown", (event) => share(panel, event), { signal, capture: true });
    panel.addEventListener("focusout", (event) => tell(event.target), { signal });
    panel.setAttribute("role", "group");
    panel.setAttribute("aria-label", "Ask a vision-language model about a picture");
    tame(panel);
  });

  return () => {
    controller.abort();
    model.off("change:model", show);
    model.off("change:demo", show);
  };
}

export default { render };
