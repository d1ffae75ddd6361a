// What all scripts of a page share. Text is only ever put in as text: nothing here builds HTML.
"use strict";

const agl = {
  data: null,
  charts: {},

  // Make an element. Attributes by name (on…: a listener; text: its content), then children.
  el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "text") element.textContent = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  },

  // Read the page's data anew; after this, `agl.data` is what is shown.
  read(from = document) {
    const data = JSON.parse(from.getElementById("data").textContent);
    data.rollouts = data.rollouts.map(([candidate, task, repeat, status, score, seconds, calls, tokens, note], number) => {
      const [split, taskKey, name, text] = data.tasks[task];
      const made = data.candidates[candidate];
      return {
        number, candidate, task, split, name, text, score, seconds, calls, tokens, note,
        status: data.statuses[status],
        label: made.label,
        key: [made.bound, split, taskKey, repeat].join("/"),
        repeat,
      };
    });
    data.byKey = new Map(data.rollouts.map((rollout) => [rollout.key, rollout]));
    const scores = data.rollouts.map((r) => r.score).filter((s) => s !== null);
    // By convention rewards are between 0 and 1; others have the range that they have.
    data.range = [Math.min(0, d3.min(scores) ?? 0), Math.max(1, d3.max(scores) ?? 1)];
    agl.data = data;
  },

  score: (value) => (value === null || value === undefined ? "–" : value.toFixed(3)),
  signed: (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(3),
  seconds: (value) => (value < 0.001 ? "<1 ms" : value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(value < 10 ? 2 : 1)} s`),
  count: (value) => value.toLocaleString("en-US"),
  status: (value) => value.replace("_", " "),
  who: (label) => (label === "seed" ? "the seed" : `candidate ${label}`),
  link: (rollout) => `#rollout=${rollout.key.split("/").map(encodeURIComponent).join("/")}`,

  // The color of a score, as a variable of the style: so it changes with light and dark, and in print.
  heat(score) {
    const [low, high] = agl.data.range;
    const step = Math.round((8 * (score - low)) / (high - low || 1));
    return `var(--heat-${Math.max(0, Math.min(8, step))})`;
  },
};
