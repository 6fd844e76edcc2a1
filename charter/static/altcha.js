// Solves ALTCHA's challenge for the sign form when very many people sign at once, and sends the form by itself. Loaded by
// that page alone. The same file is the page's script and, where browsers allow it, the worker that does the trying.

const AT_ONCE = 16;

function bytes(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// PBKDF2 of nonce and counter until the key begins as the challenge says; the counter is a big-endian 32-bit number.
export async function solve({ nonce, salt, cost, keyLength, keyPrefix }) {
  const start = bytes(nonce);
  const rounds = { name: "PBKDF2", hash: "SHA-256", salt: bytes(salt), iterations: cost };
  const attempt = async (counter) => {
    const password = new Uint8Array(start.length + 4);
    password.set(start);
    new DataView(password.buffer).setUint32(start.length, counter);
    const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
    return hex(await crypto.subtle.deriveBits(rounds, key, keyLength * 8));
  };
  for (let first = 0; first < 2 ** 20; first += AT_ONCE) {
    const keys = await Promise.all(Array.from({ length: AT_ONCE }, (_, place) => attempt(first + place)));
    const place = keys.findIndex((key) => key.startsWith(keyPrefix));
    if (place >= 0) return { counter: first + place, derivedKey: keys[place] };
  }
  throw new Error("no solution");
}

function solveAside(parameters) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(import.meta.url, { type: "module" });
    const end = (done, value) => {
      worker.terminate();
      done(value);
    };
    worker.onmessage = ({ data }) => (data.solution ? end(resolve, data.solution) : end(reject, new Error(data.error)));
    worker.onerror = (event) => {
      event.preventDefault();
      end(reject, new Error("worker"));
    };
    worker.postMessage(parameters);
  });
}

async function answer(challenge) {
  // Here too, where a worker may not be started: slower to the touch, the same result.
  const solution = await solveAside(challenge.parameters).catch(() => solve(challenge.parameters));
  return btoa(JSON.stringify({ challenge, solution }));
}

function start(field) {
  const form = field.form;
  const [asking, working] = document.querySelector("[data-proof]").children;
  let waits = true;
  const say = () => {
    asking.hidden = waits;
    working.hidden = !waits;
  };
  say();
  // Whoever presses the button meanwhile is sent as soon as it is solved; buttons for languages work as ever.
  form.addEventListener("submit", (event) => {
    if (waits && !event.submitter?.name) event.preventDefault();
  });
  answer(JSON.parse(field.dataset.challenge)).then(
    (value) => {
      field.value = value;
      waits = false;
      form.requestSubmit();
    },
    () => {
      waits = false;
      say();
    },
  );
}

if (typeof document === "undefined") {
  onmessage = async ({ data }) => {
    try {
      postMessage({ solution: await solve(data) });
    } catch (error) {
      postMessage({ error: String(error) });
    }
  };
} else {
  const field = document.querySelector("input[data-challenge]");
  if (field) start(field);
}
