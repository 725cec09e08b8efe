// Icons of the viewer, and buttons with one.

import { element } from "./dom.js";
import { svgElement } from "./svg.js";

// Lines on a square of 16; drawn with the colour of the text.
const ICONS = {
  plus: "M3 8h10M8 3v10",
  minus: "M3 8h10",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  mask: "M8 2.5c3.4 0 5.5 2 5.5 4.7 0 3.4-2.6 6.3-6.2 6.3-2.9 0-4.8-1.8-4.8-4.4 0-3.6 2-6.6 5.5-6.6M4 12 12.5 4M3 9l5.5-6M8 13l5.3-5.5",
  tag: "M2.5 4.5v3.6l5.6 5.4 5.4-5.4L7.9 2.5H4.5a2 2 0 0 0-2 2M5.5 5.5h.01",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6",
};

export function icon(name) {
  const svg = svgElement("svg", "nbvlm-icon", {
    viewBox: "0 0 16 16",
    "aria-hidden": "true",
    focusable: "false",
  });
  svg.append(svgElement("path", "", { d: ICONS[name] }));
  return svg;
}

export function iconButton(className, name, title, act) {
  const button = element("button", `nbvlm-view-button ${className}`, {
    type: "button",
    "aria-label": title,
    title,
  });
  button.append(icon(name));
  button.addEventListener("click", act);
  return button;
}
