"""The questions about an experiment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, get_args

from anabranch.authoring.drafts import events_in
from anabranch.authoring.forms import reference
from anabranch.cli.wizard.asker import Asker
from anabranch.cli.wizard.common import (
    ask_identity,
    expression_check,
    filled,
    is_key,
    json_object,
    kind_of,
    moment,
    new_key,
    number,
    version,
)
from anabranch.specs import Aggregation, Catalog, ExperimentSpec, Identity
from anabranch.specs.fields import Name, Seconds
from anabranch.specs.overrides import KIND_OF_TARGET

__all__ = ["ask_experiment"]

_ALLOCATIONS: Final = {
    "random": "random: split by weight, by a hash of the unit",
    "sticky": "sticky: split by weight, by a hash of one identity only",
    "targeted": "targeted: by rules, the first that matches decides",
}
_FALLBACKS: Final = {
    "control": "control: whoever no rule matches gets control",
    "random": "random: whoever no rule matches is split by weight",
}
_STARTS: Final = {
    "running": "it starts",
    "draft": "it stays a draft, which takes no traffic",
}


def ask_experiment(asker: Asker, given: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    """The document with everything asked that it does not say.

    Args:
        asker: Puts the questions.
        given: What is known already.
        catalog: The specs found: their events, policies and targets are offered.

    Raises:
        KeyboardInterrupt: The person gave up.
    """
    made = dict(given)
    taken = {(spec.key, spec.version) for spec in catalog.experiments}
    made["meta"] = ask_identity(asker, made.get("meta", {}), ExperimentSpec.kind, taken)
    if not made.get("variants"):
        made["variants"] = _variants(asker, catalog)
        made.setdefault("controlVariant", made["variants"][0]["id"])
    ids = [str(one["id"]) for one in made["variants"]]
    if "controlVariant" not in made:
        made["controlVariant"] = ids[0] if len(ids) == 1 else asker.choose("Control", ids, ids[0])
    made["allocation"] = _allocation(asker, made.get("allocation", {}), ids, catalog)
    if "coverage" not in made:
        percent = asker.text(
            "Percentage of eligible units that take part",
            default="100",
            check=number(least=0, most=100),
        )
        if float(percent) != 100:
            made["coverage"] = round(float(percent) / 100, 9)
    if "schedule" not in made:
        made |= _schedule(asker)
    if "successMetrics" not in made:
        made["successMetrics"] = _metrics(asker, catalog)
    if "status" not in made:
        starts = _choose(asker, "When it is published", _STARTS)
        if starts != "running":
            made["status"] = starts
    return made


def _schedule(asker: Asker) -> dict[str, Any]:
    told = {
        name: answer
        for name, question in (
            ("start", "Takes traffic from, like 2030-01-31T12:00:00Z (empty: at once)"),
            ("end", "Takes none any more from (empty: not planned)"),
        )
        if (answer := asker.text(question, check=moment))
    }
    return {"schedule": told} if told else {}


def _variants(asker: Asker, catalog: Catalog) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        number_ = len(found) + 1
        first = not found
        id_ = asker.text(
            "Id of the control variant" if first else f"Id of variant {number_}",
            default="control" if first else "",
            check=new_key([one["id"] for one in found]),
        )
        name = asker.text(f"Name of {id_}", check=filled)
        weight = asker.text(
            f"Weight of {id_}, relative to the others", default="1", check=number(least=0)
        )
        variant: dict[str, Any] = {"id": id_, "name": name}
        if float(weight) != 1:
            variant["weight"] = _number(weight)
        overrides: list[dict[str, Any]] = []
        while not first and asker.confirm(
            f"Another override of {id_}?" if overrides else f"Does {id_} override a spec?",
            default=False,
        ):
            overrides.append(_override(asker, catalog))
        if overrides:
            variant["overrides"] = overrides
        found.append(variant)
        if len(found) >= 2 and not asker.confirm("Another variant?", default=False):
            return found


def _override(asker: Asker, catalog: Catalog) -> dict[str, Any]:
    kind = asker.choose("Type of what it overrides", list(KIND_OF_TARGET))
    registry = catalog.of_kind(KIND_OF_TARGET[kind])
    known = {spec.key: spec.version for spec in registry or ()}
    target = asker.text("Key of the target", check=is_key, offers=sorted(known))
    made: dict[str, Any] = {"type": kind, "target": target}
    if target in known:
        made["version"] = known[target]
    config = asker.text(
        "Config, a JSON merge patch of the target (empty: the target takes the original's place)",
        check=json_object(empty=True),
    )
    if config:
        made["config"] = json.loads(config)
    return made


def _allocation(
    asker: Asker, given: Mapping[str, Any], ids: list[str], catalog: Catalog
) -> dict[str, Any]:
    made = dict(given)
    if "type" not in made:
        made["type"] = _choose(asker, "Allocation", _ALLOCATIONS)
    if made["type"] == "sticky" and "attribute" not in made:
        made["attribute"] = asker.choose("Identity that is hashed", list(get_args(Identity)))
    if "salt" not in made:
        salt = asker.text("Salt of the split (empty: the experiment's key)")
        if salt:
            made["salt"] = salt
    if made["type"] == "targeted":
        if not made.get("rules"):
            made["rules"] = _rules(asker, ids, catalog)
        if "fallback" not in made:
            made["fallback"] = _choose(asker, "Fallback", _FALLBACKS)
    return made


def _rules(asker: Asker, ids: list[str], catalog: Catalog) -> list[dict[str, Any]]:
    policies = sorted({spec.key for spec in catalog.policies})
    found: list[dict[str, Any]] = []
    while True:
        rule: dict[str, Any] = {
            "variantId": asker.choose(f"Rule {len(found) + 1} gives the variant", ids, ids[-1])
        }
        policy = asker.text(
            "Policy that must allow it (empty: none)",
            check=lambda answer: is_key(answer) if answer else None,
            offers=policies,
        )
        if policy:
            rule["policy"] = reference(policy)
        expression = asker.text(
            "Expression that must be true, like context.attributes?.plan === 'pro' (empty: none)",
            check=expression_check(empty=True),
        )
        if expression:
            rule["expression"] = expression
        percentage = asker.text(
            "Percentage of those that match", default="100", check=number(least=0, most=100)
        )
        if float(percentage) != 100:
            rule["percentage"] = round(float(percentage) / 100, 9)
        found.append(rule)
        if not asker.confirm("Another rule?", default=False):
            return found


def _metrics(asker: Asker, catalog: Catalog) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while asker.confirm(
        "Another success metric?" if found else "Is there a success metric?", default=not found
    ):
        found.append(_metric(asker, catalog, [str(one["name"]) for one in found]))
    return found


def _metric(asker: Asker, catalog: Catalog, names: list[str]) -> dict[str, Any]:
    known = events_in(catalog)

    a_name = kind_of(Name)

    def unused(answer: str) -> str | None:
        return a_name(answer) or (f"{answer} is there already" if answer in names else None)

    made: dict[str, Any] = {"name": asker.text("Name of the metric", check=unused)}
    made["telemetryEvent"] = event = _event(asker, "Telemetry event", known)
    kinds = list(get_args(Aggregation))
    made["aggregation"] = asker.choose("Aggregation", kinds, "unique")
    if made["aggregation"] == "ratio":
        over = {"telemetryEvent": _event(asker, "Event that the ratio is over", known)}
        property_ = _property(asker, catalog, over["telemetryEvent"], "empty: its occurrences")
        made["denominator"] = over | ({"property": property_} if property_ else {})
    if made["aggregation"] == "funnel":
        made["steps"] = [_event(asker, "Second step's event", known)]
        while asker.confirm("Another step?", default=False):
            made["steps"].append(_event(asker, "Next step's event", known))
    if made["aggregation"] not in {"count", "unique", "funnel"}:
        property_ = _property(asker, catalog, event, "empty: its only one")
        if property_:
            made["property"] = property_
    direction = asker.choose("Better is", ["increase", "decrease"], "increase")
    if direction != "increase":
        made["direction"] = direction
    window = asker.text(
        "Attribution window, like 7d (empty: no end)", check=kind_of(Seconds, empty=True)
    )
    if window:
        made["window"] = window
    if asker.confirm(f"Is {made['name']} a guardrail, which no variant may harm?", default=False):
        made["guardrail"] = _guardrail(asker)
    return made


def _guardrail(asker: Asker) -> dict[str, Any]:
    tolerance = asker.text(
        "How much worse may a variant be, as a difference", default="0", check=number(least=0)
    )
    made: dict[str, Any] = {"tolerance": _number(tolerance)} if float(tolerance) else {}
    breach = asker.choose("When it is harmed", ["alert", "pause"], "alert")
    return made | ({"onBreach": breach} if breach != "alert" else {})


def _event(asker: Asker, question: str, known: Mapping[str, str]) -> dict[str, Any]:
    found = reference(asker.text(question, check=is_key, offers=sorted(known)))
    if "version" not in found:
        found["version"] = known.get(found["key"]) or asker.text(
            f"Version of {found['key']}", default="1.0.0", check=version
        )
    return found


def _property(asker: Asker, catalog: Catalog, event: Mapping[str, Any], empty: str) -> str:
    offers = [
        name
        for telemetry in catalog.telemetry
        for one in telemetry.events
        if one.key == event["key"]
        for name in one.measurable
    ]
    return asker.text(f"Numeric property of {event['key']} ({empty})", offers=offers)


def _choose(asker: Asker, question: str, told: Mapping[str, str]) -> str:
    answer = asker.choose(question, list(told.values()))
    return next(name for name, text in told.items() if text == answer)


def _number(answer: str) -> int | float:
    value = float(answer)
    return int(value) if value.is_integer() else value
