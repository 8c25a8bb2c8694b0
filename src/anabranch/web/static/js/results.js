// Results: figures per metric and variant, comparisons with control, sample ratio, crossovers.

import { h } from "./dom.js";
import * as format from "./format.js";
import { intervalBar, scale, verdict } from "./interval.js";
import { panel, quiet, variantName } from "./parts.js";
import { ALERTS, why } from "./why.js";

const MISMATCH = 0.001;

/** The sample ratio in words; tone none where it cannot be tested. */
export function sampleRatio(results) {
  const p = results?.srm?.sequentialPValue ?? results?.srm?.pValue ?? null;
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
      h("strong", null, "Look as often as you like. "),
      "The 95 % intervals and p-values hold at every look, so you may stop as soon as they show a difference. " +
        "Those in small print, and the thin line, have a fixed horizon: they are valid at their planned end only. " +
        "Click a number to see how it is computed.",
    ),
    results.metrics.length
      ? results.metrics.map((metric) => metricTable(metric, specs.get(metric.name), variants))
      : quiet("This experiment declares no success metrics."),
  );
}

function metricTable(metric, spec, variants) {
  const words = format.aggregation(metric.aggregation, { ...spec, per: metric.per });
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
        h("th", { scope: "row" }, variantName(variant), bestOf(arm)),
        cell("Units", format.count(arm.units), excludedOf(arm)),
        cell("Events", format.count(arm.events)),
        cell("Converted", format.count(arm.converted), hint(format.percent(arm.rate))),
        cell("Per unit", format.number(arm.mean), metric.aggregation === "ratio" ? null : meanInterval(arm)),
        words.value
          ? cell(words.value, valueOf(metric, arm), metric.aggregation === "ratio" ? meanInterval(arm) : null)
          : null,
        comparison
          ? comparisonCells(metric, comparison, place, direction, show, arms, spec)
          : controlCells(),
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
            .map((name) => h("th", { scope: "col", class: "number" }, why(labelTopic(metric, name, spec), null, name))),
          h("th", { scope: "col", class: "wide" }, why(intervalTopic(metric), null, "95 % interval, at any time")),
          h("th", { scope: "col", class: "number" }, why(intervalTopic(metric), null, "p-value")),
        ),
      ),
      h("tbody", null, rows),
    ),
  );
}

function bestOf({ probabilityBest }) {
  if (probabilityBest === undefined || probabilityBest === null) return null;
  return why("best", null, hint(`${format.probability(probabilityBest)} to be best`));
}

/** How many units the metric leaves out, for what they did before their exposure. */
function excludedOf({ excluded }) {
  if (excluded === undefined) return null;
  return why("excluded", null, hint(`${format.count(excluded)} left out: did it before`));
}

function meanInterval({ interval }) {
  if (!interval) return null;
  return why("mean", null, ends(format.number(interval.low), format.number(interval.high)));
}

function liftInterval(lift) {
  if (!lift?.sequential) return null;
  const [low, high] = [lift.sequential.low, lift.sequential.high].map((end) => format.signed(format.percent(end, 1)));
  return why("lift", null, ends(low, high));
}

/** Both ends of an interval; where they do not fit on a line, one below the other. */
function ends(low, high) {
  const [from, to] = [low, high].map((end) => end.replaceAll(" ", "\u00a0"));
  return h("span", { class: "hint ends-below" }, `${from} to ${to}`);
}

/** The topic that explains what stands below a column's label. */
function labelTopic(metric, label, spec) {
  if (spec?.winsorize && ["Per unit", "Difference"].includes(label)) return "winsorized";
  if (["Units", "Events", "Converted", "Per unit"].includes(label)) return "figures";
  if (label === "Steps") return "funnel";
  if (format.isPercentile(metric.aggregation)) return "quantile";
  if (metric.aggregation === "ratio") return "ratios";
  return label === "Difference" ? "difference" : "figures";
}

/** The topics that explain a comparison's intervals and p-values. */
function intervalTopic(metric) {
  return format.isPercentile(metric.aggregation) ? "quantileInterval" : "sequential";
}

function fixedTopic(metric) {
  return format.isPercentile(metric.aggregation) ? "quantileFixed" : "fixed";
}

/** Whether the mean per unit is a share: no unit counts more than once. */
function isShare(metric) {
  if (["unique", "funnel"].includes(metric.aggregation)) return true;
  return (
    metric.aggregation === "count" &&
    metric.variants.some((arm) => arm.events > 0) &&
    metric.variants.every((arm) => arm.events === arm.converted)
  );
}

function valueOf(metric, arm) {
  const shown = format.number(arm.value);
  if (format.isPercentile(metric.aggregation)) return why("quantile", null, shown);
  if (arm.steps) return arm.steps.map((units) => why("funnel", null, h("span", { class: "step" }, format.count(units))));
  if (metric.aggregation !== "ratio" || arm.denominator === undefined) return shown;
  const here = `Here: \u03a3 y = ${format.number(arm.sum)}, \u03a3 x = ${format.number(arm.denominator)}.`;
  return why("ratios", here, shown);
}

