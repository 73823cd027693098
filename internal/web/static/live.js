// Keeps <div data-live="ADDRESS OF THE PAGE"> as the server would draw it now: by a
// stream, or by asking now and then where there is no stream to be had. While a tab is
// hidden it holds no connection.
import { children } from "./morph.js";
import { refreshTimes, setServerTime } from "./time.js";
import { say } from "./words.js";

const silence = 25_000; // without a word for so long the connection counts as lost
const pollEvery = 5_000;
const retryEvery = 30_000; // for a stream, while polling

let region, source, watch, poll, streamAgain;
let lost = false;

export function live() {
  region = document.querySelector("[data-live]");
  if (!region) return;
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (e) => { if (e.persisted) start(); });
  document.addEventListener("click", swap);
  start();
}

function start() {
  stop();
  source = new EventSource(`/api/v1/live?page=${encodeURIComponent(region.dataset.live)}`);
  source.addEventListener("live", (e) => { alive(); show(e.data); });
  source.addEventListener("beat", alive);
  source.addEventListener("trouble", () => setLost(true));
  source.addEventListener("error", () => {
    setLost(true);
    if (source && source.readyState === EventSource.CLOSED) fallBack();
  });
  watching();
}

function stop() {
  source?.close();
  source = undefined;
  clearTimeout(watch);
  clearTimeout(poll);
  clearTimeout(streamAgain);
}

// watching notices a connection that is open and says nothing.
function watching() {
  clearTimeout(watch);
  watch = setTimeout(() => { setLost(true); start(); }, silence);
}

function alive() {
  watching();
  setLost(false);
}

// fallBack asks for the page now and then, and for a stream again after a while.
function fallBack() {
  stop();
  streamAgain = setTimeout(start, retryEvery);
  ask();
}

async function ask() {
  try {
    const answer = await fetch(region.dataset.live, { headers: { "X-Gapless-Fragment": "live" }, credentials: "same-origin", cache: "no-store", redirect: "manual" });
    if (answer.ok && answer.headers.get("Content-Type")?.startsWith("text/html")) {
      setServerTime(Date.parse(answer.headers.get("Date")));
      show(await answer.text());
      setLost(false);
    } else if (answer.status === 401 || answer.type === "opaqueredirect") {
      stop();
      banner(say("signed_out"), false);
      return;
    } else {
      setLost(true);
    }
  } catch {
    setLost(true);
  }
  clearTimeout(poll);
  if (!source && !document.hidden) poll = setTimeout(ask, pollEvery);
}

// show puts what the server has drawn in the place of what is there.
function show(html) {
  const next = new DOMParser().parseFromString(html, "text/html").body;
  const at = next.querySelector("[data-at]");
  if (at) setServerTime(Date.parse(at.dataset.at));
  children(region, next);
  refreshTimes(region);
  region.dispatchEvent(new CustomEvent("shown"));
}

function setLost(now) {
  if (now === lost) return;
  lost = now;
  region.classList.toggle("stale", now);
  banner(now ? say("lost") : say("back"), !now);
}

let clearing;
function banner(text, fine) {
  const el = document.getElementById("link");
  el.classList.toggle("fine", fine);
  el.textContent = text;
  clearTimeout(clearing);
  if (fine) clearing = setTimeout(() => { el.textContent = ""; }, 3000);
}

// swap follows links that change the region alone, without loading the page.
function swap(e) {
  const a = e.target.closest?.("a[data-swap]");
  if (!a || e.defaultPrevented || e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || !region.contains(a)) return;
  e.preventDefault();
  history.replaceState(null, "", a.href);
  region.dataset.live = a.getAttribute("href");
  start();
}
