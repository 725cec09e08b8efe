// The bar above the picture: zoom, masks, labels, opacity, copy.

import { element, textButton } from "./dom.js";
import { icon, iconButton } from "./icons.js";

function switchButton(store, name, drawn, title, change) {
  const button = element("button", `nbvlm-view-button nbvlm-view-switch nbvlm-switch-${name}`, {
    type: "button",
    title,
  });
  button.append(icon(drawn), element("span", "", {}, title));
  button.addEventListener("click", () => change({ [name]: !store.look[name] }));
  const show = () => button.setAttribute("aria-pressed", String(store.look[name]));
  return { button, show };
}

function opacityField(store, change) {
  const root = element("label", "nbvlm-opacity");
  const range = element("input", "", {
    type: "range",
    min: "0",
    max: "1",
    step: "0.05",
    "aria-label": "Opacity",
    "data-lm-suppress-shortcuts": "true",
  });
  range.addEventListener("input", () => change({ opacity: Number(range.value) }));
  root.append(element("span", "", {}, "Opacity"), range);
  const show = () => {
    range.value = String(store.look.opacity);
    range.setAttribute("aria-valuetext", `${Math.round(100 * store.look.opacity)} %`);
  };
  return { root, show };
}

export function viewToolbar(store, zoom, { change, copy }) {
  const root = element("div", "nbvlm-view-tools", { role: "group", "aria-label": "View" });
  const level = textButton("nbvlm-view-button nbvlm-zoom-level", "100 %");
  level.addEventListener("click", () => zoom().fit());
  const zooming = element("div", "nbvlm-view-group");
  zooming.append(
    iconButton("nbvlm-zoom-out", "minus", "Zoom out", () => zoom().by(0.8)),
    level,
    iconButton("nbvlm-zoom-in", "plus", "Zoom in", () => zoom().by(1.25)),
  );
  const masks = switchButton(store, "masks", "mask", "Masks", change);
  const labels = switchButton(store, "labels", "tag", "Labels", change);
  const opacity = opacityField(store, change);
  const drawn = element("div", "nbvlm-view-group nbvlm-view-drawn");
  drawn.append(masks.button, labels.button, opacity.root);
  const copying = iconButton("nbvlm-copy-picture", "copy", "Copy the picture as it is drawn", copy);
  root.append(zooming, drawn, copying);

  const show = () => {
    root.hidden = !store.picture;
    drawn.hidden = !store.boxes.length;
    masks.button.hidden = !Object.keys(store.shapes).length;
    for (const one of [masks, labels, opacity]) one.show();
  };
  const zoomed = (value) => {
    const percent = Math.round(100 * value);
    level.textContent = `${percent} %`;
    level.setAttribute("aria-label", `Zoom ${percent} %, show the whole picture`);
    level.title = "Show the whole picture";
  };
  zoomed(1);
  return { root, show, zoomed };
}

// A short message that disappears by itself, with a button where it offers an action.
export function toast() {
  const root = element("div", "nbvlm-toast");
  let timer = 0;
  const hide = () => {
    clearTimeout(timer);
    root.hidden = true;
  };
  const say = (text, action) => {
    clearTimeout(timer);
    root.replaceChildren(element("span", "", {}, text));
    if (action) {
      const button = textButton("nbvlm-toast-button", action.name);
      button.addEventListener("click", action.act);
      root.append(button);
    }
    root.hidden = false;
    timer = setTimeout(hide, action ? 12_000 : 2_500);
  };
  root.hidden = true;
  return { root, say, stop: hide };
}
