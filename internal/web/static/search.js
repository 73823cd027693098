// The form of the page of events. Without this it works too; with it addresses are short,
// times are in the zone that is shown, and types are found by writing.
import { onZone, parts, zone } from "./zone.js";

// local writes a time for a field datetime-local, in the zone that is shown.
function local(ms) {
  const p = parts(ms);
  return `${p.day}T${p.clock}`;
}

// absolute reads such a field.
function absolute(value, inZone) {
  if (!value) return NaN;
  const full = value.length === 16 ? `${value}:00` : value;
  return Date.parse(inZone === "utc" ? `${full}Z` : full);
}

function times(form) {
  const fields = [...form.querySelectorAll("[data-moment]")];
  if (zone === "local") {
    for (const f of fields) if (f.value) f.value = local(absolute(f.value, "utc"));
  }
  onZone((before) => {
    for (const f of fields) if (f.value) f.value = local(absolute(f.value, before));
  });
  return fields;
}

// send goes to the address of the form, without what is empty.
function send(form, fields) {
  const q = new URLSearchParams();
  const types = [];
  for (const [name, value] of new FormData(form)) {
    if (name === "type") types.push(value);
    else if (value.trim() && !fields.some((f) => f.name === name)) q.append(name, value.trim());
  }
  if (types.length) q.set("type", types.join(","));
  for (const f of fields) {
    const ms = absolute(f.value, zone);
    if (Number.isFinite(ms)) q.set(f.name, new Date(ms).toISOString().replace(/\.\d+Z$/, "Z"));
  }
  if (q.has("since") || q.has("until")) q.delete("range");
  q.sort();
  const text = q.toString().replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%7C/g, "|");
  location.assign(text ? `/events?${text}` : "/events");
}

function picker(box) {
  const find = box.querySelector("#types-find");
  const none = box.querySelector("#types-none");
  const count = box.querySelector("#types-count");
  const boxes = [...box.querySelectorAll("input[type=checkbox]")];
  const show = () => {
    const n = boxes.filter((b) => b.checked).length;
    count.textContent = n ? count.dataset.some.replace("%d", n) : count.dataset.any;
    none.disabled = n === 0;
  };
  find.hidden = none.hidden = false;
  show();
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const set of box.querySelectorAll("fieldset")) {
      let any = false;
      for (const label of set.querySelectorAll("label")) {
        const text = label.dataset.find.toLowerCase();
        label.hidden = !words.every((w) => text.includes(w));
        any ||= !label.hidden;
      }
      set.hidden = !any;
    }
  });
  find.addEventListener("keydown", (e) => {
    if (e.key !== "ArrowDown") return;
    e.preventDefault();
    box.querySelector("label:not([hidden]) input")?.focus();
  });
  box.addEventListener("change", show);
  none.addEventListener("click", () => {
    for (const b of boxes) b.checked = false;
    show();
  });
  box.addEventListener("toggle", () => { if (box.open) find.focus(); });
  document.addEventListener("click", (e) => { if (!box.contains(e.target)) box.open = false; });
  box.addEventListener("keydown", (e) => {
    if (e.key !== "Escape") return;
    box.open = false;
    box.querySelector("summary").focus();
  });
}

export function search() {
  const form = document.getElementById("search");
  if (!form) return;
  const fields = times(form);
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    send(form, fields);
  });
  form.elements.failed?.addEventListener("change", () => form.requestSubmit());
  picker(document.getElementById("types"));
  const more = document.getElementById("more-filters");
  if (matchMedia("(max-width: 45rem)").matches && more.dataset.used === undefined) more.open = false;
}
