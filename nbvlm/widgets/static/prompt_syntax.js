// Reads a prompt into the fields of the task bar, and writes it from them, as nbvlm.prompts does.

export const OWN = "Own words";
const BINS = 1023;

function roundHalfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}

function token(value, extent) {
  const bin = roundHalfEven((Math.min(Math.max(value, 0), extent) / extent) * BINS);
  return `<loc${String(Math.min(Math.max(bin, 0), BINS)).padStart(4, "0")}>`;
}

// A box [x0, y0, x1, y1] in pixels becomes four tokens: top, left, bottom, right.
/** @param {number[]} box */
function regionPrompt([x0, y0, x1, y1], [width, height]) {
  return `caption ${token(y0, height)}${token(x0, width)}${token(y1, height)}${token(x1, width)}`;
}

function regionOf(prompt, [width, height]) {
  const found = prompt.match(/^caption <loc(\d{4})><loc(\d{4})><loc(\d{4})><loc(\d{4})>$/);
  if (!found) return null;
  const [top, left, bottom, right] = found.slice(1).map((text) => Number(text) / BINS);
  return [left * width, top * height, right * width, bottom * height].map((value) => Math.round(value));
}

export function thingsOf(prompt) {
  const found = prompt.match(/^(?:detect|segment)\s+(.+)$/s);
  if (!found) return [];
  return found[1]
    .split(";")
    .map((thing) => thing.trim())
    .filter(Boolean);
}

/** @typedef {{ title?: string, language?: string, question?: string, things?: string[], box?: number[] }} Fields */

// Returns the title of a prompt's preset, and the values of its fields.
/** @returns {Fields} */
export function read(prompt, tasks, size) {
  const text = prompt.trim();
  const of = (kind, test = (_task) => true) => tasks.find((task) => task.kind === kind && test(task))?.title;
  const spoken = text.match(/^(caption|describe)\s+([a-z]{2,3})$/);
  if (spoken) return { title: of(spoken[1]) ?? OWN, language: spoken[2] };
  const box = size.length ? regionOf(text, size) : null;
  if (box) return { title: of("region") ?? OWN, box };
  const asked = text.match(/^answer\s+([a-z]{2,3})\s+(.+)$/s);
  if (asked) {
    const counting = /how many/i.test(asked[2]);
    const title = of("answer", (task) => /how many/i.test(task.question) === counting);
    return { title: title ?? OWN, language: asked[1], question: asked[2] };
  }
  const listed = text.match(/^(detect|segment)\b/);
  if (listed) return { title: of(listed[1]) ?? OWN, things: thingsOf(text) };
  if (/^ocr$/.test(text)) return { title: of("ocr") ?? OWN };
  return { title: OWN };
}

// Returns the prompt of a preset with these fields; null where one is missing.
/** @param {Fields} fields */
export function write(task, fields, size) {
  const { language = "en", question = "", things = [], box = null } = fields;
  switch (task.kind) {
    case "caption":
    case "describe":
      return `${task.kind} ${language}`;
    case "answer":
      return `answer ${language} ${question.trim()}`;
    case "detect":
    case "segment":
      return things.length ? `${task.kind} ${things.join(" ; ")}` : `${task.kind} `;
    case "region":
      return box && size.length ? regionPrompt(box, size) : null;
    default:
      return task.kind;
  }
}
