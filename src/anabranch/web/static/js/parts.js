// Pieces that several panels share.

import { h } from "./dom.js";
import { count, number } from "./format.js";
import { why } from "./why.js";

export function panel(id, title, hint, ...content) {
  return h(
    "section",
    { class: "panel", "data-key": id, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title),
    hint ? h("p", { class: "hint" }, hint) : null,
    ...content,
  );
}

export function quiet(text) {
  return h("p", { class: "quiet" }, text);
}

export function swatch(variant) {
  return h(
    "svg",
    { class: "swatch", viewBox: "0 0 22 8", "aria-hidden": "true", "data-series": variant.index ?? "quiet", "data-thin": variant.thin || null },
    h("line", { x1: 1, x2: 21, y1: 4, y2: 4 }),
  );
}

export function variantName(variant) {
  return h(
    "span",
    { class: "variant" },
    swatch(variant),
    h("span", { class: "variant-name" }, variant.name),
    variant.control ? h("span", { class: "tag" }, "control") : null,
  );
}

/**
 * A chart with its legend; values under the pointer are written into data-read. `state` closes the
 * legend: what the chart's values are, beside a hatched mark where a part of it is hatched.
 */
export function figure(key, title, note, series, summary, state = null, hatched = false) {
  return h(
    "figure",
    { "data-key": `figure:${key}`, class: "chart" },
    h(
      "figcaption",
      null,
      h("span", { class: "chart-title" }, title),
      note ? h("span", { class: "hint" }, note) : null,
      h("span", { class: "at", "data-at": true, "data-keep": true }),
    ),
    h("div", { class: "plot", "data-chart": key, "data-keep": true, role: "img", "aria-label": summary }),
    h(
      "ul",
      { class: "legend" },
      series.map((one) =>
        h(
          "li",
          { "data-key": one.label },
          swatch(one),
          h("span", null, one.label),
          one.total === undefined ? null : h("b", null, count(one.total)),
          h("span", { class: "read", "data-read": true, "data-keep": true }),
        ),
      ),
      state
        ? h(
            "li",
            { "data-key": "legend:state", class: "state" },
            hatched ? h("span", { class: "hatched", "aria-hidden": "true" }) : null,
            h("span", null, state),
          )
        : null,
    ),
  );
}

/** A number of the whole; with a topic a click on it shows how it is computed. */
export function tile(label, value, note, tone, topic) {
  const shown = [h("span", { class: "figure" }, value), note ? h("span", { class: "hint" }, note) : null];
  return h(
    "div",
    { class: "tile", "data-tone": tone || null },
    h("dt", null, label),
    h("dd", null, ...(topic ? [why(topic, null, ...shown)] : shown)),
  );
}

export function latestOf(points, name) {
  const last = points[points.length - 1];
  return last ? number(last[name]) : "none";
}
