"use strict";
// Draws the figures, sorts and searches the table, copies commands, and reloads the page while the search runs.

const RELOAD_SECONDS = 15;
const IDLE_SECONDS = 10;
const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A file that is opened from disk may be denied storage.
const remembered = {
  key: `report ${location.pathname}`,
  read() {
    try { return JSON.parse(sessionStorage.getItem(this.key)) || {}; } catch { return {}; }
  },
  write(state) {
    try { sessionStorage.setItem(this.key, JSON.stringify(state)); } catch { /* The page starts at its top again. */ }
  },
};

// ---------------------------------------------------------------- figures

const figures = JSON.parse(byId("figures").textContent);

async function loadPlotly() {
  const packed = Uint8Array.from(atob(byId("plotly").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

function theme() {
  const axis = { gridcolor: colour("--grid"), linecolor: colour("--line"), tickcolor: colour("--line") };
  return {
    font: { color: colour("--ink"), family: "system-ui, sans-serif", size: 12.5 },
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
    xaxis: axis,
    yaxis: axis,
  };
}

function themed(layout) {
  const isTouched = matchMedia("(pointer: coarse)").matches;
  return { ...layout, template: { layout: theme() }, dragmode: isTouched ? false : "zoom" };
}

// On a narrow screen a legend takes several lines, which the figure needs beside its usual height.
const NARROW_PX = 560;
const LEGEND_LINE_PX = 20;
const LETTER_PX = 7.5;
const BESIDE_LETTERS_PX = 45;
function roomForLegend(place, data, layout) {
  const entries = data.filter((trace) => trace.name && trace.showlegend !== false && trace.type !== "parcoords");
  if (place.clientWidth > NARROW_PX || layout.showlegend === false || entries.length < 3) return layout;
  const longest = Math.max(...entries.map((trace) => trace.name.length));
  const room = place.clientWidth - layout.margin.l - layout.margin.r;
  const inLine = Math.max(1, Math.floor(room / (LETTER_PX * longest + BESIDE_LETTERS_PX)));
  const extra = LEGEND_LINE_PX * (Math.ceil(entries.length / inLine) - 1);
  place.style.minHeight = `${layout.height + extra}px`;
  return { ...layout, height: layout.height + extra, margin: { ...layout.margin, t: layout.margin.t + extra } };
}

function draw(place) {
  const { data } = figures[place.dataset.figure];
  const layout = roomForLegend(place, data, figures[place.dataset.figure].layout);
  const config = { responsive: true, displaylogo: false, displayModeBar: false };
  Plotly.newPlot(place, data, themed(layout), config);
  place.dataset.drawn = "yes";
  place.on("plotly_click", (event) => {
    const name = event.points[0].customdata;
    if (typeof name === "string") choose(name);
  });
}

function drawWhenSeen() {
  const places = document.querySelectorAll(".plot");
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      observer.unobserve(entry.target);
      if (!entry.target.dataset.drawn) draw(entry.target);
    }
  }, { rootMargin: "400px" });
  places.forEach((place) => observer.observe(place));
  addEventListener("beforeprint", () => places.forEach((place) => place.dataset.drawn || draw(place)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    places.forEach((place) => place.dataset.drawn && Plotly.relayout(place, { template: { layout: theme() } }));
  });
}

// ---------------------------------------------------------------- one trial

const rowOf = (name) => [...byId("table").tBodies[0].rows].find((row) => row.dataset.trial === name);

function choose(name) {
  const row = rowOf(name);
  if (!row) return;
  document.querySelectorAll(".chosen-row").forEach((one) => one.classList.remove("chosen-row"));
  row.classList.add("chosen-row");
  const words = [...row.cells].map((cell) => cell.textContent.trim());
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Show it in the table";
  button.addEventListener("click", () => {
    byId("search").value = name;
    filter();
    byId("trials").scrollIntoView();
  });
  const place = byId("chosen");
  place.replaceChildren(`Trial ${words[0]}: ${words[5]}, last ${words[2]}, best ${words[3]}. ${words[6]}`, button);
  place.hidden = false;
  markCurve(name);
}

