// Sliders of ipywidgets in words: each has a name, and a value as its number field shows it.

// noUiSlider says 0.2 where the field says 0.22, or a number with all the digits of its arithmetic.
export function nameSliders(root) {
  for (const slider of root.querySelectorAll(".widget-slider")) {
    const name = slider.querySelector(".widget-label")?.textContent;
    const handle = slider.querySelector(".noUi-handle");
    const readout = slider.querySelector(".widget-readout");
    if (!name || !handle) continue;
    put(handle, "aria-label", name);
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
