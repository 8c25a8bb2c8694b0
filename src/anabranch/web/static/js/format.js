// Numbers, times and words, as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const MINUS = "\u2212";

export const DASH = "\u2013";

export function count(n) {
  return n === null || n === undefined ? DASH : whole.format(n);
}

/** Four significant digits: 0.1062, 21.31, 1,234. */
export function number(n) {
  if (n === null || n === undefined) return DASH;
  const size = Math.abs(n);
  const digits = size === 0 || size >= 1000 ? 0 : Math.min(6, Math.max(0, 3 - Math.floor(Math.log10(size))));
  return new Intl.NumberFormat("en", { maximumFractionDigits: digits })
    .format(n)
    .replace("-", MINUS);
}

export function percent(share, digits = 2) {
  if (share === null || share === undefined) return DASH;
  return `${(share * 100).toFixed(digits).replace("-", MINUS)} %`;
}

export function signed(text) {
  return text.startsWith(MINUS) || text === DASH ? text : `+${text}`;
}

/** A difference of shares, in percentage points. */
export function points(difference) {
  return `${signed((difference * 100).toFixed(2).replace("-", MINUS))} pp`;
}

export function pValue(p) {
  if (p === null || p === undefined) return DASH;
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

/** Never 0 % or 100 %: nothing is certain. */
export function probability(p) {
  if (p > 0.999) return "> 99.9 %";
  return p < 0.001 ? "< 0.1 %" : percent(p, 1);
}

export function clock(ms, seconds = true) {
  const date = new Date(ms);
  const parts = [date.getHours(), date.getMinutes(), ...(seconds ? [date.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/** The day too, where it is not today. */
export function moment(ms, now) {
  const date = new Date(ms);
  if (date.toDateString() === new Date(now).toDateString()) return clock(ms);
  const pad = (n) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${clock(ms)}`;
}

const SIZES = { s: "second", m: "minute", h: "hour", d: "day" };

/** "1m" is "per minute", "5m" is "per 5 minutes". */
export function perWindow(size) {
  const found = /^(\d+)(s|m|h|d)$/.exec(size);
  if (!found) return `per ${size}`;
  const unit = SIZES[found[2]];
  return found[1] === "1" ? `per ${unit}` : `per ${found[1]} ${unit}s`;
}

export function isPercentile(aggregation) {
  return /^p\d+$/.test(aggregation);
}

/** What an arm's own value is, and what arms are compared by; the spec's metric says more. */
export function aggregation(name, metric) {
  const { winsorize, covariate } = metric ?? {};
  const words = kind(name, metric);
  const also = [];
  if (winsorize) also.push(`totals of units ${bounds(winsorize)}`);
  if (covariate) also.push("adjusted for what units did before");
  return also.length ? { ...words, by: [words.by, ...also].join(", ") } : words;
}

function bounds({ lower, upper }) {
  if (lower === null) return `up to ${number(upper)}`;
  if (upper === null) return `from ${number(lower)}`;
  return `from ${number(lower)} to ${number(upper)}`;
}

function kind(name, metric) {
  const { property, denominator, per } = metric ?? {};
  const of = property ? ` of ${property}` : "";
  if (name === "funnel") {
    const steps = metric?.steps ?? [];
    return {
      what: ["Units that took every step", steps.join(" \u2192 ")].filter(Boolean).join(": "),
      by: "share of units",
      value: "Steps",
    };
  }
  if (name === "ratio") {
    const over = denominator ? ` over ${denominator.property ?? denominator.event}` : "";
    return { what: `Ratio${of}${over}`, by: "the ratio of sums", value: "Ratio" };
  }
  const quantile = /^p(\d+)$/.exec(name);
  if (quantile) {
    const over = per === "unit" ? "units' totals" : "events";
    return { what: `${quantile[1]}th percentile${of}`, by: `the percentile over ${over}`, value: name };
  }
  return (
    {
      count: { what: "Number of events", by: "events per unit", value: null },
      unique: { what: "Units with an event", by: "share of units", value: null },
      sum: { what: `Sum${of}`, by: "sum per unit", value: null },
      avg: { what: `Average${of}`, by: "sum per unit", value: "Per event" },
    }[name] || { what: name, by: "value", value: "Value" }
  );
}
