// Uploads a file to the kernel in pieces, each after the last was received, with a checksum at the end.

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

// Sends the files of a view one after the other; new ones replace those under way. Other views, in this page or another,
// may send theirs meanwhile: the kernel knows a file by its id, and its replies reach all pages.
export class Uploader {
  view = Math.random().toString(36).slice(2);
  count = 0;
  id = "";
  wake = null;
  name = "";
  sent = 0;
  size = 0;
  active = false;

  constructor(model, onChange) {
    this.model = model;
    this.onChange = onChange;
  }

  next() {
    this.id = `${this.view}-${++this.count}`;
    return this.id;
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

  // Several files are a group: the kernel shows the first, and keeps the others at hand.
  async send(...files) {
    this.cancel();
    const group = files.length > 1 ? { group: `${this.view}-${this.count + 1}` } : {};
    for (const [number, file] of files.entries()) {
      const id = this.next();
      const name = files.length > 1 ? `${file.name} (${number + 1} of ${files.length})` : file.name;
      Object.assign(this, { name, sent: 0, size: file.size, active: true });
      this.onChange();
      await this.pieces(file, id, group);
      if (this.id !== id) return;
    }
    this.end();
  }

  async pieces(file, id, group) {
    let reply = await this.ask({ type: "begin", name: file.name, size: file.size, ...group });
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
    this.next();
    this.end();
  }

  end() {
    this.active = false;
    this.wake = null;
    this.onChange();
  }
}
