// The head of the panel, and its keyboard.

const FOCUSABLE = "button, select, input, textarea, [tabindex], [contenteditable='true'], .noUi-handle";

function element(tag, className, text) {
  const node = document.createElement(tag);
  node.className = className;
  if (text) node.textContent = text;
  return node;
}

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

function press(panel, selector) {
  const button = panel.querySelector(selector);
  if (!button || button.disabled) return false;
  // A text field tells its value when it is left; tell it before the button is pressed.
  document.activeElement?.dispatchEvent(new Event("change", { bubbles: true }));
  button.click();
  return true;
}

function onKeyDown(event) {
  const panel = event.currentTarget;
  const isRun = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  const pressed = isRun ? press(panel, ".nbvlm-run") : event.key === "Escape" && press(panel, ".nbvlm-stop");
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
    panel.addEventListener("keydown", onKeyDown, { signal, capture: true });
    window.addEventListener("keydown", (event) => share(panel, event), { signal, capture: true });
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
