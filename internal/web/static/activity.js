// The page of the activity: what a cell stands for, by pointer and by keyboard.
import { onZone, parts, zoneName, zones } from "./zone.js";

zones();

const tip = document.getElementById("tip");

// label says what a cell stands for.
function label(cell) {
  const from = parts(1000 * cell.dataset.from, "hm");
  const until = parts(1000 * cell.dataset.until, "hm");
  return { what: cell.dataset.cell, when: `${from.day} ${from.clock} – ${until.clock} ${zoneName()}`, n: cell.dataset.n };
}

function show(cell) {
  const l = label(cell);
  const what = document.createElement("b");
  const when = document.createElement("span");
  what.textContent = `${l.n} · ${l.what}`;
  when.textContent = l.when;
  tip.replaceChildren(what, when);
  tip.hidden = false;
  const at = cell.getBoundingClientRect();
  const box = tip.getBoundingClientRect();
  const room = document.documentElement.clientWidth;
  const left = Math.min(Math.max(4, at.left + at.width / 2 - box.width / 2), room - box.width - 4);
  const above = at.top - box.height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : at.bottom + 8}px`;
}

const hide = () => { tip.hidden = true; };

// describe gives the cells names, for who does not see the picture.
function describe() {
  for (const cell of document.querySelectorAll("[data-cell]")) {
    const l = label(cell);
    cell.setAttribute("aria-label", `${l.what}, ${l.when}: ${l.n}`);
  }
}

// move returns the cell that an arrow leads to from another: the next one with a count.
function move(cell, key) {
  const td = cell.parentElement;
  const tr = td.parentElement;
  const column = [...tr.children].indexOf(td);
  const inRow = [...tr.querySelectorAll("[data-cell]")];
  const inColumn = [...tr.parentElement.children].map((r) => r.children[column]?.querySelector("[data-cell]")).filter(Boolean);
  const step = (list, by) => list[list.indexOf(cell) + by];
  switch (key) {
    case "ArrowRight": return step(inRow, 1);
    case "ArrowLeft": return step(inRow, -1);
    case "ArrowDown": return step(inColumn, 1);
    case "ArrowUp": return step(inColumn, -1);
    case "Home": return inRow[0];
    case "End": return inRow[inRow.length - 1];
    default: return undefined;
  }
}

if (tip) {
  const cellOf = (e) => e.target.closest?.("[data-cell]");
  document.addEventListener("pointerover", (e) => {
    const cell = cellOf(e);
    if (cell) show(cell);
    else hide();
  });
  document.addEventListener("focusin", (e) => {
    const cell = cellOf(e);
    if (cell) show(cell);
    else hide();
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") hide();
    const cell = cellOf(e);
    const next = cell && move(cell, e.key);
    if (!next) return;
    e.preventDefault();
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  addEventListener("scroll", hide, { passive: true });
  const span = document.querySelectorAll(".lone-figures time");
  if (span.length === 2 && Date.parse(span[1].dateTime) - Date.parse(span[0].dateTime) > 36 * 3600e3) document.getElementById("main").classList.add("days");
  describe();
  onZone(describe);
}
