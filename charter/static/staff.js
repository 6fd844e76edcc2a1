// Keys of the desk. Letters are found by their place on the keyboard too, since the layout may be Kazakh or Russian.

const places = { KeyJ: "j", KeyK: "k", KeyA: "a", KeyD: "d", KeyC: "c", KeyU: "u", Slash: "/" };
const help = document.querySelector("dialog[data-help]");
const opener = document.querySelector("[data-help-open]");
const toggle = document.querySelector("[data-help-toggle]");
const setting = "charter-keys";

// Single keys disturb speech input: they can be switched off (WCAG 2.1.4). Storage may be closed to us.
const remembered = () => {
  try { return localStorage.getItem(setting) !== "off"; } catch { return true; }
};
let on = remembered();

function typing(target) {
  return target.isContentEditable || target.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=submit])");
}

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!rows.length) {
    // On the page of one application: the next one, or the way back.
    if (step > 0) document.querySelector("a[rel=next]")?.click();
    else history.back();
    return;
  }
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(here + step, 0), rows.length - 1);
  const link = rows[next].querySelector("[data-open]");
  link?.focus();
  rows[next].scrollIntoView({ block: "nearest" });
}

function find() {
  const field = document.querySelector("[role=search] input:not([type=hidden])");
  if (field) field.focus();
  else document.querySelector('.nav a[href="/staff/find/"]')?.click();
}

function act(key) {
  const row = document.activeElement?.closest("[data-row]");
  const target = row?.querySelector(`[data-key="${key}"]`) ?? document.querySelector(`[data-key="${key}"]`);
  if (!target) return false;
  if (target.matches("select, textarea, input:not([type=submit])")) {
    if (target.type === "radio" && !target.checked) target.click();
    target.focus();
  } else {
    target.click();
  }
  return true;
}

document.addEventListener("keydown", (event) => {
  if (!on || event.ctrlKey || event.altKey || event.metaKey || event.repeat && !["j", "k"].includes(event.key)) return;
  if (help?.open || typing(event.target)) return;
  const key = /^[a-z?/]$/i.test(event.key) ? event.key.toLowerCase() : places[event.code];
  if (!key) return;
  if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
  else if (key === "?") help?.showModal();
  else if (key === "/") find();
  else if (!"adcu".includes(key) || !act(key)) return;
  event.preventDefault();
});

if (opener && help) {
  opener.hidden = false;
  opener.addEventListener("click", () => help.showModal());
}
if (toggle) {
  toggle.checked = on;
  toggle.addEventListener("change", () => {
    on = toggle.checked;
    try { localStorage.setItem(setting, on ? "on" : "off"); } catch { /* remembered for this page only */ }
  });
}
document.querySelector("#error-summary")?.focus();

// While one application is read the next is fetched; once the decision is stored it takes the place of this page.
let ahead = null;

function lookAhead() {
  const link = document.querySelector("form[data-decide]") && document.querySelector("a[rel=next]");
  ahead = link && {
    url: link.getAttribute("href"),
    page: fetch(link.href).then((answer) => answer.ok && !answer.redirected ? answer.text() : null).catch(() => null),
  };
}

function put(page) {
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
}

function show(page, slots, behind) {
  const next = new DOMParser().parseFromString(page, "text/html");
  const news = new DOMParser().parseFromString(slots, "text/html");
  for (const slot of news.querySelectorAll("[data-slot]")) {
    next.querySelector(`[data-slot="${slot.dataset.slot}"]`)?.replaceWith(slot);
  }
  // It was made before the decision: what came next then may be what was just decided.
  const link = next.querySelector("a[rel=next]");
  if (behind) link?.setAttribute("href", behind);
  else link?.remove();
  put(next);
  const title = document.querySelector("main h1");
  title.tabIndex = -1;
  title.focus();
  scrollTo(0, 0);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-decide]") || event.submitter?.name || !ahead) return;
  event.preventDefault();
  if (form.ariaBusy) return;
  form.ariaBusy = "true";
  let answer;
  try {
    answer = await fetch(form.getAttribute("action"), {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" },
    });
  } catch {
    // No answer at all: sent the usual way. A decision is never made twice.
    return form.submit();
  }
  if (!answer.headers.get("Content-Type")?.includes("json")) {
    // Refused: the same page, which says why and holds what was typed; or another one, such as for signing in.
    if (answer.redirected) return location.assign(answer.url);
    put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    return document.querySelector("#error-summary")?.focus();
  }
  const told = await answer.json();
  const page = told.url === ahead.url && await ahead.page;
  if (!page) return location.assign(told.url);
  history.pushState(null, "", told.url);
  show(page, told.slots, told.next);
  lookAhead();
});
addEventListener("popstate", () => location.reload());
lookAhead();
