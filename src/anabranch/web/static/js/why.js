// How a number is computed: a click on it shows the formula, and from there it is one to the source.

import { h, patch } from "./dom.js";

const MANUAL = "/docs/statistics";

/** By topic: what it says, the formula, what it holds for, its source, its part of the manual. */
export const TOPICS = {
  difference: {
    title: "Difference and lift",
    says: "How much more a unit of the variant does than a unit of control, on average over all units of each, those that did nothing included.",
    formula: [
      "mean        m = \u03a3 y / n          y: a unit's total, n: units of the arm",
      "difference  d = m(variant) \u2212 m(control)",
      "lift          = d / m(control)",
    ],
    holds: "Units were randomised, so it is over units that arms can be compared. Sums are exact: no rounding before the last step.",
    source: null,
    anchor: "difference-and-lift",
  },
  figures: {
    title: "Units and what they did",
    says: "Units are counted from their first exposure on. Converted are those with at least one event within the metric's attribution window; per unit is over all of them, those that did nothing included.",
    formula: [
      "rate      = converted / n         n: units of the arm",
      "per unit  m = \u03a3 y / n          y: a unit's total",
      "per event   = \u03a3 y / events",
    ],
    holds: "By event time, whichever record arrives first; an event counts once, however often it is sent. Units that were exposed to two variants are crossovers: left out, and counted as such.",
    source: null,
    anchor: "difference-and-lift",
  },
  outlook: {
    title: "How long it takes",
    says: "What the fixed test finds with 80 % power, were the difference as large, and how many days until it would. New units are those of the last whole days, at most seven. Whoever watches by the intervals at any time needs about twice the units for the same power.",
    formula: [
      "power  = P( |T(\u03bd, d/e)| > t(0.975; \u03bd) )       least: the smallest d with power 0.8",
      "e\u00b2     = s\u00b2v/nv + s\u00b2c/nc",
      "days   = (units needed \u2212 units so far) / new units a day",
    ],
    holds: "For planning only. A difference that was found early is often smaller than it looks then; its interval remains valid.",
    source: {
      title: "Cohen: Statistical power analysis for the behavioral sciences. 2nd edition, 1988",
      url: "https://doi.org/10.4324/9780203771587",
    },
    anchor: "power",
  },
  excluded: {
    title: "Units left out of a metric",
    says: "The metric says excludePrior: units that had its event before their first exposure are left out of it, since they cannot be won any more. The run's units and its other metrics are of all units.",
    formula: ["units = units of the arm \u2212 units left out"],
    holds: "By event time, whichever record arrives first. What was done before the exposure depends on no variant, so leaving those units out favours no arm.",
    source: null,
    anchor: "difference-and-lift",
  },
  chiSquare: {
    title: "Sample ratio at the planned end",
    says: "Whether units arrived in the shares that the split promises, looked at once.",
    formula: [
      "X\u00b2      = \u03a3 (n \u2212 N \u03b8)\u00b2 / (N \u03b8)     \u03b8: expected share, n: units of an arm, N: of all",
      "p-value = P( \u03c7\u00b2(arms \u2212 1) > X\u00b2 )",
    ],
    holds: "Valid at its planned end only, and not told while an arm expects fewer than 5 units.",
    source: {
      title: "Cochran: Some methods for strengthening the common \u03c7\u00b2 tests. Biometrics 10, 1954",
      url: "https://doi.org/10.2307/3001616",
    },
    anchor: "sample-ratio",
  },
  sequential: {
    title: "Interval and p-value at any time",
    says: "The differences that the data do not rule out, however often you look and whenever you stop.",
    formula: [
      "p-value  = \u221a(1 + x) \u00b7 exp( \u2212(d/e)\u00b2 / 2 \u00b7 x / (1 + x) ), at most 1",
      "interval = d \u00b1 e \u00b7 \u221a( (1 + 1/x) \u00b7 (log(1 + x) + 2 log 20) )",
      "x = 8.21 \u00b7 N / 5000       N: units of both arms",
      "e\u00b2 = max( s\u00b2v/nv + s\u00b2c/nc, s\u00b2both \u00b7 (1/nv + 1/nc) )",
    ],
    holds: "The chance that it ever excludes the true difference, over all looks together, is at most 5 % in the limit of many units. Not adjusted for several metrics or variants.",
    source: {
      title: "Waudby-Smith and others: Time-uniform central limit theory and asymptotic confidence sequences. Annals of Statistics 52(6), 2024",
      url: "https://arxiv.org/abs/2103.06476",
    },
    anchor: "sequential-interval",
  },
  fixed: {
    title: "Interval and p-value at the planned end",
    says: "What a test says that is looked at once, when the number of units planned beforehand is reached.",
    formula: [
      "interval = d \u00b1 t(0.975; \u03bd) \u00b7 e,   e\u00b2 = s\u00b2v/nv + s\u00b2c/nc",
      "p-value  = 2 \u00b7 P( T(\u03bd) < \u2212|d| / e )",
      "\u03bd        = e\u2074 / ( (s\u00b2v/nv)\u00b2/(nv \u2212 1) + (s\u00b2c/nc)\u00b2/(nc \u2212 1) )",
    ],
    holds: "Valid at its planned end only. Watched, and stopped when it shows a difference, it is wrong in two of five experiments that have none.",
    source: {
      title: "Welch: The generalization of \u2018Student\u2019s\u2019 problem when several different population variances are involved. Biometrika 34, 1947",
      url: "https://doi.org/10.1093/biomet/34.1-2.28",
    },
    anchor: "fixed-interval",
  },
  ratio: {
    title: "Sample ratio at any time",
    says: "Whether units arrive in the shares that the split promises. A mismatch says that something is broken, whatever the metrics show.",
    formula: [
      "p-value = 1 / B, at most 1",
      "B = \u0393(1000)/\u0393(1000 + N) \u00b7 \u03a0 \u0393(\u03b1 + n)/\u0393(\u03b1) / \u03a0 \u03b8^n",
      "\u03b1 = 1000 \u03b8      \u03b8: expected share, n: units of an arm, N: of all",
    ],
    holds: "At every number of units, exactly: the chance of a p-value that ever reaches 0.001 by accident is at most 0.1 %. A mismatch is told below that.",
    source: {
      title: "Lindon and Malek: Anytime-valid inference for multinomial count data. NeurIPS 2022",
      url: "https://arxiv.org/abs/2011.03567",
    },
    anchor: "sample-ratio",
  },
  ratios: {
    title: "Ratio of sums",
    says: "How much of the one there is for each of the other, over all units of an arm together.",
    formula: [
      "R  = \u03a3 y / \u03a3 x        y, x: a unit's totals of numerator and denominator",
      "d  = R(variant) \u2212 R(control)",
      "s\u00b2 = variance over units of (y \u2212 R x) / mean(x)",
    ],
    holds: "Units were randomised, not what is in the denominator: so the variance is over units (delta method). That a variant raises R can mean less of x as well as more of y; look at both.",
    source: {
      title: "Deng, Knoblich and Lu: Applying the delta method in metric analytics. KDD 2018",
      url: "https://arxiv.org/abs/1803.06336",
    },
    anchor: "ratios",
  },
  covariate: {
    title: "Difference, adjusted for what units did before",
    says: "How much more a unit of the variant does than a unit of control, once what both would have done anyway is taken out.",
    formula: [
      "y' = y \u2212 \u03b8 (x \u2212 mean(x))     x: what a unit did before its first exposure",
      "\u03b8  = \u03a3 (x \u2212 mx)(y \u2212 my) / \u03a3 (x \u2212 mx)\u00b2   within the arms",
      "d  = mean(y', variant) \u2212 mean(y', control)",
    ],
    holds: "What was before the exposure cannot depend on the variant, so no expected difference changes; intervals become narrower by what x explains.",
    source: {
      title: "Deng, Xu, Kohavi and Walker: Improving the sensitivity of online controlled experiments by utilizing pre-experiment data. WSDM 2013",
      url: "https://doi.org/10.1145/2433396.2433413",
    },
    anchor: "covariates",
  },
  lift: {
    title: "Interval of the lift",
    says: "The relative differences that the data do not rule out, however often you look.",
    formula: [
      "lift = r \u2212 1, for every r where",
      "( m(variant) \u2212 r m(control) )\u00b2 \u2264 c\u00b2 ( e\u00b2(variant) + r\u00b2 e\u00b2(control) )",
      "c: how many standard errors the interval at any time reaches",
    ],
    holds: "It excludes zero just where the interval of the difference does. Control\u2019s mean is uncertain too, so this is wider than the difference\u2019s interval divided by it; there is none while control\u2019s mean is not told from zero.",
    source: {
      title: "Fieller: Some problems in interval estimation. JRSS B 16, 1954",
      url: "https://doi.org/10.1111/j.2517-6161.1954.tb00159.x",
    },
    anchor: "difference-and-lift",
  },
  mean: {
    title: "Interval of an arm\u2019s mean",
    says: "The true means of the arm that the data do not rule out, however often you look.",
    formula: ["the interval at any time, with the arm\u2019s own variance and units for those of both"],
    holds: "Where large values are rare it knows only those that the arm has seen. Arms are compared by the difference\u2019s interval, not by whether these overlap.",
    source: {
      title: "Waudby-Smith and others: Time-uniform central limit theory and asymptotic confidence sequences. Annals of Statistics 52(6), 2024",
      url: "https://arxiv.org/abs/2103.06476",
    },
    anchor: "difference-and-lift",
  },
  best: {
    title: "Probability to be best",
    says: "How probable it is that the arm\u2019s true mean is the best of all arms, in the direction that the metric wants.",
    formula: ["P(best) = \u222b density of the arm\u2019s mean \u00b7 \u03a0 over the others of P(their mean is worse)"],
    holds: "Another view of what the intervals show, with a flat prior. No rule for stopping: whoever stops as soon as it reaches 95 % calls differences that are not there far oftener than once in twenty times.",
    source: {
      title: "Deng, Lu and Chen: Continuous monitoring of A/B tests without pain. DSAA 2016",
      url: "https://arxiv.org/abs/1602.05549",
    },
    anchor: "probability-to-be-best",
  },
  quantile: {
    title: "Percentile",
    says: "The value that so many percent of events (or of units' totals) do not exceed, to within 1 % of itself.",
    formula: ["of n values in order, the one at index \u230aq \u00b7 (n \u2212 1)\u230b"],
    holds: "Its intervals ask of each value whether the true quantile can lie below or above it, with the units as what varies.",
    source: {
      title: "Masson, Rim and Lee: DDSketch, a fast and fully-mergeable quantile sketch with relative-error guarantees. PVLDB 12(12), 2019",
      url: "https://arxiv.org/abs/1908.10693",
    },
    anchor: "quantiles",
  },
  quantileInterval: {
    title: "Interval and p-value of a percentile, at any time",
    says: "The differences of percentiles that the data do not rule out, however often you look and whenever you stop.",
    formula: [
      "interval = low(variant) \u2212 high(control) to high(variant) \u2212 low(control)",
      "low, high: the values that an arm's percentile cannot be told from, at half the level each",
      "over units, at most 1 / M:  M = \u03a3 over r < q, by Beta(a, b), of (r/q)^k \u00b7 ((1 \u2212 r)/(1 \u2212 q))^(n \u2212 k)",
      "k: totals of n at or below a value,   q: the percentile's share",
      "over events: the mean of Y \u2212 q n over units, tested as differences of means are",
    ],
    holds: "Over units, the chance that it ever excludes the true difference is at most 5 %, whatever the distribution; over events in the limit of many units. Two arms at half the level are always enough, so it is wider than it need be.",
    source: {
      title: "Howard and Ramdas: Sequential estimation of quantiles with applications to A/B testing and best-arm identification. Bernoulli 28(3), 2022",
      url: "https://arxiv.org/abs/1906.09712",
    },
    anchor: "quantiles",
  },
  quantileFixed: {
    title: "Interval and p-value of a percentile, at the planned end",
    says: "What a test of percentiles says that is looked at once, when the number of units planned beforehand is reached.",
    formula: [
      "low, high: the values where P( Binomial(n, q) so far out ) \u2265 2.5 %;  over events by Student's t over units",
      "interval = d \u2212 \u221a( (dv \u2212 low v)\u00b2 + (high c \u2212 dc)\u00b2 ) to d + \u221a( (high v \u2212 dv)\u00b2 + (dc \u2212 low c)\u00b2 )",
      "dv, dc: the percentiles of variant and control, d = dv \u2212 dc",
    ],
    holds: "Valid at its planned end only.",
    source: {
      title: "Thompson: On confidence ranges for the median and other expectation distributions for populations of unknown distribution form. Annals of Mathematical Statistics 7, 1936",
      url: "https://doi.org/10.1214/aoms/1177732502",
    },
    anchor: "quantiles",
  },
  windows: {
    title: "Windows",
    says: "What the events of a stretch of event time come to, by variant: each window on its own, by when things happened and not when they arrived.",
    formula: [
      "window of t = [ s, s + size ),   s = t \u2212 t mod size;  days begin at midnight of the time zone",
      "watermark   = least of the sources' latest event times, idle ones set aside",
      "final where   watermark \u2265 end + allowed lateness",
    ],
    holds: "Exactly those events that count for the results. What comes after a window is final raises its revision, until it is no longer kept.",
    source: {
      title: "Akidau and others: The Dataflow Model. PVLDB 8(12), 2015",
      url: "https://doi.org/10.14778/2824032.2824076",
    },
    anchor: "windows",
  },
  letters: {
    title: "Dead letters",
    says: "Records that no stage could process: malformed, of no known spec, or beyond a limit. They lie on the topic's .dlq as they came, with the reason, and can be replayed. A record does not always tell its experiment, so they are counted by topic, of all experiments.",
    formula: ["n = records read from <topic>.dlq, by reason", "from the last 100 of each partition on, since this dashboard was started"],
    holds: "Nothing in a dead letter has been counted. The one exception is LateEventError: results have taken what it tells, windows that are no longer kept have not.",
    source: null,
    anchor: "late-and-left-out",
  },
  repeats: {
    title: "Repeats",
    says: "An event that is sent twice is the same event if its CloudEvents source and id are the same, and counts once.",
    formula: ["counted once per ( unit, source, id ), within the ledger's horizon: 7 days from arrival"],
    holds: "Attribution recognises repeats before anything belongs to an experiment, so no figure of one experiment exists; workers tell how many they dropped.",
    source: {
      title: "CloudEvents 1.0.2: producers must ensure that source + id is unique for each distinct event",
      url: "https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#id",
    },
    anchor: "late-and-left-out",
  },
  funnel: {
    title: "Steps of a funnel",
    says: "How many units took each step, in order, within the attribution window; arms are compared by the share that took all.",
    formula: [
      "t(1) = first event of step 1 after first exposure",
      "t(k) = first event of step k not before t(k \u2212 1)",
      "step k = units that have a t(k)",
    ],
    holds: "Each step is the earliest event possible, so a unit gets as far as any choice of its events allows. Compare arms by the whole funnel only: whom a variant loses early depends on the variant.",
    source: null,
    anchor: "funnels",
  },
  winsorized: {
    title: "Winsorized totals",
    says: "A unit's total beyond a bound counts as the bound, so no unit decides a comparison by itself. The sum stays what it is; mean, difference and intervals are of the bounded totals.",
    formula: ["y' = min( max(y, lower), upper )", "m  = \u03a3 y' / n,   d = m(variant) \u2212 m(control)"],
    holds: "Of the bounded totals, which is another question than that of the unbounded ones. Bounds have to be chosen before looking.",
    source: null,
    anchor: "winsorized-metrics",
  },
  guardrail: {
    title: "Harm to a guardrail",
    says: "A variant is worse than control by more than the metric's tolerance, whichever value of its interval at any time is true.",
    formula: [
      "harm where  high < \u2212t   (increase is better)",
      "       or   low  > t    (decrease is better)",
      "low, high: ends of the interval at any time,   t: tolerance",
    ],
    holds: "A variant that does no harm is ever found harmful with at most 2.5 %, for each guardrail, over all looks together. Several guardrails add up.",
    source: {
      title: "Waudby-Smith and others: Time-uniform central limit theory and asymptotic confidence sequences. Annals of Statistics 52(6), 2024",
      url: "https://arxiv.org/abs/2103.06476",
    },
    anchor: "guardrails-and-health",
  },
  imbalance: {
    title: "Exposures of one hour",
    says: "The units first exposed within one hour came in other shares than planned, however well the total looks.",
    formula: ["the sample ratio's p-value at any time, of the hour's units alone, with \u03b1 = 100 \u03b8"],
    holds: "Told at one in a million, so at most that share of hours raises a false alarm.",
    source: {
      title: "Lindon and Malek: Anytime-valid inference for multinomial count data. NeurIPS 2022",
      url: "https://arxiv.org/abs/2011.03567",
    },
    anchor: "guardrails-and-health",
  },
  silence: {
    title: "Silence of a metric",
    says: "Exposures go on and the metric's events have stopped.",
    formula: [
      "P(none of n units acts) \u2264 exp( \u2212r n )      told where r n \u2265 14",
      "r: share of the run's units that acted,   n: units exposed since the last event",
    ],
    holds: "A chance of less than one in a million, if units go on as before.",
    source: null,
    anchor: "guardrails-and-health",
  },
  errorBudget: {
    title: "Error budget of telemetry",
    says: "More of an hour's telemetry was refused than may be, and more than chance explains.",
    formula: [
      "P( Binomial(n, b) \u2265 r ) \u2264 1 in a million, and r / n > b",
      "n: records of the hour,   r: refused ones,   b: the budget",
    ],
    holds: "For each look at an hour; an hour is looked at while it fills.",
    source: {
      title: "Clopper and Pearson: The use of confidence or fiducial limits illustrated in the case of the binomial. Biometrika 26, 1934",
      url: "https://doi.org/10.1093/biomet/26.4.404",
    },
    anchor: "guardrails-and-health",
  },
};

