// Closes an open menu on Escape and on a click elsewhere.
export function menus() {
  const close = (except) => {
    for (const m of document.querySelectorAll("details.menu[open]")) {
      if (m === except) continue;
      m.open = false;
      if (m.contains(document.activeElement)) m.querySelector("summary").focus();
    }
  };
  document.addEventListener("click", (e) => close(e.target.closest?.("details.menu")));
  document.addEventListener("keydown", (e) => { if (e.key === "Escape") close(); });
}
