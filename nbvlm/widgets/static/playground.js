// The playground: a small panel in one widget. Its keys: Ctrl+Enter asks, Esc stops.

import { carrying } from "./carrier.js";
import { focusedIn } from "./focus.js";

function press(el, selector) {
  const button = el.querySelector(selector);
  if (!button || button.disabled) return false;
  // What is being typed is left first, so that it is asked.
  focusedIn(el)?.dispatchEvent(new Event("change", { bubbles: true }));
  button.click();
  return true;
}

function listen(el, signal) {
  const take = (event) => {
    const run = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    const done = run
      ? press(el, "button.nbvlm-run")
      : event.key === "Escape" && press(el, "button.nbvlm-stop");
    if (!run && !done) return;
    event.preventDefault();
    event.stopPropagation();
  };
  el.addEventListener("keydown", take, { signal, capture: true });
}

const carried = carrying((el, signal) => {
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", "Ask a vision-language model about a picture");
  listen(el, signal);
});

export default () => {
  const { initialize, render } = carried();
  return {
    // Hosts that run cells again when a page reports a value, such as marimo, do so after each answer.
    initialize({ model }) {
      const report = () => {
        model.set("_seen", model.get("answered"));
        model.save_changes();
      };
      model.on("change:answered", report);
      const end = initialize({ model });
      return () => {
        model.off("change:answered", report);
        end();
      };
    },
    render,
  };
};
