// What may be done to the experiment: pause, resume, ramp, stop, retire, by whoever is signed in.
// Every action is shown first: what changes, and what it means for units.

import { ask } from "./api.js";
import { h } from "./dom.js";
import * as format from "./format.js";
import { published, refresh, versionOf } from "./published.js";
import { state } from "./state.js";

export const ACTIONS = {
  pause: { word: "Pause", note: "Everybody gets control, and nobody is exposed, until it is resumed." },
  resume: { word: "Resume", note: "Units get the variants they had, and are exposed again." },
  ramp: { word: "Ramp", note: "Sets the share of eligible units that take part. Ramping up moves nobody who already does." },
  stop: { word: "Stop", note: "Ends this version for good: it takes no new units and never runs again. Its results stay.", grave: true },
  retire: { word: "Retire", note: "Puts the version away. Its results stay readable.", grave: true },
};

const DONE = { pause: "Paused", resume: "Resumed", ramp: "Ramped", stop: "Stopped", retire: "Retired" };
const TYPING_MS = 250;

const session = { asked: false, signedIn: false, name: null, csrf: null };
const said = { run: null, text: null, tone: null };
let dialog = null;
let draw = () => {};
let look = 0;

const offered = () => state.info?.offers?.includes("actions");

/** Listen on the page; `redraw` draws it. */
export function manage(root, redraw) {
  dialog = root;
  draw = redraw;
  document.addEventListener("click", ({ target }) => {
    const action = target.closest("button[data-act]")?.dataset.act;
    if (action === "sign-in") signIn();
    else if (action === "sign-out") signOut();
    else if (action) propose(action);
    if (target === dialog || target.closest("[data-close]")) dialog.close();
  });
  dialog.addEventListener("submit", (event) => event.preventDefault());
}

/** The row of actions under the heading. */
export function actionsBar(run) {
  if (!offered()) return null;
  if (!session.asked) {
    session.asked = true;
    ask("GET", "/api/session").then(({ ok, data }) => {
      if (ok) Object.assign(session, data);
      draw();
    });
  }
  const version = versionOf(run);
  const shown = said.run === run.id ? said : {};
  return h(
    "div",
    { class: "actions", "data-key": "actions", role: "group", "aria-label": "Actions" },
    session.signedIn ? buttons(version) : [button("sign-in", "Sign in to change it")],
    session.signedIn ? [h("span", { class: "hint" }, `as ${session.name}`), button("sign-out", "Sign out")] : null,
    h("span", { class: "said", role: "status", "data-tone": shown.tone ?? null }, shown.text ?? ""),
  );
}

function buttons(version) {
  if (published.error) return [h("span", { class: "hint" }, published.error)];
  if (!published.data) return [h("span", { class: "hint" }, "Asking what is possible.")];
  if (!version) return [h("span", { class: "hint" }, "Nothing holds of this version any more.")];
  if (!version.actions.length) return [h("span", { class: "hint" }, nothing(version.status))];
  return version.actions.map((action) => button(action, ACTIONS[action].word));
}

export function nothing(status) {
  return status === "draft"
    ? "A draft: publish it with status running to start it."
    : `It is ${status}: nothing more can be done to this version.`;
}

function button(action, word) {
  return h("button", { type: "button", class: "button", "data-act": action, "data-key": `act:${action}` }, word);
}

function tell(run, text, tone) {
  Object.assign(said, { run: run.id, text, tone });
  draw();
}

// -- signing in -------------------------------------------------------------------------------

function signIn() {
  const field = h("input", { type: "password", id: "token", name: "token", autocomplete: "current-password", required: true });
  const problem = h("p", { class: "problem", role: "alert" });
  show(
    "Sign in",
    h("p", null, "With the token that you were given for this dashboard. It is not kept: the session ends after 12 hours."),
    h("label", { for: "token" }, "Token", field),
    problem,
    row("Sign in"),
  );
  field.focus();
  dialog.onsubmit = async () => {
    const { ok, data } = await ask("POST", "/api/session", { token: field.value });
    if (!ok) {
      problem.textContent = data.error;
      field.select();
      return;
    }
    Object.assign(session, data);
    dialog.close();
    draw();
  };
}

async function signOut() {
  await ask("DELETE", "/api/session", undefined, { "x-csrf-token": session.csrf });
  Object.assign(session, { signedIn: false, name: null, csrf: null });
  draw();
}

