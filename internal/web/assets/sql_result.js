// Results of statements: asking for one, and showing its rows.

// ask runs a statement. It returns {columns, rows, more, milliseconds, error}.
export async function ask(sql, signal) {
  const response = await fetch("/sql/run", { method: "POST", body: new URLSearchParams({ sql }), signal });
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("application/json")) throw new Error((await response.text()).slice(0, 500) || response.statusText);
  const result = await response.json();
  return { columns: [], rows: [], more: false, milliseconds: 0, error: null, ...result };
}

// element makes an element with properties and children.
export function element(name, properties = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in e && key !== "list" && key !== "form") e[key] = value;
    else e.setAttribute(key, value);
  }
  e.append(...children);
  return e;
}

// count spells a number with narrow spaces between thousands, as the server does.
export function count(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

// took spells milliseconds.
export function took(ms) {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

// said says what came of a statement.
export function said(result) {
  const n = result.rows.length;
  const rows = result.more ? `The first ${count(n)} rows` : n === 1 ? "1 row" : `${count(n)} rows`;
  const rest = result.more ? "; the CSV has them all" : "";
  return `${rows} in ${took(result.milliseconds)}${rest}`;
}

// text is a value's text; that of NULL is empty.
export function text(value) {
  return value === null ? "" : typeof value === "object" ? value.cut : value;
}

// tabs is rows as a spreadsheet takes them from the clipboard.
export function tabs(result) {
  const field = (s) => (/[\t\n\r"]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s);
  const lines = [result.columns.map((c) => field(c.name)), ...result.rows.map((row) => row.map((v) => field(text(v))))];
  return lines.map((l) => l.join("\t")).join("\n") + "\n";
}

// spread writes JSON over lines. Numbers and strings stay as they are written.
export function spread(json) {
  let out = "", depth = 0;
  const line = () => "\n" + "  ".repeat(depth);
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === "{" || token === "[") {
      depth++;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth--;
      out = /[{[]\s*$/.test(out) ? out.trimEnd() + token : out + line() + token;
    } else if (token === ",") out += "," + line();
    else if (token === ":") out += ": ";
    else out += token;
  }
  return out;
}

const pageSize = 100;
const short = 160; // characters of a value that a cell shows

// table shows rows, a page at a time, within an element. open is called with a
// column and a value that a cell has not all of.
export function table(into, result, open, size = pageSize) {
  let from = 0;
  const body = element("tbody");
  const lines = result.rows.length <= 5; // a plan's drawing, say
  const cell = (column, value) => {
    const td = element("td", column.kind === "number" ? { className: "n" } : {});
    if (value === null) {
      td.append(element("i", { className: "null" }, "NULL"));
      return td;
    }
    const whole = text(value);
    if (lines && whole.includes("\n") && typeof value === "string" && whole.length < 20000) {
      td.append(element("pre", { className: "cell" }, whole));
    } else if (typeof value === "object" || whole.length > short || whole.includes("\n")) {
      const first = whole.slice(0, short).split("\n", 1)[0];
      const more = element("button", { type: "button", className: "more" }, "…");
      more.setAttribute("aria-label", `The whole value of ${column.name}`);
      more.addEventListener("click", () => open?.(column, value));
      td.append(first, more);
    } else td.textContent = whole;
    if (column.kind === "json") td.classList.add("mono");
    if (whole.length <= 40 && !td.firstElementChild) td.classList.add("nowrap");
    return td;
  };
  const show = () => {
    body.replaceChildren(...result.rows.slice(from, from + size).map((row) => element("tr", {}, ...row.map((v, i) => cell(result.columns[i], v)))));
    const to = Math.min(from + size, result.rows.length);
    range.textContent = `Rows ${count(from + 1)} to ${count(to)} of ${count(result.rows.length)}`;
    previous.disabled = from === 0;
    next.disabled = to === result.rows.length;
  };
  const go = (to) => {
    from = Math.max(0, Math.min(to, Math.floor((result.rows.length - 1) / size) * size));
    show();
    scroll.scrollTop = 0;
  };
  const range = element("span", { className: "quiet small", role: "status" });
  const previous = element("button", { type: "button" }, "Previous");
  const next = element("button", { type: "button" }, "Next");
  previous.addEventListener("click", () => go(from - size));
  next.addEventListener("click", () => go(from + size));
  const head = element("tr", {}, ...result.columns.map((c) => element("th", { scope: "col", className: c.kind === "number" ? "n" : "" }, c.name, " ", element("small", {}, c.type))));
  const scroll = element("div", { className: "scroll rows", tabIndex: 0, role: "region" }, element("table", { className: "rows" }, element("thead", {}, head), body));
  scroll.setAttribute("aria-label", "Rows");
  const pager = element("div", { className: "pager" }, previous, next, range);
  show();
  into.replaceChildren(scroll, ...(result.rows.length > size ? [pager] : []));
}
