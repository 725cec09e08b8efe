// Elements of the page, and messages to the kernel: shared by all widgets.

export function element(tag, className, attributes = {}, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  if (typeof attributes === "string") node.textContent = attributes;
  else for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

export function textButton(className, text) {
  return element("button", className, { type: "button" }, text);
}

export function options(pairs) {
  return pairs.map(([value, text]) => element("option", "", { value }, text));
}

export function dataUri(view, mime) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  let binary = "";
  for (let i = 0; i < bytes.length; i += 0x8000)
    binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return `data:${mime};base64,${btoa(binary)}`;
}

export function download(name, blob) {
  const link = element("a", "", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Kernels may handle messages in another order than they were sent in, so each carries a number.
export function numbered(el, message) {
  const panel = el.closest(".nbvlm-panel") ?? el;
  panel.nbvlmPage ??= Math.random().toString(36).slice(2);
  panel.nbvlmNumber = (panel.nbvlmNumber ?? 0) + 1;
  return { ...message, page: panel.nbvlmPage, number: panel.nbvlmNumber };
}

// The kernel answers "hello" with everything that the widget shows. Returns the function that ends the subscription.
export function subscribe(model, receive) {
  model.on("msg:custom", receive);
  model.send({ type: "hello" });
  return () => model.off("msg:custom", receive);
}

// A widget whose views all show one store: `receive` takes a message into the store, and each view then shows
// what it returns. `view(el, send, model)` makes a view.
export function sharedViews(receive, view) {
  const views = new Set();
  return {
    initialize({ model }) {
      return subscribe(model, (message, buffers) => {
        const changed = receive(message, buffers);
        for (const one of views) one.show(changed);
      });
    },
    render({ model, el }) {
      const one = view(el, (message) => model.send(message), model);
      views.add(one);
      one.show();
      return () => {
        views.delete(one);
        one.stop?.();
      };
    },
  };
}

// The view is rendered before it is put into the page, so what is around it is found a moment later.
export function whenFound(find, signal, callback) {
  const look = () => {
    if (signal.aborted) return;
    const found = find();
    if (found) callback(found);
    else requestAnimationFrame(look);
  };
  look();
}

export function whenInPanel(el, signal, callback) {
  whenFound(() => el.closest(".nbvlm-panel, .nbvlm-own"), signal, callback);
}
