// Elements of the page, and messages to the kernel: shared by all widgets.

export function element(tag, className, attributes = {}, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  if (typeof attributes === "string") node.textContent = attributes;
  else for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function svgElement(tag, className, attributes) {
  const node = document.createElementNS(SVG, tag);
  node.setAttribute("class", className);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

export function textButton(className, text) {
  return element("button", className, { type: "button" }, text);
}

export function options(pairs) {
  return pairs.map(([value, text]) => element("option", "", { value }, text));
}

// The colours of a detection: its own, and that of letters on it.
export function paint(node, { color, ink }) {
  node.style.setProperty("--nbvlm-box", color);
  node.style.setProperty("--nbvlm-ink", ink);
}

// Only the part itself scrolls: the page stays where the reader is.
export function reveal(box, node, above = 0) {
  const outer = box.getBoundingClientRect();
  const inner = node.getBoundingClientRect();
  const top = outer.top + above;
  if (inner.top < top) box.scrollTop -= top - inner.top + 6;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 6;
}

export function dataUri(view, mime) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  let binary = "";
  for (let i = 0; i < bytes.length; i += 0x8000)
    binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return `data:${mime};base64,${btoa(binary)}`;
}

// Kernels may handle messages in another order than that in which they were sent.
export function numbered(el, message) {
  const panel = el.closest(".nbvlm-panel") ?? el;
  panel.nbvlmPage ??= Math.random().toString(36).slice(2);
  panel.nbvlmNumber = (panel.nbvlmNumber ?? 0) + 1;
  return { ...message, page: panel.nbvlmPage, number: panel.nbvlmNumber };
}

// The view is rendered before it is put into the page, so the panel around it is found a moment later.
export function whenInPanel(el, signal, callback) {
  const look = () => {
    if (signal.aborted) return;
    const panel = el.closest(".nbvlm-panel");
    if (panel) callback(panel);
    else requestAnimationFrame(look);
  };
  look();
}