function comparisonCells(metric, comparison, place, direction, show, arms, spec) {
  const { difference, relativeLift, sequential, fixed } = comparison;
  const { tone, text } = verdict(metric.aggregation, comparison, direction);
  const here = inLetters(metric, comparison, arms);
  return [
    cell(
      "Difference",
      why(
        explainedBy(metric, comparison, spec),
        here,
        h("span", { class: "difference" }, difference === null ? format.DASH : show(difference)),
        relativeLift === null ? null : hint(format.signed(format.percent(relativeLift, 1))),
      ),
      liftInterval(comparison.lift),
    ),
    h(
      "td",
      { "data-label": "95 % interval", class: "wide" },
      sequential ? why(intervalTopic(metric), here, intervalBar(comparison, place, tone, show)) : null,
      h("span", { class: "verdict", "data-tone": tone }, text),
      fixed
        ? why(
            fixedTopic(metric),
            here,
            h(
              "span",
              { class: "fixed-horizon" },
              `${show(fixed.low)} to ${show(fixed.high)}, p\u00a0${format.pValue(fixed.pValue).replace(" ", "\u00a0")}: `,
              h("span", null, "valid at its planned end only"),
            ),
          )
        : null,
    ),
    cell(
      "p-value",
      sequential ? why(intervalTopic(metric), here, format.pValue(sequential.pValue)) : format.DASH,
    ),
  ];
}

/** The topic that says what a difference is of. */
function explainedBy(metric, comparison, spec) {
  if (format.isPercentile(metric.aggregation)) return "quantile";
  if (metric.aggregation === "ratio") return "ratios";
  if (comparison.adjustment) return "covariate";
  return spec?.winsorize ? "winsorized" : "difference";
}

/** What the formulas' letters stand for in a comparison. */
function inLetters(metric, comparison, arms) {
  const [ours, theirs] = [arms.get(comparison.variant), arms.get(comparison.control)];
  if (!ours || !theirs || comparison.difference === null) return null;
  const { adjustment } = comparison;
  if (adjustment) {
    return (
      `Here: \u03b8 = ${format.number(adjustment.theta)}; without it the difference is ` +
      `${format.number(adjustment.difference)}; ${format.percent(adjustment.varianceReduction, 1)} ` +
      `of the variance are gone; nv = ${format.count(ours.units)}, nc = ${format.count(theirs.units)}.`
    );
  }
  if (metric.aggregation === "ratio") {
    return (
      `Here: d = ${format.number(comparison.difference)}, nv = ${format.count(ours.units)}, ` +
      `nc = ${format.count(theirs.units)}.`
    );
  }
  return (
    `Here: d = ${format.number(comparison.difference)}, nv = ${format.count(ours.units)}, ` +
    `nc = ${format.count(theirs.units)}, mv = ${format.number(ours.mean)}, mc = ${format.number(theirs.mean)}.`
  );
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

const BREACHED = {
  guardrail: ({ metric, variant }, names) => `${names.get(variant) ?? variant} harms the guardrail \u2018${metric}\u2019.`,
  sample_ratio: () => "Units come in other shares than planned.",
};

/** What the figures breach, in words; empty where nothing is. */
export function breaches(results, variants) {
  const names = new Map(variants.map(({ id, name }) => [id, name]));
  return (results?.breaches ?? []).map((breach) => ({
    key: [breach.kind, breach.metric, breach.variant].join(":"),
    topic: ALERTS[breach.kind] ?? "sequential",
    text: BREACHED[breach.kind]?.(breach, names) ?? breach.kind.replaceAll("_", " "),
  }));
}

export function breachesBanner(run, variants) {
  return breaches(run.results, variants)
    // A mismatch has a banner of its own, which says more.
    .filter(({ topic }) => topic !== "ratio")
    .map(({ key, topic, text }) =>
      h(
        "div",
        { class: "banner in-page", "data-key": `breach:${key}`, role: "alert" },
        h("span", null, h("strong", null, "Guardrail breached. "), text),
        why(topic, null, "How it is told"),
      ),
    );
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
    h("p", { class: "verdict-line", "data-tone": ratio.tone }, why("ratio", null, ratio.text)),
    results.srm.pValue === null
      ? null
      : h(
          "p",
          { class: "hint" },
          why(
            "chiSquare",
            null,
            `Chi-square: p ${format.pValue(results.srm.pValue)}, valid at its planned end only.`,
          ),
        ),
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
        columns.map((name) =>
          h("th", { scope: "col", class: "number" }, why(name === "Planned" ? "ratio" : "figures", null, name)),
        ),
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
