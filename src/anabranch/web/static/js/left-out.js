// What does not count in the results, or came late: told, so that nobody has to wonder.

import { h } from "./dom.js";
import * as format from "./format.js";
import { panel } from "./parts.js";
import { state } from "./state.js";
import { why } from "./why.js";

const LATE = "LateEventError";

/** Windows of the run that changed after they were final, and how often. */
export function revised(windows) {
  const points = windows.flatMap(({ variants }) => Object.values(variants).flat());
  const changed = points.filter(({ revision }) => revision > 0);
  return { windows: changed.length, times: changed.reduce((sum, { revision }) => sum + revision, 0), of: points.length };
}

/** All dead letters in words, from the most: "3 of telemetry, 1 of deltas". */
export function allLetters(topics) {
  const most = [...topics].sort((a, b) => b.count - a.count || a.topic.localeCompare(b.topic));
  return most.map(({ topic, count }) => `${format.count(count)} of ${topic}`).join(", ");
}

/** Dead letters with that reason, by topic: [[topic, count]]. */
export function lateLetters(topics) {
  return topics.filter(({ reasons }) => reasons[LATE]).map(({ topic, reasons }) => [topic, reasons[LATE]]);
}

export function leftOutPanel(run, variants) {
  const { results } = run;
  if (!results) return null;
  const names = new Map(variants.map((v) => [v.id, v.name]));
  const crossed = results.variants.filter(({ crossovers }) => crossovers);
  const excluded = results.metrics.flatMap((metric) =>
    metric.variants.filter((arm) => arm.excluded).map((arm) => `${metric.name}, ${names.get(arm.id) ?? arm.id}: ${format.count(arm.excluded)}`));
  const late = revised(run.windows);
  const letters = lateLetters(state.deadLetters.topics);
  const refused = allLetters(state.deadLetters.topics);
  return panel(
    "left-out",
    "Late and left out",
    "What does not count in the results, and what came late. Of this experiment, where nothing else is said.",
    h("dl", { class: "facts-list" },
      fact("Crossovers", "figures",
        crossed.length
          ? crossed.map((arm) => `${names.get(arm.id) ?? arm.id}: ${format.count(arm.crossovers)}`).join(", ")
          : "none: no unit was exposed to two variants"),
      excluded.length ? fact("Did it before", "excluded", excluded.join("; ")) : null,
      fact("Late, and counted", "windows",
        late.times
          ? `${format.count(late.windows)} of ${format.count(late.of)} windows changed after they were final, ${format.count(late.times)} times; results have it all`
          : "no window changed after it was final"),
      fact("Too late for windows", "windows",
        letters.length
          ? `${letters.map(([topic, count]) => `${topic}: ${format.count(count)}`).join(", ")} among the dead letters of all experiments; results have them all the same`
          : "none among the dead letters that this dashboard has read"),
      fact("Dead letters", "letters",
        refused
          ? `${refused}, of all experiments; their reasons stand below`
          : "none: every record of every experiment could be processed"),
      fact("Repeats", "repeats",
        "count once, and are on no topic: workers count what they dropped in anabranch_repeated_observations_total at /metrics")),
  );
}

function fact(name, topic, text) {
  return h("div", { "data-key": name }, h("dt", null, why(topic, null, name)), h("dd", null, text));
}
