// The SQL page: the editor, running its statement, and the result.
import { ask, count, element, said, spread, table, tabs, text, took } from "./sql_result.js";
import { draw, suggest } from "./sql_chart.js";
import { edit } from "./sql_editor.js";

const $ = (id) => document.getElementById(id);
const form = $("ask"), area = $("statement");
const { run, cancel, csv, link, kind, x, y, series, charting, status, fault, rows, chart } = Object.fromEntries(
  ["run", "cancel", "csv", "link", "kind", "x", "y", "series", "charting", "status", "fault", "rows", "chart"].map((id) => [id, $(id)]));

let result = null; // the last one
let running = null; // what ends it
let undraw = null;

const editor = edit($("editor"), {
  text: area.value, nonce: form.dataset.nonce, label: "statement-label", described: "keys",
  run: () => start(), leave: () => run.focus(),
});
area.hidden = true;
area.removeAttribute("aria-describedby");
$("editor").hidden = false;
$("hint").hidden = link.hidden = cancel.hidden = false;
if (/Mac|iPhone|iPad/.test(navigator.platform)) $("hint").textContent = " ⌘ Enter runs, Escape leaves the editor.";
$("statement-label").addEventListener("click", () => editor.focus());

// What was typed is there again after another page was looked at.
const draft = "arbalest.sql";
const keep = () => {
  try {
    sessionStorage.setItem(draft, editor.text());
  } catch {
    // There is no room, or it is not allowed.
  }
};
addEventListener("pagehide", keep);

// Settings of the chart: those of the query, or of the link.
let settings = {
  kind: kind.value, x: x.value, series: series.value || undefined,
  y: [...y.querySelectorAll("input:checked")].map((i) => i.value),
};

// fromLink takes the statement that is in the fragment. It is not run: a link
// could be anybody's.
function fromLink() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has("q")) return false;
  editor.set(given.get("q"));
  settings = { kind: given.get("chart") ?? "", x: given.get("x") ?? "", y: given.getAll("y"), series: given.get("series") ?? undefined };
  kind.value = settings.kind;
  if (kind.selectedIndex < 0) kind.value = settings.kind = "";
  return true;
}
const linked = fromLink();
addEventListener("hashchange", () => {
  if (fromLink()) status.textContent = "This statement came with the link: run it if you want to.";
});
if (linked) {
  $("result").hidden = false;
  status.textContent = "This statement came with the link: run it if you want to.";
} else if (form.dataset.saved) start();
else if (editor.text() === "") {
  try {
    editor.set(sessionStorage.getItem(draft) ?? "");
  } catch {
    // It is not allowed.
  }
}

// fragment is what a link has of the statement and its chart.
function fragment() {
  const p = new URLSearchParams({ q: editor.text() });
  if (settings.kind) p.set("chart", settings.kind);
  if (settings.x) p.set("x", settings.x);
  for (const name of settings.y) p.append("y", name);
  if (settings.series !== undefined) p.set("series", settings.series);
  return `#${p}`;
}
const address = () => `${location.origin}/sql${fragment()}`;
function follow() {
  if (!form.dataset.saved) history.replaceState(null, "", fragment());
}

async function copy(button, what) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(what);
    button.textContent = "Copied";
  } catch {
    const hold = element("textarea", { value: what, className: "hold" });
    (button.closest("dialog") ?? document.body).append(hold);
    hold.select();
    button.textContent = document.execCommand("copy") ? "Copied" : "Not allowed";
    hold.remove();
    button.focus();
  }
  setTimeout(() => (button.textContent = label), 1500);
}
link.addEventListener("click", () => copy(link, address()));

// start runs the statement, in place of one that runs.
async function start() {
  running?.abort();
  const mine = (running = new AbortController());
  const sql = editor.text();
  editor.mark(null);
  $("result").hidden = false;
  fault.replaceChildren();
  run.disabled = true;
  cancel.disabled = false;
  const began = performance.now();
  const clock = element("span", { ariaHidden: "true" }); // it is not to be read out each time
  const tick = setInterval(() => (clock.textContent = `, ${took(Math.floor((performance.now() - began) / 100) * 100)}`), 500);
  status.replaceChildren("Running", clock);
  $("result").setAttribute("aria-busy", "true");
  follow();
  try {
    const r = await ask(sql, mine.signal);
    if (running !== mine) return;
    show(r, sql);
  } catch (e) {
    if (running !== mine) return;
    if (e.name === "AbortError") status.textContent = `Cancelled after ${took(Math.round(performance.now() - began))}`;
    else {
      status.textContent = "";
      blame({ message: `There is no answer: ${e.message}. Does arbalest serve still run?` });
    }
  } finally {
    clearInterval(tick);
    if (running === mine) {
      running = null;
      run.disabled = false;
      cancel.disabled = true;
      $("result").removeAttribute("aria-busy");
    }
  }
}

function show(r, sql) {
  status.textContent = r.error && r.columns.length === 0 ? "" : said(r);
  if (r.error) blame(r.error, sql);
  undraw?.();
  undraw = null;
  result = r.columns.length > 0 ? r : null;
  rows.replaceChildren();
  charting.hidden = true;
  if (!result) return;
  const copyAll = element("button", { type: "button" }, r.more ? "Copy these rows" : "Copy rows");
  copyAll.addEventListener("click", () => copy(copyAll, tabs(r)));
  const into = element("div");
  table(into, r, whole);
  rows.append(element("div", { className: "actions" }, copyAll), into);
  if (r.error) return;
  choices();
  redraw();
}

