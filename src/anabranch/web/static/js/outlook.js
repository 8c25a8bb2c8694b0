// How long the experiment still takes, and what it can find with the units it has.

import { h } from "./dom.js";
import * as format from "./format.js";
import { panel, quiet } from "./parts.js";
import { why } from "./why.js";

const YEAR = 365;

/** Days in words: "enough units", "about 9 days", "more than a year", "never at this rate". */
export function takes(days) {
  if (days === null) return "never at this rate";
  if (days === 0) return "enough units";
  if (days > YEAR) return "more than a year";
  if (days < 1) return "less than a day";
  const whole = Math.ceil(days);
  return `about ${format.count(whole)} ${whole === 1 ? "day" : "days"}`;
}

/** What the schedule says of the end; null where it says nothing. */
export function ends(days) {
  if (days === null) return null;
  if (days === 0) return "Its schedule is over.";
  if (days < 1) return "Its schedule ends within a day.";
  return `Its schedule ends in ${format.count(Math.ceil(days))} days.`;
}

/** Why nothing can be said of the whole run; null where there is something. */
export function silent({ spec, results, outlook }) {
  if (outlook?.comparisons.length) return null;
  if (["draft", "completed", "retired"].includes(spec?.status)) {
    return `Nothing is to come: it is ${spec.status} and takes no new units.`;
  }
  if (!results) return "Cannot be said yet: there are no results.";
  if (!results.metrics.length) return "Nothing to find: this experiment declares no success metrics.";
  if (!outlook) return "Cannot be said yet: there are no windows of first exposures, which tell how fast units come.";
  return "Nothing to compare: no variant has a difference from control.";
}

export function outlookPanel(run, variants) {
  const { outlook } = run;
  const silence = silent(run);
  if (silence) return panel("outlook", "How long it takes", null, quiet(silence));
  const names = new Map(variants.map((v) => [v.id, v.name]));
  const rate = outlook.perDay
    ? `About ${format.count(Math.round(outlook.perDay))} new units a day of late.`
    : "No new units of late, or too few windows to tell.";
  const lifts = outlook.comparisons.find((one) => one.lifts?.length)?.lifts.map(({ lift }) => lift) ?? [];
  const targets = outlook.comparisons.some((one) => one.target);
  const atEnd = outlook.comparisons.some((one) => one.atEnd);
  const heads = ["Found by now", atEnd ? "By its end" : null, ...lifts.map((lift) => `\u00b1${format.percent(lift, 0)}`), targets ? "Target" : null];
  return panel(
    "outlook",
    "How long it takes",
    [rate, ends(outlook.endsIn)].filter(Boolean).join(" "),
    h("p", { class: "note" },
      why("outlook", null, "The smallest difference from control that is found with 80 % power by the units so far, and how long it takes until smaller ones are.")),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "How long it takes" },
      h("table", { class: "listed" },
        h("thead", null, h("tr", null,
          h("th", { scope: "col" }, "Metric"),
          h("th", { scope: "col" }, "Variant"),
          heads.filter(Boolean).map((head) => h("th", { scope: "col", class: "number" }, head)))),
        h("tbody", null, outlook.comparisons.map((one) =>
          h("tr", { "data-key": `${one.metric}:${one.variant}` },
            h("th", { scope: "row" }, one.metric),
            h("td", null, names.get(one.variant) ?? one.variant),
            one.why
              ? h("td", { colspan: heads.filter(Boolean).length }, `Cannot be said: ${one.why}.`)
              : [
                  number(size(one.least, one.relative)),
                  atEnd ? number(one.atEnd === null ? format.DASH : size(one.atEnd, one.relative && one.relative * one.atEnd / one.least)) : null,
                  lifts.map((_, i) => number(one.lifts[i] ? takes(one.lifts[i].days) : format.DASH)),
                  targets ? number(one.target ? `${format.number(one.target.value)}: ${takes(one.target.days)}` : format.DASH) : null,
                ]))))),
  );
}

function number(text) {
  return h("td", { class: "number" }, text);
}

/** "±0.013 (±4.2 %)" */
function size(difference, relative) {
  const share = relative ? ` (\u00b1${format.percent(relative, 1)})` : "";
  return `\u00b1${format.number(difference)}${share}`;
}
