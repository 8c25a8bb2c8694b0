from typing import Any

from anabranch.specs import TelemetryEventSpec, TelemetrySpec


def event(properties: dict[str, Any] | None = None, **changes: Any) -> TelemetryEventSpec:
    """An event; a property is its type, or its whole declaration."""
    declared = {
        name: {"type": given} if isinstance(given, str) else given
        for name, given in (properties or {}).items()
    }
    return TelemetryEventSpec.model_validate(
        {"key": "order", "version": 1, "properties": declared, **changes}
    )


def telemetry(*events: TelemetryEventSpec, **config: Any) -> TelemetrySpec:
    return TelemetrySpec(
        meta={"key": "shop.events", "version": 1}, events=list(events), config=config
    )
