// What the parts of the stage share: SVG, buttons with drawn icons, boxes and names.

import { element } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

export function svgElement(tag, className, attributes) {
  const node = document.createElementNS(SVG, tag);
  node.setAttribute("class", className);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

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
  const svg = svgElement("svg", "nbvlm-icon", { viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" });
  svg.append(svgElement("path", "", { d: ICONS[name] }));
  return svg;
}

export function iconButton(className, name, title, act) {
  const button = element("button", `nbvlm-view-button ${className}`, { type: "button", "aria-label": title, title });
  button.append(icon(name));
  button.addEventListener("click", act);
  return button;
}

export function nameOf({ label }) {
  return label || "unnamed";
}

export function place([x0, y0, x1, y1]) {
  return { x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) };
}

export function within(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

// Only the part itself scrolls: the page stays where the reader is.
export function reveal(box, node, above = 0) {
  const outer = box.getBoundingClientRect();
  const inner = node.getBoundingClientRect();
  const top = outer.top + above;
  if (inner.top < top) box.scrollTop -= top - inner.top + 6;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 6;
}

export function paint(node, { color, ink }) {
  node.style.setProperty("--nbvlm-box", color);
  node.style.setProperty("--nbvlm-ink", ink);
}
