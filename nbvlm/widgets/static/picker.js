// The picker: sample pictures, upload, camera, link, drop and paste, and the chosen picture with its route.

import { cameraView } from "./camera.js";
import { dataUri, element, numbered, options, subscribe, textButton, whenFound } from "./dom.js";
import { focusedIn } from "./focus.js";
import { openView } from "./path_field.js";
import { Uploader } from "./uploader.js";

function galleryView(model, store) {
  const root = element("div", "nbvlm-gallery", { role: "radiogroup", "aria-label": "Sample pictures" });
  const fields = () => root.closest(".nbvlm-panel")?.nbvlmFields?.() ?? null;
  const choose = (index) => model.send(numbered(root, { type: "choose", index, fields: fields() }));
  root.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const index = [...root.children].indexOf(root.getRootNode().activeElement);
    if (!step || index < 0) return;
    event.preventDefault();
    const next = root.children[(index + step + root.children.length) % root.children.length];
    next.focus();
    next.click();
  });
  const fill = () => {
    root.replaceChildren(
      ...store.samples.map(({ title, src }, index) => {
        const button = element("button", "nbvlm-thumb", {
          type: "button",
          role: "radio",
          title,
          "aria-label": title,
        });
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

// Buttons for a file, the camera and a link; while a picture is being sent, its progress.
function waysView(model, store, uploader) {
  const root = element("div", "nbvlm-ways");
  const offers = (name) => (model.get("offered") ?? []).includes(name);
  const upload = textButton("nbvlm-upload nbvlm-way", "Upload");
  upload.setAttribute("aria-label", "Upload a picture");
  const camera = textButton("nbvlm-webcam nbvlm-way", "Webcam");
  const link = textButton("nbvlm-link nbvlm-way", "Link or path");
  const hint = element("span", "nbvlm-upload-hint", "… or drop pictures on the panel, or paste one.");
  const input = element("input", "", {
    type: "file",
    accept: "image/*",
    multiple: "",
    tabindex: "-1",
    "aria-hidden": "true",
  });
  input.hidden = true;
  upload.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) uploader.send(...input.files);
    input.value = ""; // the same file may be chosen again
  });
  const progress = element("progress", "nbvlm-progress", { max: "1", "aria-label": "Progress" });
  const cancel = textButton("nbvlm-cancel", "Cancel");
  cancel.addEventListener("click", () => {
    uploader.cancel();
    if (store.opening) model.send(numbered(root, { type: "cancel-open" }));
  });
  const opener = openView(model, store);
  const booth = cameraView(uploader);
  const choose = (pane, button) => {
    for (const [one, its] of [
      [opener, link],
      [booth, camera],
    ]) {
      one.toggle(one === pane && one.root.hidden);
      its.setAttribute("aria-expanded", String(!one.root.hidden));
    }
    if (!pane.root.hidden) return;
    button.focus();
  };
  link.addEventListener("click", () => choose(opener, link));
  camera.addEventListener("click", () => choose(booth, camera));
  opener.onDone = () => opener.root.hidden || choose(opener, link);
  booth.onDone = () => booth.root.hidden || choose(booth, camera);
  const row = element("div", "nbvlm-uploading");
  row.append(upload, camera, link, progress, cancel, input);
  root.append(row, hint, opener.root, booth.root);
  const show = () => {
    const { active, sent, size } = uploader;
    const busy = active || Boolean(store.opening);
    const held = row.contains(focusedIn(row));
    upload.hidden = hint.hidden = busy || !offers("upload");
    camera.hidden = busy || !offers("camera");
    const places = ["link", "path"].filter(offers);
    link.hidden = busy || !places.length;
    link.textContent = { link: "Link", path: "Path" }[places.join()] ?? "Link or path";
    opener.offer(places);
    progress.hidden = cancel.hidden = !busy;
    if (active && size) progress.value = sent / size;
    else progress.removeAttribute("value");
    // A button that goes gives the focus to one that comes.
    if (held && focusedIn(row)?.hidden)
      [cancel, upload, camera, link].find((one) => !one.hidden)?.focus({ preventScroll: true });
    opener.show();
  };
  const offered = () => {
    if (!offers("link") && !offers("path")) opener.toggle(false);
    if (!offers("camera")) booth.toggle(false);
    show();
  };
  return { root, show, offered, stop: booth.stop };
}

const ROUTES = { auto: "Route: auto", inline: "Route: inline", asset: "Route: asset" };

function chosenView(model, store, uploader) {
  const root = element("div", "nbvlm-chosen");
  const image = element("img", "nbvlm-chosen-image", { alt: "", draggable: "false" });
  const name = element("span", "nbvlm-chosen-name");
  const detail = element("span", "nbvlm-chosen-detail");
  const way = element("span", "nbvlm-chosen-way");
  const words = element("div", "nbvlm-chosen-words", { role: "status" });
  words.append(name, detail, way);
  const route = element("select", "nbvlm-route", { "aria-label": "How the picture is sent" });
  route.title =
    "Auto sends small pictures inside the request and uploads large ones; inline shrinks them to fit";
  route.addEventListener("change", () => model.send(numbered(root, { type: "route", route: route.value })));
  const reset = textButton("nbvlm-reset-picture", "Reset");
  reset.title = "Choose no picture, and leave the route to itself";
  reset.addEventListener("click", () => model.send(numbered(root, { type: "reset" })));
  const switches = element("div", "nbvlm-chosen-switches");
  switches.append(route, reset);
  root.append(image, words, switches);
  const place = element("div", "nbvlm-chosen-place");
  place.append(root);
  const show = () => {
    const { active, sent, size } = uploader;
    const { chosen, opening } = store;
    const busy = active || Boolean(opening);
    name.textContent = active ? uploader.name : opening || (chosen?.name ?? "");
    const percent = size ? Math.floor((100 * sent) / size) : 0;
    detail.textContent = active ? `uploading, ${percent} %` : opening ? "opening …" : (chosen?.detail ?? "");
    way.textContent = busy ? "" : (chosen?.way ?? "");
    image.hidden = busy || !chosen?.src;
    if (chosen?.src) image.src = chosen.src;
    const held = switches.contains(focusedIn(switches));
    switches.hidden = busy || !chosen?.detail;
    if (held && switches.hidden && !busy)
      place.parentElement?.querySelector(".nbvlm-thumb[tabindex='0']")?.focus({ preventScroll: true });
    const routes = chosen?.routes ?? [];
    route.replaceChildren(...options(routes.map((value) => [value, ROUTES[value]])));
    route.value = chosen?.route ?? "auto";
    name.title = name.textContent;
  };
  return { root: place, show };
}

const PICTURE = /\.(png|jpe?g|webp|gif|bmp|tiff?|hei[cf]|avif|jp2)$/i;
const ADDRESS = /^(https?:\/\/|data:image\/)\S+$/i;
const PATH = /^(~|\.{0,2}[/\\]|[a-z]:[/\\]|file:\/\/)[^\n]+$/i;

const isPicture = (file) => (file.type ? file.type.startsWith("image/") : PICTURE.test(file.name));

// The files of a folder that was dropped; those of folders in it are left out.
async function filesIn(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((...ends) => reader.readEntries(...ends));
    if (!some.length) break;
    found.push(...some.filter((entry) => entry.isFile && !entry.name.startsWith(".")));
  }
  return Promise.all(found.map((entry) => new Promise((...ends) => entry.file(...ends))));
}

