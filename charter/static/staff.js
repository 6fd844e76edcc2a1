// Keys of the desk. Letters are found by their place on the keyboard too, since the layout may be Kazakh or Russian.

const places = { KeyJ: "j", KeyK: "k", KeyA: "a", KeyD: "d", KeyC: "c", KeyU: "u" };
const rows = [...document.querySelectorAll("[data-row]")];
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
  if (!rows.length) return;
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(here + step, 0), rows.length - 1);
  const link = rows[next].querySelector("[data-open]");
  link?.focus();
  rows[next].scrollIntoView({ block: "nearest" });
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
  const key = /^[a-z?]$/i.test(event.key) ? event.key.toLowerCase() : places[event.code];
  if (!key) return;
  if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
  else if (key === "?") help?.showModal();
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
