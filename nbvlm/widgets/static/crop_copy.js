// Copies a crop, or the picture with its annotations, to the clipboard.

import { download } from "./dom.js";
import { rectangle, within } from "./geometry.js";

function canvasOf({ x, y, width, height }, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.translate(-x, -y);
  return { canvas, pen };
}

// The browser's copy of the picture may be smaller than the picture.
export function cropOf(store, image, index) {
  const { width, height } = store.picture;
  const box = rectangle(store.boxes[index].box);
  const x = within(Math.floor(box.x), 0, width - 1);
  const y = within(Math.floor(box.y), 0, height - 1);
  const right = within(Math.ceil(box.x + box.width), x + 1, width);
  const low = within(Math.ceil(box.y + box.height), y + 1, height);
  const { canvas, pen } = canvasOf({ x, y, width: right - x, height: low - y }, image.naturalWidth / width);
  pen.drawImage(image, 0, 0, width, height);
  return canvas;
}

export function annotatedOf(store, image) {
  const { width, height } = store.picture;
  const { canvas, pen } = canvasOf({ x: 0, y: 0, width, height }, image.naturalWidth / width);
  const unit = Math.max(width, height) / 700;
  const seen = store.boxes
    .map((box, index) => ({ ...box, index, ...rectangle(box.box) }))
    .filter(({ index }) => !store.look.hidden.has(index));
  pen.drawImage(image, 0, 0, width, height);
  for (const { index, color } of seen) {
    if (!store.look.masks || !store.shapes[index]) continue;
    const shape = new Path2D(store.shapes[index]);
    pen.globalAlpha = store.look.opacity;
    pen.fillStyle = color;
    pen.fill(shape, "evenodd");
    pen.globalAlpha = 1;
  }
  for (const { x, y, width: wide, height: high, color } of seen) {
    for (const [style, line] of [
      ["rgb(0 0 0 / 45%)", 4.5],
      [color, 2.5],
    ]) {
      pen.strokeStyle = style;
      pen.lineWidth = line * unit;
      pen.strokeRect(x, y, wide, high);
    }
  }
  if (!store.look.labels) return canvas;
  for (const box of seen) drawLabel(pen, box, unit);
  return canvas;
}

function drawLabel(pen, { x, y, label, color, ink }, unit) {
  pen.font = `600 ${13 * unit}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  const text = label || "?";
  const wide = pen.measureText(text).width + 12 * unit;
  const top = Math.max(0, y - 19 * unit);
  pen.fillStyle = color;
  pen.fillRect(x, top, wide, 19 * unit);
  pen.fillStyle = ink;
  pen.fillText(text, x + 6 * unit, top + 10 * unit);
}

// Some hosts deny the clipboard to their pages; the picture can be downloaded there.
export async function copyOrOffer(canvas, name, what, say) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const save = () => {
    download(name, blob);
    say(`${what}: downloading ${name}`);
  };
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
    say(`${what} copied`);
  } catch {
    say(`${what}: this page cannot copy pictures. Download it instead.`, { name: "Download", act: save });
  }
}

export function fileName(store, what) {
  const stem = store.picture.name.replace(/\.[^.]*$/, "") || "picture";
  return `${`${stem}-${what}`
    .replace(/[^\w.-]+/g, "-")
    .replace(/-+/g, "-")
    .slice(0, 80)}.png`;
}
