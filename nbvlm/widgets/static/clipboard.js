// The clipboard of the browser exists on https pages and on this computer only.
// Elsewhere a field is selected and copied by command.

import { element } from "./dom.js";

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = element("textarea", "", { readonly: "", "aria-hidden": "true" });
    field.style.cssText = "position:fixed;opacity:0";
    field.value = text;
    document.body.append(field);
    const held = document.activeElement;
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (held instanceof HTMLElement) held.focus();
    return done;
  }
}
