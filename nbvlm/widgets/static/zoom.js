// Zoom and pan: the size of the picture, and the point of it that is in the middle.

import { within } from "./geometry.js";

const NEAREST = 16;

export function zoomable(viewport, frame, onZoom) {
  const at = { zoom: 1, x: 0.5, y: 0.5 };
  let ratio = 1;

  const sizes = () => {
    const wide = viewport.clientWidth;
    const high = viewport.clientHeight;
    const fit = Math.min(wide, high * ratio);
    return { wide, high, fit, width: fit * at.zoom, height: (fit * at.zoom) / ratio };
  };
  const kept = (middle, view, size) =>
    size <= view ? 0.5 : within(middle, view / 2 / size, 1 - view / 2 / size);
  const put = (zoom, x, y) => {
    at.zoom = within(zoom, 1, NEAREST);
    const { wide, high, width, height } = sizes();
    at.x = kept(x, wide, width);
    at.y = kept(y, high, height);
    frame.style.setProperty("--nbvlm-zoom", at.zoom);
    frame.style.setProperty("--nbvlm-x", at.x);
    frame.style.setProperty("--nbvlm-y", at.y);
    viewport.classList.toggle("nbvlm-zoomed", at.zoom > 1);
    onZoom(at.zoom);
  };
  /** @returns {[number, number]} */
  const fromMiddle = (clientX, clientY) => {
    const box = viewport.getBoundingClientRect();
    return [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
  };
  // The part of the picture under the point stays there.
  const by = (factor, [right, down] = [0, 0]) => {
    const before = sizes();
    const zoom = within(at.zoom * factor, 1, NEAREST);
    const grown = zoom / at.zoom;
    const x = at.x + (right / before.width) * (1 - 1 / grown);
    const y = at.y + (down / before.height) * (1 - 1 / grown);
    put(zoom, x, y);
  };
  const pan = (right, down) => {
    const { width, height } = sizes();
    put(at.zoom, at.x - right / width, at.y - down / height);
  };
  const fit = () => put(1, 0.5, 0.5);
  // Converts a point of the page to one of the picture, 0 to 1.
  const under = (clientX, clientY) => {
    const { width, height } = sizes();
    const [right, down] = fromMiddle(clientX, clientY);
    return [at.x + right / width, at.y + down / height];
  };
  const onto = ([x0, y0, x1, y1]) => {
    const { wide, high, fit: least } = sizes();
    const zoom = Math.min((0.6 * wide) / ((x1 - x0) * least), (0.6 * high) / (((y1 - y0) * least) / ratio));
    put(within(zoom, 1, 8), (x0 + x1) / 2, (y0 + y1) / 2);
  };
  const picture = (width, height) => {
    ratio = width / height;
    for (const node of [viewport, frame]) node.style.setProperty("--nbvlm-ratio", ratio);
    fit();
  };
  return { at, by, pan, fit, under, onto, picture, fromMiddle, sizes };
}

// The wheel zooms with Ctrl or ⌘ only (a pinch on a touchpad sends Ctrl), so that the page still scrolls.
export function listenToWheel(viewport, zoom, signal) {
  const turn = (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const way = event.deltaMode ? event.deltaY * 16 : event.deltaY;
    zoom.by(within(Math.exp(-way / 100), 0.8, 1.25), zoom.fromMiddle(event.clientX, event.clientY));
  };
  viewport.addEventListener("wheel", turn, { signal, passive: false });
}

// Two fingers zoom and move; one finger scrolls the page.
export function listenToFingers(viewport, zoom, signal) {
  let last = null;
  /** @param {Touch[]} touches */
  const pair = ([one, two]) => ({
    x: (one.clientX + two.clientX) / 2,
    y: (one.clientY + two.clientY) / 2,
    apart: Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY),
  });
  const move = (event) => {
    if (event.touches.length !== 2) {
      last = null;
      return;
    }
    event.preventDefault();
    const now = pair([...event.touches]);
    if (last) {
      zoom.pan(now.x - last.x, now.y - last.y);
      zoom.by(now.apart / last.apart, zoom.fromMiddle(now.x, now.y));
    }
    last = now;
  };
  for (const name of ["touchstart", "touchmove", "touchend"]) {
    viewport.addEventListener(name, move, { signal, passive: false });
  }
}

// A press that moves pans the picture; one that does not is a click.
export function listenToDrag(viewport, zoom, signal, { free, click }) {
  let from = null;
  const end = () => {
    from = null;
    viewport.classList.remove("nbvlm-panning");
  };
  const down = (event) => {
    if (!free() || event.button || event.target.closest("button")) return;
    from = { x: event.clientX, y: event.clientY, moved: false };
  };
  const move = (event) => {
    if (!from || event.pointerType === "touch") return;
    const [right, low] = [event.clientX - from.x, event.clientY - from.y];
    if (!from.moved && Math.hypot(right, low) < 4) return;
    if (!from.moved && zoom.at.zoom > 1) viewport.setPointerCapture(event.pointerId);
    from = { x: event.clientX, y: event.clientY, moved: true };
    viewport.classList.toggle("nbvlm-panning", zoom.at.zoom > 1);
    zoom.pan(right, low);
  };
  const up = (event) => {
    if (from && !from.moved) click(event);
    end();
  };
  viewport.addEventListener("pointerdown", down, { signal });
  viewport.addEventListener("pointermove", move, { signal });
  viewport.addEventListener("pointerup", up, { signal });
  viewport.addEventListener("pointercancel", end, { signal });
}

const STEP = 60;
const ZOOM_KEYS = {
  "+": (zoom) => zoom.by(1.25),
  "=": (zoom) => zoom.by(1.25),
  "-": (zoom) => zoom.by(0.8),
  0: (zoom) => zoom.fit(),
};
const PAN_KEYS = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };

export function zoomKey(zoom, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = ZOOM_KEYS[event.key];
  const way = zoom.at.zoom > 1 && PAN_KEYS[event.key]; // unzoomed, arrows scroll the page
  if (!act && !way) return;
  event.preventDefault();
  event.stopPropagation();
  if (act) act(zoom);
  else zoom.pan(...way);
}
