// Answers SQL about a trace with Perfetto's own parser, as the viewer runs it: its worker and WebAssembly, under node.
// node trace_processor.js FOLDER TRACE SQL... prints one JSON list of rows a query. FOLDER holds engine_bundle.js.
process.on("unhandledRejection", (error) => { console.error(`${error.name}: ${error.message}`); process.exit(1); });
process.on("uncaughtException", (error) => { console.error(`${error.name}: ${error.message}`); process.exit(1); });
const fs = require("fs"), path = require("path"), vm = require("vm");
const [folder, trace, ...queries] = process.argv.slice(2);

// The wire format of protocol buffers, as far as TraceProcessorRpc (trace_processor.proto) needs it.
function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}
const field = (number, bytes) => Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
const number = (place, value) => Buffer.concat([varint(place * 8), varint(value)]);
function* fields(bytes) {
  let at = 0;
  const read = () => {
    let value = 0n, shift = 0n, byte;
    do { byte = bytes[at++]; value |= BigInt(byte & 127) << shift; shift += 7n; } while (byte & 128);
    return value;
  };
  while (at < bytes.length) {
    const tag = Number(read()), wire = tag & 7;
    if (wire === 0) yield [tag >> 3, read()];
    else {
      const size = wire === 1 ? 8 : wire === 5 ? 4 : Number(read());
      yield [tag >> 3, bytes.subarray(at, at + size)];
      at += size;
    }
  }
}
const one = (bytes, wanted) => { for (const [place, value] of fields(bytes)) if (place === wanted) return value; };

const wasm = (name) => fs.readFileSync(path.join(folder, path.basename(String(name))));

// A worker's global scope, without what would tell emscripten that this is node.
const scope = {
  WebAssembly,
  TextDecoder, TextEncoder, URL, setTimeout, clearTimeout, performance, Uint8Array, TypeError,
  console: { log() {}, warn() {}, error: console.error },
  location: { href: "http://localhost/engine_bundle.js" },
  importScripts() {},
  XMLHttpRequest: class {
    open(method, name) { this.name = name; }
    send() { this.response = new Uint8Array(wasm(this.name)).buffer; }
  },
  WorkerGlobalScope: function () {},
  fetch: async (name) => new Response(wasm(name),
    { headers: { "Content-Type": "application/wasm" } }),
};
scope.self = scope.globalThis = scope;
vm.createContext(scope);
try {
  vm.runInContext(fs.readFileSync(path.join(folder, "engine_bundle.js"), "utf8"), scope);
} catch (error) {
  console.error(`${error.name}: ${error.message}`);
  process.exit(1);
}

const FINALIZE = 2, QUERY = 3, APPEND = 1;
const waiting = [];
let sequence = 0;
let rows = null;
const port = {
  postMessage(bytes) { for (const [, message] of fields(Buffer.from(bytes))) answered(message); },
};
scope.onmessage({ data: port });

function send(kind, extra) {
  const message = Buffer.concat([number(1, sequence++), number(2, kind), ...extra]);
  const data = new Uint8Array(field(1, message));
  return new Promise((resolve) => { waiting.push({ kind, resolve }); port.onmessage({ data }); });
}
function answered(message) {
  const fatal = one(message, 5);
  if (fatal) throw new Error(String(fatal));
  const first = waiting[0];
  const result = one(message, 203);
  if (first.kind === QUERY && result && !taken(result)) return;
  waiting.shift();
  first.resolve(first.kind === QUERY ? rows.cells : undefined);
}
// Collects the rows of a QueryResult; true after its last batch.
function taken(result) {
  rows ??= { names: [], cells: [] };
  let last = false;
  for (const [place, value] of fields(result)) {
    if (place === 1) rows.names.push(String(value));
    if (place === 2) throw new Error(String(value));
    if (place === 3) {
      const parts = { 1: [], 2: [], 3: [], 5: [] };
      for (const [inner, content] of fields(value)) {
        if (inner === 1) parts[1].push(...content);
        if (inner === 2) { for (let at = 0, v = 0n, s = 0n; at < content.length; at++) {
          v |= BigInt(content[at] & 127) << s; s += 7n;
          if (!(content[at] & 128)) { parts[2].push(Number(BigInt.asIntN(64, v))); v = 0n; s = 0n; } } }
        if (inner === 3) for (let at = 0; at < content.length; at += 8) parts[3].push(content.readDoubleLE(at));
        if (inner === 5) parts[5].push(...String(content).split("\0"));
        if (inner === 6) last = Boolean(content);
      }
      const cells = parts[1].map((kind) =>
        kind === 1 ? null : kind === 2 ? parts[2].shift() : kind === 3 ? parts[3].shift() : parts[5].shift());
      while (cells.length) rows.cells.push(cells.splice(0, rows.names.length));
    }
  }
  return last;
}

(async () => {
  await new Promise((resolve) => setTimeout(resolve, 1000)); // nothing tells when it is compiled
  const bytes = fs.readFileSync(trace);
  for (let at = 0; at < bytes.length; at += 4 << 20) await send(APPEND, [field(101, bytes.subarray(at, at + (4 << 20)))]);
  await send(FINALIZE, []);
  for (const sql of queries) {
    rows = null;
    console.log(JSON.stringify(await send(QUERY, [field(103, field(1, Buffer.from(sql)))])));
  }
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
