// Forms for models that are not in the list: an OpenAI-compatible server, and a recording.

import { element, numbered, textButton } from "./dom.js";
import { drawerField, drawers, onKeys } from "./drawer.js";
import { focusedIn } from "./focus.js";
import { announce } from "./focus_return.js";

let forms = 0;

function serverForm(say, onClose) {
  const root = element("div", "nbvlm-drawer", { role: "group", "aria-label": "OpenAI-compatible server" });
  const list = element("datalist", "", {
    id: `nbvlm-models-${++forms}-${Math.random().toString(36).slice(2)}`,
  });
  const url = drawerField("Address of an OpenAI-compatible server", {
    class: "nbvlm-server-url",
    placeholder: "http://127.0.0.1:8000/v1",
  });
  const name = drawerField("Model", {
    class: "nbvlm-server-model",
    list: list.id,
    placeholder: "google/paligemma2-3b-mix-448",
  });
  // Like that of the key field, the key leaves the page in a buffer, and the page forgets it.
  const key = drawerField("Key, if the server asks for one", {
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
  const path = drawerField("Path of a recording, where the kernel runs; “photographs” is part of nbvlm", {
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

export default () =>
  drawers((el, model, drawer) => {
    const say = (message, buffers) => model.send(numbered(el, message), undefined, buffers);
    const cancel = () => {
      drawer.close();
      el.closest(".nbvlm-panel")?.dispatchEvent(new CustomEvent("nbvlm-server-closed"));
    };
    const enter = () => drawer.form?.first.focus({ preventScroll: true });
    const open = ({ type, name = type }) => {
      const form = FORMS[name](say, cancel);
      drawer.open(form);
      // Arrow keys walk through the models, so a choice leaves the focus where it is; Enter goes on.
      if (!focusedIn(el)?.matches("select")) enter();
      else announce(el, `A form is open below: ${form.root.getAttribute("aria-label")}. Enter goes there`);
    };
    return {
      takers: {
        open,
        models: ({ names, words }) => drawer.form?.models(names, words),
        here: ({ models, words }) => drawer.form?.here?.(models, words),
        connected: drawer.close,
      },
      events: { "nbvlm-server": open, "nbvlm-recording": open, "nbvlm-form-enter": enter },
    };
  });
