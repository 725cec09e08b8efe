// Where the focus goes back to, and what a screen reader says.

import { focusedIn } from "./focus.js";

// Notes what has the focus, and returns the function that gives it back: to Run where that is gone.
export function focusReturn(el) {
  const from = focusedIn(el);
  return () => {
    if (from?.isConnected) from.focus({ preventScroll: true });
    if (from && focusedIn(el) === from) return;
    el.closest(".nbvlm-panel, .nbvlm-own")?.querySelector("button.nbvlm-run")?.focus({ preventScroll: true });
  };
}

// Lets the panel say a sentence to a screen reader.
export function announce(el, text) {
  el.closest(".nbvlm-panel")?.dispatchEvent(new CustomEvent("nbvlm-say", { detail: text }));
}
