// Units and their sample ratio over time, and segments of the units.

import { h } from "./dom.js";
import * as format from "./format.js";
import { figure, panel } from "./parts.js";
import { why } from "./why.js";

const LEAST = 1e-12;

/** Powers of ten, so that a p-value that falls is seen to fall. */
export function magnitude(p) {
  return p === null ? null : Math.log10(Math.max(LEAST, p));
}

export function coursePanel(run, variants, charts) {
  const points = run.course ?? [];
  if (!points.length) return null;
  const times = points.map(({ at }) => at / 1000);
  const shown = variants.filter((v) => v.id in points[0].units);
  const last = points[points.length - 1];
  const each = shown.map((v) => ({ label: v.name, index: v.index }));
  charts.set("course:units", {
    series: each,
    data: [times, ...shown.map((v) => points.map(({ units }) => units[v.id]))],
    zero: true,
  });
  const tested = points.some(({ pValue }) => pValue !== null);
  const line = [{ label: "p-value, power of ten", index: 0 }];
  if (tested) {
    charts.set("course:ratio", {
      series: line,
      data: [times, points.map(({ pValue }) => magnitude(pValue))],
      level: -3,
    });
  }
  return panel(
    "course",
    "Units and sample ratio over time",
    "By event time, at the end of each window that is held.",
    h("p", { class: "note" },
      why("figures", null, "Units are counted from their first exposure on. "),
      tested ? why("ratio", null, "The p-value holds at every look; below the line at 0.001 (\u22123) the split is not what was planned.") : null),
    h("div", { class: "charts" },
      figure("course:units", "Units in the experiment", null, each,
        `Units over time. Latest: ${shown.map((v) => `${v.name} ${format.count(last.units[v.id])}`).join(", ")}`),
      tested
        ? figure("course:ratio", "Sample ratio", "p-value at any time, as a power of ten", line,
            `p-value of the sample ratio over time. Latest ${format.pValue(last.pValue)}`)
        : null),
  );
}

/** Segments of a run by attribute: [[attribute, [segment]]]. */
export function byAttribute(segments) {
  const groups = new Map();
  for (const segment of segments) {
    if (!groups.has(segment.attribute)) groups.set(segment.attribute, []);
    groups.get(segment.attribute).push(segment);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

export function segmentsPanel(run, variants) {
  const segments = run.segments ?? [];
  if (!segments.length) return null;
  const names = new Map(variants.map((v) => [v.id, v.name]));
  return panel(
    "segments",
    "Segments",
    "Units by what they were at their first exposure. Many segments are many looks: these intervals are not adjusted for their number.",
    byAttribute(segments).map(([attribute, some]) => {
      const metrics = some[0].metrics.map(({ name }) => name);
      return h("div", { class: "scroll", "data-key": attribute, tabindex: "0", role: "region", "aria-label": `Segments by ${attribute}` },
        h("table", { class: "listed" },
          h("thead", null, h("tr", null,
            h("th", { scope: "col" }, attribute),
            h("th", { scope: "col" }, "Variant"),
            h("th", { scope: "col", class: "number" }, "Units"),
            metrics.map((name) => h("th", { scope: "col", class: "number" }, name)))),
          h("tbody", null, some.flatMap((segment) => rows(segment, names, metrics)))));
    }),
  );
}

function rows(segment, names, metrics) {
  return segment.variants.map(({ id, units }) =>
    h("tr", { "data-key": `${segment.value}:${id}` },
      h("th", { scope: "row" }, segment.value),
      h("td", null, names.get(id) ?? id),
      h("td", { class: "number" }, why("figures", null, format.count(units))),
      metrics.map((name) => h("td", { class: "number" }, compared(segment, name, id)))));
}

function compared(segment, metric, variant) {
  if (variant === segment.control) return "control";
  const measured = segment.metrics.find(({ name }) => name === metric);
  const found = measured?.comparisons.find((c) => c.variant === variant);
  if (!found || found.difference === null) return format.DASH;
  const { difference, sequential } = found;
  const ends = sequential ? ` (${format.number(sequential.low)} to ${format.number(sequential.high)})` : "";
  const interval = format.isPercentile(measured.aggregation) ? "quantileInterval" : "sequential";
  return why(sequential ? interval : "difference", null, `${format.signed(format.number(difference))}${ends}`);
}
