"use strict";
// Trajectories are drawn when their place is first opened: there are many, and most readers look at few.
const SIZE = [331, 190];

function drawTrajectory(chart, data) {
  const [width, height] = SIZE;
  const values = data.series.flatMap((s) => s.y).concat(data.target ?? []);
  const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const room = 0.04 * (high - low || Math.abs(high) || 1);
  data.x = [data.series[0].x[0], data.series[0].x.at(-1)];
  data.y = [low - room, high + room];
  const marks = ticks(...data.y);
  const left = 12 + 5 * Math.max(...marks.map((mark) => words(mark).length));
  data.box = [left, 6, width - 10, height - 32];
  const [, top, right, bottom] = data.box;
  const x = (value) => left + ((right - left) * (value - data.x[0])) / (data.x[1] - data.x[0]);
  const y = (value) => bottom - ((bottom - top) * (value - data.y[0])) / (data.y[1] - data.y[0]);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}` });
  svg.append(element("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` }));
  for (const mark of marks) {
    svg.append(element("path", { class: "axis", d: `M${left} ${y(mark)}h-3` }));
    svg.append(element("text", { x: left - 5, y: y(mark) + 3, "text-anchor": "end" }, words(mark)));
  }
  for (const mark of ticks(...data.x)) {
    svg.append(element("path", { class: "axis", d: `M${x(mark)} ${bottom}v3` }));
    svg.append(element("text", { x: x(mark), y: bottom + 13, "text-anchor": "middle" }, words(mark)));
  }
  svg.append(element("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, data.label));
  for (const s of data.series) {
    const points = s.x.map((at, i) => [x(at).toFixed(1), y(s.y[i]).toFixed(1)]);
    const path = points.map(([a, b]) => (data.held ? `H${a}V${b}` : `L${a} ${b}`)).join("");
    const kind = s.m === null ? "best" : `m${s.m}`;
    svg.append(element("path", { class: `line ${kind}`, d: `M${points[0].join(" ")}${path}` }));
  }
  if (data.target !== null) {
    svg.append(element("path", { class: "target", d: `M${right - 5} ${y(data.target)}l5 -5l5 5l-5 5z` }));
  }
  chart.querySelector(".plot").append(svg);
}

function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

const words = (number) => String(Number(number.toPrecision(6)));

function element(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}
