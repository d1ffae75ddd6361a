// Start the page: read the data, draw, listen.
"use strict";

(() => {
  agl.prepareLive?.(); // before anything is drawn into the page
  if (document.getElementById("data")) {
    agl.read();
    agl.startHeat();
    agl.fillFilters();
    agl.startRollouts();
    agl.showRollouts();
    agl.startTraces();
  }
  agl.drawCharts?.();
  agl.startLive?.();

  let width = document.documentElement.clientWidth;
  let waiting;
  window.addEventListener("resize", () => {
    if (document.documentElement.clientWidth === width) return;
    width = document.documentElement.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(() => agl.drawCharts?.(), 120);
  });

  // Print shows the scores as a table too, and folds it away again.
  const unfolded = new Set();
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("#scores details:not([open])")) {
      details.open = true;
      unfolded.add(details);
    }
  });
  window.addEventListener("afterprint", () => {
    for (const details of unfolded) details.open = false;
    unfolded.clear();
  });
})();
