// The questions of a recording, as buttons by picture.

import { element, numbered, subscribe, textButton } from "./dom.js";

function view(el, store, model) {
  const ask = (index) => model.send(numbered(el, { type: "ask", index }));
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
  return () => {
    el.hidden = !store.pictures.length;
    const title = element("div", "nbvlm-recorded-title", "Questions of the recording");
    el.replaceChildren(...(store.pictures.length ? [title, ...store.pictures.map(group)] : []));
  };
}

export default () => {
  const store = { pictures: [] };
  const views = new Set();
  return {
    initialize({ model }) {
      return subscribe(model, (message) => {
        store.pictures = message.pictures;
        for (const show of views) show();
      });
    },
    render({ model, el }) {
      const show = view(el, store, model);
      views.add(show);
      show();
      return () => views.delete(show);
    },
  };
};
