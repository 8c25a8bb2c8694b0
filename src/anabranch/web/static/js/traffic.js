// Traffic: assignments and exposures as they arrive, and metric windows by event time.

import { h } from "./dom.js";
import * as format from "./format.js";
import { figure, latestOf, panel, quiet } from "./parts.js";
import { countedUntil, state } from "./state.js";
import { why } from "./why.js";

const HISTORY = 900;
const SMOOTH = 15;

/** Seconds from the first count on, at most 15 minutes, with zeros up to now. */
function seconds(rates) {
  const end = Math.floor(countedUntil() / 1000);
  const start = Math.max(rates.start, end - HISTORY + 1);
  const length = Math.max(end, rates.start + rates.assignments.length) - start;
  return { start, length: Math.max(0, length), skip: start - rates.start };
}

function padded(counts, { length, skip }) {
  return Array.from({ length }, (_, i) => counts[i + skip] ?? 0);
}

function smooth(counts) {
  let sum = 0;
  return counts.map((n, i) => {
    sum += n - (i >= SMOOTH ? counts[i - SMOOTH] : 0);
    return sum / Math.min(SMOOTH, i + 1);
  });
}

export function assignmentRate(run) {
  const last = padded(run.rates.assignments, seconds(run.rates)).slice(-10);
  return last.length ? last.reduce((a, b) => a + b, 0) / last.length : 0;
}

export function trafficPanel(run, variants, charts) {
  const span = seconds(run.rates);
  const times = Array.from({ length: span.length }, (_, i) => span.start + i);
  const totals = run.totals;
  const assigned = Object.values(totals.assignments).reduce((a, b) => a + b, 0);
  if (!assigned && !Object.keys(totals.exposures).length) {
    return panel(
      "traffic",
      "Traffic",
      null,
      quiet("Nothing has arrived since this dashboard was started. Assignments and exposures appear here the moment they are made."),
    );
  }
  const exposed = variants.filter((v) => v.id in totals.exposures);
  const all = [{ label: "Assignments", index: 0, total: assigned }];
  const each = exposed.map((v) => ({ label: v.name, index: v.index, total: totals.exposures[v.id] }));
  charts.set("assignments", {
    series: all.map(({ label, index }) => ({ label, index })),
    data: [times, padded(run.rates.assignments, span)],
    zero: true,
    fill: true,
  });
  charts.set("exposures", {
    series: each.map(({ label, index }) => ({ label, index })),
    data: [times, ...exposed.map((v) => smooth(padded(run.rates.exposures[v.id] || [], span)))],
    zero: true,
  });
  return panel(
    "traffic",
    "Traffic",
    "The last 15 minutes. Totals since this dashboard was started.",
    h(
      "div",
      { class: "charts" },
      figure("assignments", "Assignments per second", null, all,
        `Assignments per second: ${format.number(assignmentRate(run))} over the last ten seconds, ${format.count(assigned)} in total`),
      figure("exposures", "Exposures per second", `average of ${SMOOTH} seconds`, each,
        `Exposures per variant: ${each.map((one) => `${one.label} ${format.count(one.total)}`).join(", ")}`),
    ),
  );
}

export function windowsPanel(run, variants, charts) {
  const sizes = [...new Set(run.windows.map((series) => series.size))].sort(bySize);
  if (!sizes.length) {
    return panel("windows", "Over time", null,
      quiet("No windows yet. The first one appears with the first counted exposure."));
  }
  const size = sizes.includes(state.windowSize) ? state.windowSize : sizes[0];
  const order = (run.spec?.metrics || []).map((metric) => metric.name);
  const rank = (name) => (name === "$exposures" ? -1 : order.indexOf(name) >>> 0);
  const shown = run.windows
    .filter((series) => series.size === size)
    .sort((a, b) => rank(a.metric) - rank(b.metric) || a.metric.localeCompare(b.metric));
  return panel(
    "windows",
    "Over time",
    why("windows", null, "By event time. A window stays open until the watermark has passed it: where the chart is hatched, values may still change."),
    sizes.length > 1 ? sizeChoice(sizes, size) : null,
    h("div", { class: "charts" }, shown.map((series) => windowChart(series, variants, run, charts))),
  );
}

/** Where the first window begins that may still change; null where all are final. */
export function openSince(arms) {
  const open = arms.flat().filter(({ final }) => !final).map(({ start }) => start);
  return open.length ? Math.min(...open) : null;
}

/** How many of the moments have a window that may still change. */
export function unfinished(arms) {
  return new Set(arms.flat().filter(({ final }) => !final).map(({ start }) => start)).size;
}

function sizeChoice(sizes, chosen) {
  return h(
    "div",
    { class: "choice", role: "group", "aria-label": "Window size" },
    sizes.map((size) =>
      h("button", { type: "button", class: "button", "data-size": size, "aria-pressed": String(size === chosen) }, size),
    ),
  );
}

function bySize(a, b) {
  const length = (size) => parseFloat(size) * ({ s: 1, m: 60, h: 3600, d: 86400 }[size.slice(-1)] ?? 1);
  return length(a) - length(b);
}

function windowChart(series, variants, run, charts) {
  const shown = variants.filter((v) => v.id in series.variants);
  const starts = [...new Set(shown.flatMap((v) => series.variants[v.id].map((p) => p.start)))].sort((a, b) => a - b);
  const values = shown.map((v) => {
    const byStart = new Map(series.variants[v.id].map((p) => [p.start, p.value]));
    return starts.map((start) => byStart.get(start) ?? null);
  });
  const arms = shown.map((v) => series.variants[v.id]);
  const open = openSince(arms);
  const adds = ["count", "sum", "unique", "exposures"].includes(series.aggregation);
  const key = `window:${series.size}:${series.metric}`;
  const each = shown.map((v) => ({ label: v.name, index: v.index }));
  charts.set(key, {
    series: each,
    data: [starts.map((start) => start / 1000), ...values],
    zero: adds,
    points: true,
    open: open === null ? null : open / 1000,
  });
  const spec = run.spec?.metrics.find((m) => m.name === series.metric);
  const title = series.metric === "$exposures" ? "Units first exposed" : series.metric;
  const note =
    series.metric === "$exposures"
      ? format.perWindow(series.size)
      : `${format.aggregation(series.aggregation, spec).what}, ${format.perWindow(series.size)}`;
  const summary = shown.map((v) => `${v.name}: ${latestOf(series.variants[v.id], "value")}`).join(", ");
  const finals = `${format.count(unfinished(arms))} of ${format.count(starts.length)} windows not final`;
  const said = open === null ? "all windows final" : finals;
  return figure(key, title, note, each, `${title} ${note}. Latest window: ${summary}; ${said}`, said, open !== null);
}
