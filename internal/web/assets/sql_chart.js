// Charts of results: what suits the columns, and drawing it with uPlot.
import { element, text } from "./sql_result.js";

/* global uPlot */

const most = 8; // series, as many as there are colours

const isTime = (c) => /^(date|timestamp)/i.test(c.type);
const isNumber = (c) => c.kind === "number";
const isText = (c) => !isTime(c) && !isNumber(c) && c.kind !== "json";

// suggest chooses what is drawn of a result, where settings leave it open. It
// returns {kind, x, y, series}; kind is "none" where there is nothing to draw. A
// chart that nobody asked for has one number for each place along it.
export function suggest(result, settings = {}) {
  const none = { kind: "none", x: "", y: [], series: "" };
  const { columns, rows } = result;
  const asked = Boolean(settings.kind || settings.x);
  if (settings.kind === "none" || rows.length === 0) return none;
  if (!asked && (rows.length < 2 || columns.length > 8)) return none;
  const byName = (name) => columns.find((c) => c.name === name);
  const key = (row, c) => (c ? text(row[columns.indexOf(c)]) : "");
  const distinct = (...of) => new Set(rows.map((row) => of.map((c) => key(row, c)).join("\0"))).size;
  const numbers = columns.filter(isNumber);

  // along says what would be drawn along a column.
  const along = (x) => {
    let y = (settings.y ?? []).map(byName).filter((c) => c && isNumber(c) && c !== x);
    if (y.length === 0) y = numbers.filter((c) => c !== x);
    let series = byName(settings.series);
    if (settings.series === undefined && distinct(x) < rows.length) {
      series = columns.find((c) => c !== x && isText(c) && distinct(c) <= 50);
    }
    if (series && !settings.y?.length) y = y.slice(0, 1);
    return { x, y: y.slice(0, most), series, apart: distinct(x, series) === rows.length && (!isText(x) || rows.length <= 400) };
  };
  const first = [columns.find(isTime), columns.find(isText), numbers[0]];
  const choices = [byName(settings.x) ?? first].flat().filter(Boolean).map(along).filter((c) => c.y.length > 0);
  const chosen = choices.find((c) => c.apart) ?? (asked ? choices[0] : undefined);
  if (!chosen) return none;
  const { x, y, series } = chosen;
  return { kind: settings.kind || (isText(x) ? "bar" : "line"), x: x.name, y: y.map((c) => c.name), series: series?.name ?? "" };
}

// numberOf reads a number; what is none is a gap.
function numberOf(value) {
  if (value === null) return null;
  const n = Number(text(value));
  return Number.isFinite(n) ? n : null;
}

// secondsOf reads a time in UTC.
function secondsOf(value) {
  if (value === null) return NaN;
  const [day, clock = "00:00:00"] = text(value).split(" ");
  const zoned = clock.replace(/([+-]\d\d)$/, "$1:00");
  const s = `${day}T${zoned}${/[+-]\d\d:\d\d$/.test(zoned) ? "" : "Z"}`;
  return Date.parse(s) / 1000;
}

// arrange makes of rows what is drawn: where on x, and the values of each series.
export function arrange(result, settings) {
  const index = (name) => result.columns.findIndex((c) => c.name === name);
  const xi = index(settings.x), si = settings.series ? index(settings.series) : -1;
  const xColumn = result.columns[xi];
  const time = isTime(xColumn), number = isNumber(xColumn);
  const places = new Map(); // of x, to where it is in the data
  const series = new Map(); // by name, to values by place
  let repeated = 0, lost = 0;
  for (const row of result.rows) {
    const at = time ? secondsOf(row[xi]) : number ? (numberOf(row[xi]) ?? NaN) : row[xi] === null ? "NULL" : text(row[xi]);
    if (Number.isNaN(at)) {
      lost++;
      continue;
    }
    for (const name of settings.y) {
      const value = numberOf(row[index(name)]);
      const of = si < 0 ? name : row[si] === null ? "NULL" : text(row[si]);
      const label = si >= 0 && settings.y.length > 1 ? `${of}, ${name}` : of;
      if (!places.has(at)) places.set(at, places.size);
      if (!series.has(label)) series.set(label, new Map());
      const values = series.get(label);
      if (values.has(at)) repeated++;
      else values.set(at, value);
    }
  }
  let xs = [...places.keys()];
  const categories = time || number ? null : xs;
  if (!categories) xs.sort((a, b) => a - b);
  let list = [...series].map(([label, values]) => ({ label: label === "" ? "(empty)" : label, values: xs.map((x) => values.get(x) ?? null) }));
  const total = (s) => s.values.reduce((sum, v) => sum + Math.abs(v ?? 0), 0);
  const left = Math.max(0, list.length - most);
  if (left) {
    const kept = new Set([...list].sort((a, b) => total(b) - total(a)).slice(0, most));
    list = list.filter((s) => kept.has(s));
  }
  // Each has its colour whatever order rows came in.
  if (si >= 0) list.sort((a, b) => a.label.localeCompare(b.label, "en", { numeric: true }));
  return { time, categories, xs: categories ? xs.map((_, i) => i) : xs, series: list, left, repeated, lost };
}

