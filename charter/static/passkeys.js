// Passkeys of the Centre's people: fetches a question, puts it to the device, and sends the form with the answer.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const listed = (all) => (all ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

async function ask(act, question) {
  const publicKey = { ...question, challenge: bytes(question.challenge) };
  if (act === "create") {
    publicKey.user = { ...question.user, id: bytes(question.user.id) };
    publicKey.excludeCredentials = listed(question.excludeCredentials);
  } else {
    publicKey.allowCredentials = listed(question.allowCredentials);
  }
  const made = await navigator.credentials[act]({ publicKey });
  const response = {};
  for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (made.response[part]) response[part] = text(made.response[part]);
  }
  return JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response });
}

// A browser tells neither "cancelled" from "no such passkey" nor from "too late": only the clock knows the last.
function reason(error, waited, patience) {
  if (error.name === "NotAllowedError" || error.name === "AbortError") return waited < patience ? "cancelled" : "late";
  if (error.name === "SecurityError") return "elsewhere";
  if (error.name === "InvalidStateError") return "present";
  if (error.name === "NotSupportedError" || error.name === "ConstraintError") return "unable";
  return "failed";
}

function start(form) {
  const line = form.querySelector("[data-say]");
  const say = (what) => {
    line.hidden = !what;
    line.textContent = what ? form.dataset[what] : "";
  };
  let busy = false;

  async function send() {
    say("");
    const answer = await fetch(form.dataset.challenge, { method: "POST", body: new FormData(form), redirect: "manual" });
    // Signed out meanwhile, an old page, or the password is asked first: the page itself leads there.
    if (answer.type === "opaqueredirect" || answer.status === 403) {
      return location.assign(location.pathname + location.search);
    }
    if (answer.status === 422) return form.submit(); // something was typed that the page explains
    if (!answer.ok) return say("failed");
    const question = await answer.json();
    const began = performance.now();
    try {
      form.elements.credential.value = await ask(form.dataset.passkey, question);
    } catch (error) {
      return say(reason(error, performance.now() - began, question.timeout));
    }
    return form.submit();
  }

  form.querySelector("[data-without]").hidden = true;
  if (location.origin !== form.dataset.origin) return say("elsewhere");
  if (!window.PublicKeyCredential) return say("unsupported");
  form.querySelector("[data-with]").hidden = false;
  addEventListener("pageshow", () => { busy = false; });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    await send().catch(() => say("failed"));
    busy = false;
  });
}

const form = document.querySelector("form[data-passkey]");
if (form) start(form);
