// Keeps the page current: fragments come escaped from the server and replace what they were.
"use strict";
(() => {
  const EVERY = 5000;
  const box = document.getElementById("live");
  const state = document.getElementById("live-state");
  const away = document.getElementById("away");

  // --- fragments ---

  const fetched = async (address) => {
    let answer;
    try {
      answer = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store" });
    } catch {
      throw new Error("The service does not answer.");
    }
    if (answer.redirected || answer.status === 401) throw new Error("Sign in again: reload this page.");
    const text = await answer.text();
    if (answer.ok) return text;
    throw new Error(new DOMParser().parseFromString(text, "text/html").body.textContent.trim().slice(0, 300));
  };

  // Nothing moves under somebody's hands: neither a focused link nor a selection.
  const inUse = (element) => {
    const chosen = getSelection();
    const selected = chosen && !chosen.isCollapsed && element.contains(chosen.anchorNode);
    return selected || element.contains(document.activeElement) || element.querySelector("details[open]");
  };

  const put = (element, html) => {
    const scrolled = element.querySelector(".scroll")?.scrollLeft ?? 0;
    element.innerHTML = html;
    const table = element.querySelector(".scroll");
    if (table) table.scrollLeft = scrolled;
  };

  const say = (text) => {
    if (state && state.textContent !== text) state.textContent = text;
  };

  const warn = (text) => {
    const since = away.dataset.since || new Date().toLocaleTimeString();
    away.dataset.since = text ? since : "";
    const told = text && `Not updating since ${since}. ${text} Trying again.`;
    if (away.textContent !== told) away.textContent = told;
    away.hidden = !text;
    document.body.classList.toggle("stale", Boolean(text));
  };

  const refresh = async () => {
    let paused = false;
    try {
      for (const element of document.querySelectorAll("[data-live]")) {
        if (inUse(element)) paused = true;
        else put(element, await fetched(element.dataset.live));
      }
      warn("");
      say(paused ? "(paused while in use)" : "");
    } catch (error) {
      warn(error.message);
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
    element.setAttribute("aria-busy", "false");
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
    if ((!box || box.checked) && !document.hidden) await refresh();
    setTimeout(tick, EVERY);
  };
  if (document.querySelector("[data-live]")) {
    if (box) box.closest("label").hidden = false;
    setTimeout(tick, EVERY);
  }

  // --- a page that could not be shown comes back by itself ---

  const retry = async () => {
    const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
    if (answer?.ok) location.reload();
    else setTimeout(retry, EVERY);
  };
  if (document.querySelector("[data-retry]")) {
    document.getElementById("retrying").textContent = "This page tries again every five seconds.";
    setTimeout(retry, EVERY);
  }

  // --- charts say what a pointer is over ---

  const readout = (target) => target.closest?.(".chart")?.querySelector(".readout");
  document.addEventListener("pointerover", (event) => {
    const column = event.target.closest?.("[data-says]");
    if (column) readout(column).textContent = column.dataset.says;
  });
  document.addEventListener("pointerout", (event) => {
    const column = event.target.closest?.("[data-says]");
    if (column) readout(column).textContent = readout(column).dataset.rest;
  });
  // The browser's own tooltip would come late and cover the bars.
  for (const title of document.querySelectorAll(".field title")) title.remove();

  // --- filters: one list open at a time, applied when it closes ---

  const picks = [...document.querySelectorAll(".pick")];
  for (const pick of picks) {
    pick.addEventListener("change", () => { pick.dataset.changed = "yes"; });
    pick.addEventListener("toggle", () => {
      if (!pick.open && pick.dataset.changed) pick.closest("form").requestSubmit();
      if (pick.open) picks.filter((other) => other !== pick).forEach((other) => { other.open = false; });
    });
  }
  document.addEventListener("pointerdown", (event) => {
    for (const pick of picks) if (!pick.contains(event.target)) pick.open = false;
  });
  // Empty fields do not belong into an address.
  document.querySelector(".filters")?.addEventListener("submit", (event) => {
    for (const input of event.target.querySelectorAll("input:not([type=checkbox])")) input.disabled = !input.value;
  });
  addEventListener("pageshow", () => {
    for (const input of document.querySelectorAll(".filters input")) input.disabled = false;
  });

  document.addEventListener("keydown", (event) => {
    const open = picks.find((pick) => pick.open);
    if (event.key === "Escape" && open) {
      open.open = false;
      open.querySelector("summary").focus();
    }
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    document.getElementById("find").focus();
  });
})();
