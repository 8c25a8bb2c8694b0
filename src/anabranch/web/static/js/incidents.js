// What went wrong: alerts, and records that no stage could process.

import { h } from "./dom.js";
import * as format from "./format.js";
import { panel, quiet } from "./parts.js";
import { serverNow, state } from "./state.js";
import { ALERTS, why } from "./why.js";

const HIDDEN = new Set([
  "kind", "type", "message", "experiment", "version", "time", "eventId", "eventSource",
  "id", "state", "at", "since", "action",
]);

export function alertsPanel(run) {
  const alerts = state.alerts.filter((a) => !a.experiment || !run || a.experiment === run.experiment);
  return panel(
    "alerts",
    "Alerts",
    null,
    alerts.length
      ? h(
          "ol",
          { class: "log", tabindex: "0", "aria-label": "Latest alerts" },
          alerts.map((alert) =>
            h(
              "li",
              null,
              time(alert.at),
              h("strong", null, ALERTS[alert.kind] ? why(ALERTS[alert.kind], null, heading(alert)) : heading(alert)),
              h("span", { class: "words" }, alert.message || facts(alert.data)),
            ),
          ),
        )
      : quiet("No alerts."),
  );
}

// Kind, what became of it, and what was done about it.
export function heading({ kind, data }) {
  const change = { resolved: " is over", changed: " got worse" }[data.state] || "";
  return kind.replaceAll("_", " ") + change + (data.action === "pause" ? ", pauses" : "");
}

function facts(data) {
  const { kind, metric, value, min, max, event } = data;
  if (kind === "anomaly" && typeof value === "number") {
    const bound = max !== undefined && value > max ? `above ${format.number(max)}` : `below ${format.number(min)}`;
    return `${metric} is ${format.number(value)}, ${bound}, in ${event}`;
  }
  return Object.entries(data)
    .filter(([name]) => !HIDDEN.has(name))
    .map(([name, value]) => `${name} ${typeof value === "number" ? format.number(value) : value}`)
    .join(", ");
}

export function deadLettersPanel() {
  const { total, topics, latest } = state.deadLetters;
  const unread = Object.entries(state.unreadable);
  return panel(
    "dead-letters",
    "Dead letters",
    total ? "Records that could not be processed, kept as they came on <topic>.dlq." : null,
    total
      ? [
          h(
            "ul",
            { class: "reasons" },
            topics.flatMap(({ topic, reasons }) =>
              Object.entries(reasons).map(([reason, n]) =>
                h(
                  "li",
                  { "data-key": `${topic}:${reason}` },
                  h("b", null, format.count(n)),
                  h("span", null, reason),
                  h("span", { class: "hint" }, topic),
                ),
              ),
            ),
          ),
          h(
            "ol",
            { class: "log", tabindex: "0", "aria-label": "Latest dead letters" },
            latest.slice(0, 50).map((letter) =>
              h(
                "li",
                null,
                time(letter.at),
                h("strong", null, letter.reason),
                h("span", { class: "words" }, letter.message),
                h("code", null, place(letter)),
              ),
            ),
          ),
        ]
      : quiet("None: every record could be processed."),
    unread.length
      ? h(
          "p",
          { class: "note" },
          "This dashboard could not read ",
          unread.map(([topic, n]) => `${format.count(n)} of ${topic}`).join(", "),
          ". Its version may be older than the pipeline's.",
        )
      : null,
  );
}

function place({ topic, partition, offset }) {
  return partition === null || offset === null ? topic : `${topic}, partition ${partition}, offset ${offset}`;
}

function time(ms) {
  return h("time", { datetime: new Date(ms).toISOString() }, format.moment(ms, serverNow()));
}
