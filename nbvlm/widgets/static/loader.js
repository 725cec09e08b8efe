// Each widget's module: it unpacks the modules that it is made of and links them, without a request.

const packed = "PACKED";
const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
const modules = JSON.parse(await new Response(stream).text());
const addresses = {};
for (const [file, source] of modules) {
  const linked = source.replace(/ from "\.\/(\w+\.js)";/g, (_, name) => ` from "${addresses[name]}";`);
  addresses[file] = URL.createObjectURL(new Blob([linked], { type: "text/javascript" }));
}
const main = await import(addresses[modules.at(-1)[0]]);
for (const address of Object.values(addresses)) URL.revokeObjectURL(address);
export default main.default;
