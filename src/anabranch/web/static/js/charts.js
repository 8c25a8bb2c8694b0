// Lines over time, by uPlot. A chart lives in an element with data-chart; the page's description
// leaves what is inside alone.

import { clock, number } from "./format.js";

const HEIGHT = 190;
const DASHES = [[], [7, 3], [2, 3], [10, 3, 2, 3], [4, 4], [1, 4]];
const live = new Map();

const resized = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const chart = live.get(target.dataset.chart);
    const width = Math.floor(contentRect.width);
    if (chart && width > 0 && width !== chart.plot.width) chart.plot.setSize({ width, height: HEIGHT });
  }
});

/**
 * Create, feed and remove charts: key to {series: [{label, index, thin}], data, zero, level, fill,
 * points, band, open}. `index` null is the quiet colour, `level` a value that is always in sight, `band`
 * the two series (from 1) between which the plot is shaded, `open` from where on it is hatched.
 */
export function syncCharts(root, wanted) {
  const style = getComputedStyle(document.documentElement);
  for (const [key, chart] of live) {
    if (!wanted.has(key) || !chart.element.isConnected) drop(key, chart);
  }
  for (const element of root.querySelectorAll("[data-chart]")) {
    const key = element.dataset.chart;
    const spec = wanted.get(key);
    if (!spec) continue;
    const signature = JSON.stringify(spec.series) + document.documentElement.dataset.painted;
    let chart = live.get(key);
    if (chart && chart.signature !== signature) {
      drop(key, chart);
      chart = null;
    }
    if (!chart) {
      chart = { element, signature, plot: create(element, spec, style) };
      live.set(key, chart);
      resized.observe(element);
    } else {
      chart.plot.open = spec.open;
      chart.plot.setData(spec.data);
    }
  }
}

function drop(key, chart) {
  resized.unobserve(chart.element);
  chart.plot.destroy();
  live.delete(key);
}

function create(element, spec, style) {
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color("--muted"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: color("--grid"), width: 1 },
    ticks: { show: false },
  };
  const options = {
    width: Math.max(200, Math.floor(element.clientWidth)),
    height: HEIGHT,
    padding: [10, 26, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: true },
      y: { range: (_, low, high) => yRange(spec, low, high) },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 30, space: 70, values: (_, ticks) => times(ticks) },
      { ...axis, size: 52, space: 36, values: (_, ticks) => ticks.map(number) },
    ],
    series: [
      {},
      ...spec.series.map(({ label, index, thin }) => ({
        label,
        stroke: color(index === null ? "--muted" : `--series-${index}`),
        width: thin ? 1 : 2,
        fill: spec.fill ? `${color(`--series-${index}`)}1f` : undefined,
        dash: index === null ? [4, 3] : thin ? [] : DASHES[index],
        spanGaps: false,
        points: {
          show: spec.points ? (plot) => plot.data[0].length <= 60 : false,
          size: 6,
          fill: color(index === null ? "--muted" : `--series-${index}`),
        },
      })),
    ],
    bands: spec.band
      ? [{ series: spec.band, fill: `${color(`--series-${spec.series[spec.band[0] - 1].index}`)}26` }]
      : [],
    hooks: {
      setCursor: [(plot) => readOut(element, plot)],
      drawAxes: [
        ...(spec.level === undefined ? [] : [(plot) => drawLevel(plot, spec.level, color("--muted"))]),
        (plot) => hatch(plot, plot.open === undefined ? spec.open : plot.open, color("--muted")),
      ],
    },
  };
  return new uPlot(options, spec.data, element);
}

/** Slanted lines over what may still change. */
function hatch(plot, open, stroke) {
  if (open === null || open === undefined) return;
  const { left, top, width, height } = plot.bbox;
  const from = Math.max(left, plot.valToPos(open, "x", true));
  const pen = plot.ctx;
  const step = 8 * devicePixelRatio;
  pen.save();
  pen.beginPath();
  pen.rect(from, top, Math.max(step, left + width - from), height);
  pen.clip();
  pen.strokeStyle = stroke;
  pen.globalAlpha = 0.7;
  pen.lineWidth = devicePixelRatio;
  pen.beginPath();
  for (let x = from - height; x < left + width + step; x += step) {
    pen.moveTo(x, top + height);
    pen.lineTo(x + height, top);
  }
  pen.stroke();
  pen.restore();
}

function drawLevel(plot, level, stroke) {
  const { left, width } = plot.bbox;
  const y = Math.round(plot.valToPos(level, "y", true));
  const pen = plot.ctx;
  pen.save();
  pen.strokeStyle = stroke;
  pen.lineWidth = devicePixelRatio;
  pen.beginPath();
  pen.moveTo(left, y);
  pen.lineTo(left + width, y);
  pen.stroke();
  pen.restore();
}

function yRange({ zero, level }, low, high) {
  if (low === null || high === null) return level === undefined ? [0, 1] : [level - 1, level + 1];
  if (level !== undefined) {
    const [least, most] = [Math.min(low, level), Math.max(high, level)];
    const pad = (most - least) * 0.1 || 1;
    return [least - pad, most + pad];
  }
  if (zero) return [0, high > 0 ? high * 1.12 : 1];
  const pad = (high - low) * 0.15 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 ? Math.max(0, low - pad) : low - pad, high + pad];
}

function times(ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 60;
  return ticks.map((tick) => clock(tick * 1000, step < 60));
}

/** Tell the values under the pointer in the chart's legend. */
function readOut(element, plot) {
  const at = plot.cursor.idx;
  const figure = element.closest("figure");
  const time = figure.querySelector("[data-at]");
  const over = plot.cursor.left >= 0 && at !== null && at !== undefined;
  if (time) time.textContent = over ? clock(plot.data[0][at] * 1000) : "";
  figure.querySelectorAll("[data-read]").forEach((cell, i) => {
    const value = over ? plot.data[i + 1]?.[at] : undefined;
    cell.textContent = value === undefined ? "" : value === null ? "no data" : number(value);
  });
}
