// Names the sliders of a part that has no other module.

import { whenInPanel } from "./dom.js";
import { followFields, nameSliders } from "./sliders.js";

export default {
  render({ el }) {
    const controller = new AbortController();
    const { signal } = controller;
    el.hidden = true;
    whenInPanel(el, signal, (part) => followFields(part, signal, () => nameSliders(part)));
    return () => controller.abort();
  },
};
