// The sign form with script: shows only the affiliation that fits, suggests a short name, keeps the preview current; and
// a tidy address for a search. Everything here is a convenience: the forms are complete without it.

// The same first proposal as the server's: the first word and the initial of the second. Papers put the surname first,
// people type either, so it stays open to be written over.
export function shortName(fullName) {
  const words = fullName.trim().split(/\s+/u).filter((word) => /\p{L}/u.test(word));
  if (words.length < 2) return fullName.trim();
  return `${words[0]} ${words[1].match(/\p{L}\p{M}*/u)[0].toUpperCase()}.`;
}

function chosen(form, name) {
  return form.elements[name]?.value ?? "";
}

function optionText(select) {
  return select?.value ? select.selectedOptions[0].text.trim() : "";
}

function affiliation(block) {
  for (const control of block?.querySelectorAll("select, input, textarea") ?? []) {
    if (control.type === "radio" || control.type === "checkbox" || control.type === "hidden") continue;
    const text = control.tagName === "SELECT" ? (control.value === "other" ? "" : optionText(control)) : control.value.trim();
    if (text) return text;
  }
  return "";
}

function start(form) {
  const full = form.elements.full_name;
  const short = form.elements.short_name;
  const preview = form.querySelector("[data-preview]");
  const blocks = [...form.querySelectorAll("[data-kind]")];
  let suggested = !short || !short.value || short.value === shortName(full.value);

  const refresh = () => {
    const kind = chosen(form, "kind");
    for (const block of blocks) block.hidden = block.dataset.kind !== kind && !block.querySelector(".bad");
    // "party_other" belongs to the choice "other" of "party".
    for (const select of form.querySelectorAll("select")) {
      const other = form.elements[`${select.name}_other`];
      if (other) other.closest(".field").hidden = select.value !== "other";
    }
    if (!preview) return;
    const display = chosen(form, "display") || "full";
    const name = full.value.trim();
    const part = (which) => preview.querySelector(`[data-part="${which}"]`);
    const names = { full: name, short: short?.value.trim() || shortName(name), unlisted: preview.dataset.unlisted };
    part("name").textContent = names[display] || preview.dataset.name;
    const kindLabel = form.querySelector(`[name="kind"]:checked`)?.closest("label")?.querySelector("b")?.textContent;
    const own = kind === "independent" ? preview.dataset.own : "";
    const behalf = display === "unlisted" ? "" : affiliation(blocks.find((block) => block.dataset.kind === kind)) || own;
    part("about").textContent = [optionText(form.elements.region), kindLabel, behalf].filter(Boolean).join(" · ");
    preview.hidden = !name && display !== "unlisted";
  };

  full.addEventListener("input", () => {
    if (suggested && short) short.value = shortName(full.value);
  });
  short?.addEventListener("input", () => {
    suggested = !short.value;
  });
  form.addEventListener("input", refresh);
  form.addEventListener("change", refresh);
  // A browser may bring typed answers back without an event, after "Back" for one.
  addEventListener("pageshow", refresh);
  if (suggested && short && full.value) short.value = shortName(full.value);
  refresh();
}

// A search that was sent keeps an address without the fields that were left empty.
export function dropEmpty(event) {
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
}

if (typeof document !== "undefined") {
  for (const search of document.querySelectorAll("form[method=get]")) search.addEventListener("formdata", dropEmpty);
  document.querySelector("#error-summary")?.focus();
  const form = document.querySelector("form[data-sign]");
  if (form?.elements.full_name) start(form);
}
