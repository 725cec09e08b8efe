// How the parts of the viewer name, colour and reveal a detection.

import { rectangle, within } from "./geometry.js";

export function nameOf({ label }) {
  return label || "unnamed";
}

// Says where a box is: in which third across and down, and how much of the picture it takes.
export function placeOf({ box }, picture) {
  const { x, y, width, height } = rectangle(box);
  const third = (middle, names) => names[within(Math.floor(3 * middle), 0, 2)];
  const across = third((x + width / 2) / picture.width, ["left third", "middle third", "right third"]);
  const down = third((y + height / 2) / picture.height, ["top", "middle", "bottom"]);
  const share = (part, whole) => `${Math.round((100 * part) / whole)} %`;
  if (!width && !height) return `${across}, ${down}`;
  return `${across}, ${down}, ${share(width, picture.width)} of the width, ${share(height, picture.height)} of the height`;
}

// A detection has a colour for its box, and one for text on that colour.
export function paint(node, { color, ink }) {
  node.style.setProperty("--nbvlm-box", color);
  node.style.setProperty("--nbvlm-ink", ink);
}

// Unlike scrollIntoView, this scrolls the box alone and leaves the page where it is.
export function reveal(box, node, above = 0) {
  const outer = box.getBoundingClientRect();
  const inner = node.getBoundingClientRect();
  const top = outer.top + above;
  if (inner.top < top) box.scrollTop -= top - inner.top + 6;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 6;
}
