// The task bar: a preset and its fields. They follow the prompt, and the prompt follows them.

import { element, options, subscribe, textButton, whenInPanel } from "./dom.js";
import { focusedIn } from "./focus.js";
import { recall } from "./prompt_history.js";
import { OWN, read, thingsOf, write } from "./prompt_syntax.js";

let suggestionLists = 0;

function labelled(title, field) {
  const label = element("label", "nbvlm-task-field");
  label.append(element("span", "nbvlm-task-label", title), field);
  return label;
}

// The things to look for, as chips, and a field to add one.
function chipField(change) {
  const root = element("div", "nbvlm-things", { role: "group", "aria-label": "Things to look for" });
  const list = element("datalist", "", {
    id: `nbvlm-known-${++suggestionLists}-${Math.random().toString(36).slice(2)}`,
  });
  const field = element("input", "nbvlm-thing", {
    type: "text",
    list: list.id,
    placeholder: "Add a thing",
    "aria-label": "Add a thing",
  });
  let things = [];
  const put = (next) => change(next.filter((thing, index) => thing && next.indexOf(thing) === index));
  const add = () => {
    const typed = field.value.split(/[;,]/).map((thing) => thing.trim());
    field.value = "";
    if (typed.some(Boolean)) put([...things, ...typed]);
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      add();
    } else if (event.key === "Backspace" && !field.value && things.length) put(things.slice(0, -1));
  });
  field.addEventListener("input", () => /[;,]/.test(field.value) && add());
  field.addEventListener("blur", add);
  const chip = (thing) => {
    const node = element("span", "nbvlm-chip-thing", thing);
    const remove = element("button", "nbvlm-chip-remove", {
      type: "button",
      "aria-label": `Remove ${thing}`,
    });
    remove.addEventListener("click", () => {
      put(things.filter((one) => one !== thing));
    });
    node.append(remove);
    return node;
  };
  const offer = (thing) => {
    const node = textButton("nbvlm-chip-offer", thing);
    node.setAttribute("aria-label", `Add ${thing}`);
    node.addEventListener("click", () => put([...things, thing]));
    return node;
  };
  const show = (next, known) => {
    things = next ?? [];
    const others = known.filter((thing) => !things.includes(thing));
    list.replaceChildren(...others.map((value) => element("option", "", { value })));
    const holder = focusedIn(root);
    const held = root.contains(holder) ? holder.getAttribute("aria-label") : null;
    root.replaceChildren(...things.map(chip), ...others.map(offer), field, list);
    // The chips are others now: the focus goes to the one of the same name, else to the field.
    const same = [...root.querySelectorAll("button")].find((one) => one.getAttribute("aria-label") === held);
    if (held) (same ?? field).focus({ preventScroll: true });
  };
  return { root, show };
}

// A region: drawn on the picture, or its four edges as numbers.
function regionField(change, pick) {
  const root = element("div", "nbvlm-region", { role: "group", "aria-label": "Region" });
  const draw = textButton("nbvlm-pick-region", "Draw it on the picture");
  draw.setAttribute("aria-pressed", "false");
  draw.addEventListener("click", (event) => {
    // The picture itself says whether a region is drawn on it: a press may be quicker than the kernel.
    const picture = root.closest(".nbvlm-panel")?.querySelector(".nbvlm-viewport");
    const begun = picture
      ? picture.classList.contains("nbvlm-picking")
      : draw.getAttribute("aria-pressed") === "true";
    // By keyboard the way to the picture leads over this button, also where drawing has begun already.
    if (begun && picture && !event.detail) picture.focus();
    else pick(!begun);
  });
  const edges = ["left", "top", "right", "bottom"].map((name) =>
    element("input", "nbvlm-edge", {
      type: "number",
      min: "0",
      step: "1",
      placeholder: name,
      "aria-label": `Region: ${name}, in pixels`,
    }),
  );
  const changed = () => {
    const box = edges.map((edge) => (edge.value === "" ? Number.NaN : Number(edge.value)));
    if (box.every(Number.isFinite) && box[2] > box[0] && box[3] > box[1]) change(box);
  };
  for (const edge of edges) edge.addEventListener("change", changed);
  root.append(draw, ...edges);
  const show = (box, [width, height]) => {
    edges.forEach((edge, index) => {
      edge.max = String(index % 2 ? height : width);
      if (box && document.activeElement !== edge) edge.value = String(box[index]);
    });
  };
  return { root, show, picking: (on) => draw.setAttribute("aria-pressed", String(on)) };
}

function languageField(change) {
  const root = element("select", "nbvlm-language", { "aria-label": "Language" });
  root.addEventListener("change", () => change(root.value));
  const show = (languages, language) => {
    root.replaceChildren(...options(languages.map(([value, name]) => [value, `${name} (${value})`])));
    root.value = language ?? "en";
  };
  return { root, show };
}