// The entries are known only while the event lasts, so this begins with them.
function filesOf(transfer) {
  const items = [...(transfer?.items ?? [])].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.());
  const folder = entries.find((entry) => entry?.isDirectory);
  const files = [...(transfer?.files ?? [])];
  return folder ? filesIn(folder) : Promise.resolve(files);
}

// What was dropped or pasted as text: an address, or a path where the kernel runs.
function placeOf(transfer, offers) {
  const list = transfer?.getData("text/uri-list") || transfer?.getData("text/plain") || "";
  const lines = list.split(/\r?\n/).map((line) => line.trim());
  const place = lines.find((line) => line && !line.startsWith("#")) ?? "";
  const bare = place.replace(/^["']|["']$/g, "");
  if (ADDRESS.test(bare)) return offers("link") ? bare : "";
  const isPath = PATH.test(bare) || (PICTURE.test(bare) && lines.length === 1);
  return isPath && offers("path") ? bare : "";
}

// Pictures, addresses and paths may be dropped and pasted anywhere on the panel, as far as they are offered.
function listen(area, uploader, signal, offers, open) {
  const types = (event) => [...(event.dataTransfer?.types ?? [])];
  const takes = (event) =>
    (offers("upload") && types(event).includes("Files")) ||
    ((offers("link") || offers("path")) && types(event).includes("text/uri-list"));
  const over = (event) => {
    if (!takes(event)) return;
    event.preventDefault();
    event.stopPropagation();
    area.classList.add("nbvlm-dropping");
  };
  const leave = (event) => {
    if (!area.contains(event.relatedTarget)) area.classList.remove("nbvlm-dropping");
  };
  const take = async (event, transfer) => {
    const hasFiles = offers("upload") && [...(transfer?.items ?? [])].some((item) => item.kind === "file");
    const place = hasFiles ? "" : placeOf(transfer, offers);
    if (!hasFiles && !place) return;
    event.preventDefault();
    event.stopPropagation();
    if (place) return open(place);
    const files = await filesOf(transfer);
    const pictures = files.filter(isPicture);
    // A file that is not a picture is sent too where it is alone: the kernel says what it is.
    if (pictures.length) uploader.send(...pictures);
    else if (files.length) uploader.send(files[0]);
  };
  area.addEventListener("dragenter", over, { signal });
  area.addEventListener("dragover", over, { signal });
  area.addEventListener("dragleave", leave, { signal });
  area.addEventListener(
    "drop",
    (event) => {
      area.classList.remove("nbvlm-dropping");
      take(event, event.dataTransfer);
    },
    { signal },
  );
  const typing = (event) => event.target.closest?.("input, textarea, [contenteditable]");
  const isText = (event) => ![...(event.clipboardData?.items ?? [])].some((item) => item.kind === "file");
  area.addEventListener(
    "paste",
    (event) => {
      if (!(isText(event) && typing(event))) take(event, event.clipboardData);
    },
    { signal },
  );
}

export default () => {
  const store = { samples: [], chosen: null, opening: "", places: [] };
  const views = new Set();
  const uploaders = new Set();
  const each = (kind) => {
    for (const update of views) update(kind);
  };

  function receive(message, buffers) {
    if (message.type === "gallery") {
      store.samples = message.titles.map((title, n) => ({ title, src: dataUri(buffers[n], message.mime) }));
      each("gallery");
    } else if (message.type === "chosen") {
      store.chosen = { ...message, src: buffers.length ? dataUri(buffers[0], message.mime) : "" };
      each("chosen");
    } else if (message.type === "opening") {
      store.opening = message.name;
      each("opening");
    } else if (message.type === "completions") {
      store.places = message.places;
      each("places");
    } else {
      for (const uploader of uploaders) uploader.take(message);
    }
  }

  return {
    initialize({ model }) {
      return subscribe(model, receive);
    },
    render({ model, el }) {
      const controller = new AbortController();
      const uploader = new Uploader(model, () => {
        update("upload");
        // A view that is taken away still ends its upload.
        if (controller.signal.aborted && !uploader.active) uploaders.delete(uploader);
      });
      uploaders.add(uploader);
      const heading = element("div", "nbvlm-heading");
      heading.textContent = "Picture";
      const gallery = galleryView(model, store);
      const ways = waysView(model, store, uploader);
      const chosen = chosenView(model, store, uploader);
      const update = (kind) => {
        if (kind === "gallery") gallery.fill();
        gallery.mark();
        ways.show();
        chosen.show();
      };
      const offers = (name) => (model.get("offered") ?? []).includes(name);
      const offered = () => {
        gallery.root.hidden = !offers("samples");
        ways.offered();
      };
      el.replaceChildren(heading, gallery.root, ways.root, chosen.root);
      views.add(update);
      update("gallery");
      model.on("change:offered", offered);
      offered();
      const around = () => el.isConnected && (el.closest(".nbvlm-panel") ?? el);
      whenFound(around, controller.signal, (area) =>
        listen(area, uploader, controller.signal, offers, (place) =>
          model.send(numbered(el, { type: "open", place })),
        ),
      );
      return () => {
        controller.abort();
        model.off("change:offered", offered);
        ways.stop();
        views.delete(update);
        if (!uploader.active) uploaders.delete(uploader);
      };
    },
  };
};
