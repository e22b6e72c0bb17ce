// Sorting: a click or Enter on a heading; the rows know their values in full.
for (const table of document.querySelectorAll(".bench table")) {
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (!head || !head.querySelector("button")) return;
    const up = head.getAttribute("aria-sort") === "descending" || (!head.ariaSort && !isNumber(table, head.cellIndex));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => [value(row, head.cellIndex), row]);
    rows.sort(([a], [b]) => compare(a, b, up ? 1 : -1));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  });
}

function value(row, i) {
  const text = row.cells[i].dataset.v ?? row.cells[i].textContent;
  return text.trim() === "" ? null : isNaN(text) ? text : Number(text);
}

function isNumber(table, i) {
  return [...table.tBodies[0].rows].some((row) => typeof value(row, i) === "number");
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null); // nothing comes last either way
  return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
}

// Values: the pointer, a finger or the arrow keys choose an abscissa; the box lists every curve there, the highest first.
const short = (number) => String(Number(number.toPrecision(4)));

function interactive(chart) {
  const data = JSON.parse(chart.querySelector("script").textContent);
  for (const s of data.series) s.x ??= data.xs;
  const { svg, place, box } = draw(data);
  chart.querySelector(".plot").append(svg);
  const [, top, , bottom] = box;
  const output = chart.querySelector("output");
  const rule = element("line", { class: "rule" });
  const xs = data.series.flatMap((s) => s.x).filter((x) => !data.log || x > 0);
  const grid = [...new Set(xs)].sort((a, b) => a - b);
  let at = -1;

  const show = (i) => {
    at = Math.max(0, Math.min(grid.length - 1, i));
    const x = place(grid[at]);
    for (const [name, number] of Object.entries({ x1: x, x2: x, y1: top, y2: bottom })) rule.setAttribute(name, number);
    svg.append(rule);
    const lines = data.series.filter((s) => (s.m === null || !hidden.has(s.name)) && grid[at] <= s.x[s.x.length - 1]);
    const found = lines.map((s) => [s, s.x.findLastIndex((value) => value <= grid[at])]).filter(([, j]) => j >= 0);
    found.sort(([a, i], [b, j]) => b.y[j] - a.y[i]);
    output.replaceChildren(line(short(grid[at])), ...found.map(([s, j]) => line(text(s, j), s.m)));
    output.className = "on";
    const room = chart.clientWidth - output.offsetWidth;
    const wanted = (x / svg.viewBox.baseVal.width) * svg.clientWidth;
    output.style.left = `${Math.max(0, Math.min(room, wanted < room ? wanted + 12 : wanted - output.offsetWidth - 12))}px`;
    output.style.top = "100%"; // below the curves, so that it hides none of them
  };
  const text = (s, j) => `${s.m === null ? "best known" : s.name} ${short(s.y[j])}` + (s.low ? ` [${short(s.low[j])}, ${short(s.high[j])}]` : "");
  const line = (words, method) => {
    const row = document.createElement("div");
    const mark = method === null ? "best" : `m${method}`;
    if (method !== undefined) row.append(Object.assign(document.createElement("i"), { className: `dot ${mark}` }));
    row.append(words);
    return row;
  };
  const hide = () => {
    output.className = "";
    rule.remove();
    at = -1;
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const distances = grid.map((value) => Math.abs(place(value) - x));
    show(distances.indexOf(Math.min(...distances)));
  });
  svg.addEventListener("pointerleave", hide);
  chart.addEventListener("blur", hide);
  chart.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: at + 1, ArrowLeft: at < 0 ? grid.length - 1 : at - 1, Home: 0, End: grid.length - 1 };
    if (event.key === "Escape") hide();
    if (!(event.key in moves)) return;
    event.preventDefault();
    show(moves[event.key]);
  });
}

// The list of runs: each line has the text of its cells, or the value to sort by and the text, and last an error.
function list(table, lines) {
  const heads = [...table.tHead.rows[0].cells];
  const rows = lines.map((line) => {
    const row = document.createElement("tr");
    const error = line.pop();
    for (const [i, cell] of line.entries()) {
      const [value, text] = Array.isArray(cell) ? cell : [null, cell];
      const made = row.insertCell();
      made.textContent = text;
      made.className = heads[i].className;
      if (value !== null) made.dataset.v = value;
      if (heads[i].dataset.metric) made.dataset.metric = heads[i].dataset.metric;
      if (String(text).startsWith("!")) made.classList.add("bad");
    }
    [row.dataset.suite, row.dataset.task, , row.dataset.method] = line;
    row.title = error;
    return row;
  });
  table.tBodies[0].append(...rows);
}

// There may be many trajectories, and ten thousand runs, at which most readers do not look: made when first opened.
for (const chart of document.querySelectorAll(".chart:not(.later .chart)")) interactive(chart);
for (const place of document.querySelectorAll(".later")) {
  place.addEventListener(
    "toggle",
    () => {
      place.querySelectorAll(".chart").forEach(interactive);
      for (const table of place.querySelectorAll("#runs")) list(table, JSON.parse(place.querySelector("script").textContent));
      apply();
    },
    { once: true },
  );
}
restore();
pick();