function bar(model, el) {
  const tasks = () => model.get("tasks") ?? [];
  const size = () => model.get("size") ?? [];
  const known = () => model.get("things") ?? [];
  const panel = () => el.closest(".nbvlm-panel, .nbvlm-own");
  const prompt = () => panel()?.querySelector(".nbvlm-prompt textarea");
  /** @type {import("./prompt_syntax.js").Fields} */
  let fields = { title: OWN };
  let seen = null; // the prompt that the fields follow

  const select = element("select", "nbvlm-task-choice", { "aria-label": "Task" });
  const language = languageField((value) => put({ language: value }));
  const question = element("input", "nbvlm-question", {
    type: "text",
    "aria-label": "Question",
    placeholder: "What do you want to know?",
  });
  question.addEventListener("input", () => put({ question: question.value }));
  const chips = chipField((things) => put({ things }));
  const region = regionField(
    (box) => put({ box }),
    (on) => pick(on),
  );
  const row = element("div", "nbvlm-task-row");
  const choice = labelled("Task", select);
  choice.classList.add("nbvlm-task");
  row.append(choice, labelled("Language", language.root));
  el.replaceChildren(row, question, chips.root, region.root);

  const current = () => tasks().find((task) => task.title === fields.title);
  const writePrompt = (text) => {
    const field = prompt();
    if (!field || field.value === text) return;
    field.value = text;
    for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
  };
  const put = (changes) => {
    fields = { ...fields, ...changes };
    const text = current() && write(current(), fields, size());
    if (text !== null && text !== undefined) writePrompt(text);
    show();
  };
  const pick = (on) => {
    region.picking(on);
    model.send({ type: "region", on });
  };
  const choose = (title) => {
    const task = tasks().find((one) => one.title === title);
    const named = thingsOf(prompt()?.value.trim() ?? "");
    const things = named.length ? named : known();
    const codes = (task?.languages ?? []).map(([code]) => code);
    const spoken = codes.includes(fields.language) ? fields.language : "en";
    const thing = things[0] ?? "thing";
    put({ title, language: spoken, things, question: (task?.question ?? "").replace("{thing}", thing) });
    if (task?.kind === "region") pick(true);
    else if (region.root.querySelector("[aria-pressed=true]")) pick(false);
  };
  select.addEventListener("change", () => choose(select.value));

  const look = () => {
    const field = prompt();
    if (!field || field.value === seen) return show();
    seen = field.value;
    const found = read(field.value, tasks(), size());
    // An empty list or an unfinished question keeps the chosen preset.
    fields = { ...fields, ...found };
    show();
  };
  const show = () => {
    const task = current();
    const titles = [...tasks().map((one) => one.title), OWN];
    select.replaceChildren(...options(titles.map((title) => [title, title])));
    select.value = task?.title ?? OWN;
    language.root.parentElement.hidden = (task?.languages ?? []).length < 2;
    language.show(task?.languages ?? [], fields.language);
    question.hidden = task?.kind !== "answer";
    if (document.activeElement !== question) question.value = fields.question ?? "";
    chips.root.hidden = !["detect", "segment"].includes(task?.kind);
    if (!chips.root.hidden) chips.show(fields.things, known());
    region.root.hidden = task?.kind !== "region" || !size().length;
    region.show(fields.box, size());
  };
  const drawn = (box) => {
    region.picking(false); // Esc on the picture, or a box
    if (box) put({ title: tasks().find((task) => task.kind === "region")?.title, box: box.map(Math.round) });
  };
  return { look, show, drawn, writePrompt };
}

export default () => {
  const store = { asked: [] };
  const views = new Set();
  const each = (call) => {
    for (const one of views) call(one);
  };

  function receive(message) {
    if (message.type === "asked") store.asked = message.prompts;
    else if (message.type === "look") requestAnimationFrame(() => each((one) => one.look()));
    else if (message.type === "region") each((one) => one.drawn(message.box));
  }

  return {
    initialize({ model }) {
      return subscribe(model, receive);
    },
    render({ model, el }) {
      const controller = new AbortController();
      const { signal } = controller;
      const view = bar(model, el);
      const memory = recall(store, view.writePrompt);
      const ours = (event, then) => event.target.matches?.(".nbvlm-prompt textarea") && then(event);
      whenInPanel(el, signal, (panel) => {
        panel.addEventListener("input", (event) => ours(event, view.look), { signal });
        panel.addEventListener("input", (event) => event.isTrusted && ours(event, memory.forget), { signal });
        panel.addEventListener("keydown", (event) => ours(event, memory.key), { signal, capture: true });
        view.look();
      });
      views.add(view);
      const other = () => view.drawn(null); // another picture ends the drawing of a region
      for (const name of ["tasks", "things", "size"]) model.on(`change:${name}`, view.show);
      model.on("change:size", other);
      view.show();
      return () => {
        controller.abort();
        views.delete(view);
        for (const name of ["tasks", "things", "size"]) model.off(`change:${name}`, view.show);
        model.off("change:size", other);
      };
    },
  };
};