/** The session is over: by time, or because the server was started anew. */
function ended() {
  Object.assign(session, { signedIn: false, name: null, csrf: null });
  dialog.close();
  tell(state.run, "Your session has ended: sign in again.", "warn");
}

// -- acting -----------------------------------------------------------------------------------

function propose(action) {
  const run = state.run;
  const version = run && versionOf(run);
  if (!version) return;
  const { word, note, grave } = ACTIONS[action];
  const share = action === "ramp"
    ? h("input", { type: "number", id: "percent", min: 0, max: 100, step: "any", required: true, value: Number((version.coverage * 100).toFixed(6)) })
    : null;
  const reason = h("input", { type: "text", id: "why-so", maxlength: 500, autocomplete: "off" });
  const meaning = h("div", { class: "meaning", "aria-live": "polite" });
  const problem = h("p", { class: "problem", role: "alert" });
  show(
    `${word} ${run.spec?.title || run.experiment}?`,
    h("p", null, note),
    share ? h("label", { for: "percent" }, "Percent of eligible units", share) : null,
    h("label", { for: "why-so" }, "Why, for the history", reason),
    meaning,
    problem,
    row(word, grave),
  );
  (share ?? reason).focus();

  const wish = (more) => ({
    experiment: run.experiment,
    version: version.version,
    digest: version.digest,
    action,
    ...(share ? { percent: share.valueAsNumber } : {}),
    ...more,
  });
  const send = (more) => ask("POST", "/api/actions", wish(more), { "x-csrf-token": session.csrf });
  const preview = async () => {
    const mine = ++look;
    if (share && !share.validity.valid) {
      meaning.replaceChildren(h("p", null, "Give a share from 0 to 100 percent."));
      return;
    }
    const { ok, status, data } = await send({ dryRun: true });
    if (mine !== look) return;
    if (status === 401) return ended();
    problem.textContent = ok ? "" : data.error;
    meaning.replaceChildren(...(ok ? meant(data.specs) : []));
    if (status === 409) refresh(run, draw, true);
  };
  let typing = 0;
  share?.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(preview, TYPING_MS);
  });
  preview();
  dialog.onsubmit = async () => {
    clearTimeout(typing); // a look after the leap would be at what does not hold any more
    look += 1;
    const confirm = dialog.querySelector("button[type=submit]");
    confirm.disabled = true;
    const { ok, status, data } = await send({ why: reason.value });
    confirm.disabled = false;
    if (status === 401) return ended();
    if (!ok) {
      problem.textContent = data.error;
      if (status === 409) refresh(run, draw, true);
      return;
    }
    dialog.close();
    tell(run, data.published ? `${DONE[action]}. Workers follow in a moment.` : "It was so already: nothing changed.", "good");
    refresh(run, draw, true);
  };
}

/** What an action changes, and what becomes of units. */
export function meant(specs) {
  if (!specs.length) return [h("p", null, "It is so already: nothing would change.")];
  const [{ differences, impact }] = specs;
  return [
    h("ul", { class: "differences" }, differences.map((d) => h("li", null, difference(d)))),
    impact ? h("p", null, units(impact)) : null,
    ...(impact?.notes ?? []).map((note) => h("p", { class: "hint" }, note)),
  ].filter(Boolean);
}

export function difference({ path, before, after }) {
  return h("span", null, h("code", null, path), ` ${value(before)} \u2192 ${value(after)}`);
}

export function value(given) {
  if (given === null || given === undefined) return "not given";
  return typeof given === "string" ? given : JSON.stringify(given);
}

/** "Of 10,000 units 2,500 take part, 10,000 before: 0 join, 7,500 leave, none changes variant." */
export function units({ units: tried, before, after, joined, left, moved }) {
  const n = format.count;
  const change = moved ? `${n(moved)} change variant` : "none changes variant";
  return `Of ${n(tried)} made-up units ${n(after)} take part, ${n(before)} before: ${n(joined)} join, ${n(left)} leave, ${change}.`;
}

// -- the dialog -------------------------------------------------------------------------------

function show(title, ...content) {
  dialog.replaceChildren(
    h("form", { class: "ask" }, h("h2", { id: "act-title" }, title), ...content.filter(Boolean)),
  );
  dialog.showModal();
}

function row(word, grave = false) {
  return h(
    "p",
    { class: "row" },
    h("button", { type: "submit", class: grave ? "button grave" : "button primary" }, word),
    h("button", { type: "button", class: "button", "data-close": true }, "Cancel"),
  );
}
