// All saved queries: each is run, two at a time, and drawn.
import { ask, element, said, table } from "./sql_result.js";
import { draw, suggest } from "./sql_chart.js";

async function show(section) {
  const into = section.querySelector(".drawn"), status = into.querySelector("[role=status]");
  status.textContent = "Running";
  try {
    const result = await ask(section.querySelector("pre code").textContent);
    if (result.error) throw new Error(result.error.message);
    const data = section.dataset;
    const settings = { kind: data.kind, x: data.x, series: data.series || undefined, y: [...section.querySelectorAll("data")].map((d) => d.value) };
    const chart = element("div");
    into.append(chart);
    const drawn = draw(chart, result, suggest(result, settings), 240);
    const rows = element("div");
    table(rows, result, null, 20);
    status.textContent = said(result);
    if (drawn) section.append(element("details", {}, element("summary", {}, "Rows"), rows));
    else {
      into.append(rows);
      section.classList.add("wide");
    }
  } catch (e) {
    status.remove();
    into.append(element("div", { className: "note bad", role: "alert" }, element("pre", { className: "wrap" }, e.message)));
  }
}

const waiting = [...document.querySelectorAll(".query")];
const next = async () => {
  for (let section; (section = waiting.shift()); ) await show(section);
};
next();
next();
