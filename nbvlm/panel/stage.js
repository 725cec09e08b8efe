// The stage: the picture with its boxes as SVG, the answer as a text node, the status line.

const SVG = "http://www.w3.org/2000/svg";

function element(tag, className, attributes = {}) {
  const node = document.createElement(tag);
  node.className = className;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function dataUri(view, mime) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  let binary = "";
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return `data:${mime};base64,${btoa(binary)}`;
}

function svgElement(tag, className, attributes) {
  const node = document.createElementNS(SVG, tag);
  node.setAttribute("class", className);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// A dark line under the coloured one keeps a box visible on every ground.
function outline({ box: [x0, y0, x1, y1], color }) {
  const size = { width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0) };
  return [
    svgElement("path", "nbvlm-halo", { d: `M${x0} ${y0}h${size.width}v${size.height}H${x0}z` }),
    svgElement("rect", "nbvlm-box", { x: x0, y: y0, ...size, stroke: color, fill: color }),
  ];
}

// Labels are HTML at places in percent: their size stays the same however large the picture is drawn.
function label({ label: text, box: [x0, y0, x1], color, ink }, { width, height }) {
  const node = element("span", "nbvlm-label");
  node.textContent = text || "?";
  node.style.setProperty("--nbvlm-box", color);
  node.style.setProperty("--nbvlm-ink", ink);
  node.style.top = `${(100 * Math.max(0, y0)) / height}%`;
  if (x0 > 0.7 * width) node.style.right = `${100 - (100 * Math.min(width, x1)) / width}%`;
  else node.style.left = `${(100 * Math.max(0, x0)) / width}%`;
  node.classList.toggle("nbvlm-label-inside", y0 < 0.08 * height);
  return node;
}

function alternative(picture, boxes) {
  if (!boxes.length) return `The chosen picture, ${picture.name}`;
  const counts = new Map();
  for (const { label: text } of boxes) counts.set(text || "unnamed", (counts.get(text || "unnamed") ?? 0) + 1);
  const things = [...counts].map(([text, count]) => (count > 1 ? `${text} (${count})` : text));
  return `${picture.name}, marked: ${things.join(", ")}`;
}

function viewer(store) {
  const root = element("figure", "nbvlm-viewer");
  const frame = element("div", "nbvlm-frame");
  const image = element("img", "nbvlm-picture", { draggable: "false" });
  const svg = svgElement("svg", "nbvlm-boxes", { preserveAspectRatio: "none", "aria-hidden": "true" });
  const labels = element("div", "nbvlm-labels", { "aria-hidden": "true" });
  const empty = element("div", "nbvlm-no-picture");
  empty.textContent = "Choose a picture";
  frame.append(image, svg, labels);
  root.append(frame, empty);

  const add = (boxes) => {
    svg.append(...boxes.flatMap(outline));
    labels.append(...boxes.map((box) => label(box, store.picture)));
    image.alt = alternative(store.picture, store.boxes);
    drawn = JSON.stringify(store.boxes);
  };
  let drawn = "[]";
  const boxes = () => {
    const wanted = JSON.stringify(store.boxes);
    if (wanted === drawn) return; // what is there already does not appear again
    svg.replaceChildren();
    labels.replaceChildren();
    if (store.picture) add(store.boxes);
  };
  const picture = () => {
    const { picture: facts, src } = store;
    frame.hidden = !facts;
    empty.hidden = Boolean(facts) || store.status.state === "waiting";
    if (facts) {
      image.src = src;
      svg.setAttribute("viewBox", `0 0 ${facts.width} ${facts.height}`);
      frame.style.setProperty("--nbvlm-ratio", facts.width / facts.height);
    }
    drawn = "";
    boxes();
  };
  return { root, add, boxes, picture };
}

function answerView(store) {
  const root = element("div", "nbvlm-answer", {
    "data-placeholder": "The answer appears here, word by word.",
    role: "region",
    "aria-label": "Answer",
    tabindex: "0",
    "data-lm-suppress-shortcuts": "true",
  });
  const add = (text) => {
    if (root.lastChild) root.lastChild.appendData(text);
    else root.append(document.createTextNode(text));
    root.scrollTop = root.scrollHeight;
  };
  const show = () => {
    root.replaceChildren();
    if (store.text) add(store.text);
  };
  return { root, add, show };
}

