// The page: keeps the state up to date and draws it.

import { syncCharts } from "./charts.js";
import { Connection } from "./connection.js";
import { coursePanel, segmentsPanel } from "./course.js";
import { h, patch } from "./dom.js";
import { explainPanel, listen as listenToExplain } from "./explainer.js";
import * as format from "./format.js";
import { historyPanel } from "./history.js";
import { alertsPanel, deadLettersPanel } from "./incidents.js";
import { leftOutPanel } from "./left-out.js";
import { listen, listPage } from "./list.js";
import { actionsBar, manage } from "./manage.js";
import { outlookPanel } from "./outlook.js";
import { tile } from "./parts.js";
import { follow as followPipeline, pipelinePage } from "./pipeline.js";
import { refresh } from "./published.js";
import { breachesBanner, resultsPanel, sampleRatio, splitPanel } from "./results.js";
import { merge, serverNow, state, told, variants } from "./state.js";
import { assignmentRate, trafficPanel, windowsPanel } from "./traffic.js";
import { trendsPanel } from "./trends.js";
import { explain, why } from "./why.js";

const byId = (id) => document.getElementById(id);
const main = byId("main");
const BESIDE = 20; // experiments listed beside the open one

// -- which experiment -------------------------------------------------------------------------

function chosen() {
  return new URLSearchParams(location.search).get("experiment");
}

/** Which page: one experiment's where the address names none. */
function view() {
  return new URLSearchParams(location.search).get("view");
}

/** Without a choice in the address, the experiment that was active last when we came. */
function follow() {
  const kept = state.experiments.some(({ id }) => id === connection.experiment);
  const byArrival = (a, b) => (b.lastArrival ?? 0) - (a.lastArrival ?? 0);
  const active = [...state.experiments].sort(byArrival)[0]?.id ?? null;
  const wanted = chosen() ?? (kept ? connection.experiment : active);
  if (wanted !== connection.experiment) connection.select(wanted);
}

const connection = new Connection({
  data(snapshot) {
    if (!merge(snapshot)) return connection.open();
    follow();
    draw();
  },
  beat(now) {
    told(now);
    draw();
  },
  link(link) {
    if (state.link === link) return;
    state.link = link;
    draw();
  },
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-experiment], a[data-view]");
  if (link && !(event.metaKey || event.ctrlKey || event.shiftKey || event.button)) {
    event.preventDefault();
    history.pushState(null, "", link.getAttribute("href"));
    if (link.dataset.experiment) {
      state.run = null;
      connection.select(chosen());
    }
    draw();
    scrollTo({ top: 0 });
    main.focus({ preventScroll: true });
  }
  const size = event.target.closest("button[data-size]");
  if (size) {
    state.windowSize = size.dataset.size;
    draw();
  }
  const number = event.target.closest("button[data-why]");
  if (number) explain(byId("why"), number.dataset);
  if (event.target === byId("why")) event.target.close();
  if (event.target.closest("[data-reconnect]")) connection.open();
});
main.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("popstate", () => {
  state.run = null;
  connection.experiment = undefined;
  follow();
  draw();
});

// -- theme ------------------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  return document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
}

function paint() {
  document.documentElement.dataset.painted = theme();
  const other = theme() === "dark" ? "light" : "dark";
  byId("theme").textContent = other === "dark" ? "Dark" : "Light";
  byId("theme").setAttribute("aria-label", `Use the ${other} theme`);
  draw();
}

byId("theme").addEventListener("click", () => {
  const other = theme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = other;
  try {
    localStorage.setItem("anabranch-theme", other);
  } catch {
    // Storage is forbidden: the choice holds for this visit.
  }
  paint();
});
dark.addEventListener("change", paint);

// -- drawing ----------------------------------------------------------------------------------

function draw() {
  const charts = new Map();
  drawBar();
  patch(byId("views"), views());
  patch(byId("experiments"), view() ? [] : experimentList());
  patch(main, content(charts));
  syncCharts(main, charts);
}

function drawBar() {
  const words = { connecting: "Connecting", live: "Live", lost: "Disconnected" };
  const link = byId("link");
  if (link.dataset.state !== state.link) {
    link.dataset.state = state.link;
    link.textContent = words[state.link];
  }
  const { info } = state;
  patch(
    byId("mode"),
    info ? [h("b", null, info.title), info.detail ? h("span", null, info.detail) : null] : [],
  );
  document.title = [view() || state.run?.spec?.title || state.run?.experiment, info?.title ?? "anabranch"]
    .filter(Boolean)
    .join(" \u00b7 ");
  patch(
    byId("banner"),
    state.link === "lost"
      ? h(
          "div",
          { class: "banner", role: "alert" },
          h(
            "span",
            null,
            h("strong", null, "Connection lost. "),
            state.heardAt ? `You see the state of ${format.moment(state.heardAt, serverNow())}. ` : "",
            "Trying again by itself.",
          ),
          h("button", { type: "button", class: "button", "data-reconnect": true }, "Try now"),
        )
      : [],
  );
}

function views() {
  const all = [["experiments", "Experiments"], ["pipeline", "Pipeline"]];
  return all.map(([name, word]) =>
    h("a", { href: `?view=${name}`, "data-view": name, "aria-current": view() === name ? "page" : null }, word),
  );
}

