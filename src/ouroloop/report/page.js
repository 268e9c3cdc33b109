// What can be clicked, dragged and pressed on the page. Text from the data is only ever set as text.

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const state = { log: data.log, middle: "mean", seeds: false, forecasts: true, hidden: new Set() };
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const figures = all("figure[data-chart]").map((figure) => ({ figure, chart: data.charts[figure.dataset.chart] }));
root.classList.add("js");

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

// Charts ---------------------------------------------------------------------------------------

function redraw() {
  for (const entry of figures) {
    if (entry.figure.querySelector(".plot").clientWidth) entry.view = drawChart(entry.figure, entry.chart, data.arms, state);
  }
}

function nearest(values, wanted) {
  return values.reduce((best, value) => (Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best));
}

/** Marks a generation in every chart; the chart under the pointer also says its values. */
function point(generation, active) {
  for (const { figure, view } of figures) {
    const readout = figure.querySelector(".readout");
    const shown = view && generation !== null;
    readout.hidden = !(shown && figure === active);
    if (!view) continue;
    view.guide.setAttribute("visibility", shown ? "visible" : "hidden");
    if (!shown) continue;
    const at = view.x(generation);
    view.guide.setAttribute("x1", at);
    view.guide.setAttribute("x2", at);
    if (figure === active) fillReadout(figure, view, generation, at);
  }
}

function fillReadout(figure, view, generation, at) {
  const readout = figure.querySelector(".readout");
  const [low, high] = state.middle === "mean" ? ["low", "high"] : ["smallest", "largest"];
  const rows = view.lines
    .map((line) => ({ line, i: line.x.indexOf(generation) }))
    .filter(({ line, i }) => i >= 0 && line[state.middle][i] !== null)
    .sort((a, b) => b.line[state.middle][b.i] - a.line[state.middle][a.i]);
  const table = element("table");
  for (const { line, i } of rows) {
    const row = element("tr");
    row.append(swatchCell(data.arms[line.arm].css, "swatch"), element("th", "", data.arms[line.arm].label));
    row.append(element("td", "value", number(line[state.middle][i])));
    const known = line[low][i] !== null && line[high][i] !== null;
    row.append(element("td", "range", known ? `${number(line[low][i])} to ${number(line[high][i])}` : ""));
    const own = forecastsAt(view, generation).filter(({ forecast }) => forecast.arm === line.arm);
    for (const { forecast, value } of own) row.append(element("td", "range", `${forecast.label} ${number(value)}`));
    table.append(row);
  }
  for (const { forecast, value } of forecastsAt(view, generation).filter((entry) => entry.forecast.arm < 0)) {
    const row = element("tr", "predicted");
    row.append(swatchCell("cn", "swatch dashed"), element("th", "", forecast.label));
    row.append(element("td", "value", number(value)), element("td", "range", forecast.validity));
    table.append(row);
  }
  readout.replaceChildren(element("b", "", `${data.axis.title} ${axisText(generation)}`), table);
  const plot = figure.querySelector(".plot");
  const scale = plot.clientWidth / view.width;
  const left = at * scale > plot.clientWidth / 2 ? at * scale - readout.offsetWidth - 14 : at * scale + 14;
  readout.style.left = `${Math.max(0, Math.min(left, plot.clientWidth - readout.offsetWidth))}px`;
}

function forecastsAt(view, generation) {
  return view.forecasts
    .map((forecast) => ({ forecast, value: forecast.values[forecast.x.indexOf(generation)] ?? null }))
    .filter(({ value }) => value !== null);
}

function swatchCell(css, kind) {
  const cell = element("td");
  cell.append(element("span", `${kind} ${css}`));
  return cell;
}

function generationAt(entry, event) {
  const box = entry.figure.querySelector("svg.chart").getBoundingClientRect();
  const px = ((event.clientX - box.left) / box.width) * entry.view.width;
  return entry.view.generations.reduce((best, g) =>
    Math.abs(entry.view.x(g) - px) < Math.abs(entry.view.x(best) - px) ? g : best,
  );
}

function listenTo(entry) {
  const surface = entry.figure.querySelector("svg.chart");
  let at = null;
  const move = (generation) => point((at = generation), entry.figure);
  surface.setAttribute("tabindex", "0");
  surface.addEventListener("pointermove", (event) => entry.view && move(generationAt(entry, event)));
  surface.addEventListener("pointerdown", (event) => entry.view && move(generationAt(entry, event)));
  surface.addEventListener("pointerleave", () => point(null));
  surface.addEventListener("blur", () => point(null));
  surface.addEventListener("click", (event) => entry.view && showGeneration(generationAt(entry, event)));
  surface.addEventListener("keydown", (event) => {
    if (!entry.view) return;
    const known = entry.view.generations;
    const now = at === null ? known.length - 1 : known.indexOf(nearest(known, at));
    const steps = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: known.length - 1 };
    if (event.key === "Escape") return point(null);
    if (event.key === "Enter" && at !== null) return showGeneration(at);
    if (!(event.key in steps)) return;
    event.preventDefault();
    move(known[Math.min(Math.max(at === null ? now : steps[event.key], 0), known.length - 1)]);
  });
}

