"""The questions about telemetry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from anabranch.authoring.drafts import events_in
from anabranch.cli.wizard.asker import Asker
from anabranch.cli.wizard.common import ask_identity, comma_list, new_key, number, version
from anabranch.specs import Catalog, TelemetrySpec
from anabranch.specs.telemetry import Privacy, PropertyType

__all__ = ["ask_telemetry"]


def ask_telemetry(asker: Asker, given: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    """The document with everything asked that it does not say.

    Raises:
        KeyboardInterrupt: The person gave up.
    """
    made = dict(given)
    taken = {(spec.key, spec.version) for spec in catalog.telemetry}
    made["meta"] = ask_identity(asker, made.get("meta", {}), TelemetrySpec.kind, taken)
    if not made.get("events"):
        events: list[dict[str, Any]] = []
        while True:
            known = {*events_in(catalog), *(one["key"] for one in events)}
            events.append(_event(asker, known))
            if not asker.confirm("Another event?", default=False):
                break
        made["events"] = events
    return made


def _event(asker: Asker, known: set[str]) -> dict[str, Any]:
    key = asker.text("Key of the event (like checkout.order_placed)", check=new_key(known))
    made: dict[str, Any] = {
        "key": key,
        "version": asker.text(f"Version of {key}", default="1.0.0", check=version),
    }
    semantics = {
        name: answer
        for name, question in (
            ("who", "Who does it?"),
            ("what", "What do they do?"),
            ("why", "Why is it measured?"),
        )
        if (answer := asker.text(f"{question} (may stay empty)"))
    }
    if semantics:
        made["semantics"] = semantics
    properties: dict[str, Any] = {}
    while asker.confirm(
        "Another property?" if properties else f"Has {key} properties?", default=not properties
    ):
        name = asker.text("Name of the property", check=new_key(properties))
        properties[name] = _property(asker, name)
    if properties:
        made["properties"] = properties
    privacy = asker.choose(f"Privacy of {key}", list(get_args(Privacy)), "internal")
    if privacy != "internal":
        made["privacy"] = privacy
    days = asker.text(
        "Days that it is kept (empty: not said)",
        check=lambda answer: None if not answer or answer.isdecimal() else "whole days",
    )
    if days:
        made["retention"] = {"days": int(days)}
    share = asker.text(
        "Percentage of events that are kept", default="100", check=number(least=0, most=100)
    )
    if float(share) != 100:
        made["sampling"] = {"rate": round(float(share) / 100, 9)}
    tags = comma_list(asker.text("Tags of the event; privacy-reviewed says that it has been"))
    if tags:
        made["tags"] = tags
    return made


def _property(asker: Asker, name: str) -> dict[str, Any]:
    made: dict[str, Any] = {"type": asker.choose(f"Type of {name}", list(get_args(PropertyType)))}
    if asker.confirm(f"Does every event carry {name}?", default=False):
        made["required"] = True
    if asker.confirm(f"Is {name} personal data, to be masked?", default=False):
        made["pii"] = True
    description = asker.text(f"What does {name} mean? (may stay empty)")
    if description:
        made["description"] = description
    return made
