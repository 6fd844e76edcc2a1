// The page for checking: takes files, pasted text or the entry of its address, and says what holds. What is given here
// is sent nowhere; asked for are only that entry's record and receipt, and the log's present checkpoint and tiles.

import { examine, hex, readKey } from "./log-proof.js";

// Milliseconds after which no cache holds a record or a receipt any more.
const PATIENCE = 6000;

// The files that a certificate of ours brings inside. Any other file is what it is.
async function unpack(file) {
  const whole = await file.arrayBuffer();
  const text = new TextDecoder("latin1").decode(whole);
  if (!text.startsWith("%PDF-")) return [whole];
  const inside = text.matchAll(/<<\/Length (\d+)\/Type\/EmbeddedFile([^]*?)stream\r?\n/g);
  return Promise.all(Array.from(inside, ({ 0: head, 1: length, 2: how, index }) => {
    const start = index + head.length;
    const { body } = new Response(whole.slice(start, start + Number(length)));
    return new Response(how.includes("Flate") ? body.pipeThrough(new DecompressionStream("deflate")) : body).arrayBuffer();
  })).catch(() => []);
}

// Repeats what has data-each, drops what has another data-if, and puts values in the place of {names}.
function fill(part, values, shown) {
  for (const one of part.querySelectorAll("[data-each]")) {
    const items = values[one.dataset.each] ?? [];
    one.removeAttribute("data-each");
    one.replaceWith(...items.map((item) => fill(one.cloneNode(true), item, shown)));
  }
  for (const one of part.querySelectorAll("[data-if]")) {
    const [name, word] = one.dataset.if.split(" ");
    if (word ? String(values[name]) !== word : !values[name]) one.remove();
    else one.removeAttribute("data-if");
  }
  const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    texts.currentNode.data = texts.currentNode.data.replace(/\{(\w+)\}/g, (whole, name) => shown(values[name] ?? whole));
  }
  return part;
}

// Numbers, days, moments and hashes as the page's language writes them.
function writer({ group, months, hours }) {
  const day = (text) => {
    const [year, month, one] = text.split("-");
    return months.split("|")[month - 1].replace("2000", year).replace("1", Number(one));
  };
  return (value) => {
    if (value instanceof Uint8Array) return hex(value);
    if (typeof value === "number") return String(value).replace(/\B(?=(\d{3})+$)/g, group);
    if (!(value instanceof Date)) return /^\d{4}-\d\d-\d\d$/.test(value) ? day(value) : value;
    const local = new Date(value.getTime() + hours * 3600_000).toISOString();
    return `${day(local.slice(0, 10))}, ${local.slice(11, 16)} (UTC+${hours})`;
  };
}

function start(page) {
  const words = page.dataset, shown = writer(words);
  const [state, answer, shape, record, receipt, keys, files] =
    ["state", "answer", "shape", "record", "receipt", "keys", "files"].map((id) => document.getElementById(id));

  // `what` is one of the page's own words, or the answer's heading, which is seen below anyway.
  function say(what, { isSeen = true } = {}) {
    state.textContent = words[what] ?? what;
    state.className = isSeen ? "notice" : "visually-hidden";
  }

  async function get(path) {
    const reply = await fetch(`/log/${path}`, { cache: "no-cache", credentials: "omit" });
    if (!reply.ok) throw Error(reply.status === 410 ? "gone" : "coming");
    return reply;
  }

  async function examined() {
    const [line, proof] = [record, receipt].map((field) => field.value.replaceAll("\r\n", "\n").trim());
    if (!proof) throw Error(line ? "lacksReceipt" : "lacksAll");
    const known = await Promise.all(keys.value.split(/\s+/).filter(Boolean).map(readKey)).catch(() => {
      throw Error("badKey");
    });
    const found = await examine(line, `${proof}\n`, known, get).catch(() => {
      throw Error("unreadable");
    });
    if (found.signature === "ok" && keys.value.trim() !== keys.defaultValue.trim()) found.signature = "own";
    found.alone = !found.witnesses.length;
    found.moment = found.t && new Date(found.t);
    for (const one of found.witnesses) Object.assign(one, { moment: new Date(one.time * 1000), is: one.holds ?? "open" });
    return found;
  }

  async function take(given) {
    // A new pair, not the rest of the former one.
    if (given.length && record.value && receipt.value) record.value = receipt.value = "";
    for (const one of (await Promise.all(Array.from(given, unpack))).flat()) {
      const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(one);
      (text.startsWith("c2sp.org/") ? receipt : record).value = text;
    }
  }

  async function bring(entry) {
    const found = await Promise.all(["record", "receipt"].map(async (name) => (await get(`${name}/${entry}`)).text()));
    [record.value, receipt.value] = found;
  }

  // Of files, of an entry, or of what stands in the fields. What the visitor asked for takes the focus.
  async function check({ given = [], entry } = {}) {
    say("working");
    answer.hidden = true;
    try {
      if (!crypto.subtle) throw Error("insecure");
      await take(given);
      if (entry) await bring(entry);
      let found = await examined();
      if (entry && found.record === "bad") {
        // A correction came between the two, or a cache on the way still holds one of them.
        await new Promise((done) => setTimeout(done, PATIENCE));
        await bring(entry);
        found = await examined();
      }
      answer.replaceChildren(fill(shape.content.cloneNode(true), found, shown));
      answer.className = `verdict ${found.all}`;
      answer.hidden = false;
      say(answer.querySelector("h2").textContent, { isSeen: false });
      if (!entry) answer.focus();
    } catch (error) {
      say(words[error.message] ? error.message : "unreachable");
    }
  }

  for (const one of page.querySelectorAll("[data-script]")) one.hidden = false;
  files.addEventListener("change", () => check({ given: files.files }));
  const drop = files.closest(".drop");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") check({ given: event.dataTransfer.files });
    });
  }
  document.getElementById("check").addEventListener("click", () => check());
  keys.addEventListener("change", () => receipt.value && check());
  if (words.entry) check({ entry: words.entry });
}

const page = document.getElementById("verify");
if (page) start(page);