/** The numbers of a chart as a table, made when it is asked for. */
function fillNumbers(details, chart) {
  if (details.querySelector("table")) return;
  const table = element("table", "numbers");
  const head = element("tr");
  head.append(element("th", "", data.axis.title), ...chart.lines.map((line) => element("th", "", data.arms[line.arm].label)));
  table.append(head);
  for (const generation of [...new Set(chart.lines.flatMap((line) => line.x))].sort((a, b) => a - b)) {
    const row = element("tr");
    row.append(element("th", "", axisText(generation)));
    for (const line of chart.lines) {
      const i = line.x.indexOf(generation);
      const text = i < 0 || line.mean[i] === null ? "–" : number(line.mean[i]);
      const known = i >= 0 && line.low[i] !== null && line.high[i] !== null;
      row.append(element("td", "", known ? `${text} (${number(line.low[i])} to ${number(line.high[i])})` : text));
    }
    table.append(row);
  }
  const box = element("div", "scroll");
  box.append(table);
  details.append(box);
}

// Controls -------------------------------------------------------------------------------------

function press(buttons, chosen) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
}

for (const group of all("[data-choice]")) {
  const buttons = all("button", group);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      if (group.dataset.choice === "scale") state.log = button.value === "log";
      else state.middle = button.value;
      press(buttons, button);
      redraw();
    });
  }
}

for (const button of all("button[data-switch]")) {
  button.addEventListener("click", () => {
    const key = button.dataset.switch;
    state[key] = !state[key];
    button.setAttribute("aria-pressed", String(state[key]));
    redraw();
  });
}

for (const button of all("button[data-arm]")) {
  button.addEventListener("click", () => {
    const arm = Number(button.dataset.arm);
    if (!state.hidden.delete(arm)) state.hidden.add(arm);
    for (const twin of all(`button[data-arm="${arm}"]`)) twin.setAttribute("aria-pressed", String(!state.hidden.has(arm)));
    redraw();
  });
}

// Samples --------------------------------------------------------------------------------------

const gallery = document.getElementById("gallery");
const slider = document.getElementById("generation");
const seedChoice = document.getElementById("seed");
const panels = gallery ? all(".panel", gallery).map((panel) => ({ panel, frames: all(".frame", panel) })) : [];
let playing = null;

function updateGallery() {
  const generation = data.generations[slider.value];
  document.getElementById("generation-shown").textContent = `generation ${generation}`;
  slider.setAttribute("aria-valuetext", `generation ${generation}`);
  for (const { panel, frames } of panels) {
    const seed = seedChoice && frames.some((f) => f.dataset.seed === seedChoice.value) ? seedChoice.value : frames[0].dataset.seed;
    const own = frames.filter((frame) => frame.dataset.seed === seed);
    const found = nearest(own.map((frame) => Number(frame.dataset.generation)), generation);
    for (const frame of frames) frame.hidden = !(frame.dataset.seed === seed && Number(frame.dataset.generation) === found);
    const exact = found === generation && (!seedChoice || seed === seedChoice.value);
    panel.querySelector(".instead").textContent = exact ? "" : `showing seed ${seed}, generation ${found}`;
  }
}

function showGeneration(generation) {
  if (!gallery) return;
  slider.value = data.generations.indexOf(nearest(data.generations, generation));
  updateGallery();
}

function stopPlaying() {
  clearInterval(playing);
  playing = null;
  document.getElementById("play").textContent = "Play";
}

if (gallery) {
  slider.max = data.generations.length - 1;
  slider.value = slider.max;
  slider.addEventListener("input", updateGallery);
  if (seedChoice) seedChoice.addEventListener("change", updateGallery);
  document.getElementById("play").addEventListener("click", (event) => {
    if (playing) return stopPlaying();
    event.currentTarget.textContent = "Pause";
    if (slider.value === slider.max) slider.value = 0;
    updateGallery();
    playing = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      updateGallery();
      if (slider.value === slider.max) stopPlaying();
    }, 350);
  });
  updateGallery();
}

// The rest -------------------------------------------------------------------------------------

const theme = document.getElementById("theme");
const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const nameTheme = () => (theme.textContent = isDark() ? "Light" : "Dark");
theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
nameTheme();

for (const button of all("button[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
}

for (const entry of figures) {
  listenTo(entry);
  const details = entry.figure.querySelector("details.data");
  details.addEventListener("toggle", () => fillNumbers(details, entry.chart));
}
for (const details of all("details.more")) details.addEventListener("toggle", redraw);
addEventListener("resize", () => requestAnimationFrame(redraw));
addEventListener("beforeprint", () => point(null));
redraw();
