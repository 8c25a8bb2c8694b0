// The spec as it holds, its versions with what each changed, and who published what, when and why.

import { h } from "./dom.js";
import * as format from "./format.js";
import { difference } from "./manage.js";
import { panel, quiet } from "./parts.js";
import { published } from "./published.js";
import { serverNow, state } from "./state.js";

const HINT = "Specs and their history are read from the topics specs and audit.";

export function historyPanel(run) {
  if (!state.info?.offers?.includes("history")) return null;
  if (published.error) return panel("history", "Spec and history", HINT, quiet(`They cannot be read now. ${published.error}`));
  if (published.key !== run.experiment || !published.data) {
    return panel("history", "Spec and history", HINT, quiet("Reading them."));
  }
  const { versions, audit } = published.data;
  if (!versions.length) {
    return panel("history", "Spec and history", HINT,
      quiet(`Nothing is published of it, and no file given to this dashboard has it: anabranch publish, or start the dashboard with --specs.`));
  }
  return panel(
    "history",
    "Spec and history",
    HINT,
    versions.map((version) => versionPart(version, run)),
    h("h3", null, "Who did what"),
    audit.length ? auditTable(audit) : quiet("Never published: it holds because files say so. anabranch publish puts it under the history."),
  );
}

function versionPart(version, run) {
  const { comparedWith, differences } = version;
  return h(
    "details",
    { class: "version", "data-key": `version:${version.version}`, "data-keep-open": true },
    h(
      "summary",
      null,
      h("span", { class: "version-name" }, `Version ${version.version}`),
      h("span", { class: "tag" }, version.status),
      version.holds ? h("span", { class: "tag" }, "holds") : null,
      version.version === run.version ? h("span", { class: "hint" }, "shown here") : null,
    ),
    comparedWith
      ? h("div", null,
          h("p", { class: "hint" }, `Changed since ${comparedWith}:`),
          differences.length
            ? h("ul", { class: "differences" }, differences.map((d) => h("li", null, difference(d))))
            : quiet("nothing"))
      : null,
    h("pre", { class: "document", tabindex: "0", "aria-label": `Spec of version ${version.version}` }, h("code", null, JSON.stringify(version.document, null, 2))),
    h("p", { class: "hint" }, "Digest ", h("code", null, version.digest)),
  );
}

function auditTable(audit) {
  const now = serverNow();
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "History" },
    h(
      "table",
      { class: "listed" },
      h("thead", null, h("tr", null, ["When", "Who", "Did", "Version", "Why", "Changed"].map((word) => h("th", { scope: "col" }, word)))),
      h(
        "tbody",
        null,
        audit.map((entry) =>
          h(
            "tr",
            { "data-key": `${entry.at}:${entry.toDigest}` },
            h("td", null, h("time", { datetime: entry.at, title: entry.at }, format.moment(Date.parse(entry.at), now))),
            h("td", null, entry.who, entry.via ? h("span", { class: "hint" }, ` by ${entry.via}`) : null),
            h("td", null, entry.action),
            h("td", null, entry.version),
            h("td", null, entry.why || format.DASH),
            h("td", { class: "changed" }, (entry.changes ?? []).join("; ") || format.DASH),
          ),
        ),
      ),
    ),
  );
}