// blame shows why there is no result, and marks where.
function blame(error, sql) {
  const note = element("div", { className: "note bad", role: "alert" });
  if (error.line && sql === editor.text()) {
    const at = element("button", { type: "button", className: "at" }, `Line ${error.line}, column ${error.column}`);
    at.addEventListener("click", () => editor.goTo(error.line, error.column));
    note.append(at);
    editor.mark(error);
  }
  note.append(element("pre", { className: "wrap" }, error.message));
  if (error.retry) note.append(element("p", { className: "small" }, "Running it again may help."));
  fault.replaceChildren(note);
}

// choices offers the result's columns for its chart.
function choices() {
  const numbers = result.columns.filter((c) => c.kind === "number");
  charting.hidden = numbers.length === 0 || result.columns.length < 2;
  const chosen = suggest(result, settings.kind ? settings : { ...settings, kind: settings.kind || undefined });
  const fill = (select, names, value, none) => select.replaceChildren(
    ...(none ? [element("option", { value: "" }, none)] : []),
    ...names.map((n) => element("option", { value: n, selected: n === value }, n)));
  const names = result.columns.filter((c) => c.kind !== "json").map((c) => c.name);
  fill(x, names, settings.x || chosen.x, chosen.kind === "none" && !settings.x ? "Choose a column" : "");
  fill(series, names.filter((n) => n !== chosen.x), settings.series ?? chosen.series, "Nothing");
  y.replaceChildren(...numbers.filter((c) => c.name !== chosen.x).map((c) =>
    element("label", {}, element("input", { type: "checkbox", name: "y", value: c.name, checked: chosen.y.includes(c.name) }), c.name)));
}

function redraw() {
  undraw?.();
  undraw = result && draw(chart, result, suggest(result, settings));
  if (result && settings.kind && settings.kind !== "none" && !undraw) {
    chart.replaceChildren(element("p", { className: "quiet small" }, "There is nothing to draw: a chart needs a column of numbers, and one that they are drawn along."));
  }
}

charting.addEventListener("change", (event) => {
  const asked = event.target !== kind;
  settings = {
    kind: kind.value, x: asked || settings.x ? x.value : "", series: asked || settings.series !== undefined ? series.value : undefined,
    y: asked || settings.y.length ? [...y.querySelectorAll("input:checked")].map((i) => i.value) : [],
  };
  if (asked && !settings.kind && suggest(result, settings).kind === "none") settings.kind = kind.value = "bar";
  redraw();
  if (event.target === x || event.target === series) choices();
  follow();
});

// whole shows a value that its cell has not all of.
const dialog = $("value");
function whole(column, value) {
  let s = text(value);
  $("value-title").textContent = typeof value === "object" ? `${column.name}, the beginning of ${count(value.bytes)} bytes` : column.name;
  if (column.kind === "json" && typeof value === "string") s = spread(s);
  dialog.querySelector("pre").textContent = s;
  $("value-copy").onclick = () => copy($("value-copy"), s);
  dialog.showModal();
}
$("value-close").addEventListener("click", () => dialog.close());

cancel.addEventListener("click", () => {
  running?.abort();
  run.disabled = false;
  run.focus();
});

// The buttons that leave the page send what is in the editor.
form.addEventListener("submit", (event) => {
  area.value = editor.text();
  const by = event.submitter ?? run;
  if (by === run) {
    event.preventDefault();
    if (!run.disabled) start();
  } else if (by.id === "save" && form.elements.name.value.trim() === "") {
    event.preventDefault();
    form.elements.name.focus();
  } else if (by.id === "delete" && !confirm(`Delete the saved query “${by.dataset.title}”?`)) event.preventDefault();
});
$("saving")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.tagName === "INPUT") {
    event.preventDefault();
    form.requestSubmit($("save"));
  }
});

// The tables, for completion and beside the editor.
(async () => {
  const response = await fetch("/sql/schema");
  if (!response.ok) throw new Error(response.statusText);
  const { tables, more } = await response.json();
  editor.complete(tables);
  const mine = (t) => t.schema !== "arbalest";
  const list = tables.filter(mine).concat(tables.filter((t) => !mine(t)));
  $("nothing").hidden = list.some(mine);
  $("tables").replaceChildren(...list.map((t) => {
    const name = editor.name(t);
    const put = element("button", { type: "button" }, "Put its name in");
    put.addEventListener("click", () => editor.insert(name));
    const first = element("button", { type: "button" }, "Its first rows");
    first.addEventListener("click", () => {
      editor.set(`SELECT * FROM ${name} LIMIT 100`);
      start();
    });
    const columns = t.columns.map(([n, type]) => element("li", {}, n, " ", element("small", {}, type)));
    return element("details", {}, element("summary", {}, name), element("ul", {}, ...columns), element("div", { className: "actions" }, first, put));
  }));
  if (more) $("tables").append(element("p", { className: "quiet small" }, "There are more columns than are listed here."));
})().catch((e) => $("tables").replaceChildren(element("p", { className: "quiet small" }, `They cannot be listed: ${e.message}`)));
