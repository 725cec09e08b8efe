// The picker: thumbnails, the file button, drop and paste, and a file's way to the kernel in pieces.

const CHUNK = 1024 * 1024;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

// crypto.subtle is missing on plain-http pages, and cannot take a file in pieces anyway.
function crc32(bytes, crc) {
  crc = ~crc;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

function dataUri(view, mime) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  let binary = "";
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return `data:${mime};base64,${btoa(binary)}`;
}

function element(tag, className, attributes = {}) {
  const node = document.createElement(tag);
  node.className = className;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// Kernels may handle messages in another order than that in which they were sent.
function numbered(el, message) {
  const panel = el.closest(".nbvlm-panel") ?? el;
  panel.nbvlmPage ??= Math.random().toString(36).slice(2);
  panel.nbvlmNumber = (panel.nbvlmNumber ?? 0) + 1;
  return { ...message, page: panel.nbvlmPage, number: panel.nbvlmNumber };
}

// One file at a time; a new one takes the place of one under way.
class Sender {
  constructor(model, onChange) {
    Object.assign(this, { model, onChange, id: 0, wake: null, name: "", sent: 0, size: 0, active: false });
  }

  take(message) {
    if (message.id === this.id) this.wake?.(message);
  }

  ask(message, buffers = []) {
    return new Promise((resolve) => {
      this.wake = resolve;
      this.model.send({ ...message, id: this.id }, undefined, buffers);
    });
  }

  async send(file) {
    this.cancel();
    const id = ++this.id;
    Object.assign(this, { name: file.name, sent: 0, size: file.size, active: true });
    this.onChange();
    await this.pieces(file, id);
    if (this.id === id) this.end();
  }

  async pieces(file, id) {
    let reply = await this.ask({ type: "begin", name: file.name, size: file.size });
    let crc = 0;
    for (let offset = 0; offset < file.size && reply.type === "received" && this.id === id; ) {
      const piece = await file.slice(offset, offset + CHUNK).arrayBuffer();
      if (this.id !== id) return;
      crc = crc32(new Uint8Array(piece), crc);
      reply = await this.ask({ type: "chunk", offset }, [piece]);
      offset += piece.byteLength;
      this.sent = offset;
      this.onChange();
    }
    if (reply.type === "received" && this.id === id) await this.ask({ type: "end", crc });
  }

  cancel() {
    if (!this.active) return;
    this.model.send({ type: "cancel", id: this.id });
    this.id++;
    this.end();
  }

  end() {
    this.active = false;
    this.wake = null;
    this.onChange();
  }
}

function galleryView(model, store) {
  const root = element("div", "nbvlm-gallery", { role: "radiogroup", "aria-label": "Sample pictures" });
  const choose = (index) => model.send(numbered(root, { type: "choose", index }));
  root.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const index = [...root.children].indexOf(document.activeElement);
    if (!step || index < 0) return;
    event.preventDefault();
    const next = root.children[(index + step + root.children.length) % root.children.length];
    next.focus();
    next.click();
  });
  const fill = () => {
    root.replaceChildren(
      ...store.samples.map(({ title, src }, index) => {
        const button = element("button", "nbvlm-thumb", { type: "button", role: "radio", title, "aria-label": title });
        const image = element("img", "", { src, alt: "", draggable: "false" });
        button.append(image);
        button.addEventListener("click", () => choose(index));
        return button;
      }),
    );
  };
  const mark = () => {
    const current = store.chosen?.index ?? null;
    [...root.children].forEach((button, index) => {
      button.setAttribute("aria-checked", String(index === current));
      button.tabIndex = index === (current ?? 0) ? 0 : -1;
    });
  };
  return { root, fill, mark };
}

