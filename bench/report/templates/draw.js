"use strict";
// A chart, drawn from its values: axes with their ticks, and each curve with its band in the colours of its method.
const SIZE = [331, 194];
const MARKS = { circle: "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z", square: "m-3 -3h6v6h-6z", triangle: "m0 -3.6l3.6 6.2h-7.2z" };

// The drawing; `place`, which says where an abscissa lies in it; and the box of the axes: left, top, right, bottom.
function draw(data) {
  const [width, height] = SIZE;
  const xs = data.series.flatMap((s) => s.x).filter((x) => !data.log || x > 0);
  const ys = data.series.flatMap((s) => [...s.y, ...(s.low ?? []), ...(s.high ?? [])]).concat(data.target ?? []);
  const [from, to] = ends(xs);
  const [low, high] = ends(ys);
  const room = 0.04 * (high - low || Math.abs(high) || 1);
  const yMarks = ticks(low - room, high + room);
  const left = (data.y_label ? 24 : 12) + 5 * Math.max(...yMarks.map((mark) => words(mark).length));
  const box = [left, 6, width - 14, height - 32]; // half a label sticks out on the right
  const [, top, right, bottom] = box;
  const scale = data.log ? Math.log : (value) => value;
  const share = (value) => (from === to ? 0.5 : (scale(value) - scale(from)) / (scale(to) - scale(from)));
  const x = (value) => left + (right - left) * share(value);
  const y = (value) => bottom - ((bottom - top) * (value - low + room)) / (high - low + 2 * room);

  const svg = element("svg", { viewBox: `0 0 ${width} ${height}` });
  const add = (...what) => svg.append(element(...what));
  add("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` });
  for (const mark of yMarks) {
    add("path", { class: "axis", d: `M${left} ${y(mark)}h-3` });
    add("text", { x: left - 5, y: y(mark) + 3, "text-anchor": "end" }, words(mark));
  }
  for (const mark of data.log ? logTicks(xs, from, to) : ticks(from, to)) {
    add("path", { class: "axis", d: `M${x(mark)} ${bottom}v3` });
    add("text", { x: x(mark), y: bottom + 13, "text-anchor": "middle" }, words(mark));
  }
  add("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, data.x_label);
  const middle = (top + bottom) / 2;
  add("text", { x: 9, y: middle, "text-anchor": "middle", transform: `rotate(-90 9 ${middle})` }, data.y_label);

  const points = (s, values) =>
    values.map((value, i) => [s.x[i], value]).filter(([at]) => !data.log || at > 0).map(([at, value]) => [x(at).toFixed(1), y(value).toFixed(1)]);
  const along = (of) => of.map(([a, b]) => (data.held ? `H${a}V${b}` : `L${a} ${b}`)).join("");
  const dots = Object.keys(data.marks).length > 0;
  const named = (s) => (s.m === null ? {} : { "data-method": s.name });
  for (const s of data.series.filter((s) => s.low && !dots)) {
    const around = [...points(s, s.high), ...points(s, s.low).reverse()];
    add("path", { ...named(s), class: `band m${s.m}`, d: `M${around.join("L")}Z` });
  }
  for (const s of dots ? data.series : []) {
    if (s.low) add("path", { ...named(s), class: `line m${s.m}`, d: `M${points(s, s.low)[0]}L${points(s, s.high)[0]}` });
    const [cx, cy] = points(s, s.y)[0];
    add("path", { ...named(s), class: `line dotted m${s.m}`, d: `M${cx} ${cy}${MARKS[data.marks[s.name]]}` });
  }
  for (const s of dots ? [] : data.series) {
    const curve = points(s, s.y);
    if (curve.length) add("path", { ...named(s), class: `line ${s.m === null ? "best" : `m${s.m}`}`, d: `M${curve[0]}${along(curve)}` });
  }
  if (data.target !== null) add("path", { class: "target", d: `M${right - 5} ${y(data.target)}l5 -5l5 5l-5 5z` });
  return { svg, place: x, box };
}

function ends(values) {
  return [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity)];
}

// Multiples of 1, 2 or 5 times a power of ten.
function ticks(low, high) {
  if (!(high > low)) return [low];
  const rough = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

// All abscissas if they are few, else powers of ten, with 2 and 5 times these where there are few powers.
function logTicks(xs, low, high) {
  const few = [...new Set(xs)];
  if (few.length <= 8) return few;
  const first = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, i) => 10 ** (first + i));
  const marks = high < 30 * low ? powers.flatMap((p) => [p, 2 * p, 5 * p]) : powers;
  return marks.filter((mark) => low <= mark && mark <= high);
}

const words = (number) => String(Number(number.toPrecision(6)));

function element(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}
