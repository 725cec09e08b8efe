// Drawings over the picture: masks and boxes as SVG, labels as HTML.

import { element } from "./dom.js";
import { rectangle } from "./geometry.js";
import { paint } from "./marking.js";
import { svgElement } from "./svg.js";

// A dark line under the coloured one keeps a box visible on every background.
function markOf(box, index) {
  const { x, y, width, height } = rectangle(box.box);
  const group = svgElement("g", "nbvlm-mark", { "data-index": index });
  group.append(
    svgElement("path", "nbvlm-halo", { d: `M${x} ${y}h${width}v${height}h${-width}z` }),
    svgElement("rect", "nbvlm-box", { x, y, width, height, stroke: box.color, fill: box.color }),
  );
  return group;
}

// Labels are placed in percent, so their size stays the same when the picture is zoomed.
function labelOf(box, picture) {
  const node = element("span", "nbvlm-label");
  node.textContent = box.label || "?";
  paint(node, box);
  placeLabel(node, box.box, picture);
  return node;
}

function placeLabel(node, box, { width, height }) {
  const { x, y, width: wide } = rectangle(box);
  Object.assign(node.style, { left: "", right: "" });
  node.style.top = `${(100 * Math.max(0, y)) / height}%`;
  if (x > 0.7 * width) node.style.right = `${100 - (100 * Math.min(width, x + wide)) / width}%`;
  else node.style.left = `${(100 * Math.max(0, x)) / width}%`;
  node.classList.toggle("nbvlm-label-inside", y < 0.08 * height);
}

export function overlay(store) {
  const svg = svgElement("svg", "nbvlm-boxes", { preserveAspectRatio: "none", "aria-hidden": "true" });
  const masks = svgElement("g", "nbvlm-masks", {});
  const marks = svgElement("g", "nbvlm-marks", {});
  const drawn = svgElement("path", "nbvlm-drawn", { d: "" });
  const labels = element("div", "nbvlm-labels", { "aria-hidden": "true" });
  svg.append(masks, marks, drawn);
  let all = []; // the nodes of each box
  let known = "[]";

  const add = (boxes) => {
    const first = all.length;
    const made = boxes.map((box, at) => ({
      mark: markOf(box, first + at),
      label: labelOf(box, store.picture),
      mask: null,
    }));
    all.push(...made);
    marks.append(...made.map((one) => one.mark));
    labels.append(...made.map((one) => one.label));
    known = JSON.stringify(store.boxes);
  };
  const shapes = () => {
    for (const [key, d] of Object.entries(store.shapes)) {
      const nodes = all[key];
      if (!nodes || nodes.mask) continue;
      const { color } = store.boxes[key];
      nodes.mask = svgElement("path", "nbvlm-mask", {
        d,
        fill: color,
        stroke: color,
        "fill-rule": "evenodd",
      });
      nodes.mark.classList.add("nbvlm-masked");
      masks.append(nodes.mask);
    }
  };
  // Masks that are drawn already may belong to other boxes now.
  const reshape = () => {
    for (const nodes of all) {
      nodes.mask = null;
      nodes.mark.classList.remove("nbvlm-masked");
    }
    masks.replaceChildren();
    shapes();
    look();
    light(bright);
  };
  // Draws a box elsewhere; its mask follows if the box has kept its size.
  const move = (index, box) => {
    const { mark, label, mask } = all[index];
    const { x, y, width, height } = rectangle(box);
    const from = rectangle(store.boxes[index].box);
    mark.querySelector(".nbvlm-halo").setAttribute("d", `M${x} ${y}h${width}v${height}h${-width}z`);
    const rect = mark.querySelector(".nbvlm-box");
    for (const [name, value] of Object.entries({ x, y, width, height })) rect.setAttribute(name, value);
    placeLabel(label, box, store.picture);
    const moved = Math.abs(width - from.width) < 0.2 && Math.abs(height - from.height) < 0.2;
    mask?.setAttribute("transform", moved ? `translate(${x - from.x} ${y - from.y})` : "");
  };
  // The boxes of the store have moved to where they are drawn.
  const moved = (indices) => {
    for (const index of indices) {
      const { mask } = all[index];
      const before = mask?.getAttribute("transform");
      move(index, store.boxes[index].box);
      if (before) mask.setAttribute("transform", before);
    }
    known = JSON.stringify(store.boxes);
  };
  const each = ({ mark, label, mask }, name, on) => {
    for (const node of [mark, label, mask]) node?.classList.toggle(name, on);
  };
  const look = () => {
    const { hidden, masks: masked, labels: labelled, opacity } = store.look;
    for (const [index, nodes] of all.entries()) each(nodes, "nbvlm-gone", hidden.has(index));
    masks.classList.toggle("nbvlm-gone", !masked);
    labels.classList.toggle("nbvlm-gone", !labelled);
    svg.style.setProperty("--nbvlm-opacity", opacity);
  };
  const show = () => {
    // Boxes that are there already are not drawn again, so that they do not fade in twice.
    if (JSON.stringify(store.boxes) !== known) {
      all = [];
      for (const node of [masks, marks, labels]) node.replaceChildren();
      known = "[]";
      if (store.picture) add(store.boxes);
    }
    shapes();
    look();
  };
  const picture = ({ width, height }) => {
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    known = "";
    show();
  };
  let bright = null;
  // Lights one box or several.
  const light = (index) => {
    for (const one of [bright].flat()) if (all[one]) each(all[one], "nbvlm-lit", false);
    bright = index;
    const found = [index].flat().filter((one) => all[one]);
    for (const node of [svg, labels]) node.classList.toggle("nbvlm-dimmed", found.length > 0);
    for (const one of found) each(all[one], "nbvlm-lit", true);
  };
  const draw = (box) => {
    const { x, y, width, height } = rectangle(box ?? [0, 0, 0, 0]);
    drawn.setAttribute("d", box ? `M${x} ${y}h${width}v${height}h${-width}z` : "");
  };
  // Finds the smallest visible box that contains a point.
  const at = ([x, y]) => {
    let found = null;
    let least = Number.POSITIVE_INFINITY;
    store.boxes.forEach(({ box }, index) => {
      const { x: left, y: top, width, height } = rectangle(box);
      const inside = x >= left && x <= left + width && y >= top && y <= top + height;
      if (inside && width * height < least && !store.look.hidden.has(index))
        [found, least] = [index, width * height];
    });
    return found;
  };
  return { svg, labels, add, shapes, reshape, move, moved, look, show, picture, light, draw, at };
}