function markCurve(name) {
  const place = byId("plot-learning-curves");
  if (!place || !place.dataset.drawn) return;
  const points = place.data.filter((trace) => !trace.isMark).flatMap((trace) =>
    (trace.customdata || []).map((one, at) => [one, trace.x[at], trace.y[at]]).filter(([one]) => one === name));
  const old = place.data.findIndex((trace) => trace.isMark);
  if (old >= 0) Plotly.deleteTraces(place, old);
  Plotly.addTraces(place, {
    x: points.map((point) => point[1]), y: points.map((point) => point[2]), mode: "lines+markers", name: "chosen",
    line: { color: colour("--ink"), width: 3.5 }, hoverinfo: "skip", isMark: true,
  });
}

// ---------------------------------------------------------------- table

function sortBy(column, direction) {
  const body = byId("table").tBodies[0];
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const isNumber = [...body.rows].every((row) => value(row) === "" || !Number.isNaN(Number(value(row))));
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (isNumber ? Number(a) - Number(b) : a.localeCompare(b));
  });
  body.append(...rows);
  [...byId("table").tHead.rows[0].cells].forEach((cell, at) => {
    if (at === column) cell.setAttribute("aria-sort", direction);
    else cell.removeAttribute("aria-sort");
  });
}

function filter() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...byId("table").tBodies[0].rows];
  for (const row of rows) {
    const text = `${row.textContent} ${row.cells[5].title}`.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  byId("count").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} ${rows.length === 1 ? "trial" : "trials"}`;
}

function sorting() {
  const cells = [...byId("table").tHead.rows[0].cells];
  const column = cells.findIndex((cell) => cell.hasAttribute("aria-sort"));
  return { column, direction: cells[column]?.getAttribute("aria-sort") };
}

function setUpTable() {
  byId("search").addEventListener("input", filter);
  [...byId("table").tHead.rows[0].cells].forEach((cell, at) => {
    cell.querySelector("button").addEventListener("click", () => {
      sortBy(at, cell.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
    });
  });
  byId("table").tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) choose(row.dataset.trial);
  });
}

// ---------------------------------------------------------------- commands

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function setUpCopying() {
  document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", async () => {
    await copy(byId(button.dataset.copy).textContent);
    button.textContent = "Copied";
    byId("copied").textContent = `Copied: ${byId(button.dataset.copy).textContent}`;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }));
}

// ---------------------------------------------------------------- reloading

function tellAge() {
  const seconds = Date.now() / 1000 - Number(document.body.dataset.written);
  const minutes = Math.round(seconds / 60);
  const date = new Date(1000 * Number(document.body.dataset.written));
  const isRecent = seconds < 86400;
  byId("written").textContent = minutes < 1 ? "written just now"
    : minutes < 120 && isRecent ? `written ${minutes} min ago` : `written ${date.toLocaleString()}`;
}

// Not while the reader types, selects or has just moved: the page comes back where it was.
function setUpReloading() {
  const { scroll, words, column, direction } = remembered.read();
  remembered.write({});
  if (words) { byId("search").value = words; filter(); }
  if (column >= 0 && direction) sortBy(column, direction);
  history.scrollRestoration = "manual";
  if (scroll) scrollTo(0, scroll);
  if (document.body.dataset.live !== "yes") return;
  let busyUntil = 0;
  for (const kind of ["pointermove", "pointerdown", "keydown", "wheel", "touchmove"]) {
    addEventListener(kind, () => { busyUntil = Date.now() + 1000 * IDLE_SECONDS; }, { passive: true });
  }
  const loaded = Date.now();
  setInterval(() => {
    const isDue = Date.now() - loaded > 1000 * RELOAD_SECONDS && Date.now() > busyUntil && !document.hidden;
    if (!isDue || getSelection().toString()) return;
    remembered.write({ scroll: scrollY, words: byId("search").value, ...sorting() });
    location.reload();
  }, 1000);
}

setUpTable();
setUpCopying();
setUpReloading();
tellAge();
setInterval(tellAge, 30000);
loadPlotly().then(drawWhenSeen);
