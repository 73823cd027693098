// The list of events: more of it, new ones on top, and what stands most often in it.
import { number } from "./words.js";
import { writeTimes } from "./zone.js";

const every = 1500; // milliseconds between two looks of the live tail
const most = 600; // rows that the live tail keeps
const top = 5; // how many of each the summary names

const rows = () => document.getElementById("rows");

// fragment makes rows out of HTML that the server has written.
function fragment(html) {
  const t = document.createElement("template");
  t.innerHTML = html;
  writeTimes(t.content);
  return t.content;
}

async function fetchRows(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" }, cache: "no-store" });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

const rowsAddress = (page) => page.replace(/^\/events/, "/events/rows");

// facets counts what stands in the rows that are shown.
function facets() {
  const box = document.getElementById("facets");
  const all = [...rows().querySelectorAll("tr.ev")];
  const page = new URL(document.getElementById("events").dataset.page, location.href);
  box.hidden = all.length < 2;
  for (const facet of box.querySelectorAll("[data-facet]")) {
    const key = facet.dataset.facet;
    const seen = new Map();
    for (const tr of all) {
      const value = tr.dataset[key];
      if (!value) continue;
      const entry = seen.get(value) ?? { value, name: tr.dataset[`${key}Name`] || value, n: 0 };
      entry.n++;
      seen.set(value, entry);
    }
    const sorted = [...seen.values()].sort((a, b) => b.n - a.n || (a.name < b.name ? -1 : 1));
    facet.querySelector(".count").textContent = sorted.length ? number(sorted.length) : "";
    facet.querySelector("ol").replaceChildren(...sorted.slice(0, top).map((entry) => {
      const li = box.querySelector("template").content.firstElementChild.cloneNode(true);
      const to = new URL(page);
      to.searchParams.set(key, entry.value);
      const a = li.querySelector("a");
      a.href = to.pathname + to.search;
      a.title = `${entry.name}: ${number(entry.n)}`;
      li.querySelector("bdi").textContent = entry.name;
      li.querySelector(".fill").setAttribute("width", String(Math.max(2, Math.round(100 * entry.n / sorted[0].n))));
      li.querySelector(".n").textContent = number(entry.n);
      return li;
    }));
  }
}

// further shows the events before those that are shown, without leaving the page.
function further() {
  const button = document.getElementById("further");
  if (!button) return;
  const reach = document.getElementById("reach");
  button.addEventListener("click", async (e) => {
    if (e.ctrlKey || e.metaKey || e.shiftKey) return;
    e.preventDefault();
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    try {
      const found = await fetchRows(rowsAddress(button.getAttribute("href")));
      const first = fragment(found.rows);
      const focus = first.querySelector(".what");
      rows().append(first);
      if (found.count) document.getElementById("none").hidden = true;
      const at = reach.querySelector("time");
      if (at && found.searched_to) {
        at.dateTime = found.searched_to;
        delete at.dataset.zone;
        at.dataset.zone = "unset";
        writeTimes(reach);
      }
      if (found.more) {
        button.href = found.more;
      } else {
        button.remove();
        reach.hidden = true;
        document.getElementById("end")?.classList.remove("hidden");
      }
      focus?.focus({ preventScroll: true });
      facets();
    } catch {
      location.assign(button.href);
    } finally {
      button.ariaBusy = "false";
    }
  });
}

// A Tail adds what comes in to the top of the list.
class Tail {
  constructor(button, table) {
    this.button = button;
    this.page = table.dataset.page;
    this.latest = table.dataset.latest;
    this.status = document.getElementById("tail-say");
    this.bar = document.getElementById("tail-bar");
    this.show = document.getElementById("tail-show");
    this.held = []; // fragments that wait until one has read on, newest first
    this.heldCount = 0;
    this.told = 0; // new events that were not spoken of yet
    this.spoke = 0;
    this.on = false;
    this.timer = 0;
    button.hidden = false;
    button.addEventListener("click", () => this.turn(!this.on));
    this.show.addEventListener("click", () => {
      this.flush();
      scrollTo({ top: 0 });
    });
    addEventListener("scroll", () => { if (this.heldCount && this.atTop()) this.flush(); }, { passive: true });
    document.addEventListener("visibilitychange", () => { if (!document.hidden && this.on) this.soon(0); });
    addEventListener("pagehide", () => clearTimeout(this.timer));
  }

  turn(on) {
    this.on = on;
    this.button.setAttribute("aria-pressed", String(on));
    const label = this.button.querySelector("[data-on]");
    label.textContent = on ? label.dataset.on : label.dataset.off;
    const to = new URL(location.href);
    if (on) to.searchParams.set("live", "1");
    else to.searchParams.delete("live");
    history.replaceState(history.state, "", to);
    this.say(on ? this.status.dataset.started : this.status.dataset.paused);
    clearTimeout(this.timer);
    if (on) this.soon(0);
    else this.flush();
  }

  soon(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), ms);
  }

  say(text) { this.status.textContent = text; }

  // atTop says whether the top of the list is what one looks at, so that new rows do not
  // push away what is being read.
  atTop() { return scrollY < 4 && !rows().contains(document.activeElement); }

  async look() {
    if (!this.on || document.hidden) return;
    let next = every;
    try {
      const address = new URL(rowsAddress(this.page), location.href);
      address.searchParams.set("after", this.latest);
      address.searchParams.set("limit", "200");
      address.searchParams.delete("live");
      const found = await fetchRows(address);
      if (!this.on) return;
      this.latest = found.latest ?? this.latest;
      delete this.button.dataset.paused;
      if (found.count) this.take(found);
      if (found.full) next = 50;
    } catch {
      this.button.dataset.paused = "";
      this.say(this.status.dataset.trouble);
      next = 4 * every;
    }
    this.speak();
    this.soon(next);
  }

  take(found) {
    this.told += found.count;
    const part = fragment(found.rows);
    for (const tr of part.querySelectorAll("tr")) tr.classList.add("fresh");
    if (this.atTop() && !this.heldCount) {
      this.add([part]);
      return;
    }
    this.held.unshift(part);
    this.heldCount += found.count;
    this.bar.hidden = false;
    this.show.textContent = this.show.dataset.text.replace("%s", number(this.heldCount));
  }

  add(parts) {
    rows().prepend(...parts);
    document.getElementById("none").hidden = true;
    const all = rows().children;
    while (all.length > most) all[all.length - 1].remove();
    facets();
  }

  flush() {
    this.bar.hidden = true;
    if (!this.heldCount) return;
    this.add(this.held);
    this.held = [];
    this.heldCount = 0;
  }

  // speak tells a screen reader how many came in, now and then.
  speak() {
    const now = Date.now();
    if (!this.told || now - this.spoke < 5000) return;
    this.say(this.status.dataset.new.replace("%s", number(this.told)));
    this.told = 0;
    this.spoke = now;
  }
}

export function list() {
  const table = document.getElementById("events");
  if (!table) return;
  facets();
  further();
  const button = document.getElementById("tail");
  if (!button) return;
  const tail = new Tail(button, table);
  if (new URLSearchParams(location.search).get("live") === "1") tail.turn(true);
}
