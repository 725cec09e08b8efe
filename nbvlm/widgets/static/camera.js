// The camera: its live image, and taking a picture.

import { element, textButton } from "./dom.js";

function refusal(error) {
  if (error?.name === "NotAllowedError")
    return "The browser was not allowed to use the camera. Allow it, and try again.";
  if (error?.name === "NotFoundError") return "The browser found no camera.";
  return "This page cannot use the camera: browsers allow it on https pages and on this computer only.";
}

function stopTracks(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

export function cameraView(uploader) {
  const root = element("div", "nbvlm-booth");
  root.hidden = true;
  const video = element("video", "nbvlm-video", {
    autoplay: "",
    playsinline: "",
    "aria-label": "Live image of the camera",
  });
  video.muted = true;
  const words = element("p", "nbvlm-booth-words", { role: "status" });
  const shoot = textButton("nbvlm-shoot nbvlm-way", "Take the picture");
  const close = textButton("nbvlm-booth-close nbvlm-way", "Close the camera");
  const row = element("div", "nbvlm-open-row");
  row.append(shoot, close);
  root.append(video, words, row);
  const view = { root, onDone: () => {} };
  let stream = null;
  let turn = 0;
  view.stop = () => {
    turn++;
    stopTracks(stream);
    stream = video.srcObject = null;
  };
  const start = async () => {
    const mine = ++turn;
    words.textContent = "Waiting for the camera …";
    video.hidden = shoot.hidden = true; // until there is an image
    close.focus({ preventScroll: true }); // so that Esc reaches the form
    try {
      const found = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } });
      if (mine !== turn) return stopTracks(found);
      stream = video.srcObject = found;
      await video.play();
      words.textContent = "";
      video.hidden = shoot.hidden = false;
      shoot.focus();
    } catch (error) {
      if (mine === turn) words.textContent = refusal(error);
    }
  };
  shoot.addEventListener("click", () => {
    const canvas = element("canvas", "", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob(
      (blob) => {
        view.onDone();
        if (blob) uploader.send(new File([blob], "webcam.jpg", { type: blob.type }));
      },
      "image/jpeg",
      0.92,
    );
  });
  close.addEventListener("click", () => view.onDone());
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    view.onDone();
  });
  view.toggle = (on) => {
    if (!root.hidden && !on) view.stop();
    root.hidden = !on;
    if (on) start();
  };
  return view;
}
