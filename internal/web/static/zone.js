// The switch between UTC and the time of the browser. It sets all <time data-time>, and
// says to others when it was turned.
import { lang, say } from "./words.js";

const key = "gapless.zone";
const listeners = [];
const two = (n) => String(n).padStart(2, "0");

// zone is "utc" or "local".
export let zone = "utc";
try { if (localStorage.getItem(key) === "local") zone = "local"; } catch { /* it may be forbidden */ }

// parts returns day and clock of a time in the zone, as the server writes them: the form
// "ms" has milliseconds, "hm" no seconds.
export function parts(ms, form = "") {
  const p = whole(new Date(ms));
  if (form === "hm") p.clock = p.clock.slice(0, 5);
  if (form === "ms") p.clock += `.${String(new Date(ms).getMilliseconds()).padStart(3, "0")}`;
  return p;
}

function whole(d) {
  return zone === "utc"
    ? { day: d.toISOString().slice(0, 10), clock: d.toISOString().slice(11, 19) }
    : { day: `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`, clock: `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}` };
}

// zoneName says what the zone is called.
export function zoneName() {
  if (zone === "utc") return "UTC";
  const part = new Intl.DateTimeFormat(lang, { timeZoneName: "short" }).formatToParts(new Date()).find((p) => p.type === "timeZoneName");
  return part?.value ?? say("local");
}

// writeTimes writes the times below an element in the zone.
export function writeTimes(root = document) {
  for (const el of root.querySelectorAll("time[data-time]")) {
    if ((el.dataset.zone ?? "utc") === zone) continue;
    const p = parts(Date.parse(el.dateTime), el.dataset.time);
    el.dataset.zone = zone;
    el.querySelector(".day").textContent = p.day;
    el.querySelector(".clock").textContent = p.clock;
  }
}

// onZone calls a function whenever the zone was changed.
export function onZone(f) { listeners.push(f); }

function show() {
  for (const b of document.querySelectorAll("[data-zone-of]")) b.setAttribute("aria-pressed", String(b.dataset.zoneOf === zone));
  for (const el of document.querySelectorAll("[data-zone-name]")) el.textContent = zoneName();
  const foot = document.querySelector("[data-foot-utc]");
  if (foot) foot.hidden = zone !== "utc";
  writeTimes();
}

// zones starts the switch.
export function zones() {
  for (const el of document.querySelectorAll("[data-zone]")) el.hidden = false;
  document.addEventListener("click", (e) => {
    const b = e.target.closest?.("[data-zone-of]");
    if (!b || b.dataset.zoneOf === zone) return;
    const before = zone;
    zone = b.dataset.zoneOf;
    try { localStorage.setItem(key, zone); } catch { /* then it holds for this page */ }
    show();
    for (const f of listeners) f(before);
  });
  show();
}
