// morph makes an element like another one in place: what is the same stays the same
// node, so that focus, selection, open details and hovering survive.
//
// Elements with data-own keep what a script has put into them. Elements with an id are
// matched by it. The text of relative times is the ticking script's.

const keep = new Set(["data-tip"]);

export function morph(from, to) {
  attributes(from, to);
  if (from.hasAttribute("data-own") || from.matches("time[data-rel]")) return;
  children(from, to);
}

function attributes(from, to) {
  if (from.hasAttribute("data-own")) return;
  for (const { name } of [...from.attributes]) {
    if (to.hasAttribute(name) || keep.has(name) || (name === "open" && from.nodeName === "DETAILS")) continue;
    from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (name === "title" && from.dataset.tip) continue;
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

function same(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
}

export function children(from, to) {
  let at = from.firstChild;
  for (const next of [...to.childNodes]) {
    if (next.nodeType === Node.ELEMENT_NODE && next.id && (at?.id !== next.id)) {
      const found = [...from.children].find((el) => el.id === next.id);
      if (found) {
        from.insertBefore(found, at);
        at = found;
      }
    }
    while (at && !same(at, next) && following(at, next)) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    if (at && same(at, next)) {
      if (next.nodeType === Node.ELEMENT_NODE) morph(at, next);
      else if (at.nodeValue !== next.nodeValue) at.nodeValue = next.nodeValue;
      at = at.nextSibling;
    } else {
      from.insertBefore(next, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// following reports whether one of the next few siblings is what is looked for.
function following(at, next) {
  let n = at.nextSibling;
  for (let i = 0; n && i < 4; i++, n = n.nextSibling) {
    if (same(n, next)) return true;
  }
  return false;
}
