// Keys that belong to a widget, and not to the notebook around it.

const FOCUSABLE = "button, select, input, textarea, [tabindex], [contenteditable='true'], .noUi-handle";

// Notebook 7 takes arrow keys from sliders, and letters typed on a button insert cells, unless the focused
// element itself has the attribute data-lm-suppress-shortcuts.
export function suppressShortcuts(root, signal) {
  const mark = () => {
    for (const node of root.querySelectorAll(FOCUSABLE)) node.dataset.lmSuppressShortcuts = "true";
  };
  const observer = new MutationObserver(mark);
  observer.observe(root, { childList: true, subtree: true });
  signal.addEventListener("abort", () => observer.disconnect());
  mark();
}
