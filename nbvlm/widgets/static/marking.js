// How the parts of the viewer name, colour and reveal a detection.

export function nameOf({ label }) {
  return label || "unnamed";
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
