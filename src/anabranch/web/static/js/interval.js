// A 95 % interval drawn to scale, and what it says in words.

import { h } from "./dom.js";

const WIDTH = 200;
const HEIGHT = 26;
const EDGE = 6;

/** One scale for all comparisons of a metric, with zero in it. */
export function scale(comparisons) {
  const ends = comparisons.flatMap(({ fixed }) => (fixed ? [fixed.low, fixed.high] : []));
  let low = Math.min(0, ...ends);
  let high = Math.max(0, ...ends);
  if (low === high) [low, high] = [-1, 1];
  return (value) => EDGE + ((value - low) / (high - low)) * (WIDTH - 2 * EDGE);
}

/** Higher or lower than control, and whether that is what is wanted. */
export function verdict(aggregation, comparison, direction) {
  const { fixed, difference } = comparison;
  if (difference === null) return { tone: "none", text: "Too little data" };
  if (!fixed) {
    const percentile = aggregation.startsWith("p");
    return { tone: "none", text: percentile ? "No interval for percentiles" : "Too little data" };
  }
  if (fixed.low <= 0 && fixed.high >= 0) return { tone: "open", text: "No clear difference" };
  const higher = fixed.low > 0;
  const good = higher === (direction !== "decrease");
  return {
    tone: good ? "good" : "bad",
    text: `${higher ? "Higher" : "Lower"} so far ${good ? "(better)" : "(worse)"}`,
  };
}

export function intervalBar(comparison, place, tone, show) {
  const { fixed, difference } = comparison;
  if (!fixed) return null;
  const [low, high, zero, at] = [fixed.low, fixed.high, 0, difference].map(place);
  const middle = HEIGHT / 2;
  const says = `95 % interval from ${show(fixed.low)} to ${show(fixed.high)}`;
  return h(
    "span",
    { class: "interval" },
    h(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: "xMinYMid",
        role: "img",
        "aria-label": says,
        "data-tone": tone,
      },
      h("line", { class: "zero", x1: zero, x2: zero, y1: 1, y2: HEIGHT - 1 }),
      h("rect", {
        class: "range",
        x: low,
        width: Math.max(2, high - low),
        y: middle - 4,
        height: 8,
        rx: 4,
      }),
      h("circle", { class: "estimate", cx: at, cy: middle, r: 5 }),
    ),
    h("span", { class: "ends", "aria-hidden": "true" }, `${show(fixed.low)} to ${show(fixed.high)}`),
  );
}
