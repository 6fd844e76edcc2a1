// What a receipt proves, computed with WebCrypto. Nothing here touches the page.
// Bytes: docs/log.md; C2SP tlog-proof, tlog-checkpoint, tlog-cosignature, tlog-tiles.

const utf8 = (text) => new TextEncoder().encode(text);
export const hex = (all) => [...all].map((one) => one.toString(16).padStart(2, "0")).join("");
const sha256 = async (...parts) =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(parts.flatMap((one) => [...one]))));
const node = (left, right) => sha256([1], left, right);
const same = (one, other) => hex(one) === hex(other);

function insist(holds) {
  if (!holds) throw Error();
}

function decoded(text) {
  const raw = atob(text);
  insist(btoa(raw) === text);
  return Uint8Array.from(raw, (one) => one.charCodeAt(0));
}

function numbered(text) {
  insist(/^(0|[1-9]\d{0,8})$/.test(text));
  return +text;
}

// Canonical JSON, flat.
export function parsed(text) {
  const found = JSON.parse(text), values = Object.values(found).flat();
  const pairs = Object.keys(found).sort().map((key) => `${JSON.stringify(key)}:${JSON.stringify(found[key])}`);
  insist(`{${pairs}}` === text && !/\p{Surrogate}/u.test(values));
  insist(values.every((one) => typeof one === "string" || Number.isSafeInteger(one)));
  return found;
}

// A leaf with a commitment.
export function readLeaf(text) {
  const leaf = parsed(text), { kind, rev, reason } = leaf;
  insist(/^(commit,due,entry,kind|(approvals,)?commit,entry,kind,(reason,)?rev),t,v$/.test(Object.keys(leaf)));
  insist(kind === (!rev ? "confirm" : rev > 1 ? "correct" : !reason && "publish") && leaf.v === 1);
  insist(/^[0-9a-f]{64} [0-9a-f]{32} \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(`${leaf.commit} ${leaf.entry} ${leaf.t}`));
  insist(kind !== "confirm" || /^\d{4}-\d\d-\d\d$/.test(leaf.due));
  return leaf;
}

export function readNote(text) {
  const [body, rest, more] = text.split("\n\n"), [origin, size, root, ...lines] = body.split("\n");
  insist(!lines.length && more === undefined);
  const signatures = rest.trim().split("\n").map((line) => {
    const [, name, data] = line.match(/^— ([^\s+]+) (\S+)$/), all = decoded(data);
    return { name, id: hex(all.slice(0, 4)), value: all.slice(4) };
  });
  return { origin, size: numbered(size), root: decoded(root), body: `${body}\n`, signatures };
}

export function readProof(text) {
  const [head, ...note] = text.split("\n\n");
  const [, extra, index, path] = head.match(/^c2sp\.org\/tlog-proof@v1\nextra (.+)\nindex (.+)((?:\n.+)*)$/);
  const hashes = path.split("\n").slice(1).map(decoded);
  return { leaf: decoded(extra), index: numbered(index), path: hashes, ...readNote(note.join("\n\n")) };
}

export async function readKey(text) {
  const [, name, id, encoded] = text.match(/^([^\s+]+)\+(\w{8})\+(.+)$/), data = decoded(encoded);
  insist(data.length === 33 && hex(await sha256(utf8(`${name}\n`), data)).startsWith(id));
  return { name, id, kind: data[0], bytes: data.slice(1) };
}

// Of the log (kind 1) or witnesses (4). holds: undefined without a key, null without Ed25519.
function signatures(note, keys, kind) {
  const own = kind === 1;
  const theirs = note.signatures.filter(({ name, value }) => (name === note.origin ? own : !own && value.length === 72));
  return Promise.all(theirs.map(async ({ name, id, value }) => {
    const key = keys.find((one) => one.kind === kind && one.name === name && one.id === id);
    const time = own ? 0 : Number(new DataView(value.buffer).getBigUint64());
    const message = utf8(own ? note.body : `cosignature/v1\ntime ${time}\n${note.body}`);
    const ready = key && await crypto.subtle.importKey("raw", key.bytes, "Ed25519", false, ["verify"]).catch(() => null);
    return { name, time, holds: ready && await crypto.subtle.verify("Ed25519", ready, own ? value : value.slice(8), message) };
  }));
}

async function isSigned(note, keys) {
  const all = (await signatures(note, keys, 1)).map(({ holds }) => holds);
  return all.includes(true) || (all.includes(null) ? null : false);
}