const spelled = (n) => (n === null ? "–" : Math.abs(n) >= 1e6 || (n !== 0 && Math.abs(n) < 1e-3) ? n.toPrecision(4) : n.toLocaleString("en", { maximumFractionDigits: 3 }));

function stamp(seconds, day) {
  const s = new Date(seconds * 1000).toISOString();
  return day ? s.slice(0, 10) : s.slice(0, 19).replace("T", " ").replace(/:00$/, "");
}

// describe says in words what a chart shows.
export function describe(data, settings) {
  const kind = { line: "Line chart", bar: "Bar chart", stacked: "Stacked bar chart" }[settings.kind];
  const parts = data.series.slice(0, 8).map((s) => {
    let least = Infinity, highest = -Infinity;
    for (const v of s.values) if (v !== null) (least = Math.min(least, v)), (highest = Math.max(highest, v));
    return highest < least ? `${s.label} without values` : `${s.label} from ${spelled(least)} to ${spelled(highest)}`;
  });
  return `${kind} of ${settings.y.join(", ")} by ${settings.x}${settings.series ? ` and ${settings.series}` : ""}, ${data.xs.length} ${data.xs.length === 1 ? "place" : "places"}: ${parts.join("; ")}. The rows are in the table.`;
}

// gapOf is the least distance between places.
function gapOf(data) {
  const gap = Math.min(...data.xs.slice(1).map((x, i) => x - data.xs[i]));
  return Number.isFinite(gap) ? gap : data.time ? 86400 : 1;
}

// bars returns how uPlot draws a series as bars: beside those of others, or on
// them.
function bars(data, stacked) {
  const n = data.series.length;
  const gap = gapOf(data);
  return (u, sidx) => {
    const path = new Path2D();
    const group = Math.max(1, Math.abs(u.valToPos(data.xs[0] + gap, "x", true) - u.valToPos(data.xs[0], "x", true)) * 0.78);
    const width = stacked ? group : group / n;
    const zero = (v) => u.valToPos(v, "y", true);
    data.xs.forEach((x, i) => {
      const v = data.series[sidx - 1].values[i];
      if (v === null) return;
      const [from, to] = stacked ? data.stacks[sidx - 1][i] : [0, v];
      const left = u.valToPos(x, "x", true) - group / 2 + (stacked ? 0 : width * (sidx - 1));
      const a = Math.round(zero(from)), b = Math.round(zero(to));
      if (a !== b) path.rect(Math.round(left), Math.min(a, b), Math.max(1, Math.round(width) - (width > 4 ? 1 : 0)), Math.abs(a - b));
    });
    return { stroke: null, fill: path, clip: null, band: null, gaps: null, flags: 1 };
  };
}

// stack says where the bars of each series begin and end.
function stack(data) {
  const up = data.xs.map(() => 0), down = data.xs.map(() => 0);
  data.stacks = data.series.map((s) => s.values.map((v, i) => {
    const side = v < 0 ? down : up;
    const from = side[i];
    side[i] += v ?? 0;
    return [from, side[i]];
  }));
  return [Math.min(0, ...down), Math.max(0, ...up)];
}

function scaleOf(data, kind) {
  let least = Infinity, highest = -Infinity;
  if (kind === "stacked") [least, highest] = stack(data);
  else for (const s of data.series) for (const v of s.values) if (v !== null) (least = Math.min(least, v)), (highest = Math.max(highest, v));
  if (highest < least) return [0, 1];
  if (kind !== "line" || (least >= 0 && least < highest * 0.6)) least = Math.min(0, least), (highest = Math.max(0, highest));
  if (least === highest) (least -= 1), (highest += 1);
  const room = (highest - least) * 0.06;
  return [least === 0 ? 0 : least - room, highest === 0 ? 0 : highest + room];
}

