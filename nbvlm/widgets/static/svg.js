// SVG elements of the page.

const SVG = "http://www.w3.org/2000/svg";

export function svgElement(tag, className, attributes) {
  const node = document.createElementNS(SVG, tag);
  node.setAttribute("class", className);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
