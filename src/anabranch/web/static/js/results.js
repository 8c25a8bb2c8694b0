// Results: figures per metric and variant, comparisons with control, sample ratio, crossovers.

import { h } from "./dom.js";
import * as format from "./format.js";
import { intervalBar, scale, verdict } from "./interval.js";
import { panel, quiet, variantName } from "./parts.js";

const MISMATCH = 0.001;

/** The sample ratio in words; tone none where it cannot be tested. */
export function sampleRatio(results) {
  const p = results?.srm?.pValue ?? null;
  if (p === null) {
    const targeted = results && Object.keys(results.srm.expected).length === 0;
    return {
      tone: "none",
      short: "Not tested",
      note: targeted ? "targeting rules decide" : "too few units",
      text: targeted
        ? "Not tested: targeting rules send units to variants by who they are, so no split is to be expected."
        : "Not tested: too few units so far.",
    };
  }
  if (p < MISMATCH) {
    return {
      tone: "bad",
      short: "Mismatch",
      note: `p ${format.pValue(p)}`,
      text: `Sample ratio mismatch (p ${format.pValue(p)}): units are split differently from what was planned, more than chance explains. Do not trust these results before the cause is found.`,
    };
  }
  return {
    tone: "good",
    short: "As planned",
    note: `p ${format.pValue(p)}`,
    text: `Units are split as planned, within chance (p ${format.pValue(p)}).`,
  };
}

export function resultsPanel(run, variants) {
  const results = run.results;
  if (!results) {
    return panel(
      "results",
      "Results",
      null,
      quiet("No results yet. They appear with the first exposure and are brought up to date with every event."),
    );
  }
  const specs = new Map((run.spec?.metrics || []).map((metric) => [metric.name, metric]));
  return panel(
    "results",
    "Results",
    null,
    h(
      "p",
      { class: "note" },
      h("strong", null, "One planned look only. "),
      "These 95 % intervals and p-values have a fixed horizon: they hold once, when the number of " +
        "units planned beforehand is reached. Deciding as soon as a difference shows makes false alarms likely.",
    ),
    results.metrics.length
      ? results.metrics.map((metric) => metricTable(metric, specs.get(metric.name), variants))
      : quiet("This experiment declares no success metrics."),
  );
}

function metricTable(metric, spec, variants) {
  const words = format.aggregation(metric.aggregation, spec?.property);
  const arms = new Map(metric.variants.map((arm) => [arm.id, arm]));
  const comparisons = new Map(metric.comparisons.map((c) => [c.variant, c]));
  const share = isShare(metric);
  const show = share ? format.points : (n) => format.signed(format.number(n));
  const place = scale(metric.comparisons);
  const direction = spec?.direction ?? "increase";
  const rows = variants
    .filter((variant) => arms.has(variant.id))
    .map((variant) => {
      const arm = arms.get(variant.id);
      const comparison = comparisons.get(variant.id);
      return h(
        "tr",
        { "data-key": variant.id },
        h("th", { scope: "row" }, variantName(variant)),
        cell("Units", format.count(arm.units)),
        cell("Events", format.count(arm.events)),
        cell("Converted", format.count(arm.converted), hint(format.percent(arm.rate))),
        cell("Per unit", format.number(arm.mean)),
        words.value ? cell(words.value, format.number(arm.value)) : null,
        comparison ? comparisonCells(metric, comparison, place, direction, show) : controlCells(),
      );
    });
  return h(
    "div",
    { class: "metric", "data-key": metric.name },
    h(
      "h3",
      null,
      metric.name,
      h("span", { class: "hint" }, `${words.what}; variants compared by ${share ? "share of units" : words.by}`),
    ),
    h(
      "table",
      { class: "figures" },
      h("caption", { class: "hidden" }, `${metric.name} by variant`),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          h("th", { scope: "col" }, "Variant"),
          ["Units", "Events", "Converted", "Per unit", words.value, "Difference"]
            .filter(Boolean)
            .map((name) => h("th", { scope: "col", class: "number" }, name)),
          h("th", { scope: "col", class: "wide" }, "95 % interval"),
          h("th", { scope: "col", class: "number" }, "p-value"),
        ),
      ),
      h("tbody", null, rows),
    ),
  );
}

/** Whether the mean per unit is a share: no unit counts more than once. */
function isShare(metric) {
  if (metric.aggregation === "unique") return true;
  return (
    metric.aggregation === "count" &&
    metric.variants.some((arm) => arm.events > 0) &&
    metric.variants.every((arm) => arm.events === arm.converted)
  );
}

function comparisonCells(metric, comparison, place, direction, show) {
  const { difference, relativeLift, fixed } = comparison;
  const { tone, text } = verdict(metric.aggregation, comparison, direction);
  return [
    cell(
      "Difference",
      h("span", { class: "difference" }, difference === null ? format.DASH : show(difference)),
      relativeLift === null ? null : hint(format.signed(format.percent(relativeLift, 1))),
    ),
    h(
      "td",
      { "data-label": "95 % interval", class: "wide" },
      intervalBar(comparison, place, tone, show),
      h("span", { class: "verdict", "data-tone": tone }, text),
    ),
    cell("p-value", format.pValue(fixed?.pValue)),
  ];
}

function controlCells() {
  return [
    h("td", { class: "number muted baseline", "data-label": "Difference" }, "baseline"),
    h("td", { class: "wide none" }),
    h("td", { class: "number none" }),
  ];
}

function hint(text) {
  return h("span", { class: "hint" }, text);
}

function cell(label, ...content) {
  return h("td", { class: "number", "data-label": label }, ...content);
}

export function splitPanel(run, variants) {
  const results = run.results;
  if (!results) return null;
  const ratio = sampleRatio(results);
  const arms = new Map(results.variants.map((arm) => [arm.id, arm]));
  const units = results.variants.reduce((sum, arm) => sum + arm.units, 0);
  const crossovers = results.variants.reduce((sum, arm) => sum + arm.crossovers, 0);
  const planned = results.srm.expected;
  return panel(
    "split",
    "Split of units",
    null,
    h("p", { class: "verdict-line", "data-tone": ratio.tone }, ratio.text),
    h(
      "div",
      { class: "split" },
      splitTable(
        variants.filter((variant) => arms.has(variant.id)),
        (variant) => {
          const arm = arms.get(variant.id);
          return [
            cell("Units", format.count(arm.units)),
            cell("Share", format.percent(units ? arm.units / units : null)),
            cell("Planned", format.percent(planned[variant.id] ?? null)),
            cell("Crossovers", format.count(arm.crossovers)),
          ];
        },
      ),
    ),
    h(
      "p",
      { class: "hint" },
      crossovers
        ? `${format.count(crossovers)} crossovers: units that were exposed to more than one variant. They are left out of the figures.`
        : "No crossovers: no unit was exposed to more than one variant.",
    ),
  );
}

function splitTable(variants, cells) {
  const columns = ["Units", "Share", "Planned", "Crossovers"];
  return h(
    "table",
    { class: "figures narrow" },
    h("caption", { class: "hidden" }, "Units and crossovers by variant"),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        h("th", { scope: "col" }, "Variant"),
        columns.map((name) => h("th", { scope: "col", class: "number" }, name)),
      ),
    ),
    h(
      "tbody",
      null,
      variants.map((variant) =>
        h(
          "tr",
          { "data-key": variant.id },
          h("th", { scope: "row" }, variantName(variant)),
          cells(variant),
        ),
      ),
    ),
  );
}
