// Where the focus is.

/**
 * The element that has the focus, where it is one of this page or shadow root; null if there is none.
 * @returns {any}
 */
export function focusedIn(el) {
  const root = /** @type {Document | ShadowRoot} */ (el.getRootNode());
  const found = root.activeElement ?? null;
  return found === document.body ? null : found;
}