// draw draws a result within an element. It returns what takes it away, or null
// if there is nothing to draw.
export function draw(into, result, settings, height = 280) {
  into.replaceChildren();
  if (settings.kind === "none") return null;
  const data = arrange(result, settings);
  if (data.series.length === 0 || data.xs.length === 0) return null;
  const caption = element("figcaption", {}, `${settings.y.join(", ")} by ${settings.x}${settings.series ? `, ${settings.series}` : ""}${data.time ? " (UTC)" : ""}`);
  const place = element("div", { className: "drawing", role: "img" });
  place.setAttribute("aria-label", describe(data, settings));
  const notes = [];
  const left = (n, what, rest) => n && notes.push(`${n} ${what}${n === 1 ? " is" : "s are"} left out${rest}.`);
  if (data.left) notes.push(`The ${data.left} smallest series are left out.`);
  left(data.repeated, "more value", `, of places that have one: choose what makes series, or group by ${settings.x}`);
  left(data.lost, "row", `, where ${settings.x} is not to be drawn`);
  if (result.more) notes.push("Only the first rows are drawn.");
  into.append(element("figure", {}, caption, place, ...notes.map((n) => element("p", { className: "quiet small" }, n))));
  const dates = data.time && data.xs.every((x) => x % 86400 === 0);
  const range = scaleOf(data, settings.kind);
  let plot;
  const make = () => {
    plot?.destroy();
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue(name).trim();
    const quiet = colour("--quiet"), line = colour("--line"), font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const isBar = settings.kind !== "line";
    const lone = data.xs.length < 40;
    plot = new uPlot({
      width: Math.max(200, place.clientWidth),
      height,
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
      legend: { live: true, markers: { width: 0, fill: (u, i) => colour(`--s${i}`) } },
      cursor: { points: { show: !isBar }, drag: { x: false, y: false } },
      scales: {
        x: { time: data.time, range: (u, a, b) => (isBar || data.xs.length === 1 ? widened(data) : data.categories ? [a - 0.3, b + 0.3] : [a, b]) },
        y: { range: () => range },
      },
      axes: [
        { stroke: quiet, font, grid: { show: false }, ticks: { stroke: line, size: 4 }, space: 70, size: 30, ...(data.categories ? categoryAxis(data.categories) : data.time ? timeAxis(isBar || lone ? data.xs : null) : {}) },
        { stroke: quiet, font, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: axisWidth, values: (u, vs) => vs.map((v) => short(v)) },
      ],
      series: [
        { label: settings.x, value: (u, v) => (v === null || v === undefined ? "" : data.categories ? data.categories[v] : data.time ? stamp(v, dates) : spelled(v)) },
        ...data.series.map((s, i) => ({
          label: s.label,
          stroke: colour(`--s${i + 1}`),
          width: isBar ? 0 : 2,
          fill: isBar ? colour(`--s${i + 1}`) : undefined,
          points: { show: !isBar && lone, size: 5, fill: colour(`--s${i + 1}`) },
          paths: isBar ? bars(data, settings.kind === "stacked") : undefined,
          value: (u, v, si, at) => (at === null || at === undefined ? "" : spelled(v)),
        })),
      ],
    }, [data.xs, ...data.series.map((s) => s.values)], place);
  };
  make();
  let width = place.clientWidth;
  const size = new ResizeObserver(() => {
    if (place.clientWidth === width || place.clientWidth === 0) return;
    width = place.clientWidth;
    plot.setSize({ width: Math.max(200, width), height });
  });
  size.observe(place);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", make);
  return () => {
    size.disconnect();
    dark.removeEventListener("change", make);
    plot.destroy();
    into.replaceChildren();
  };
}

// widened gives bars at the ends their whole width.
function widened(data) {
  const gap = gapOf(data);
  return [data.xs[0] - gap * 0.5, data.xs.at(-1) + gap * 0.5];
}

// categoryAxis names as many places as there is room for.
function categoryAxis(names) {
  const each = (u) => u.bbox.width / devicePixelRatio / Math.max(1, names.length);
  const step = (u) => Math.max(1, Math.ceil(Math.min(90, 8 + 6.6 * Math.max(...names.map((n) => n.length))) / each(u)));
  return {
    splits: (u) => names.map((_, i) => i).filter((i) => names.length <= 10 || i % step(u) === 0),
    values: (u, at) => {
      const room = Math.max(4, Math.floor((each(u) * (names.length <= 10 ? 1 : step(u))) / 6.6) - 1);
      return at.map((i) => (names[i] === undefined ? "" : names[i].length > room ? names[i].slice(0, room - 1) + "…" : names[i] || "(empty)"));
    },
  };
}

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

// timeAxis names times in UTC: below an hour its day, below a day its year, where
// they change. Bars have theirs named, if there is room.
function timeAxis(bars) {
  const apart = (u) => {
    let last = -Infinity;
    return bars.filter((t) => {
      const at = u.valToPos(t, "x");
      if (at - last < 64) return false;
      last = at;
      return true;
    });
  };
  return {
    size: 46,
    ...(bars && bars.length <= 40 ? { splits: apart } : {}),
    values: (u, at) => {
      const gap = Math.min(...at.slice(1).map((t, i) => t - at[i]), Infinity);
      const whole = at.every((t) => t % 86400 === 0);
      let last = "";
      return at.map((t) => {
        const d = new Date(t * 1000), day = `${d.getUTCDate()} ${months[d.getUTCMonth()]}`, year = String(d.getUTCFullYear());
        const clock = d.toISOString().slice(11, gap < 1 ? 23 : gap < 60 ? 19 : 16);
        let main = clock, below = `${day} ${year}`;
        if (whole) [main, below] = gap >= 360 * 86400 && gap < Infinity ? [year, ""] : gap >= 28 * 86400 && gap < Infinity ? [months[d.getUTCMonth()], year] : [day, year];
        const label = below === last ? main : `${main}\n${below}`;
        last = below;
        return label;
      });
    },
  };
}

function short(v) {
  const a = Math.abs(v);
  for (const [from, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (a >= from) return `${+(v / (unit === "k" ? 1e3 : from)).toPrecision(4)}${unit}`;
  }
  return a !== 0 && a < 1e-3 ? v.toExponential(1) : String(+v.toPrecision(6));
}

function axisWidth(u, values) {
  return 14 + 7 * Math.max(4, ...(values ?? []).map((v) => v.length));
}
