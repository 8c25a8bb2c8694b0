// The pipeline: how far every stage has come, partition by partition.

import { h } from "./dom.js";
import * as format from "./format.js";
import { panel, quiet, tile } from "./parts.js";
import { serverNow } from "./state.js";

const EVERY_MS = 2000;
const UNKNOWN = "unknown";

const seen = { report: null, failed: false };

/** Ask every two seconds while the page is shown. */
export function follow(shown, draw) {
  let wasShown = false;
  const ask = async () => {
    try {
      const answer = await fetch("/api/pipeline");
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      seen.report = await answer.json();
      seen.failed = false;
    } catch {
      seen.failed = true; // told on the page, with what was seen last
    }
    draw();
  };
  let due = 0;
  setInterval(() => {
    if (shown() && (!wasShown || Date.now() >= due)) {
      due = Date.now() + EVERY_MS;
      ask();
    }
    wasShown = shown();
  }, 200);
}

/** "at most 5 s", or "over 60 s" where no look is old enough to tell. */
export function waiting(seconds, known) {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  if (seconds === 0 && known) return "none";
  return `${known ? "at most" : "over"} ${format.number(Math.ceil(seconds))} s`;
}

export function rate(perSecond) {
  return perSecond === null ? UNKNOWN : format.number(Math.round(perSecond * 10) / 10);
}

function known(n) {
  return n === null || n === undefined ? UNKNOWN : format.count(n);
}

export function pipelinePage() {
  const { report, failed } = seen;
  const heading = h("header", { class: "heading", "data-key": "pipeline-heading" }, h("h1", null, "Pipeline"));
  if (!report) {
    return [heading, failed
      ? banner("The server does not answer. ", "It is asked again.")
      : h("p", { class: "quiet", "data-key": "asking", role: "status" }, "Asking how far the stages have come.")];
  }
  const measured = report.stages.some((stage) => stage.partitions.length);
  return [
    heading,
    failed ? banner("The server does not answer. ", since(report)) : null,
    report.away ? banner("The offsets cannot be read. ", `${report.away}. ${since(report)}`) : null,
    !measured && !report.away ? quiet("Nothing is known yet: no stage's topics were found, or none were looked at.") : null,
    watermark(report),
    ...report.stages.map(stagePanel),
    h("p", { class: "hint", "data-key": "how" },
      "From committed offsets, which count markers of transactions too. Waiting is how long the oldest record that is not consumed has been there, told by when the offsets were looked at."),
  ].filter(Boolean);
}

function banner(what, more) {
  return h("div", { class: "banner in-page", "data-key": "away", role: "alert" }, h("span", null, h("strong", null, what), more));
}

function since({ at }) {
  return at === null ? "Nothing was seen so far." : `You see the state of ${format.moment(at, serverNow())}.`;
}

function watermark({ closedUntil }) {
  const delay = closedUntil === null ? null : Math.max(0, Math.round((serverNow() - closedUntil) / 1000));
  return h("dl", { class: "tiles", "data-key": "watermark" },
    tile("Windows closed up to", closedUntil === null ? UNKNOWN : format.moment(closedUntil, serverNow()),
      "the watermark is past this by the allowed lateness, or further"),
    tile("Behind the clock", delay === null ? UNKNOWN : `${format.count(delay)} s`, "window size and allowed lateness included"));
}

function stagePanel({ stage, does, lag, perSecond, waiting: wait, waitingKnown, partitions }) {
  return panel(
    `stage-${stage}`,
    stage,
    does,
    h("dl", { class: "tiles" },
      tile("Lag", known(lag), "records"),
      tile("Throughput", rate(perSecond), "records per second"),
      tile("Waiting", waiting(wait, waitingKnown), "the oldest record")),
    partitions.length
      ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Partitions of ${stage}` },
          h("table", { class: "listed" },
            h("thead", null, h("tr", null, ["Topic", "Partition", "Lag", "Per second", "Waiting", "Position", "End"].map((word, i) =>
              h("th", { scope: "col", class: i ? "number" : null }, word)))),
            h("tbody", null, partitions.map(line))))
      : quiet("Not known: none of its topics were seen."),
  );
}

function line(p) {
  return h("tr", { "data-key": `${p.topic}:${p.partition}` },
    h("th", { scope: "row" }, p.topic),
    [String(p.partition), known(p.lag), rate(p.perSecond), waiting(p.waiting, p.waitingKnown),
      p.position === null ? "never committed" : known(p.position), known(p.end)].map((text) => h("td", { class: "number" }, text)));
}
