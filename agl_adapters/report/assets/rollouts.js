// The table of rollouts: filtered, sorted, a page at a time.
"use strict";

(() => {
  const PAGE = 20;
  const form = () => document.getElementById("filters");
  let sort = { by: null, down: false };
  let most = PAGE;

  const values = {
    task: (r) => r.name, split: (r) => r.split, candidate: (r) => r.candidate, score: (r) => r.score ?? Infinity,
    status: (r) => r.status, seconds: (r) => r.seconds, tokens: (r) => r.tokens,
  };
  const scores = { short: (s) => s !== null && s < 1, zero: (s) => s !== null && s <= 0, full: (s) => s >= 1 };

  function chosen() {
    const { candidate, split, status, score, text } = Object.fromEntries(new FormData(form()));
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return agl.data.rollouts.filter((r) =>
      (candidate === "" || r.candidate === Number(candidate)) && (split === "" || r.split === split) &&
      (status === "" || r.status === status) && (score === "" || scores[score](r.score)) &&
      words.every((word) => `${r.name} ${r.text} ${r.note}`.toLowerCase().includes(word)));
  }

  function row(r) {
    const label = `${r.name}, ${agl.who(r.label)}, score ${agl.score(r.score)}: open the trace`;
    return agl.el("tr", {},
      agl.el("th", { scope: "row" }, agl.el("a", { href: agl.link(r), "aria-label": label, dir: "auto", text: r.name }),
        r.text ? agl.el("span", { class: "snippet", dir: "auto", text: r.text }) : null),
      agl.el("td", { text: r.split }), agl.el("td", { text: r.label }),
      agl.el("td", { class: "number" }, agl.el("span", { class: "chip", style: r.score === null ? null : `--chip: ${agl.heat(r.score)}`, text: agl.score(r.score) })),
      agl.el("td", { class: r.status === "succeeded" ? "muted" : "warn" }, agl.status(r.status),
        r.note && r.status !== "succeeded" ? agl.el("span", { class: "snippet", dir: "auto", text: r.note }) : null),
      agl.el("td", { class: "number", text: agl.seconds(r.seconds) }), agl.el("td", { class: "number", text: agl.count(r.tokens) }));
  }

  agl.showRollouts = () => {
    let rows = chosen();
    if (sort.by) {
      const value = values[sort.by];
      rows = d3.sort(rows, (a, b) => (sort.down ? d3.descending : d3.ascending)(value(a), value(b)));
    }
    const body = document.querySelector("#rollouts-table tbody");
    body.replaceChildren(...rows.slice(0, most).map(row));
    const all = agl.data.rollouts.length;
    document.getElementById("rollouts-count").textContent =
      rows.length === all ? `${agl.count(all)} rollouts` : `${agl.count(rows.length)} of ${agl.count(all)} rollouts`;
    const more = document.getElementById("rollouts-more");
    more.hidden = rows.length <= most;
    more.textContent = `Show ${agl.count(Math.min(PAGE, rows.length - most))} more of ${agl.count(rows.length - most)}`;
    for (const button of document.querySelectorAll("[data-sort]")) {
      const direction = button.dataset.sort === sort.by ? (sort.down ? "descending" : "ascending") : "none";
      button.closest("th").setAttribute("aria-sort", direction);
    }
  };

  function fill(name, options) {
    const select = form().elements[name];
    const before = select.value;
    select.replaceChildren(agl.el("option", { value: "", text: "any" }), ...options.map(([value, text]) => agl.el("option", { value, text })));
    select.value = before;
    if (select.selectedIndex < 0) select.selectedIndex = 0;
  }

  agl.fillFilters = () => {
    const { candidates, splits, rollouts } = agl.data;
    const run = new Set(rollouts.map((r) => r.candidate));
    fill("candidate", candidates.filter((c) => run.has(c.number)).map((c) => [c.number, c.known ? c.label : `${c.label} (${c.id})`]));
    fill("split", splits.map((s) => [s, s]));
    fill("status", [...new Set(rollouts.map((r) => r.status))].map((s) => [s, agl.status(s)]));
  };

  agl.startRollouts = () => {
    const again = () => { most = PAGE; agl.showRollouts(); };
    form().addEventListener("input", again);
    form().addEventListener("submit", (event) => event.preventDefault());
    form().addEventListener("reset", () => setTimeout(again));
    document.getElementById("rollouts-more").addEventListener("click", () => {
      const first = document.querySelectorAll("#rollouts-table tbody tr").length;
      most += PAGE;
      agl.showRollouts();
      document.querySelectorAll("#rollouts-table tbody tr")[first]?.querySelector("a").focus();
    });
    for (const button of document.querySelectorAll("[data-sort]")) {
      button.addEventListener("click", () => {
        const by = button.dataset.sort;
        sort = { by, down: sort.by === by && !sort.down };
        again();
      });
    }
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("[data-filter-candidate]");
      if (!link) return;
      form().reset();
      form().elements.candidate.value = link.dataset.filterCandidate;
      setTimeout(again);
    });
  };
})();
