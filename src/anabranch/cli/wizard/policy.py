"""The questions about a policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from anabranch.cli.wizard.asker import Asker
from anabranch.cli.wizard.common import (
    ask_identity,
    comma_list,
    expression_check,
    filled,
    json_object,
)
from anabranch.specs import Catalog, PolicySpec

__all__ = ["ask_policy"]

_ROOTS: Final = ("subject", "resource", "context")


def ask_policy(asker: Asker, given: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    """The document with everything asked that it does not say.

    Raises:
        KeyboardInterrupt: The person gave up.
    """
    made = dict(given)
    taken = {(spec.key, spec.version) for spec in catalog.policies}
    made["meta"] = ask_identity(asker, made.get("meta", {}), PolicySpec.kind, taken)
    if not made.get("rules"):
        rules: list[dict[str, Any]] = []
        while True:
            rules.append(_rule(asker, len(rules) + 1))
            if not asker.confirm("Another rule?", default=False):
                break
        made["rules"] = rules
    known = [one["id"] for one in made.get("consents", ())]
    needed = {id_ for rule in made["rules"] for id_ in rule.get("requiresConsent", ())}
    defined = [
        {"id": id_, "purpose": asker.text(f"Purpose of the consent {id_}", check=filled)}
        for id_ in sorted(needed.difference(known))
    ]
    if defined:
        made["consents"] = [*made.get("consents", ()), *defined]
    return made


def _rule(asker: Asker, number: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "effect": asker.choose(f"Effect of rule {number}", ["allow", "deny"]),
        "actions": comma_list(
            asker.text("Actions, separated by commas", default="experiment_targeting", check=filled)
        ),
    }
    subject: dict[str, Any] = {}
    roles = comma_list(asker.text("Roles, any of which the subject has (empty: everybody)"))
    if roles:
        subject["roles"] = roles
    attributes = asker.text(
        'Attributes the subject must have, as JSON like {"plan": "pro"} (empty: none)',
        check=json_object(empty=True),
    )
    if attributes:
        wanted = json.loads(attributes)
        subject["attributes"] = {name: {"equals": value} for name, value in wanted.items()}
    if subject:
        made["subject"] = subject
    consents = comma_list(asker.text("Consents that must be given, by id (empty: none)"))
    if consents:
        made["requiresConsent"] = consents
    expression = asker.text(
        "Condition over subject, resource and context (empty: none)",
        check=expression_check(empty=True, roots=_ROOTS),
    )
    if expression:
        made["conditions"] = [{"expression": expression}]
    reason = asker.text("Reason, for whoever is told the decision (may stay empty)")
    if reason:
        made["reason"] = reason
    return made