function statusView(store) {
  const root = element("div", "nbvlm-status");
  const light = element("span", "nbvlm-light", { "aria-hidden": "true" });
  const words = element("span", "nbvlm-status-words", { role: "status", "aria-live": "polite" });
  const clock = element("span", "nbvlm-clock", { "aria-hidden": "true" });
  root.append(light, words, clock);
  let timer = 0;
  let started = 0;

  const tick = () => {
    clock.textContent = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    clock.textContent = "";
  };
  const run = () => {
    if (timer) return;
    started = performance.now();
    timer = setInterval(tick, 100);
  };
  const show = () => {
    const { state, parts } = store.status;
    root.dataset.state = state;
    const idle = {
      waiting: "Waiting for the kernel",
      empty: "Choose a picture to begin",
      ready: "Ready",
      failed: "No answer",
    };
    words.textContent = parts.length ? parts.join(" · ") : (idle[state] ?? "");
    if (state === "running") run();
    else stop();
  };
  return { root, show, stop };
}

function view(el, store) {
  const parts = { viewer: viewer(store), answer: answerView(store), status: statusView(store) };
  const heading = element("div", "nbvlm-heading");
  heading.textContent = "Answer";
  el.classList.add("nbvlm-stage");
  el.replaceChildren(parts.viewer.root, heading, parts.answer.root, parts.status.root);

  const put = (changes) => {
    if ("picture" in changes) parts.viewer.picture();
    else if ("boxes" in changes) parts.viewer.boxes();
    if ("text" in changes) parts.answer.show();
    if ("status" in changes) {
      parts.status.show();
      el.dataset.state = store.status.state;
    }
  };
  const more = ({ text, boxes, status }) => {
    if (text) parts.answer.add(text);
    if (boxes) parts.viewer.add(boxes);
    if (status) put({ status });
  };
  put(store);
  return { put, more, stop: parts.status.stop };
}

// The old answer goes at the press on Run, not when the kernel has time to say so.
const ASKING = { text: "", boxes: [], status: { state: "running", parts: ["Asking"] } };

function onRun(el, signal, callback) {
  const listen = () => {
    if (signal.aborted) return;
    if (!el.isConnected) {
      requestAnimationFrame(listen);
      return;
    }
    const press = (event) => event.target.closest(".nbvlm-run:not(:disabled)") && callback();
    el.closest(".nbvlm-panel")?.addEventListener("click", press, { signal, capture: true });
  };
  listen();
}

export default () => {
  // One store for all views of the widget: a view that is opened while text streams shows all of it.
  const store = { picture: null, src: "", text: "", boxes: [], status: { state: "waiting", parts: [] } };
  const views = new Set();

  function put(changes) {
    Object.assign(store, changes);
    views.forEach((one) => one.put(changes));
  }

  function receive(message, buffers) {
    if (message.type === "more") {
      store.text += message.text ?? "";
      if (message.boxes) store.boxes = [...store.boxes, ...message.boxes];
      if (message.status) store.status = message.status;
      views.forEach((one) => one.more(message));
      return;
    }
    const { type, ...changes } = message;
    if (type === "all") store.src = changes.picture ? dataUri(buffers[0], changes.picture.mime) : "";
    put(changes);
  }

  return {
    initialize({ model }) {
      store.text = model.get("answer") ?? "";
      model.on("msg:custom", receive);
      model.send({ type: "hello" });
      return () => model.off("msg:custom", receive);
    },
    render({ el }) {
      const controller = new AbortController();
      const one = view(el, store);
      views.add(one);
      // A press while an answer comes waits for its end, and so does the old answer.
      onRun(el, controller.signal, () => store.picture && store.status.state !== "running" && put(ASKING));
      return () => {
        controller.abort();
        views.delete(one);
        one.stop();
      };
    },
  };
};
