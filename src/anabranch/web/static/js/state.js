// What the page knows, and how a snapshot changes it.

const WINDOWS_KEPT = 240;

export const state = {
  link: "connecting",
  info: null,
  experiments: [],
  run: null,
  alerts: [],
  deadLetters: { total: 0, topics: [], latest: [] },
  unreadable: {},
  offset: 0, // server's clock less ours, in milliseconds
  heardAt: null,
  loaded: false,
  windowSize: null,
};

export function serverNow() {
  return Date.now() + state.offset;
}

/** Up to when the counts are known: now, or the last word before the line broke. */
export function countedUntil() {
  return state.link === "lost" ? state.heardAt : serverNow();
}

export function told(now) {
  state.offset = now - Date.now();
  state.heardAt = now;
}

/** False where the change does not fit what we have: then everything must be asked for again. */
export function merge(snapshot) {
  told(snapshot.now);
  state.loaded = true;
  mergeList(snapshot);
  state.unreadable = snapshot.unreadable;
  for (const name of ["info", "alerts", "deadLetters"]) {
    if (name in snapshot) state[name] = snapshot[name];
  }
  const run = snapshot.run;
  if (run === null) {
    state.run = null;
    return true;
  }
  if (run.whole) {
    state.run = { ...run, trends: [], windows: [], segments: [] };
  } else if (state.run?.id !== run.id) {
    return false;
  } else {
    Object.assign(state.run, { rates: run.rates, totals: run.totals });
    for (const name of ["results", "course", "outlook"]) if (name in run) state.run[name] = run[name];
  }
  for (const trend of run.trends) mergeTrend(state.run.trends, trend);
  for (const segment of run.segments ?? []) mergeSegment(state.run.segments, segment);
  for (const series of run.windows) mergeWindows(state.run.windows, series);
  return true;
}

function mergeList({ listed, experiments }) {
  if (listed === "whole") {
    state.experiments = experiments;
    return;
  }
  const changed = new Map(experiments.map((row) => [row.id, row]));
  if (changed.size) state.experiments = state.experiments.map((row) => changed.get(row.id) ?? row);
}

function mergeSegment(known, segment) {
  const at = known.findIndex((s) => s.attribute === segment.attribute && s.value === segment.value);
  if (at < 0) known.push(segment);
  else known[at] = segment;
}

function mergeTrend(known, { metric, variant, points }) {
  let trend = known.find((t) => t.metric === metric && t.variant === variant);
  if (!trend) {
    trend = { metric, variant, points: [] };
    known.push(trend);
  }
  for (const point of points) trend.points[point.n] = point;
}

function mergeWindows(known, news) {
  let series = known.find((s) => s.metric === news.metric && s.size === news.size);
  if (!series) {
    series = { metric: news.metric, size: news.size, aggregation: news.aggregation, variants: {} };
    known.push(series);
  }
  for (const [variant, points] of Object.entries(news.variants)) {
    const byStart = new Map((series.variants[variant] || []).map((p) => [p.start, p]));
    for (const point of points) byStart.set(point.start, point);
    series.variants[variant] = [...byStart.values()]
      .sort((a, b) => a.start - b.start)
      .slice(-WINDOWS_KEPT);
  }
}

/** Variants in order, control first: from the spec, the results, or what was seen. */
export function variants() {
  const { spec, results, totals, windows } = state.run;
  const names = new Map((spec?.variants || []).map((v) => [v.id, v.name]));
  const ids = [
    ...names.keys(),
    ...(results?.variants || []).map((v) => v.id),
    ...Object.keys(totals.assignments),
    ...Object.keys(totals.exposures),
    ...(windows || []).flatMap((series) => Object.keys(series.variants)),
  ];
  const control = spec?.control ?? results?.control ?? null;
  const unique = [...new Set(ids)].sort((a, b) => (b === control) - (a === control));
  return unique.map((id, index) => ({
    id,
    name: names.get(id) || id,
    control: id === control,
    index: index % 6,
  }));
}
