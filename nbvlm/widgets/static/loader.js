// The module of a widget as it travels: it unpacks the modules that the widget is made of, links them, and adds
// the style sheets of the widget to the page.

const bytes = Uint8Array.from(atob("PACKED"), (character) => character.charCodeAt(0));
const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
const { name, css, modules } = await new Response(stream).json();
const addresses = {};
let main = "";
for (const [file, text] of modules) {
  const linked = text.replace(/ from "\.\/(\w+\.js)"/g, (_, other) => ` from "${addresses[other]}"`);
  main = addresses[file] = URL.createObjectURL(new Blob([linked], { type: "text/javascript" }));
}
const made = (await import(main)).default;
for (const address of Object.values(addresses)) URL.revokeObjectURL(address);

// Some hosts show a widget within a shadow root, which the styles of the page do not reach.
function dress(el) {
  const root = el.getRootNode();
  const home = root instanceof ShadowRoot ? root : document.head;
  const known = [...home.querySelectorAll("style")].find((one) => one.dataset.nbvlm === name);
  const sheet = known ?? document.createElement("style");
  sheet.dataset.nbvlm = name;
  if (sheet.textContent !== css) sheet.textContent = css;
  if (!known) home.append(sheet);
}

export default async () => {
  const widget = typeof made === "function" ? await made() : made;
  return {
    ...widget,
    render: (view) => {
      if (css) dress(view.el);
      return widget.render?.(view);
    },
  };
};
