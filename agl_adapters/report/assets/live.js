// What only the server's pages do: follow a run while it goes on, and fetch traces one by one.
"use strict";

(() => {
  const parts = new Map(); // what the server last said of each part of the page, by its id
  let busy = false;
  let again = false;

  agl.prepareLive = () => {
    for (const part of document.querySelectorAll("[data-live]")) parts.set(part.id, part.outerHTML);
  };

  if (document.querySelector("dialog#trace")) {
    agl.trace = async (key) => {
      const name = new URLSearchParams(location.search).get("name");
      const response = await fetch(`/trace?${new URLSearchParams({ name, key })}`);
      if (!response.ok) throw new Error(`the server answers ${response.status}`);
      return response.json();
    };
  }

  // Put in what has changed, and leave the rest of the page as the reader has it.
  function replace(page) {
    let changed = false;
    for (const fresh of page.querySelectorAll("[data-live]")) {
      const old = document.getElementById(fresh.id);
      if (!old || parts.get(fresh.id) === fresh.outerHTML) continue;
      parts.set(fresh.id, fresh.outerHTML);
      const focused = old.contains(document.activeElement) ? place(document.activeElement) : null;
      const open = [...old.querySelectorAll("details")].map((d) => [d.id, d.open]);
      const shown = document.adoptNode(fresh);
      old.replaceWith(shown);
      const details = [...shown.querySelectorAll("details")];
      details.forEach((d, i) => {
        const known = d.id ? open.find(([id]) => id === d.id) : details.length === open.length ? open[i] : null;
        if (known) d.open = known[1];
      });
      if (focused) shown.querySelector(focused)?.focus({ preventScroll: true });
      changed = true;
    }
    return changed;
  }

  // A selector that finds an element again in the new part.
  function place(element) {
    if (element.id) return `#${CSS.escape(element.id)}`;
    const href = element.getAttribute("href");
    if (href) return `[href="${CSS.escape(href)}"]`;
    const outer = element.closest("[id]");
    return element.tagName === "SUMMARY" && outer ? `#${CSS.escape(outer.id)} > summary` : null;
  }

  async function refresh() {
    if (busy || document.hidden) { again = true; return; }
    busy = true;
    again = false;
    try {
      const response = await fetch(location.pathname + location.search);
      if (!response.ok) throw new Error(`the server answers ${response.status}`);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      document.title = page.title;
      if (page.getElementById("data")) agl.read(page);
      if (replace(page) && agl.data) {
        agl.fillFilters();
        agl.showRollouts();
        agl.fillSplits();
        agl.drawCharts();
      }
    } finally {
      busy = false;
    }
  }

  const say = (text) => { document.getElementById("live").textContent = text; };

  agl.startLive = () => {
    if (!document.getElementById("live")) return;
    const events = new EventSource(`/events${location.search}`);
    events.addEventListener("open", () => say("live"));
    events.addEventListener("changed", refresh);
    events.addEventListener("ended", () => { events.close(); refresh(); say("ended"); });
    events.addEventListener("error", () => say(events.readyState === EventSource.CLOSED ? "not connected" : "connecting again"));
    document.addEventListener("visibilitychange", () => { if (again && !document.hidden) refresh(); });
  };
})();
