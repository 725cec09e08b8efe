// The state of the viewer, shared by all its views: one that opens while text streams shows all of it.

const PLAIN = { masks: true, labels: true, opacity: 0.3, hidden: new Set() };

export function emptyStore() {
  return {
    picture: null,
    src: "",
    text: "",
    boxes: [],
    shapes: {},
    alt: "",
    said: "",
    notes: [],
    reasoning: "",
    by: "",
    asked: "",
    step: "",
    reading: null,
    region: null,
    picking: false,
    wait: null,
    status: { state: "waiting", parts: [] },
    look: { ...PLAIN },
  };
}
