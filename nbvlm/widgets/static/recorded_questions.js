// The questions of a recording, as buttons by picture.

import { element, numbered, sharedViews, textButton } from "./dom.js";

function view(el, store, send) {
  const ask = (index) => send(numbered(el, { type: "ask", index }));
  const group = ({ name, asks }) => {
    const root = element("div", "nbvlm-recorded-group", { role: "group", "aria-label": `About ${name}` });
    root.append(element("span", "nbvlm-recorded-picture", name));
    for (const [index, prompt] of asks) {
      const button = textButton("nbvlm-recorded-ask", prompt);
      button.addEventListener("click", () => ask(index));
      root.append(button);
    }
    return root;
  };
  const show = () => {
    el.hidden = !store.pictures.length;
    const title = element("div", "nbvlm-recorded-title", "Questions of the recording");
    el.replaceChildren(...(store.pictures.length ? [title, ...store.pictures.map(group)] : []));
  };
  return { show };
}

export default () => {
  const store = { pictures: [] };
  const receive = ({ pictures }) => Object.assign(store, { pictures });
  return sharedViews(receive, (el, send) => view(el, store, send));
};
