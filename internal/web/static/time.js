// Relative times that tick, and local times as a tip.
import { say } from "./words.js";

// The clock of the server, as far as its pages tell: a browser's may be wrong.
let offset = 0;

// setServerTime says what the time is there.
export function setServerTime(ms) {
  if (Number.isFinite(ms)) offset = ms - Date.now();
}

export const serverNow = () => Date.now() + offset;

// since writes how long ago something was, in one unit, as the server does.
export function since(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} ${say("s")}`;
  if (s < 3600) return `${Math.floor(s / 60)} ${say("min")}`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} ${say("h")}`;
  return `${Math.floor(s / 86400)} ${say("d")}`;
}

// refreshTimes writes all relative times below an element.
export function refreshTimes(root = document) {
  for (const el of root.querySelectorAll("time[data-rel]")) {
    const text = since(serverNow() - Date.parse(el.dateTime));
    const full = el.dataset.rel === "ago" ? say("ago", text) : text;
    if (el.textContent !== full) el.textContent = full;
  }
}

export function times() {
  const at = document.querySelector("[data-at]");
  if (at) setServerTime(Date.parse(at.dataset.at));
  refreshTimes();
  setInterval(() => { if (!document.hidden) refreshTimes(); }, 1000);
  document.addEventListener("pointerover", (e) => {
    const el = e.target.closest?.("time[datetime]");
    if (!el || el.dataset.tip) return;
    el.dataset.tip = "1";
    const t = new Date(el.dateTime);
    el.title = `${t.toISOString().slice(0, 19).replace("T", " ")} UTC\n${t.toLocaleString()} (${say("local")})`;
  });
}
