// The picture with its drawings, and the tools above it.

import { boxEditor } from "./box_editor.js";
import { annotatedOf, copyOrOffer, cropOf, fileName } from "./crop_copy.js";
import { legend } from "./detections_list.js";
import { element } from "./dom.js";
import { rectangle } from "./geometry.js";
import { nameOf } from "./marking.js";
import { overlay } from "./overlay.js";
import { regionPicker } from "./region_select.js";
import { svgElement } from "./svg.js";
import { toast, viewToolbar } from "./viewer_tools.js";
import { listenToDrag, listenToFingers, listenToWheel, zoomable, zoomKey } from "./zoom.js";

function alternative(picture, boxes) {
  if (!boxes.length) return `The chosen picture, ${picture.name}`;
  const counts = new Map();
  for (const box of boxes) counts.set(nameOf(box), (counts.get(nameOf(box)) ?? 0) + 1);
  const things = [...counts].map(([text, count]) => (count > 1 ? `${text} (${count})` : text));
  return `${picture.name}, marked: ${things.join(", ")}`;
}

const CHOOSE = "Choose a picture: click a sample, drop a file, or paste one";

function emptyView() {
  const root = element("div", "nbvlm-no-picture");
  const drawing = svgElement("svg", "nbvlm-no-picture-drawing", {
    viewBox: "0 0 64 48",
    "aria-hidden": "true",
    focusable: "false",
  });
  drawing.append(
    svgElement("path", "", { d: "M4 8a4 4 0 0 1 4-4h48a4 4 0 0 1 4 4v32a4 4 0 0 1-4 4H8a4 4 0 0 1-4-4z" }),
    svgElement("path", "", {
      d: "M4 36l15-14 11 10 12-13 18 17M21 14.5a3.5 3.5 0 1 1-7 0 3.5 3.5 0 0 1 7 0",
    }),
  );
  const words = element("div", "");
  root.append(drawing, words);
  const show = (waiting, text) => {
    words.textContent = waiting ? "Waiting for the kernel …" : text;
  };
  return { root, show };
}

export function viewer(store, act) {
  const root = element("figure", "nbvlm-viewer");
  const viewport = element("div", "nbvlm-viewport", {
    role: "group",
    tabindex: "0",
    "aria-label": "Picture. Plus and minus zoom, 0 shows all of it, arrow keys move it when zoomed",
    "data-lm-suppress-shortcuts": "true",
  });
  const frame = element("div", "nbvlm-frame");
  const image = element("img", "nbvlm-picture", { draggable: "false" });
  const drawn = overlay(store);
  const zoom = zoomable(viewport, frame, (value) => tools.zoomed(value));
  const note = toast();
  const copy = () =>
    copyOrOffer(annotatedOf(store, image), fileName(store, "annotated"), "Picture", note.say);
  const tools = viewToolbar(store, () => zoom, { change: act.change, copy });
  const labels = legend(store, act.hide);
  const picker = regionPicker(store, viewport, zoom, { draw: drawn.draw, done: act.picked });
  const empty = emptyView();
  frame.append(image, drawn.svg, drawn.labels);
  viewport.append(frame);
  const editor = boxEditor(store, { viewport, frame, zoom, drawn, act: { ...act, pick: act.pin } });
  tools.root.append(editor.toggle);
  root.append(tools.root, picker.bar, editor.bar, viewport, empty.root, note.root, labels.root);

  const under = (event) => {
    const [x, y] = zoom.under(event.clientX, event.clientY);
    return drawn.at([x * store.picture.width, y * store.picture.height]);
  };
  const free = () => Boolean(store.picture) && !store.picking && !store.editing;
  const hovers = () => Boolean(store.picture) && !store.picking && !editor.busy();
  const listen = (signal) => {
    listenToWheel(viewport, zoom, signal);
    listenToFingers(viewport, zoom, signal);
    picker.listen(signal);
    editor.listen(signal);
    listenToDrag(viewport, zoom, signal, { free, click: (event) => act.pin(under(event), event) });
    const hover = (event) => act.hover(hovers() && event.pointerType !== "touch" ? under(event) : null);
    viewport.addEventListener("pointermove", hover, { signal });
    viewport.addEventListener("pointerleave", () => act.hover(null), { signal });
    viewport.addEventListener(
      "keydown",
      (event) => picker.key(event) || editor.key(event) || zoomKey(zoom, event),
      { signal },
    );
    viewport.addEventListener(
      "dblclick",
      (event) =>
        free() && zoom.by(zoom.at.zoom > 1 ? 0.01 : 2.5, zoom.fromMiddle(event.clientX, event.clientY)),
      { signal },
    );
  };
  const words = () => {
    if (store.picture) image.alt = store.alt || alternative(store.picture, store.boxes);
  };
  const around = () => {
    words();
    labels.show();
    tools.show();
  };
  const add = (boxes) => {
    if (!store.picture) return; // an answer alone
    drawn.add(boxes);
    drawn.shapes();
    around();
  };
  const boxes = () => {
    drawn.show();
    around();
  };
  const look = () => {
    drawn.look();
    around();
  };
  const picture = () => {
    const { picture: facts, src } = store;
    viewport.hidden = !facts;
    empty.root.hidden = Boolean(facts);
    empty.show(store.status.state === "waiting", store.noPicture ?? CHOOSE);
    if (facts) {
      image.hidden = !src;
      if (image.getAttribute("src") !== src || frame.dataset.size !== `${facts.width}×${facts.height}`) {
        if (src) image.src = src;
        else image.removeAttribute("src");
        frame.dataset.size = `${facts.width}×${facts.height}`;
        zoom.picture(facts.width, facts.height);
      }
      drawn.picture(facts);
    }
    around();
    picker.turn();
  };
  const onto = (index) => {
    const { width, height } = store.picture;
    const { x, y, width: wide, height: high } = rectangle(store.boxes[index].box);
    zoom.onto([x / width, y / height, (x + wide) / width, (y + high) / height]);
  };
  const crop = (index) =>
    copyOrOffer(
      cropOf(store, image, index),
      fileName(store, `${nameOf(store.boxes[index])}-${index + 1}`),
      "Crop",
      note.say,
    );
  return {
    root,
    listen,
    add,
    boxes,
    picture,
    look,
    onto,
    crop,
    words,
    shapes: boxes,
    reshape: drawn.reshape,
    moved: drawn.moved,
    edited: editor.show,
    light: drawn.light,
    pick: picker.turn,
    stop: () => {
      note.stop();
      editor.stop();
    },
  };
}