/** By kind of alert: the topic that says when it is told. */
export const ALERTS = {
  guardrail: "guardrail",
  sample_ratio: "ratio",
  exposure_imbalance: "imbalance",
  silence: "silence",
  error_budget: "errorBudget",
};

/** Content that explains itself when clicked; `here` says what the formula's letters are now. */
export function why(topic, here, ...content) {
  return h(
    "button",
    {
      type: "button",
      class: "why",
      "data-why": topic,
      "data-here": here || null,
      title: `${TOPICS[topic].title}: how is it computed?`,
    },
    ...content,
  );
}

/** What the dialog holds. */
export function explanation(topic, here) {
  const { title, says, formula, holds, source, anchor } = TOPICS[topic];
  return [
    h("h2", { id: "why-title" }, title),
    h("p", null, says),
    h("pre", null, formula.join("\n")),
    here ? h("p", { class: "hint" }, here) : null,
    h("p", null, holds),
    h(
      "p",
      { class: "sources" },
      source ? h("a", { href: source.url, rel: "noreferrer", target: "_blank" }, source.title) : null,
      h(
        "a",
        { href: `${MANUAL}#${anchor}`, rel: "noreferrer", target: "_blank" },
        "In the manual: derivation, what it promises and what it does not",
      ),
    ),
    h("form", { method: "dialog" }, h("button", { class: "button" }, "Close")),
  ].filter(Boolean);
}

/** Show the explanation of what was clicked. */
export function explain(dialog, { why: topic, here }) {
  patch(dialog, explanation(topic, here));
  dialog.showModal();
}
