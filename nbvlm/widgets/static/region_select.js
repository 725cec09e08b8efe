// Drawing a box on the picture, by pointer or by keyboard.

import { element, textButton } from "./dom.js";
import { focusedIn } from "./focus.js";
import { within } from "./geometry.js";

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function regionPicker(store, viewport, zoom, { draw, done }) {
  const bar = element("div", "nbvlm-pick-bar", { role: "note" });
  const cancel = textButton("nbvlm-pick-cancel", "Cancel");
  bar.append(
    element(
      "span",
      "",
      {},
      "Drag a box on the picture. By keyboard: arrows move it, with Shift they size it, Enter takes it, Esc leaves.",
    ),
    cancel,
  );
  let box = null; // in pixels of the picture
  let corner = null;
  let from = null; // what had the focus before the picture

  const sides = () => [store.picture.width, store.picture.height];
  const show = () => draw(store.picking ? box : store.region);
  const end = (found) => {
    corner = null;
    if (focusedIn(viewport) === viewport || bar.contains(focusedIn(viewport)))
      (from?.isConnected ? from : viewport).focus({ preventScroll: true });
    from = null;
    done(found?.map((value) => Math.round(value * 10) / 10));
  };
  const point = (event) => {
    const [width, height] = sides();
    const [x, y] = zoom.under(event.clientX, event.clientY);
    return [within(x, 0, 1) * width, within(y, 0, 1) * height];
  };
  const drag = (event) => {
    const [x, y] = point(event);
    box = [Math.min(corner[0], x), Math.min(corner[1], y), Math.max(corner[0], x), Math.max(corner[1], y)];
    show();
  };
  const down = (event) => {
    if (!store.picking || event.button || event.target.closest("button")) return;
    event.preventDefault();
    viewport.focus({ preventScroll: true });
    from = null;
    viewport.setPointerCapture(event.pointerId);
    corner = point(event);
  };
  const move = (event) => corner && drag(event);
  const up = (event) => {
    if (!corner) return;
    drag(event);
    corner = null;
    if (box[2] - box[0] >= 2 && box[3] - box[1] >= 2) end(box);
  };
  const lost = () => {
    corner = null;
  };
  const shift = ([right, low], sized) => {
    const [width, height] = sides();
    const [x, y] = [right * 0.02 * width, low * 0.02 * height];
    const [x0, y0, x1, y1] = box;
    if (sized)
      box = [x0, y0, within(x1 + x, x0 + 0.02 * width, width), within(y1 + y, y0 + 0.02 * height, height)];
    else {
      const [dx, dy] = [within(x, -x0, width - x1), within(y, -y0, height - y1)];
      box = [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
    }
    show();
  };
  // Returns true if the key moved or ended the box.
  const key = (event) => {
    if (!store.picking || event.ctrlKey || event.metaKey) return false;
    if (MOVES[event.key]) shift(MOVES[event.key], event.shiftKey);
    else if (event.key === "Enter") end(box);
    else if (event.key === "Escape") end(null);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };
  cancel.addEventListener("click", () => end(null));
  const turn = () => {
    const started = store.picking && bar.hidden;
    bar.hidden = !store.picking;
    viewport.classList.toggle("nbvlm-picking", store.picking);
    if (started && store.picture) {
      const [width, height] = sides();
      box = [0.3 * width, 0.3 * height, 0.7 * width, 0.7 * height];
      // Arrow keys walk through the tasks of a list: a choice there leaves the focus where it is.
      if (!focusedIn(viewport)?.matches("select")) viewport.focus({ preventScroll: true });
    }
    show();
  };
  const listen = (signal) => {
    const come = ({ relatedTarget }) => {
      if (store.picking && relatedTarget && !bar.contains(relatedTarget)) from = relatedTarget;
    };
    viewport.addEventListener("focus", come, { signal });
    viewport.addEventListener("pointerdown", down, { signal });
    viewport.addEventListener("pointermove", move, { signal });
    viewport.addEventListener("pointerup", up, { signal });
    viewport.addEventListener("pointercancel", lost, { signal });
  };
  bar.hidden = true;
  return { bar, turn, key, listen };
}
