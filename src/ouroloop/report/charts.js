// Draws the charts of the page from the embedded data, at the width that there is. draw.py draws the same
// without JavaScript; the two share their rules for axes, ticks and labels.

const axisText = (position) => data.axis.texts[position] ?? String(position);

const SVG = "http://www.w3.org/2000/svg";
const LABEL_GAP = 14;

/** An SVG element with attributes and children; strings become text, never markup. */
function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== "") node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/** A measured number at three significant digits, as wording.number writes it. */
function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const sign = value < 0 ? "−" : "";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) {
    const [mantissa, exponent] = size.toExponential(2).split("e");
    const small = String(Number(exponent)).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
    return `${sign}${mantissa}×10${small}`;
  }
  const places = Number.isInteger(size) ? 0 : Math.max(2 - Math.floor(Math.log10(size)), 0);
  const [whole, fraction] = size.toFixed(places).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return sign + grouped + (fraction ? `.${fraction}` : "");
}

/** A round number without trailing zeros, as at an axis. */
function tick(value) {
  const [head, power] = number(value).split("×");
  const short = head.includes(".") ? head.replace(/0+$/, "").replace(/\.$/, "") : head;
  return power ? `${short}×${power}` : short;
}

function linearTicks(low, high, count) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i <= Math.floor(high / step + 1e-9); i += 1) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high, count) {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const decades = [];
  const finer = [];
  for (let e = first; e <= last; e += 1) {
    if (10 ** e >= low && 10 ** e <= high) decades.push(10 ** e);
    for (const m of [1, 2, 5]) if (m * 10 ** e >= low && m * 10 ** e <= high) finer.push(m * 10 ** e);
  }
  if (decades.length < 3) return finer;
  const stride = Math.ceil(decades.length / count);
  return decades.filter((_, i) => i % stride === 0);
}

/** A function from values to pixels (null where there is none), with its ticks. */
function makeScale(low, high, start, stop, log, ticks) {
  const [a, b] = log ? [Math.log(low), Math.log(high)] : [low, high];
  const scale = (value) => {
    if (value === null || (log && value <= 0)) return null;
    const position = start + (((log ? Math.log(value) : value) - a) / (b - a)) * (stop - start);
    return Math.round(position * 10) / 10;
  };
  scale.start = start;
  scale.ticks = log ? logTicks(low, high, ticks) : linearTicks(low, high, ticks);
  return scale;
}

function linePath(xs, ys) {
  let path = "";
  let down = false;
  xs.forEach((x, i) => {
    if (ys[i] === null) {
      down = false;
      return;
    }
    path += `${down ? "L" : "M"}${x} ${ys[i]}`;
    down = true;
  });
  return path;
}

function bandPath(xs, lows, highs) {
  let path = "";
  let run = [];
  const close = () => {
    if (run.length > 1) {
      const there = run.map((i) => `${xs[i]} ${highs[i]}`).join(" ");
      const back = run.reverse().map((i) => `${xs[i]} ${lows[i]}`).join(" ");
      path += `M${there} ${back}Z`;
    }
    run = [];
  };
  xs.forEach((_, i) => (lows[i] === null || highs[i] === null ? close() : run.push(i)));
  close();
  return path;
}

function marker(shape, x, y) {
  const r = 2.8;
  if (shape === "square") return `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`;
  if (shape === "triangle") return `M${x - 1.2 * r} ${y + r}h${2.4 * r}L${x} ${y - 1.2 * r}z`;
  if (shape === "diamond") return `M${x - 1.3 * r} ${y}L${x} ${y - 1.3 * r}L${x + 1.3 * r} ${y}L${x} ${y + 1.3 * r}z`;
  return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
}

/** Positions near the wanted ones and LABEL_GAP apart where there is room (see draw.spread_labels). */
function spreadLabels(wanted, low, high) {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b] || a - b);
  const gap = order.length > 1 ? Math.min(LABEL_GAP, (high - low) / (order.length - 1)) : LABEL_GAP;
  const clusters = [];
  for (const index of order) {
    clusters.push([wanted[index], 1]);
    for (;;) {
      const cluster = clusters[clusters.length - 1];
      const half = ((cluster[1] - 1) * gap) / 2;
      if (high - low >= 2 * half) cluster[0] = Math.min(Math.max(cluster[0], low + half), high - half);
      if (clusters.length < 2) break;
      const [before, n] = clusters[clusters.length - 2];
      const [after, m] = cluster;
      if (after - before >= ((n + m) * gap) / 2 - 1e-9) break;
      clusters.splice(-2, 2, [(before * n + after * m) / (n + m), n + m]);
    }
  }
  const placed = clusters.flatMap(([centre, size]) =>
    Array.from({ length: size }, (_, i) => centre + (i - (size - 1) / 2) * gap),
  );
  const result = [];
  order.forEach((index, i) => (result[index] = placed[i]));
  return result;
}

