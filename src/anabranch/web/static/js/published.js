// What was published of the experiment that is shown: asked again when its spec changes.

import { ask } from "./api.js";

export const published = { key: null, digest: null, data: null, error: null };

const AGAIN_MS = 5000;

let asked = 0;
let failedAt = 0;

/** Bring it up to date, if it is not; `draw` draws it. */
export async function refresh(run, draw, again = false) {
  const digest = run.spec?.digest ?? null;
  const failed = published.error !== null && Date.now() - failedAt > AGAIN_MS;
  if (!again && !failed && published.key === run.experiment && published.digest === digest) return;
  if (published.key !== run.experiment) Object.assign(published, { data: null, error: null });
  Object.assign(published, { key: run.experiment, digest });
  failedAt = Date.now();
  const mine = ++asked;
  const { ok, data } = await ask("GET", `/api/published/${encodeURIComponent(run.experiment)}`);
  if (mine !== asked) return; // another experiment was asked for meanwhile
  if (ok) Object.assign(published, { data, error: null });
  else {
    published.error = data.error;
    failedAt = Date.now();
  }
  draw();
}

/** The version of the run as it was published, or as files have it. */
export function versionOf(run) {
  if (published.key !== run.experiment) return null;
  return published.data?.versions.find(({ version }) => version === run.version) ?? null;
}
