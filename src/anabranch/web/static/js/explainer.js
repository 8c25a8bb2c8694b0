// Why a unit has its variant: a form, and the steps of the evaluation. Nobody is exposed by it.

import { ask } from "./api.js";
import { h } from "./dom.js";
import { panel } from "./parts.js";
import { state } from "./state.js";

const MARKS = {
  passed: ["\u2713", "good"],
  matched: ["\u2713", "good"],
  forced: ["\u2192", "warn"],
  stopped: ["\u2717", "bad"],
  "no match": ["\u2717", "none"],
  raised: ["!", "bad"],
  undecided: ["?", "bad"],
  "not reached": ["\u00b7", "none"],
};

const IDENTITIES = [["userId", "User id"], ["sessionId", "Session id"], ["organizationId", "Organization id"]];

const told = { run: null, found: null, error: null };
let draw = () => {};

/** Listen on the page; `redraw` draws it. */
export function listen(root, redraw) {
  draw = redraw;
  root.addEventListener("submit", ({ target }) => {
    if (target.dataset.explain !== undefined) explain(target);
  });
}

/** What the form asks for; an error says which field is wrong. */
export function asked(fields, run) {
  const wish = { experiment: run.experiment, version: run.version };
  for (const [name] of IDENTITIES) if (fields[name].trim()) wish[name] = fields[name].trim();
  if (fields.json.trim()) {
    let attributes;
    try {
      attributes = JSON.parse(fields.json);
    } catch (error) {
      return { error: `Attributes are no JSON: ${error.message}` };
    }
    if (attributes === null || typeof attributes !== "object" || Array.isArray(attributes)) {
      return { error: 'Attributes are a JSON object, such as {"plan": "pro"}.' };
    }
    wish.attributes = attributes;
  }
  const flags = fields.flags.split(",").map((flag) => flag.trim()).filter(Boolean);
  if (flags.length) wish.flags = flags;
  return { wish };
}

async function explain(form) {
  const { run } = state;
  const { wish, error } = asked(Object.fromEntries(new FormData(form)), run);
  if (error) {
    Object.assign(told, { run: run.id, found: null, error });
    return draw();
  }
  const { ok, data } = await ask("POST", "/api/explain", wish);
  Object.assign(told, { run: run.id, found: ok ? data : null, error: ok ? null : data.error });
  draw();
}

export function explainPanel(run) {
  if (!state.info?.offers?.includes("explain")) return null;
  const { found, error } = told.run === run.id ? told : {};
  return panel(
    "explain",
    "Explain a unit",
    "Which variant it gets by the specs that hold now, and why. It is not exposed by this, and nothing is kept.",
    h(
      "form",
      { class: "asks", "data-explain": true, "data-key": "explain-form" },
      IDENTITIES.map(([name, word]) => h("label", { "data-key": name }, word, h("input", { name, type: "text", autocomplete: "off", spellcheck: "false" }))),
      h("label", { "data-key": "attributes", class: "wide" }, "Attributes, as JSON", h("input", { name: "json", type: "text", autocomplete: "off", spellcheck: "false", placeholder: '{"plan": "pro"}' })),
      h("label", { "data-key": "flags" }, "Flags", h("input", { name: "flags", type: "text", autocomplete: "off", spellcheck: "false", placeholder: "beta, staff" })),
      h("button", { type: "submit", class: "button primary" }, "Explain"),
    ),
    h("div", { class: "explained", role: "status", "data-key": "explained" }, error ? h("p", { class: "problem" }, error) : found ? steps(found) : null),
  );
}

function steps(found) {
  return [
    h(
      "p",
      { class: "outcome" },
      h("strong", null, found.unit ?? "No unit"),
      found.unit ? " gets " : ": none of its identities was given, so it gets ",
      h("strong", null, found.variant),
      found.enrolled ? ", and takes part" : ", and does not take part: no exposure",
      `. Decided by ${found.decidedBy}.`,
    ),
    h("ol", { class: "steps" }, found.steps.map(step), found.rules.map(rule), found.split ? split(found.split) : null),
    found.keep ? h("p", { class: "hint" }, `Kept by ${found.keep}: what it was given first, if anything, holds instead.`) : null,
  ];
}

function line(outcome, name, why, ...more) {
  const [mark, tone] = MARKS[outcome];
  return h(
    "li",
    { "data-tone": tone },
    h("span", { class: "mark", role: "img", "aria-label": outcome }, mark),
    h("span", null, h("b", null, name), ` ${why}`, ...more),
  );
}

function step({ name, outcome, why, place, prerequisite }) {
  const more = place ? [h("span", { class: "hint" }, drawn(place))] : [];
  if (prerequisite) more.push(h("ol", { class: "steps" }, prerequisite.steps.map(step), prerequisite.rules.map(rule)));
  return line(outcome, name, why, ...more);
}

function rule({ name, outcome, why, variant, expression, reads, policy, verdict, place }) {
  const more = [
    expression ? h("code", null, expression) : null,
    ...(reads ?? []).map((read) => h("span", { class: "hint" }, readIn(read))),
    policy ? h("span", { class: "hint" }, `policy ${JSON.stringify(policy)}: ${verdict ?? "not asked"}`) : null,
    place ? h("span", { class: "hint" }, drawn(place)) : null,
  ];
  return line(outcome, `${name} gives ${variant}`, why, ...more.filter(Boolean));
}

function split({ algorithm, variant, place, ranges }) {
  const shares = ranges.map(([id, low, high]) => `${id}: ${share(low, place)} to ${share(high, place)}`);
  return line("passed", "split", `by ${algorithm} gives ${variant}`,
    h("span", { class: "hint" }, drawn({ ...place, ranges: [] })), h("span", { class: "hint" }, shares.join(", ")));
}

export function readIn({ path, value, defined, error }) {
  if (error) return `${path}: ${error}`;
  return `${path} is ${defined ? JSON.stringify(value) : "undefined"}`;
}

/** "hash of 'x' is 0.0126, inside 0 to 0.5" */
export function drawn(place) {
  const inside = place.ranges.map(([low, high]) => `${share(low, place)} to ${share(high, place)}`).join(" and ");
  return `hash of \u201c${place.text}\u201d is ${share(place.place, place)}${inside ? `; inside is ${inside}` : ""}`;
}

function share(n, { space }) {
  return (n / space).toFixed(6).replace(/\.?0+$/, "") || "0";
}
