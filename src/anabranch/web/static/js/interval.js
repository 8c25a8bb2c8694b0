// 95 % intervals drawn to scale, and what they say in words. The one to look at is the sequential
// one; the fixed one, valid at its planned end only, is the thin line below it.

import { h } from "./dom.js";
import { isPercentile } from "./format.js";

const WIDTH = 200;
const HEIGHT = 26;
const EDGE = 6;

/** One scale for all comparisons of a metric, with zero in it. */
export function scale(comparisons) {
  const ends = comparisons
    .flatMap(({ sequential, fixed }) => [sequential, fixed])
    .flatMap((interval) => (interval ? [interval.low, interval.high] : []));
  let low = Math.min(0, ...ends);
  let high = Math.max(0, ...ends);
  if (low === high) [low, high] = [-1, 1];
  return (value) => EDGE + ((value - low) / (high - low)) * (WIDTH - 2 * EDGE);
}

/** Higher or lower than control, and whether that is what is wanted. */
export function verdict(aggregation, comparison, direction) {
  const { sequential, difference } = comparison;
  if (difference === null) return { tone: "none", text: "Too little data" };
  if (!sequential) {
    return { tone: "none", text: isPercentile(aggregation) ? "No interval for percentiles" : "Too little data" };
  }
  if (sequential.low <= 0 && sequential.high >= 0) return { tone: "open", text: "No clear difference" };
  const higher = sequential.low > 0;
  const good = higher === (direction !== "decrease");
  return {
    tone: good ? "good" : "bad",
    text: `${higher ? "Higher" : "Lower"} ${good ? "(better)" : "(worse)"}`,
  };
}

export function intervalBar(comparison, place, tone, show) {
  const { sequential, fixed, difference } = comparison;
  if (!sequential) return null;
  const [low, high, zero, at] = [sequential.low, sequential.high, 0, difference].map(place);
  const middle = HEIGHT / 2 - 2;
  const ends = `${show(sequential.low)} to ${show(sequential.high)}`;
  return h(
    "span",
    { class: "interval" },
    h(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: "xMinYMid",
        role: "img",
        "aria-label": `95 % interval from ${ends}`,
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
      fixed
        ? h("line", {
            class: "fixed",
            x1: place(fixed.low),
            x2: place(fixed.high),
            y1: HEIGHT - 4,
            y2: HEIGHT - 4,
          })
        : null,
      h("circle", { class: "estimate", cx: at, cy: middle, r: 5 }),
    ),
    h("span", { class: "ends", "aria-hidden": "true" }, ends),
  );
}
