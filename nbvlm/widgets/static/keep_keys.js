// Keys that belong to a widget, and not to the notebook around it.

import { focusedIn } from "./focus.js";

const FOCUSABLE = "button, select, input, textarea, [tabindex], [contenteditable='true'], .noUi-handle";

// Notebook 7 takes arrow keys from sliders, and letters typed on a button insert cells, unless the focused
// element itself has the attribute data-lm-suppress-shortcuts.
export function keepKeys(root) {
  for (const node of root.querySelectorAll(FOCUSABLE)) node.dataset.lmSuppressShortcuts = "true";
  // Stop ends with the answer; its focus goes on to Run.
  const holder = focusedIn(root);
  if (holder?.matches(".nbvlm-stop:disabled"))
    root.querySelector("button.nbvlm-run")?.focus({ preventScroll: true });
}
