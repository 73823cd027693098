// Reads a chart out: under the pointer, and by the keyboard when it has the focus.
import { lang, number, say } from "./words.js";

export function charts() {
  document.addEventListener("pointermove", (e) => {
    const canvas = e.target.closest?.(".canvas");
    if (shown && shown !== canvas && shown !== document.activeElement) hide(shown);
    if (!canvas) return;
    const box = canvas.getBoundingClientRect();
    const data = read(canvas);
    if (data) point(canvas, data, Math.round(((e.clientX - box.left) / box.width) * (data.steps.length - 1)));
  });
  document.addEventListener("pointerleave", () => shown && hide(shown));
  document.addEventListener("focusout", (e) => { if (e.target === shown) hide(shown); });
  document.addEventListener("keydown", key);
}

let shown; // the canvas that is being read
let index = 0;

// read parses data-chart: "start step;fetched,delivered,rejected;...".
function read(canvas) {
  const text = canvas.closest("[data-chart]")?.dataset.chart;
  if (!text) return undefined;
  const [head, ...steps] = text.split(";");
  const [start, step] = head.split(" ").map(Number);
  return { start, step, steps: steps.map((s) => s.split(",").map(Number)) };
}

function key(e) {
  const canvas = document.activeElement;
  if (!canvas?.classList.contains("canvas")) return;
  const data = read(canvas);
  if (!data) return;
  const last = data.steps.length - 1;
  const at = shown === canvas ? index : last + 1;
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last, PageUp: at - 10, PageDown: at + 10 }[e.key];
  if (e.key === "Escape") hide(canvas);
  if (to === undefined) return;
  e.preventDefault();
  point(canvas, data, to);
  canvas.querySelector(".readout").setAttribute("aria-live", "polite");
}

// point shows the values of a step.
function point(canvas, data, i) {
  i = Math.min(Math.max(i, 0), data.steps.length - 1);
  const cross = canvas.querySelector(".cross"), out = canvas.querySelector(".readout");
  const x = data.steps.length > 1 ? (i / (data.steps.length - 1)) * canvas.clientWidth : canvas.clientWidth;
  const [fetched, delivered, rejected] = data.steps[i];
  const per = data.step / 60;
  const rate = (n) => number(Math.round((n / per) * 10) / 10);
  const at = new Date((data.start + i * data.step) * 1000);
  const clock = (zone) => at.toLocaleTimeString(lang, { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: zone });
  const lines = [[`${clock("UTC")} UTC`, "b"], [`${rate(delivered)} ${say("delivered")} ${say("per_minute")}`, "span"], [`${rate(fetched)} ${say("fetched")} ${say("per_minute")}`, "span"]];
  if (rejected) lines.push([`${number(rejected)} ${say("rejected")}`, "span"]);
  out.replaceChildren(...lines.map(([text, tag]) => {
    const el = document.createElement(tag);
    el.textContent = text;
    if (tag === "span") el.className = "line-of";
    return el;
  }));
  cross.hidden = out.hidden = false;
  cross.style.transform = `translateX(${x}px)`;
  const room = canvas.clientWidth - out.offsetWidth;
  out.style.transform = `translateX(${Math.min(Math.max(x > canvas.clientWidth / 2 ? x - out.offsetWidth - 10 : x + 10, 0), Math.max(room, 0))}px)`;
  shown = canvas;
  index = i;
}

function hide(canvas) {
  canvas.querySelector(".cross").hidden = true;
  const out = canvas.querySelector(".readout");
  out.hidden = true;
  out.removeAttribute("aria-live");
  shown = undefined;
}
