// The list of experiments: found by words, status and health, in the order that is asked for.

import { h } from "./dom.js";
import * as format from "./format.js";
import { quiet } from "./parts.js";
import { serverNow, state } from "./state.js";

export const PAGE = 50;
const DAY = 86_400_000;

/** By health: the word, its tone, and its rank when the worst are to come first. */
export const HEALTH = {
  mismatch: { word: "Sample ratio mismatch", tone: "bad", rank: 0 },
  harm: { word: "Guardrail harmed", tone: "bad", rank: 1 },
  alert: { word: "Alert", tone: "warn", rank: 2 },
  good: { word: "Healthy", tone: "good", rank: 3 },
  unknown: { word: "Unknown", tone: "none", rank: 4 },
};

const COLUMNS = [
  ["name", "Experiment"],
  ["status", "Status"],
  ["health", "Health"],
  ["days", "Days"],
  ["units", "Units"],
  ["alerts", "Alerts"],
];

const NUMBERS = ["days", "units", "alerts"];

export const asked = { words: "", status: "", health: "", by: "name", down: false, page: 0 };

/** Days since it began, up to its last results once it is over; null where nothing tells. */
export function days(row, now) {
  if (row.started === null) return null;
  const over = ["completed", "retired"].includes(row.status) && row.asOf;
  return Math.max(0, (over ? Date.parse(row.asOf) : now) - row.started) / DAY;
}

export function name(row) {
  return row.title || row.experiment;
}

/** The rows that are asked for, in their order. */
export function chosen(rows, { words, status, health, by, down }, now) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const keys = {
    name: (row) => name(row).toLowerCase(),
    status: (row) => row.status,
    health: (row) => HEALTH[row.health].rank,
    days: (row) => days(row, now),
    units: (row) => row.units,
    alerts: (row) => row.alerts,
  };
  const key = keys[by];
  return rows
    .filter((row) => {
      const text = `${row.title} ${row.id} ${row.owners.join(" ")}`.toLowerCase();
      return (
        wanted.every((word) => text.includes(word)) &&
        (!status || (row.status ?? "unknown") === status) &&
        (!health || row.health === health)
      );
    })
    .sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      // What is not known comes last in either direction.
      if (x === null || y === null) return (x === null) - (y === null);
      const order = x < y ? -1 : x > y ? 1 : 0;
      return (down ? -order : order) || (a.id < b.id ? -1 : 1);
    });
}

/** Listen on the page for what is asked; `draw` draws it. */
export function listen(root, draw) {
  const ask = (change) => {
    Object.assign(asked, { page: 0 }, change);
    draw();
  };
  root.addEventListener("input", ({ target }) => {
    if (target.dataset.ask) ask({ [target.dataset.ask]: target.value });
  });
  root.addEventListener("click", ({ target }) => {
    const by = target.closest("button[data-by]")?.dataset.by;
    if (by) ask({ by, down: asked.by === by ? !asked.down : NUMBERS.includes(by) });
    const step = target.closest("button[data-step]")?.dataset.step;
    if (step) ask({ page: asked.page + Number(step) });
    if (target.closest("button[data-clear]")) {
      for (const field of root.querySelectorAll("[data-ask]")) field.value = "";
      ask({ words: "", status: "", health: "" });
    }
  });
}

export function listPage() {
  const now = serverNow();
  const found = chosen(state.experiments, asked, now);
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  asked.page = Math.min(asked.page, pages - 1);
  const shown = found.slice(asked.page * PAGE, (asked.page + 1) * PAGE);
  return [
    h(
      "header",
      { class: "heading", "data-key": "list-heading" },
      h("h1", null, "Experiments"),
      h("p", { class: "facts", role: "status" }, told(found.length)),
    ),
    fields(),
    shown.length ? table(shown, now) : h("div", { "data-key": "none" }, quiet("No experiment is like that."),
      h("button", { type: "button", class: "button", "data-clear": true }, "Show all")),
    pages > 1 ? pager(pages) : null,
  ];
}

function told(found) {
  const all = state.experiments.length;
  return found === all ? `${format.count(all)} of them` : `${format.count(found)} of ${format.count(all)}`;
}

function fields() {
  const statuses = [...new Set(state.experiments.map((row) => row.status ?? "unknown"))].sort();
  const option = (value, text) => h("option", { value, "data-key": value || "any" }, text);
  return h(
    "form",
    { class: "asks", "data-key": "asks", role: "search" },
    h("label", null, "Search", h("input", { type: "search", "data-ask": "words", placeholder: "title, key or owner", autocomplete: "off" })),
    h("label", null, "Status", h("select", { "data-ask": "status" }, option("", "Any"), statuses.map((status) => option(status, status)))),
    h("label", null, "Health", h("select", { "data-ask": "health" }, option("", "Any"), Object.entries(HEALTH).map(([value, { word }]) => option(value, word)))),
  );
}

function table(rows, now) {
  return h(
    "div",
    { class: "scroll", "data-key": "rows", tabindex: "0", role: "region", "aria-label": "Experiments" },
    h(
      "table",
      { class: "listed" },
      h("thead", null, h("tr", null, COLUMNS.map(([by, word]) => {
        const sorted = asked.by === by ? (asked.down ? "descending" : "ascending") : null;
        return h("th", { scope: "col", "aria-sort": sorted, class: NUMBERS.includes(by) ? "number" : null },
          h("button", { type: "button", class: "sort", "data-by": by },
            word, sorted ? h("span", { "aria-hidden": "true" }, asked.down ? " \u2193" : " \u2191") : null));
      }))),
      h("tbody", null, rows.map((row) => line(row, now))),
    ),
  );
}

function line(row, now) {
  const health = HEALTH[row.health];
  const ran = days(row, now);
  return h(
    "tr",
    { "data-key": row.id },
    h("th", { scope: "row" },
      h("a", { href: `?experiment=${encodeURIComponent(row.id)}`, "data-experiment": row.id }, name(row)),
      h("span", { class: "hint" }, `${row.experiment} ${row.version}`)),
    h("td", null, row.status ?? "unknown"),
    h("td", null, h("span", { class: "health", "data-tone": health.tone }, health.word)),
    h("td", { class: "number" }, ran === null ? format.DASH : ran < 1 ? "< 1" : format.count(Math.floor(ran))),
    h("td", { class: "number" }, format.count(row.units)),
    h("td", { class: "number" }, format.count(row.alerts)),
  );
}

function pager(pages) {
  const button = (step, word, off) =>
    h("button", { type: "button", class: "button", "data-step": step, disabled: off }, word);
  return h(
    "div",
    { class: "pager", "data-key": "pager", role: "group", "aria-label": "Pages" },
    button(-1, "Previous", asked.page === 0),
    h("span", null, `Page ${asked.page + 1} of ${pages}`),
    button(1, "Next", asked.page === pages - 1),
  );
}
