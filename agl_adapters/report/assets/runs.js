// The list of runs, and the comparison of two.
"use strict";

(() => {
  // Two runs can be compared, no more and no fewer.
  function count() {
    const form = document.getElementById("compare-form");
    if (!form) return;
    const chosen = form.querySelectorAll("input[name=run]:checked");
    const button = document.getElementById("compare-button");
    button.disabled = chosen.length !== 2;
    for (const box of form.querySelectorAll("input[name=run]")) box.disabled = chosen.length >= 2 && !box.checked;
  }

  document.addEventListener("change", count);
  count();
  new MutationObserver(count).observe(document.getElementById("main"), { childList: true, subtree: true });

  const intervals = document.getElementById("intervals");
  if (intervals) {
    const rows = JSON.parse(intervals.textContent);
    agl.charts.intervals = (width) => agl.intervalChart(Math.min(width, 760), rows);
  }
})();
