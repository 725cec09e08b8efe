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
  pencil: "M3 13l.7-3L10.8 2.9a1.2 1.2 0 0 1 1.7 0l.6.6a1.2 1.2 0 0 1 0 1.7L6 12.3zM9.5 4.2l2.3 2.3",
  addBox: "M2.5 2.5h11v11h-11zM8 5.5v5M5.5 8h5",
  bin: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9M6.8 7v4M9.2 7v4",
  undo: "M6 3.5 3 6.5l3 3M3 6.5h6.2a3.4 3.4 0 0 1 0 6.8H6.5",
  redo: "M10 3.5l3 3-3 3M13 6.5H6.8a3.4 3.4 0 0 0 0 6.8h2.7",
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
