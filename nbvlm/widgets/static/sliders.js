// Sliders of ipywidgets in words: each has a name, and a value as its number field shows it.

// What a page changes when a slider moves, or a field comes.
const CHANGES = {
  childList: true,
  subtree: true,
  attributes: true,
  attributeFilter: ["disabled", "aria-valuetext", "aria-valuenow"],
};

// Calls a function now, and whenever a slider moves or a field comes.
export function followFields(root, signal, follow) {
  const observer = new MutationObserver(follow);
  observer.observe(root, CHANGES);
  signal.addEventListener("abort", () => observer.disconnect());
  follow();
}

// noUiSlider says 0.2 where the field says 0.22, or a number with all the digits of its arithmetic.
export function nameSliders(root) {
  for (const slider of root.querySelectorAll(".widget-slider")) {
    const name = slider.querySelector(".widget-label")?.textContent;
    const handle = slider.querySelector(".noUi-handle");
    const readout = slider.querySelector(".widget-readout");
    if (!name || !handle) continue;
    put(handle, "aria-label", name);
    put(handle, "data-lm-suppress-shortcuts", "true"); // Notebook 7 would take its arrow keys
    if (!readout) continue;
    put(handle, "aria-valuetext", readout.textContent.trim());
    put(handle, "aria-valuenow", readout.textContent.trim());
    put(readout, "aria-label", `${name}, as a number`);
    put(readout, "role", "textbox");
  }
}

function put(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}
