// Names the sliders of a part that has no other module.

import { whenInPanel } from "./dom.js";
import { CHANGES, nameSliders } from "./sliders.js";

export default {
  render({ el }) {
    const controller = new AbortController();
    const { signal } = controller;
    el.hidden = true;
    whenInPanel(el, signal, (part) => {
      const observer = new MutationObserver(() => nameSliders(part));
      observer.observe(part, CHANGES);
      signal.addEventListener("abort", () => observer.disconnect());
      nameSliders(part);
    });
    return () => controller.abort();
  },
};