// Each step from leaf hash to root (RFC 9162 §2.1.3.2).
export async function climb(hash, index, size, path) {
  const steps = [{ hash }];
  let last = size - 1;
  insist(index <= last);
  for (const other of path) {
    insist(last);
    const isLeft = index & 1 || index === last;
    hash = await (isLeft ? node(other, hash) : node(hash, other));
    Object.assign(steps.at(-1), { other, side: isLeft ? "left" : "right" });
    steps.push({ hash });
    while (isLeft && index && !(index & 1)) [index, last] = [index >> 1, last >> 1];
    [index, last] = [index >> 1, last >> 1];
  }
  insist(!last);
  steps.at(-1).side = "top";
  return steps;
}

// The roots at `old` and `size` leaves, of the same subtrees: if the second is right, the first is its past.
export async function roots(old, size, fetchTile) {
  const tiles = {}, log2 = (count) => 31 - Math.clz32(count);
  const subtree = async (level, index) => {
    const high = level >> 3, count = 1 << level % 8, first = index * count, place = first >> 8;
    const width = Math.min(256, (size >> 8 * high) - place * 256), part = width < 256 ? `.p/${width}` : "";
    const digits = String(place).padStart(9, "0").replace(/^(000){1,2}/, "").replace(/...(?=.)/g, "x$&/");
    const data = await (tiles[[high, place]] ??= fetchTile(`tile/${high}/${digits}${part}`));
    let row = Array.from({ length: count }, (_, at) => data.slice((first % 256 + at) * 32).slice(0, 32));
    while (row[1]) row = await Promise.all(row.flatMap((one, at) => (at % 2 ? [node(row[at - 1], one)] : [])));
    return row[0];
  };
  const cover = async (first, end) => {
    const count = end - first, half = count > 1 && 1 << log2(count - 1);
    if (!half || (half * 2 === count && (end <= old || first >= old))) return subtree(log2(count), first / count);
    return node(await cover(first, first + half), await cover(first + half, end));
  };
  return [await cover(0, old), await cover(0, size)];
}

// The log as it is shown now, beside a receipt's note.
async function today(note, keys, get) {
  const now = readNote(await (await get("checkpoint")).text());
  const told = (word) => ({ now: word, nowSize: now.size });
  if (now.origin !== note.origin || await isSigned(now, keys) === false) return told("unsigned");
  if (now.size < note.size) return told("behind");
  if (now.size === note.size) return told(same(now.root, note.root) ? "same" : "bad");
  const fetchTile = async (path) => new Uint8Array(await (await get(path)).arrayBuffer());
  const [before, after] = await roots(note.size, now.size, fetchTile);
  insist(same(after, now.root));
  return told(same(before, note.root) ? "grown" : "bad");
}

// What the page's template asks for.
export async function examine(record, receipt, keys, get) {
  const note = readProof(receipt), found = { ...note, record: record ? "bad" : "none", leaf: "bad", path: "bad", steps: [] };
  try {
    const leaf = readLeaf(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(note.leaf));
    Object.assign(found, { leaf: leaf.kind, due: leaf.due, t: leaf.t, entry: leaf.entry, rev: leaf.rev });
    const line = record && parsed(record);
    insist(line && hex(await sha256(utf8(record))) === leaf.commit && line.entry === leaf.entry && line.rev === (leaf.rev ?? 0));
    Object.assign(found, { record: "ok", line: [line] });
  } catch { /* stays wrong */ }
  try {
    found.steps = await climb(await sha256([0], note.leaf), note.index, note.size, note.path);
    if (same(found.steps.at(-1).hash, note.root)) found.path = "ok";
  } catch { /* too */ }
  const holds = await isSigned(note, keys), isOurs = keys.some(({ name }) => name === note.origin);
  found.signature = holds ? "ok" : holds === null ? "unable" : isOurs ? "bad" : "origin";
  found.witnesses = await signatures(note, keys, 4);
  Object.assign(found, await today(note, keys, get).catch(() => ({ now: "open" })));
  found.why = ["leaf", "record", "path", "signature", "now"].find((one) => /bad|origin|unsigned/.test(found[one]))
    ?? (found.witnesses.some((one) => one.holds === false) && "witness");
  found.all = found.why ? "bad" : !holds ? "open" : record ? found.leaf : "sealed";
  return found;
}
