// A rollout, opened: its task, its output, and its spans as a waterfall with what was said in them.
"use strict";

(() => {
  const dialog = () => document.getElementById("trace");
  let packed = null;

  // The traces of a report are in the page, compressed; those of the server are fetched one by one.
  async function unpacked() {
    const text = document.getElementById("traces").textContent;
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  agl.trace = async (key) => {
    packed ??= unpacked();
    const { texts, rollouts } = await packed;
    return rollouts[key] ? { texts, trace: rollouts[key] } : null;
  };

  const block = (title, text, kind = "") => agl.el("section", { class: `block ${kind}` }, agl.el("h3", { text: title }), agl.el("pre", { dir: "auto", text }));

  function message(said, texts) {
    const who = said.name && said.name !== said.role ? `${said.role} (${said.name})` : said.role;
    const parts = [agl.el("p", { class: "role", text: who })];
    if (said.text !== undefined) parts.push(agl.el("pre", { dir: "auto", text: texts[said.text] }));
    for (const [name, called] of said.calls ?? []) {
      parts.push(agl.el("p", { class: "call" }, "calls ", agl.el("code", { text: name })), agl.el("pre", { dir: "auto", text: pretty(texts[called]) }));
    }
    return agl.el("div", { class: `message ${["system", "user", "assistant", "tool"].includes(said.role) ? said.role : ""}` }, ...parts);
  }

  function pretty(text) {
    if (!/^\s*[[{]/.test(text)) return text;
    try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
  }

  function inside(span, texts) {
    const parts = [];
    if (span.failure !== undefined) parts.push(block("Error", texts[span.failure], "failure"));
    const facts = [["model", span.model], ["slot", span.slot], ["tokens", span.tokens && `${agl.count(span.tokens[0])} sent, ${agl.count(span.tokens[1])} answered`]].filter(([, v]) => v);
    if (facts.length) parts.push(agl.el("p", { class: "muted" }, ...facts.flatMap(([name, value], i) => [i ? " · " : "", `${name} `, agl.el("b", { text: value })])));
    if (span.sent) parts.push(agl.el("h4", { text: "Sent" }), ...span.sent.map((m) => message(m, texts)));
    if (span.answered) parts.push(agl.el("h4", { text: "Answered" }), ...span.answered.map((m) => message(m, texts)));
    if (span.arguments !== undefined) parts.push(agl.el("h4", { text: "Arguments" }), agl.el("pre", { dir: "auto", text: pretty(texts[span.arguments]) }));
    if (span.result !== undefined) parts.push(agl.el("h4", { text: "Result" }), agl.el("pre", { dir: "auto", text: pretty(texts[span.result]) }));
    if (!parts.length) parts.push(agl.el("p", { class: "muted", text: "Nothing was recorded in it but its time." }));
    return parts;
  }

  function waterfall({ trace, texts }) {
    const spans = trace.spans ?? [];
    const scale = d3.scaleLinear([0, d3.max(spans, (s) => s.start + s.time) || 1], [0, 100]);
    const rows = spans.map((span, i) => {
      const id = `span-${i}`;
      const body = agl.el("div", { class: "inside", id, hidden: true });
      const bar = agl.el("span", { class: `bar ${span.kind}${span.failure !== undefined ? " failed" : ""}` });
      bar.style.left = `${scale(span.start)}%`;
      bar.style.width = `max(3px, ${scale(span.time)}%)`;
      const tokens = span.tokens ? `, ${agl.count(span.tokens[0] + span.tokens[1])} tokens` : "";
      const failed = span.failure !== undefined ? ", failed" : "";
      const name = agl.el("span", { class: "name" }, agl.el("span", { class: `kind ${span.kind}`, text: span.kind }), agl.el("bdi", { text: span.name }));
      name.style.paddingLeft = `${Math.min(span.depth, 8) * 0.8}rem`;
      const button = agl.el("button", {
        type: "button", class: "span", "aria-expanded": "false", "aria-controls": id,
        onclick: () => toggle(button, body, span, texts),
      }, name, agl.el("span", { class: "track", "aria-hidden": "true" }, bar), agl.el("span", { class: "took", text: `${agl.seconds(span.time / 1e6)}${tokens}${failed}` }));
      return agl.el("li", {}, button, body);
    });
    const all = agl.el("button", { type: "button", text: "Open all", onclick: () => {
      const shut = [...dialog().querySelectorAll("button.span[aria-expanded=false]")];
      const wanted = shut.length ? shut : dialog().querySelectorAll("button.span");
      for (const button of [...wanted]) button.click();
      all.textContent = shut.length ? "Close all" : "Open all";
    } });
    return [agl.el("div", { class: "trace-title" }, agl.el("h3", { text: "Trace" }), rows.length ? all : null),
      rows.length ? agl.el("ol", { class: "waterfall" }, ...rows) : agl.el("p", { class: "muted", text: "No span was recorded." })];
  }

  function toggle(button, body, span, texts) {
    const open = body.hidden;
    if (open && !body.childNodes.length) body.append(...inside(span, texts));
    body.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
  }

  function others(rollout) {
    const same = d3.sort(agl.data.rollouts.filter((r) => r.task === rollout.task), (r) => r.candidate, (r) => r.number);
    if (same.length < 2) return null;
    const items = same.map((r) => agl.el("li", {}, agl.el("a", {
      href: agl.link(r), class: "chip", "aria-current": r === rollout ? "true" : null,
      style: r.score === null ? null : `--chip: ${agl.heat(r.score)}`,
      text: `${r.label} ${agl.score(r.score)}`, "aria-label": `${agl.who(r.label)}: ${agl.score(r.score)}`,
    })));
    return agl.el("nav", { class: "others", "aria-label": "The same task by candidate" }, agl.el("h3", { text: "This task by candidate" }), agl.el("ul", {}, ...items));
  }

  function head(rollout) {
    document.getElementById("trace-eyebrow").textContent = `${rollout.split} task, ${agl.who(rollout.label)}${rollout.repeat === "0" ? "" : `, ${rollout.repeat}`}`;
    document.getElementById("trace-title").textContent = rollout.name;
  }

  function body(rollout, opened) {
    const facts = [["score", agl.score(rollout.score)], ["status", agl.status(rollout.status)], ["time", agl.seconds(rollout.seconds)], ["model calls", agl.count(rollout.calls)], ["tokens", agl.count(rollout.tokens)]];
    if (!opened) return [stats(facts), others(rollout), agl.el("p", { class: "note", text: "The trace of this rollout was left out to keep the file small; agl ui shows it." })];
    const { trace, texts } = opened;
    if (trace.attempts) facts.push(["attempts", trace.attempts]);
    for (const [name, value] of Object.entries(trace.metrics ?? {})) facts.push([name, agl.score(value)]);
    return [
      stats(facts),
      others(rollout),
      trace.error !== undefined ? block("Error", texts[trace.error], "failure") : null,
      trace.feedback !== undefined ? block("Feedback of the reward", texts[trace.feedback]) : null,
      trace.task !== undefined ? block("Task", texts[trace.task]) : null,
      trace.output !== undefined ? block("Output", texts[trace.output]) : null,
      trace.unmatched ? agl.el("p", { class: "note", text: `Left alone, not the known prompt: ${Object.entries(trace.unmatched).map(([slot, n]) => `${slot} (${n})`).join(", ")}` }) : null,
      ...waterfall(opened),
    ];
  }

  const stats = (facts) => agl.el("dl", { class: "stats" }, ...facts.map(([name, value]) => agl.el("div", {}, agl.el("dt", { text: name }), agl.el("dd", { text: value }))));

  agl.openTrace = async (key) => {
    const rollout = agl.data.byKey.get(key);
    if (!rollout) return;
    head(rollout);
    const place = document.getElementById("trace-body");
    place.replaceChildren(agl.el("p", { class: "muted", text: "Loading…" }));
    if (!dialog().open) dialog().showModal();
    document.getElementById("trace-title").focus();
    let parts;
    try {
      parts = body(rollout, await agl.trace(key));
    } catch (error) {
      parts = [agl.el("p", { class: "note", text: `The trace cannot be shown: ${error.message}` })];
    }
    if (agl.asked() !== key) return; // another one was opened meanwhile
    place.replaceChildren(...parts.filter(Boolean));
    dialog().scrollTop = 0;
    const failed = place.querySelector("button.span .bar.failed")?.closest("button");
    failed?.click();
  };

  // The key of the rollout that the address asks for.
  agl.asked = () => {
    if (!location.hash.startsWith("#rollout=")) return null;
    try { return decodeURIComponent(location.hash.slice(9)); } catch { return null; }
  };

  function follow() {
    const key = agl.asked();
    if (key) agl.openTrace(key);
    else {
      if (dialog().open) dialog().close();
      reveal();
    }
  }

  // A link to a candidate opens its card.
  function reveal() {
    const target = location.hash.startsWith("#candidate-") && document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let outer = target; outer; outer = outer.parentElement?.closest("details")) outer.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  }

  agl.startTraces = () => {
    window.addEventListener("hashchange", follow);
    document.getElementById("trace-close").addEventListener("click", () => dialog().close());
    dialog().addEventListener("click", (event) => { if (event.target === dialog()) dialog().close(); });
    dialog().addEventListener("close", () => {
      if (agl.asked()) history.replaceState(null, "", location.pathname + location.search);
    });
    follow();
  };
})();