function uploadView(store) {
  const root = element("div", "nbvlm-uploading");
  const button = element("button", "nbvlm-upload", { type: "button" });
  button.textContent = "Upload a picture";
  const hint = element("span", "nbvlm-upload-hint");
  hint.textContent = "or drop or paste one";
  const input = element("input", "", { type: "file", accept: "image/*", tabindex: "-1", "aria-hidden": "true" });
  input.hidden = true;
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) store.sender.send(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
  const progress = element("progress", "nbvlm-progress", { max: "1", "aria-label": "Upload" });
  const cancel = element("button", "nbvlm-cancel", { type: "button" });
  cancel.textContent = "Cancel";
  cancel.addEventListener("click", () => store.sender.cancel());
  const show = () => {
    const { active, sent, size } = store.sender;
    button.hidden = hint.hidden = active;
    progress.hidden = cancel.hidden = !active;
    progress.value = size ? sent / size : 0;
  };
  root.append(button, hint, progress, cancel, input);
  return { root, show };
}

function chosenView(store) {
  const root = element("div", "nbvlm-chosen");
  const name = element("span", "nbvlm-chosen-name");
  const detail = element("span", "nbvlm-chosen-detail");
  root.append(name, detail);
  const show = () => {
    const { active, sent, size } = store.sender;
    name.textContent = active ? store.sender.name : (store.chosen?.name ?? "");
    const percent = size ? Math.floor((100 * sent) / size) : 0;
    detail.textContent = active ? `uploading, ${percent} %` : (store.chosen?.detail ?? "");
    root.title = name.textContent;
  };
  return { root, show };
}

const fileOf = (transfer) => [...(transfer?.files ?? [])][0];

// Files may be dropped and pasted anywhere on the panel.
function listen(area, store, signal) {
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const over = (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    event.stopPropagation();
    area.classList.add("nbvlm-dropping");
  };
  const leave = (event) => {
    if (!area.contains(event.relatedTarget)) area.classList.remove("nbvlm-dropping");
  };
  const take = (event, file) => {
    if (!file) return;
    event.preventDefault();
    event.stopPropagation();
    store.sender.send(file);
  };
  area.addEventListener("dragenter", over, { signal });
  area.addEventListener("dragover", over, { signal });
  area.addEventListener("dragleave", leave, { signal });
  area.addEventListener(
    "drop",
    (event) => {
      area.classList.remove("nbvlm-dropping");
      take(event, fileOf(event.dataTransfer));
    },
    { signal },
  );
  area.addEventListener("paste", (event) => take(event, fileOf(event.clipboardData)), { signal });
}

function whenAttached(el, signal, callback) {
  const look = () => {
    if (signal.aborted) return;
    if (el.isConnected) callback(el.closest(".nbvlm-panel") ?? el);
    else requestAnimationFrame(look);
  };
  look();
}

export default () => {
  const store = { samples: [], chosen: null, sender: null };
  const views = new Set();
  const each = (kind) => views.forEach((view) => view(kind));

  function receive(message, buffers) {
    if (message.type === "gallery") {
      store.samples = message.titles.map((title, n) => ({ title, src: dataUri(buffers[n], message.mime) }));
      each("gallery");
    } else if (message.type === "chosen") {
      store.chosen = message;
      each("chosen");
    } else {
      store.sender.take(message);
    }
  }

  return {
    initialize({ model }) {
      store.sender = new Sender(model, () => each("upload"));
      model.on("msg:custom", receive);
      model.send({ type: "hello" });
      return () => model.off("msg:custom", receive);
    },
    render({ model, el }) {
      const controller = new AbortController();
      const heading = element("div", "nbvlm-heading");
      heading.textContent = "Picture";
      const gallery = galleryView(model, store);
      const upload = uploadView(store);
      const chosen = chosenView(store);
      const update = (kind) => {
        if (kind === "gallery") gallery.fill();
        gallery.mark();
        upload.show();
        chosen.show();
      };
      el.replaceChildren(heading, gallery.root, upload.root, chosen.root);
      views.add(update);
      update("gallery");
      whenAttached(el, controller.signal, (area) => listen(area, store, controller.signal));
      return () => {
        controller.abort();
        views.delete(update);
      };
    },
  };
};