/** Beside an experiment: those heard of last, by key. */
function experimentList() {
  if (!state.experiments.length) return [];
  const shown = state.run?.id ?? connection.experiment;
  const byArrival = (a, b) => (b.lastArrival ?? 0) - (a.lastArrival ?? 0);
  const near = new Set([...state.experiments].sort(byArrival).slice(0, BESIDE).map(({ id }) => id).concat(shown));
  return [
    h("h2", null, "Experiments"),
    h(
      "ul",
      null,
      state.experiments.filter(({ id }) => near.has(id)).map((experiment) =>
        h(
          "li",
          { "data-key": experiment.id },
          h(
            "a",
            {
              href: `?experiment=${encodeURIComponent(experiment.id)}`,
              "data-experiment": experiment.id,
              "aria-current": experiment.id === shown ? "page" : null,
            },
            h("span", { class: "title" }, experiment.title || experiment.experiment),
            h(
              "span",
              { class: "hint" },
              `${experiment.version} \u00b7 `,
              experiment.units === null
                ? `${format.count(experiment.assignments)} assignments`
                : `${format.count(experiment.units)} units`,
            ),
          ),
        ),
      ),
    ),
    state.experiments.length > BESIDE
      ? h("a", { class: "all", href: "?view=experiments", "data-view": "experiments" }, `All ${format.count(state.experiments.length)} experiments`)
      : null,
  ].filter(Boolean);
}

function content(charts) {
  if (view() === "pipeline") return pipelinePage();
  if (!state.loaded) return empty("Connecting", "Asking for the present state.", true);
  if (!state.experiments.length) {
    return [
      empty(
        "Waiting for the first assignment",
        "Send a context to the contexts topic, or start the demo: its experiment appears here within a second.",
        true,
      ),
      state.deadLetters.total ? deadLettersPanel() : null,
    ];
  }
  if (view() === "experiments") return listPage();
  const { run } = state;
  if (!run) {
    const wanted = chosen();
    const missing = wanted && state.link === "live" && connection.experiment === wanted &&
      !state.experiments.some((e) => e.id === wanted || e.experiment === wanted);
    return missing
      ? empty("No such experiment", `Nothing was heard of ${wanted}. Choose one from the list.`, false)
      : empty("Loading", "Asking for the experiment.", true);
  }
  const arms = variants();
  if (state.info?.offers?.includes("history")) refresh(run, draw);
  return [
    heading(run),
    actionsBar(run),
    tiles(run),
    mismatch(run),
    breachesBanner(run, arms),
    resultsPanel(run, arms),
    outlookPanel(run, arms),
    trendsPanel(run, arms, charts),
    coursePanel(run, arms, charts),
    segmentsPanel(run, arms),
    trafficPanel(run, arms, charts),
    windowsPanel(run, arms, charts),
    splitPanel(run, arms),
    leftOutPanel(run, arms),
    h("div", { class: "pair", "data-key": "incidents" }, alertsPanel(run), deadLettersPanel()),
    explainPanel(run),
    historyPanel(run),
  ];
}

function empty(title, text, busy) {
  return h(
    "section",
    { class: "empty", "data-key": `empty:${title}` },
    busy ? h("div", { class: "pulse", "aria-hidden": "true" }) : null,
    h("h1", null, title),
    h("p", null, text),
  );
}

function heading(run) {
  const { spec, results } = run;
  const asOf = results ? Date.parse(results.asOf) : null;
  return h(
    "header",
    { class: "heading", "data-key": "heading" },
    h("h1", null, spec?.title || run.experiment),
    h(
      "p",
      { class: "facts" },
      h("code", null, run.experiment),
      h("span", { class: "tag" }, `version ${run.version}`),
      spec ? h("span", { class: "tag" }, spec.status) : null,
      spec ? h("span", { class: "tag" }, `${spec.allocation} allocation`) : null,
      asOf === null
        ? h("span", { class: "as-of" }, "No results yet")
        : h("span", { class: "as-of" }, "As of ", h("time", { datetime: results.asOf }, format.moment(asOf, serverNow()))),
    ),
    spec?.description ? h("p", { class: "description" }, spec.description) : null,
  );
}

function tiles(run) {
  const units = run.results?.variants.reduce((sum, arm) => sum + arm.units, 0) ?? null;
  const crossovers = run.results?.variants.reduce((sum, arm) => sum + arm.crossovers, 0) ?? 0;
  const ratio = sampleRatio(run.results);
  const { total } = state.deadLetters;
  const assigned = Object.values(run.totals.assignments).reduce((a, b) => a + b, 0);
  return h(
    "dl",
    { class: "tiles", "data-key": "tiles" },
    tile("Assignments per second", format.number(Math.round(assignmentRate(run) * 10) / 10), `${format.count(assigned)} since the start`),
    tile("Units in the experiment", format.count(units), crossovers ? `${format.count(crossovers)} crossovers left out` : "no crossovers", null, "figures"),
    tile("Sample ratio", run.results ? ratio.short : format.DASH, run.results ? ratio.note : null, ratio.tone, "ratio"),
    tile("Dead letters", format.count(total), total ? "see the reasons below" : "every record could be processed", total ? "warn" : null),
  );
}

function mismatch(run) {
  const ratio = sampleRatio(run.results);
  return ratio.tone === "bad"
    ? h("div", { class: "banner in-page", "data-key": "mismatch", role: "alert" }, h("span", null, ratio.text), why("ratio", null, "How it is told"))
    : null;
}

listen(main, draw);
listenToExplain(main, draw);
manage(byId("act"), draw);
followPipeline(() => view() === "pipeline", draw);
paint();
connection.select(chosen());
setInterval(draw, 1000);
