// Forms for models that are not in the list: an OpenAI-compatible server, and a recording.

import { element, numbered, textButton, whenInPanel } from "./dom.js";
import { focusedIn } from "./focus.js";
import { announce, focusReturn } from "./focus_return.js";

let forms = 0;

function serverField(title, attributes) {
  const label = element("label", "nbvlm-drawer-field");
  const field = element("input", "", {
    type: "text",
    spellcheck: "false",
    autocomplete: "off",
    ...attributes,
  });
  label.append(element("span", "", title), field);
  return { label, field };
}

function onKeys(root, submit, onClose) {
  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) submit();
    else if (event.key === "Escape") onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

function serverForm(say, onClose) {
  const root = element("div", "nbvlm-drawer", { role: "group", "aria-label": "OpenAI-compatible server" });
  const list = element("datalist", "", {
    id: `nbvlm-models-${++forms}-${Math.random().toString(36).slice(2)}`,
  });
  const url = serverField("Address of an OpenAI-compatible server", {
    class: "nbvlm-server-url",
    placeholder: "http://127.0.0.1:8000/v1",
  });
  const name = serverField("Model", {
    class: "nbvlm-server-model",
    list: list.id,
    placeholder: "google/paligemma2-3b-mix-448",
  });
  // Like that of the key field, the key leaves the page in a buffer, and the page forgets it.
  const key = serverField("Key, if the server asks for one", {
    class: "nbvlm-server-key",
    type: "password",
    "data-1p-ignore": "",
    "data-lpignore": "true",
  });
  const ask = (type, fields) => {
    const typed = key.field.value.trim();
    if (typed) say({ type: `${type}-keyed`, ...fields }, [new TextEncoder().encode(typed).buffer]);
    else say({ type, ...fields });
  };
  const look = textButton("nbvlm-server-look", "List its models");
  const local = textButton("nbvlm-server-local", "Look for models on this computer");
  const found = element("div", "nbvlm-drawer-found", { role: "group", "aria-label": "Models found" });
  const connect = textButton("nbvlm-server-connect nbvlm-drawer-main", "Connect");
  const close = textButton("nbvlm-drawer-close", "Cancel");
  const words = element("p", "nbvlm-drawer-words", { role: "status" });
  const submit = () => ask("connect", { url: url.field.value, model: name.field.value });
  look.addEventListener("click", () => ask("models", { url: url.field.value }));
  local.addEventListener("click", () => {
    local.disabled = true;
    say({ type: "local" });
  });
  connect.addEventListener("click", submit);
  close.addEventListener("click", onClose);
  const row = element("div", "nbvlm-drawer-row");
  row.append(url.label, name.label, key.label, look, connect, close);
  root.append(row, local, found, list, words);
  onKeys(root, submit, onClose);
  const models = (names, text) => {
    list.replaceChildren(...names.map((value) => element("option", "", { value })));
    if (names.length && !name.field.value) name.field.value = names[0];
    words.textContent = text;
  };
  // Each model is a button that asks it from now on.
  const here = (models, text) => {
    local.disabled = false;
    const buttons = models.map(({ service, model, label }) => {
      const button = textButton("nbvlm-server-found", label);
      button.addEventListener("click", () => say({ type: "connect", url: service, model }));
      return button;
    });
    found.replaceChildren(...buttons);
    words.textContent = text;
  };
  const forget = () => {
    key.field.value = "";
  };
  return { root, first: url.field, models, here, forget };
}

function recordingForm(say, onClose) {
  const root = element("div", "nbvlm-drawer", { role: "group", "aria-label": "Recording" });
  const path = serverField("Path of a recording, where the kernel runs; “photographs” is part of nbvlm", {
    class: "nbvlm-recording-path",
    placeholder: "lesson.json",
  });
  const play = textButton("nbvlm-recording-play nbvlm-drawer-main", "Play its answers");
  const close = textButton("nbvlm-drawer-close", "Cancel");
  const words = element("p", "nbvlm-drawer-words", { role: "status" });
  const submit = () => say({ type: "play", path: path.field.value });
  play.addEventListener("click", submit);
  close.addEventListener("click", onClose);
  const row = element("div", "nbvlm-drawer-row");
  row.append(path.label, play, close);
  root.append(row, words);
  onKeys(root, submit, onClose);
  const models = (_names, text) => {
    words.textContent = text;
  };
  return { root, first: path.field, models };
}

const FORMS = { "nbvlm-server": serverForm, "nbvlm-recording": recordingForm };

export default () => {
  const views = new Set();
  const receive = (message) => {
    for (const one of views) one[message.type]?.(message);
  };

  return {
    initialize({ model }) {
      model.on("msg:custom", receive);
      return () => model.off("msg:custom", receive);
    },
    render({ model, el }) {
      const controller = new AbortController();
      const { signal } = controller;
      let form = null;
      let back = () => {};
      const close = () => {
        form?.forget?.();
        const held = form?.root.contains(focusedIn(el));
        el.replaceChildren();
        el.hidden = true;
        form = null;
        if (held) back();
      };
      const cancel = () => {
        close();
        el.closest(".nbvlm-panel")?.dispatchEvent(new CustomEvent("nbvlm-server-closed"));
      };
      const view = {
        open: ({ type, name = type }) => {
          if (!form) back = focusReturn(el);
          el.hidden = false;
          form = FORMS[name](
            (message, buffers) => model.send(numbered(el, message), undefined, buffers),
            cancel,
          );
          el.replaceChildren(form.root);
          // Arrow keys walk through the models, so a choice leaves the focus where it is; Enter goes on.
          const holder = focusedIn(el);
          if (!holder?.matches("select")) form.first.focus({ preventScroll: true });
          else
            announce(el, `A form is open below: ${form.root.getAttribute("aria-label")}. Enter goes there`);
        },
        enter: () => form?.first.focus({ preventScroll: true }),
        models: ({ names, words }) => form?.models(names, words),
        here: ({ models, words }) => form?.here?.(models, words),
        connected: close,
      };
      close();
      views.add(view);
      whenInPanel(el, signal, (panel) => {
        for (const name of Object.keys(FORMS)) panel.addEventListener(name, view.open, { signal });
        panel.addEventListener("nbvlm-form-enter", view.enter, { signal });
      });
      return () => {
        controller.abort();
        views.delete(view);
        close();
      };
    },
  };
};
