// The charts: drawn by Observable Plot, in the colors of the style.
"use strict";

(() => {
  const small = { fontSize: "12px", background: "none", overflow: "visible" };

  // Draw every chart that is on the page, to its width.
  agl.drawCharts = () => {
    for (const figure of document.querySelectorAll("[data-chart]")) {
      const place = figure.querySelector(".plot");
      const width = place.clientWidth;
      const draw = agl.charts[figure.dataset.chart];
      if (!draw || !width) continue;
      const drawn = draw(width, figure);
      place.replaceChildren(...(drawn ? [drawn] : []));
    }
  };

  function named(svg, label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    return svg;
  }

  // One gain with its interval, or several under one another.
  agl.intervalChart = (width, rows) => {
    const ends = rows.flatMap((row) => [...row.interval, 0]);
    const pad = Math.max(0.05, 0.12 * (d3.max(ends) - d3.min(ends)));
    const several = rows.length > 1;
    const svg = Plot.plot({
      width,
      height: 50 + 40 * rows.length,
      marginLeft: several ? 30 : 12,
      marginRight: 12,
      marginTop: 26,
      marginBottom: 30,
      style: small,
      x: { domain: [d3.min(ends) - pad, d3.max(ends) + pad], label: null, tickFormat: (v) => (v > 0 ? "+" : "") + d3.format(".2~f")(v), ticks: Math.min(9, Math.floor(width / 70)) },
      y: { type: "band", domain: rows.map((row) => row.name), axis: several ? "left" : null, label: null, tickSize: 0 },
      marks: [
        Plot.ruleX([0], { stroke: "var(--muted)", strokeDasharray: "3,3" }),
        Plot.ruleY(rows, { y: "name", x1: (r) => r.interval[0], x2: (r) => r.interval[1], stroke: "var(--accent)", strokeWidth: 6, strokeOpacity: 0.35, strokeLinecap: "round" }),
        Plot.dot(rows, { y: "name", x: "gain", r: 6, fill: "var(--accent)", stroke: "var(--surface)", strokeWidth: 2 }),
        Plot.text(rows, { y: "name", x: "gain", dy: -16, text: (r) => agl.signed(r.gain), fontWeight: 650, fill: "var(--ink)" }),
        several ? null : Plot.text(rows.flatMap((r) => r.interval.map((end) => ({ name: r.name, end }))), { y: "name", x: "end", dy: -16, text: (d) => agl.signed(d.end), fill: "var(--muted)", filter: (d) => width > 420 }),
      ],
    });
    const told = rows.map((r) => `${several ? `${r.name}: ` : ""}gain ${agl.signed(r.gain)}, 95% interval ${agl.signed(r.interval[0])} to ${agl.signed(r.interval[1])}`);
    return named(svg, told.join("; "));
  };

  agl.charts.interval = (width) => agl.data.comparison && agl.intervalChart(Math.min(width, 640), [{ name: "gain", ...agl.data.comparison }]);

  agl.charts.rounds = (width) => {
    const made = agl.data.candidates.filter((c) => c.known && !c.rejected && c.score !== null);
    const byRound = d3.group(made, (c) => c.round);
    const dots = made.map((c) => {
      const peers = byRound.get(c.round);
      // Side by side, so that equal scores do not hide one another.
      const shift = (peers.indexOf(c) - (peers.length - 1) / 2) * Math.min(0.09, 0.6 / peers.length);
      return { ...c, x: c.round + shift };
    });
    let best = -Infinity;
    const rounds = d3.range(0, (d3.max(made, (c) => c.round) ?? 0) + 1);
    const line = rounds.map((round) => {
      for (const c of byRound.get(round) ?? []) if (c.validated) best = Math.max(best, c.score);
      return { round, best };
    }).filter((point) => point.best > -Infinity);
    const [least, high] = agl.data.range;
    // From a little below the lowest score on: differences are what counts.
    const low = Math.max(least, Math.floor(10 * (d3.min(made, (c) => c.score) - 0.05)) / 10);
    const height = Math.max(200, Math.min(300, width * 0.4));
    const right = rounds.length - 0.6;
    // Where the label of a dot is farthest from other dots, and inside.
    const freest = (dot) => {
      const at = (d) => [((d.x + 0.4) / (right + 0.4)) * (width - 64), ((high - d.score) / (high - low)) * (height - 56)];
      const others = dots.filter((d) => d !== dot).map(at);
      const [x, y] = at(dot);
      return d3.greatest([{ dy: -15 }, { dy: 16 }, { dx: -40 }, { dx: 40 }], ({ dx = 0, dy = 0 }) => {
        const [lx, ly] = [x + dx, y + dy];
        if (lx < 30 || lx > width - 90) return -1;
        return Math.min(60, d3.min(others, ([ox, oy]) => Math.hypot(Math.max(0, Math.abs(ox - lx) - 34), oy - ly)) ?? 60);
      });
    };
    const svg = Plot.plot({
      width,
      height,
      marginLeft: 40,
      marginRight: 24,
      marginTop: 16,
      marginBottom: 40,
      style: small,
      x: { domain: [-0.4, right], ticks: rounds.length > 14 ? 10 : rounds, tickFormat: (v) => (v === 0 ? "seed" : d3.format("d")(v)), label: "round", labelArrow: "none", labelAnchor: "center" },
      y: { domain: [low, high], grid: true, ticks: 5, label: null, tickFormat: d3.format(".1f") },
      marks: [
        Plot.lineY(line, { x: "round", y: "best", curve: "step-after", stroke: "var(--accent)", strokeWidth: 2, strokeOpacity: 0.55 }),
        Plot.dot(dots, { x: "x", y: "score", r: 5.5, fill: (d) => (d.validated ? "var(--accent)" : "var(--surface)"), stroke: "var(--accent)", strokeWidth: 1.5, href: (d) => `#candidate-${d.number}`, ariaLabel: (d) => `${agl.who(d.label)}, round ${d.round}: ${agl.score(d.score)}`, title: (d) => `${agl.who(d.label)}: ${agl.score(d.score)}` }),
        ...dots.filter((d) => d.best || d.label === "seed").map((dot) => Plot.text([dot], { x: "x", y: "score", ...freest(dot), text: (d) => `${d.label === "seed" ? "seed" : `${d.label}`} · ${agl.score(d.score)}`, fill: "var(--ink)", fontWeight: 600, stroke: "var(--surface)", strokeWidth: 4 })),
      ],
    });
    svg.setAttribute("aria-label", `Score per round: ${line.map((p) => `${p.round === 0 ? "seed" : `round ${p.round}`} ${agl.score(p.best)}`).join(", ")}`);
    svg.setAttribute("role", "group");
    return svg;
  };

  agl.charts.tree = (width) => {
    const nodes = agl.data.candidates.filter((c) => c.known);
    if (!nodes.length) return null;
    const rows = [{ number: "root", parent: null, hidden: true }, ...nodes.map((c) => ({ ...c, parent: c.parent ?? "root" }))];
    const root = d3.stratify().id((d) => d.number).parentId((d) => d.parent)(rows);
    d3.tree().nodeSize([26, 1]).separation((a, b) => 1 + (a.children ? 0.35 : 0) + (b.children ? 0.35 : 0))(root);
    const placed = root.descendants().filter((d) => !d.data.hidden).map((d) => ({ ...d.data, depth: d.depth - 1, y: d.x, up: d.parent.data.hidden ? null : d.parent }));
    // The way from the seed to the best one.
    const winners = new Set(root.descendants().filter((d) => d.data.best).flatMap((d) => d.ancestors()).map((d) => d.data.number));
    const parents = new Set(placed.map((d) => d.up?.data.number));
    const depths = d3.max(placed, (d) => d.depth);
    const links = placed.filter((d) => d.up).map((d) => ({ x1: d.up.depth - 1, y1: d.up.x, x2: d.depth, y2: d.y, best: winners.has(d.number) }));
    const [top, bottom] = d3.extent(placed, (d) => d.y);
    const full = Math.max(Math.min(width, 260 * (depths + 1)), 130 * (depths + 1));
    const shown = (d) => `${d.label}${d.rejected ? " rejected" : d.score === null ? "" : ` · ${agl.score(d.score)}`}`;
    const svg = Plot.plot({
      width: full,
      height: bottom - top + 52,
      marginLeft: 40,
      marginRight: 110,
      marginTop: 26,
      marginBottom: 20,
      style: small,
      x: { axis: null, domain: [0, Math.max(1, depths)] },
      y: { axis: null, domain: [top, bottom || 1], reverse: true },
      marks: [
        Plot.link(links, { x1: "x1", y1: "y1", x2: "x2", y2: "y2", curve: "bump-x", stroke: (d) => (d.best ? "var(--accent)" : "var(--line-strong)"), strokeWidth: (d) => (d.best ? 2.5 : 1.5) }),
        Plot.dot(placed.filter((d) => !d.rejected), { x: "depth", y: "y", r: 8, fill: { value: (d) => (d.score === null ? "var(--surface)" : agl.heat(d.score)), scale: null }, stroke: (d) => (d.best ? "var(--accent)" : "var(--line-strong)"), strokeWidth: (d) => (d.best ? 3 : 1.5), href: (d) => `#candidate-${d.number}`, ariaLabel: (d) => `${agl.who(d.label)}, ${d.score === null ? "no score" : agl.score(d.score)}` }),
        Plot.dot(placed.filter((d) => d.rejected), { x: "depth", y: "y", r: 5, symbol: "times", stroke: "var(--warn)", strokeWidth: 2, href: (d) => `#candidate-${d.number}`, ariaLabel: (d) => `${agl.who(d.label)}, rejected` }),
        ...[true, false].map((inner) => Plot.text(placed.filter((d) => parents.has(d.number) === inner), { x: "depth", y: "y", ...(inner ? { dy: -15 } : { dx: 14, textAnchor: "start" }), text: shown, fill: (d) => (d.rejected ? "var(--muted)" : "var(--ink)"), fontWeight: (d) => (d.best ? 700 : 400), stroke: "var(--surface)", strokeWidth: 4 })),
      ],
    });
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", `Family tree of ${placed.length} candidates`);
    return svg;
  };
})();