/** The ends of the y-axis for the lines that are shown (see draw.domain); null where a log scale is impossible. */
function domain(chart, lines, forecasts, log) {
  const extents = lines.map((line) => line.extent);
  let low = Math.min(...extents.map((e) => e[0]));
  let high = Math.max(...extents.map((e) => e[1]));
  if (log) {
    const positive = extents.map((e) => e[2]).filter((v) => v !== null);
    if (!positive.length) return null;
    low = Math.min(...positive);
  }
  if (chart.floor) {
    if (!log || chart.floor[1] > 0) low = Math.min(low, chart.floor[1]);
    high = Math.max(high, chart.floor[2]);
  }
  const span = high - low;
  for (const forecast of forecasts) {
    const values = forecast.values.filter((v) => v !== null && (!log || v > 0));
    if (!values.length) continue;
    low = Math.min(low, Math.max(Math.min(...values), log ? low / 3 : low - span / 2));
    high = Math.max(high, Math.min(Math.max(...values), log ? high * 3 : high + span / 2));
  }
  if (log) return high > low ? [low / 1.15, high * 1.15] : [low / 2, low * 2];
  if (!(high > low)) {
    const pad = Math.abs(low) * 0.1 || 1;
    return [low - pad, high + pad];
  }
  const pad = (high - low) * 0.05;
  return [low >= 0 && low < 0.4 * high ? 0 : low - pad, high + pad];
}

const ruler = document.createElement("canvas").getContext("2d");
ruler.font = `600 12px ${getComputedStyle(document.body).fontFamily}`;
const textWidth = (text) => ruler.measureText(text).width;

/** Room right of the frame for the labels at the line ends and for the word under them. */
function labelMargin(lines, arms, width) {
  const widest = Math.max(textWidth(data.axis.title), ...lines.map((line) => textWidth(arms[line.arm].label)));
  return Math.ceil(Math.min(widest + 20, Math.max(width * 0.28, 126)));
}

/** A text cut to a width in pixels, in its middle: arms often differ in their last word only. */
function fitted(text, room) {
  const letters = [...text];
  for (let kept = letters.length; kept > 4; kept -= 1) {
    const cut = shortened(letters, kept);
    if (textWidth(cut) <= room) return cut;
  }
  return shortened(letters, 4);
}

function shortened(letters, kept) {
  if (kept >= letters.length) return letters.join("");
  const head = Math.floor((kept - 1) * 0.4);
  return `${letters.slice(0, head).join("")}…${letters.slice(letters.length - (kept - 1 - head)).join("")}`;
}

/** Draws a chart into its figure and remembers where the generations lie. */
function drawChart(figure, chart, arms, state) {
  const root = figure.querySelector("svg.chart");
  const width = Math.max(figure.querySelector(".plot").clientWidth, 240);
  const tall = figure.classList.contains("wide") ? (width < 600 ? 270 : 370) : 240;
  const height = Math.max(tall, LABEL_GAP * chart.lines.length + 46);
  const lines = chart.lines.filter((line) => !state.hidden.has(line.arm));
  const forecasts = state.forecasts ? chart.forecasts.filter((f) => !state.hidden.has(f.arm)) : []; // arm -1: all arms
  root.setAttribute("viewBox", `0 0 ${width} ${height}`);
  root.setAttribute("height", height);
  root.replaceChildren(...root.querySelectorAll(":scope > title, :scope > desc"));
  figure.classList.toggle("empty", !lines.length);
  if (!lines.length) return null;
  const ends = state.log ? domain(chart, lines, forecasts, true) : null;
  const log = ends !== null;
  const frame = { left: 46, right: width - labelMargin(lines, arms, width), bottom: height - 30, top: 12 };
  const y = makeScale(...(ends || domain(chart, lines, forecasts, false)), frame.bottom, frame.top, log, log ? 6 : 5);
  const generations = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  const last = Math.max(generations[generations.length - 1], generations[0] + 1);
  const x = makeScale(generations[0], last, frame.left, frame.right, false, width < 420 ? 4 : 5);
  const clip = `${figure.id}-live`;
  const area = svg("g", { "clip-path": `url(#${clip})` }, ...floorMarks(chart.floor, y, frame));
  for (const line of lines) area.append(...lineMarks(line, arms[line.arm], x, y, state));
  for (const forecast of forecasts) {
    const path = linePath(forecast.x.map(x), forecast.values.map(y));
    area.append(svg("path", { class: `forecast ${arms[forecast.arm]?.css ?? "cn"}`, d: path }));
  }
  const box = { x: frame.left, y: frame.top, width: frame.right - frame.left + 5, height: frame.bottom - frame.top };
  const guide = svg("line", { class: "guide", y1: frame.top, y2: frame.bottom, visibility: "hidden" });
  root.append(svg("clipPath", { id: clip }, svg("rect", box)), ...axes(x, y, frame), guide, area);
  root.append(...endLabels(lines, arms, x, y, frame, state.middle, width - frame.right - 11));
  figure.dataset.scale = log ? "log" : "linear";
  return { generations, x, guide, lines, forecasts, frame, width };
}

