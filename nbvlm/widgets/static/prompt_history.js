// Arrow keys in the prompt field bring back earlier prompts.

import { element } from "./dom.js";

// Counts the characters that fit into a line of the field, which has a monospaced font.
function columns(field) {
  const style = getComputedStyle(field);
  const context = element("canvas", "").getContext("2d");
  context.font = style.font;
  const room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return Math.max(1, Math.floor(room / context.measureText("m").width));
}

function atEdge(field, up) {
  const { value, selectionStart, selectionEnd } = field;
  if (selectionStart !== selectionEnd) return false;
  const width = columns(field);
  if (up) return !value.slice(0, selectionStart).includes("\n") && selectionStart < width;
  const last = value.lastIndexOf("\n") + 1;
  if (selectionStart < last) return false;
  const rows = (count) => Math.floor(Math.max(0, count) / width);
  return rows(selectionStart - last) === rows(value.length - last);
}

// Moves through the prompts of `store.asked`, the newest first; the unfinished prompt comes back at the end.
export function recall(store, write) {
  let place = null;
  let draft = "";
  return {
    forget: () => {
      place = null;
    },
    key: (event) => {
      const up = event.key === "ArrowUp";
      const plain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.isComposing);
      if ((!up && event.key !== "ArrowDown") || !plain || !atEdge(event.target, up)) return;
      const { asked } = store;
      if (place === null) {
        if (!up || !asked.length) return;
        draft = event.target.value;
        place = asked.length;
      }
      let next = place + (up ? -1 : 1);
      if (up && asked[next] === draft && place === asked.length) next -= 1; // it is in the field already
      if (next < 0 || next > asked.length) return;
      event.preventDefault();
      place = next;
      write(place === asked.length ? draft : asked[place]);
      if (place === asked.length) place = null;
    },
  };
}
