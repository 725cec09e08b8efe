// The module of a widget as it travels: it unpacks the modules that the widget is made of and links them.

const bytes = Uint8Array.from(atob("PACKED"), (character) => character.charCodeAt(0));
const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
const addresses = {};
let main = "";
for (const [file, text] of await new Response(stream).json()) {
  const linked = text.replace(/ from "\.\/(\w+\.js)"/g, (_, name) => ` from "${addresses[name]}"`);
  main = addresses[file] = URL.createObjectURL(new Blob([linked], { type: "text/javascript" }));
}
const widget = await import(main);
for (const address of Object.values(addresses)) URL.revokeObjectURL(address);
export default widget.default;