function axes(x, y, frame) {
  const marks = [];
  for (const value of y.ticks) {
    marks.push(svg("line", { class: "grid", x1: frame.left, x2: frame.right, y1: y(value), y2: y(value) }));
    marks.push(svg("text", { class: "tick y", x: frame.left - 7, y: y(value), dy: "0.32em" }, tick(value)));
  }
  for (const value of x.ticks.filter(Number.isInteger)) {
    marks.push(svg("text", { class: "tick x", x: x(value), y: frame.bottom + 18 }, axisText(value)));
  }
  marks.push(svg("text", { class: "unit", x: frame.right + 18, y: frame.bottom + 18 }, data.axis.title));
  marks.push(svg("line", { class: "axis", x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom }));
  return marks;
}

function floorMarks(floor, y, frame) {
  if (!floor || y(floor[0]) === null) return [];
  const [mid, low, high] = floor.map(y);
  const marks = [];
  const box = { class: "floor-band", x: frame.left, y: high, width: frame.right - frame.left, height: low - high };
  if (low !== null && low - high > 1) marks.push(svg("rect", box));
  marks.push(svg("line", { class: "floor", x1: frame.left, x2: frame.right, y1: mid, y2: mid }));
  return marks;
}

function lineMarks(line, arm, x, y, state) {
  const xs = line.x.map(x);
  const ys = line[state.middle].map(y);
  const [low, high] = state.middle === "mean" ? [line.low, line.high] : [line.smallest, line.largest];
  const lows = low.map((value) => (value === null ? null : (y(value) ?? y.start)));
  const marks = [svg("path", { class: `band ${arm.css}`, d: bandPath(xs, lows, high.map(y)) })];
  if (state.seeds && line.seeds.length > 1) {
    for (const seed of line.seeds) marks.push(svg("path", { class: `seed ${arm.css}`, d: linePath(xs, seed.map(y)) }));
  }
  marks.push(svg("path", { class: `line ${arm.css}`, d: linePath(xs, ys), "stroke-dasharray": arm.dash }));
  if (xs.length <= 31) {
    const path = xs.map((px, i) => (ys[i] === null ? "" : marker(arm.marker, px, ys[i]))).join("");
    marks.push(svg("path", { class: `marks ${arm.css}`, d: path }));
  }
  return marks;
}

function endLabels(lines, arms, x, y, frame, middle, room) {
  const ends = [];
  for (const line of lines) {
    const known = line[middle].map((value, i) => (y(value) === null ? -1 : i)).filter((i) => i >= 0);
    const i = known[known.length - 1];
    if (i !== undefined) ends.push({ line, x: x(line.x[i]), y: y(line[middle][i]) });
  }
  const wanted = ends.map((end) => Math.min(Math.max(end.y, frame.top), frame.bottom));
  const places = spreadLabels(wanted, frame.top, frame.bottom - 4);
  return ends.flatMap((end, i) => {
    const { label, css } = arms[end.line.arm];
    const text = fitted(label, room);
    const at = Math.round(places[i] * 10) / 10;
    const marks = [svg("text", { class: `end ${css}`, x: frame.right + 11, y: at, dy: "0.32em" }, text)];
    if (Math.abs(at - end.y) > 3 || end.x < frame.right - 1) {
      marks.push(svg("path", { class: `leader ${css}`, d: `M${end.x + 4} ${end.y}L${frame.right + 8} ${at}` }));
    }
    return marks;
  });
}
