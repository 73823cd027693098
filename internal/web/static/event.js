// The page of one event: the zone of times, and copying.
import { zones } from "./zone.js";

zones();

const button = document.getElementById("copy");
const pre = document.getElementById("event-json");

// copy copies the event. Without TLS, browsers have no clipboard but that of a selection.
async function copy() {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(pre.textContent);
      return true;
    } catch { /* not allowed: the other way may be */ }
  }
  const range = document.createRange();
  range.selectNodeContents(pre);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  return document.execCommand("copy");
}

if (button && pre) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (!await copy()) return;
    const text = button.textContent;
    button.textContent = button.dataset.done;
    document.getElementById("copied").textContent = button.dataset.done;
    setTimeout(() => { button.textContent = text; }, 2000);
  });
}
