// The heat map: candidates by tasks, for the pointer and for the keyboard.
"use strict";

(() => {
  const figure = () => document.querySelector("[data-chart=heat]");
  const split = () => document.getElementById("heat-split").value;
  let cells = [];
  let lines = { candidates: [], tasks: [], upright: false };
  let at = null; // the cell that has the keyboard: [candidate's place, task's place]

  agl.charts.heat = (width) => {
    const shown = agl.data.rollouts.filter((r) => r.split === split());
    const byTask = d3.group(shown, (r) => r.task);
    let tasks = [...byTask.keys()].sort(d3.ascending);
    if (document.getElementById("heat-order").value === "hard") {
      const mean = new Map(tasks.map((t) => [t, d3.mean(byTask.get(t), (r) => r.score ?? undefined) ?? -1]));
      tasks = d3.sort(tasks, (a, b) => mean.get(a) - mean.get(b) || a - b);
    }
    const candidates = [...new Set(shown.map((r) => r.candidate))].sort(d3.ascending);
    cells = d3.flatRollup(shown, (rollouts) => ({
      rollouts,
      score: d3.mean(rollouts, (r) => r.score ?? undefined),
      failed: rollouts.some((r) => r.status === "failed" || r.status === "timed_out"),
    }), (r) => r.candidate, (r) => r.task).map(([candidate, task, cell]) => ({ candidate, task, ...cell }));
    if (!shown.length) return null;

    // Tasks run down on a narrow page, across on a wide one.
    const upright = width < 520 && candidates.length < tasks.length;
    lines = { candidates, tasks, upright };
    const [across, down] = upright ? [candidates, tasks] : [tasks, candidates];
    const name = (t) => agl.data.tasks[t][2];
    const who = (c) => agl.data.candidates[c].label;
    const longest = d3.max(tasks, (t) => Math.min(14, name(t).length));
    const labelTasks = upright || (width - 60) / tasks.length > 13;
    const marginLeft = upright ? 14 + 6.6 * longest : 46;
    const marginTop = upright ? 24 : labelTasks ? 14 + 5 * longest : 10;
    const size = Math.max(upright ? 20 : 12, Math.min(30, (width - marginLeft - 4) / across.length));
    const high = Math.max(20, Math.min(size, 30));
    const shortened = (text) => (text.length > 14 ? `${text.slice(0, 13)}…` : text);
    const taskAxis = { tickFormat: (t) => (labelTasks ? shortened(name(t)) : ""), tickSize: 0, label: null };
    const candidateAxis = { tickFormat: who, tickSize: 0, label: null };
    const svg = Plot.plot({
      width: marginLeft + 4 + size * across.length,
      height: marginTop + 6 + high * down.length,
      marginLeft, marginTop, marginRight: 4, marginBottom: 6,
      padding: 0.08,
      style: { fontSize: "11px", background: "none", overflow: "visible" },
      x: { type: "band", axis: "top", domain: across, ...(upright ? candidateAxis : { ...taskAxis, tickRotate: -60 }) },
      y: { type: "band", axis: "left", domain: down, ...(upright ? taskAxis : candidateAxis) },
      marks: [
        Plot.cell(cells, { x: upright ? "candidate" : "task", y: upright ? "task" : "candidate", rx: 3, fill: { value: (d) => (d.score === undefined ? "var(--line)" : agl.heat(d.score)), scale: null } }),
        Plot.text(cells.filter((d) => d.failed || d.score === undefined), { x: upright ? "candidate" : "task", y: upright ? "task" : "candidate", text: (d) => (d.failed ? "×" : "–"), fill: "var(--warn)", fontWeight: 700, fontSize: 14, pointerEvents: "none" }),
      ],
    });
    svg.setAttribute("aria-hidden", "true");
    svg.querySelectorAll("[aria-label=cell] rect").forEach((rect, i) => { rect.dataset.cell = i; });
    legend();
    return svg;
  };

  function legend() {
    const [low, high] = agl.data.range;
    const steps = d3.range(9).map((i) => agl.el("i", { style: `background: var(--heat-${i})` }));
    const failed = cells.some((c) => c.failed);
    const missing = cells.some((c) => c.score === undefined);
    document.getElementById("heat-legend").replaceChildren(
      agl.el("span", { text: `score ${d3.format(".2~f")(low)}` }), ...steps, agl.el("span", { text: d3.format(".2~f")(high) }),
      ...(failed ? [agl.el("span", { class: "key", text: "× the agent failed" })] : []),
      ...(missing ? [agl.el("span", { class: "key", text: "– the service failed" })] : []),
    );
  }

  function tell(cell, candidate, task) {
    const [, , name, text] = agl.data.tasks[task];
    const score = cell ? (cell.score === undefined ? "no score" : agl.score(cell.score)) : "not run";
    const times = cell && cell.rollouts.length > 1 ? ` (${cell.rollouts.length} runs)` : "";
    const readout = document.getElementById("heat-readout");
    readout.replaceChildren(agl.el("strong", { text: `${name}, ${agl.who(agl.data.candidates[candidate].label)}: ${score}` }), `${times}${text ? ` — ${text}` : ""}`);
  }

  function open(cell) {
    const worst = d3.least(cell.rollouts, (r) => r.score ?? Infinity);
    location.hash = agl.link(worst);
  }

  const found = (event) => {
    const rect = event.target.closest?.("[data-cell]");
    return rect ? cells[rect.dataset.cell] : null;
  };

  function mark(cell) {
    figure().querySelectorAll(".at").forEach((rect) => rect.classList.remove("at"));
    if (!cell) return;
    const rect = figure().querySelector(`[data-cell="${cells.indexOf(cell)}"]`);
    rect.classList.add("at");
    rect.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  const steps = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

  function press(event) {
    const { candidates, tasks, upright } = lines;
    if (event.key === "Enter" || event.key === " ") {
      const cell = at && cells.find((c) => c.candidate === candidates[at[0]] && c.task === tasks[at[1]]);
      if (cell) open(cell);
    } else if (event.key in steps || event.key === "Home") {
      const [dx, dy] = steps[event.key] ?? [0, 0];
      const [dc, dt] = upright ? [dx, dy] : [dy, dx];
      const limit = (value, length) => Math.max(0, Math.min(length - 1, value));
      at = at && event.key !== "Home" ? [limit(at[0] + dc, candidates.length), limit(at[1] + dt, tasks.length)] : [0, 0];
      const [candidate, task] = [candidates[at[0]], tasks[at[1]]];
      const cell = cells.find((c) => c.candidate === candidate && c.task === task);
      mark(cell);
      tell(cell, candidate, task);
    } else return;
    event.preventDefault();
  }

  // The splits to choose from; more may come while a run goes on.
  agl.fillSplits = () => {
    const select = document.getElementById("heat-split");
    const run = (s) => new Set(agl.data.rollouts.filter((r) => r.split === s).map((r) => r.candidate)).size;
    // At first the one on which most candidates were run.
    const chosen = select.value || d3.greatest(agl.data.splits, run);
    select.replaceChildren(...agl.data.splits.map((s) => agl.el("option", { text: s, value: s, selected: s === chosen })));
    document.getElementById("heat").hidden = !agl.data.rollouts.length;
  };

  agl.startHeat = () => {
    agl.fillSplits();
    const redraw = () => { at = null; agl.drawCharts(); };
    document.getElementById("heat-split").addEventListener("change", redraw);
    document.getElementById("heat-order").addEventListener("change", redraw);
    const place = figure().querySelector(".plot");
    place.addEventListener("keydown", press);
    place.addEventListener("click", (event) => { const cell = found(event); if (cell) open(cell); });
    place.addEventListener("pointermove", (event) => { const cell = found(event); if (cell) tell(cell, cell.candidate, cell.task); });
  };
})();
