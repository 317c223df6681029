// Keeps the page current: fragments come escaped from the server and replace what they were.
"use strict";
(() => {
  const EVERY = 5000;
  const box = document.getElementById("live");
  const state = document.getElementById("live-state");

  const fetched = async (address) => {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (answer.redirected || answer.status === 401) throw new Error("sign in again");
    const text = await answer.text();
    if (!answer.ok) throw new Error(new DOMParser().parseFromString(text, "text/html").body.textContent.trim());
    return text;
  };

  // Nothing moves under somebody's hands: neither a focused link nor a selection.
  const inUse = (element) => {
    const chosen = getSelection();
    const selected = chosen && !chosen.isCollapsed && element.contains(chosen.anchorNode);
    return selected || element.contains(document.activeElement);
  };

  const put = (element, html) => {
    const scrolled = element.querySelector(".scroll")?.scrollLeft ?? 0;
    element.innerHTML = html;
    const table = element.querySelector(".scroll");
    if (table) table.scrollLeft = scrolled;
  };

  const say = (text, bad) => {
    if (!state || state.textContent === text) return;
    state.textContent = text;
    state.classList.toggle("bad", Boolean(bad));
  };

  const refresh = async () => {
    try {
      for (const element of document.querySelectorAll("[data-live]")) {
        if (!inUse(element)) put(element, await fetched(element.dataset.live));
      }
      say("");
    } catch (error) {
      say(`not updating: ${error.message}`, true);
    }
  };

  const later = async (element) => {
    element.setAttribute("aria-busy", "true");
    element.innerHTML = '<p class="empty loading">Loading…</p>';
    try {
      put(element, await fetched(element.dataset.later));
    } catch (error) {
      element.innerHTML = '<p class="empty bad"></p><button type="button">Try again</button>';
      element.firstChild.textContent = `Could not be loaded: ${error.message}`;
      element.lastChild.addEventListener("click", () => later(element));
    }
    element.removeAttribute("aria-busy");
  };

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        later(entry.target);
      }
    }
  }, { rootMargin: "400px" });
  for (const element of document.querySelectorAll("[data-later]")) seen.observe(element);

  const tick = async () => {
    if (box.checked && !document.hidden) await refresh();
    setTimeout(tick, EVERY);
  };
  if (box) setTimeout(tick, EVERY);
})();
