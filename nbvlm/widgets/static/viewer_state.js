// The state of the viewer, one for all views of the widget: a view that opens while text streams shows all of it.

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
    region: null,
    picking: false,
    wait: null,
    status: { state: "waiting", parts: [] },
    look: { ...PLAIN },
  };
}
