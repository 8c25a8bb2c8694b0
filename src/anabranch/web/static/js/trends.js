// How the intervals of a comparison came to be what they are, as units came in.

import { h } from "./dom.js";
import * as format from "./format.js";
import { figure, panel, quiet } from "./parts.js";
import { why } from "./why.js";

export function trendsPanel(run, variants, charts) {
  const order = (run.spec?.metrics || run.results?.metrics || []).map((metric) => metric.name);
  const names = new Map(variants.map((variant) => [variant.id, variant]));
  const shown = run.trends
    .filter((trend) => names.has(trend.variant))
    .sort((a, b) => (order.indexOf(a.metric) >>> 0) - (order.indexOf(b.metric) >>> 0));
  if (!run.results) return null;
  return panel(
    "trends",
    "Intervals over time",
    "By event time, as units came in; the line at zero is control.",
    h(
      "p",
      { class: "note" },
      why("sequential", null, "The shaded interval holds at every look. "),
      why("fixed", null, "The dashed lines are the interval for one look at the planned end: it narrows sooner, and watched it is wrong too often."),
    ),
    shown.length
      ? h("div", { class: "charts" }, shown.map((trend) => trendChart(trend, names.get(trend.variant), charts)))
      : quiet("No comparison yet. The first one appears once two arms have units."),
  );
}

/** The columns of a chart: time, difference, both ends of either interval. */
export function columns(points) {
  const end = (name, i) => points.map((point) => point[name]?.[i] ?? null);
  return [
    points.map((point) => point.at / 1000),
    points.map((point) => point.difference),
    end("sequential", 0),
    end("sequential", 1),
    end("fixed", 0),
    end("fixed", 1),
  ];
}

function trendChart({ metric, variant, points }, { name, index }, charts) {
  const key = `trend:${metric}:${variant}`;
  const lines = [
    { label: "Difference", index },
    { label: "at any time, low", index, thin: true },
    { label: "high", index, thin: true },
    { label: "at the planned end, low", index: null, thin: true },
    { label: "high ", index: null, thin: true },
  ];
  charts.set(key, { series: lines, data: columns(points), level: 0, band: [3, 2] });
  const { difference, sequential } = points[points.length - 1];
  const ends = sequential ? `, 95 % interval ${sequential.map(format.number).join(" to ")}` : "";
  return figure(key, metric, `${name} less control`, lines,
    `${metric}, ${name} less control over time. Latest difference ${format.number(difference)}${ends}`);
}
