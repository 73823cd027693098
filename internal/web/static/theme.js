// Switches the colours without loading the page. The server keeps the choice in a cookie.
export function theme() {
  const button = document.querySelector("[data-theme-switch]");
  button?.addEventListener("click", async (e) => {
    if (e.button || e.metaKey || e.ctrlKey || e.shiftKey) return;
    e.preventDefault();
    const answer = await fetch(button.href, { credentials: "same-origin" }).catch(() => undefined);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("[data-theme-switch]");
    if (!next) return;
    document.documentElement.dataset.theme = page.documentElement.dataset.theme;
    button.setAttribute("href", next.getAttribute("href"));
    button.title = next.title;
    button.querySelector("span").textContent = next.textContent.trim();
  });
}
