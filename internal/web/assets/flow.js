// The page Flow, live: it asks for newer figures each second while it is seen.
"use strict";

const colours = () => {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { text: of("--quiet"), line: of("--line"), accent: of("--accent"), series: [1, 2, 3, 4, 5, 6, 7, 8].map((i) => of(`--s${i}`)) };
};
const narrow = "\u202f";
const whole = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, narrow);
const rate = (f) => (!f ? "0" : f < 0.1 ? f.toFixed(2) : f < 99.95 ? f.toFixed(1) : whole(f));
const seconds = (s) => {
  if (s == null) return "–";
  if (s === 0) return "0";
  if (s < 0.9995) return `${(s * 1000).toFixed(s < 0.00995 ? 1 : 0)}\u00a0ms`;
  return `${s.toFixed(s < 99.95 ? 1 : 0)}\u00a0s`;
};
const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

// A Chart draws lines over time in an element, in the colours of the theme.
class Chart {
  constructor(element, spell) {
    this.element = element;
    this.spell = spell;
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(this.labels, this.data, true));
  }
  size() {
    return { width: Math.max(120, this.element.clientWidth - 18), height: this.element.clientWidth < 480 ? 170 : 210 };
  }
  draw(labels, data, anew = false) {
    if (!data) return;
    const same = this.plot && !anew && labels.join("\n") === this.labels.join("\n");
    this.labels = labels;
    this.data = data;
    if (same) {
      this.plot.setData(data);
      return;
    }
    this.plot?.destroy();
    const c = colours();
    const axis = { stroke: c.text, grid: { stroke: c.line, width: 1 }, ticks: { stroke: c.line, width: 1, size: 4 }, font: "12px system-ui, sans-serif" };
    this.plot = new uPlot({
      ...this.size(),
      series: [
        { label: "at", value: (_, v) => (v == null ? "" : clock(v)) },
        ...labels.map((label, i) => ({ label, stroke: c.series[i % c.series.length], width: 1.5, points: { show: false }, spanGaps: false, value: (_, v) => (v == null ? "" : this.spell(v)) })),
      ],
      axes: [
        { ...axis, values: (_, all) => all.map((v) => clock(v).replace(/(\d+:\d+):00/, "$1")), space: 80 },
        { ...axis, values: (_, all) => all.map((v) => this.spell(v)), size: 64 },
      ],
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
      cursor: { y: false, drag: { x: false, y: false } },
      legend: { live: true },
    }, data, this.element);
  }
}

const names = new Chart(document.getElementById("chart-names"), rate);
const acknowledged = new Chart(document.getElementById("chart-ack"), seconds);
const lag = new Chart(document.getElementById("chart-lag"), seconds);

const put = (id, text) => {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
};

const element = (tag, text, attributes = {}) => {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

function show(flow) {
  put("accepted", rate(flow.minute.accepted));
  put("rejected", rate(flow.minute.rejected));
  put("requests", rate(flow.minute.requests));
  put("p50", seconds(flow.minute.p50));
  put("p99", seconds(flow.minute.p99));
  put("lag", seconds(flow.minute.lag));
  put("waiting", whole(flow.minute.waiting));
  document.getElementById("empty").hidden = flow.ever;
  const troubles = document.getElementById("troubles");
  const texts = flow.troubles.map((t) => t.text).join("\n");
  if (texts !== troubles.dataset.shown) {
    troubles.dataset.shown = texts;
    troubles.replaceChildren(...flow.troubles.map((t) => {
      const note = element("p", t.path ? "" : t.text, { class: "note bad" });
      if (t.path) note.append(element("a", t.text, { href: t.path }));
      return note;
    }));
  }
  const labels = flow.names.length ? flow.names.map((n) => n.name || "all others") : ["events"];
  names.draw(labels, [flow.at, ...(flow.names.length ? flow.names.map((n) => n.events) : [flow.accepted])]);
  acknowledged.draw(["median", "99th percentile"], [flow.at, flow.p50, flow.p99]);
  lag.draw(["lag"], [flow.at, flow.lag]);
  const table = document.getElementById("names");
  if (table.contains(document.activeElement)) return; // whoever is at a link there keeps it
  table.replaceChildren(...flow.names.map((n) => {
    const row = document.createElement("tr");
    const head = element("th", n.name ? "" : "all others", { scope: "row" });
    if (n.name) head.append(element("a", n.name, { href: `/events/${encodeURIComponent(n.name)}` }));
    row.append(head, element("td", rate(n.minute), { class: "n" }), element("td", whole(n.events.reduce((a, b) => a + b, 0)), { class: "n" }));
    return row;
  }));
  if (!flow.names.length) {
    const row = document.createElement("tr");
    row.append(element("td", "None.", { colspan: "3", class: "quiet" }));
    table.append(row);
  }
}

async function live() {
  for (;;) {
    if (!document.hidden) {
      try {
        const answer = await fetch("/flow.json");
        if (answer.ok) show(await answer.json());
        document.body.classList.toggle("away", !answer.ok);
      } catch {
        document.body.classList.add("away"); // serve has stopped; it may come again
      }
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}
live();
