"""Specs and records of the specs topic, made short."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from anabranch.lifecycle import encode_spec
from anabranch.processors.protocol import Headers
from anabranch.specs import ExperimentSpec, Spec, TelemetrySpec


@dataclass(frozen=True)
class Recorded:
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    topic: str = "t.specs.v1"


def experiment(key: str, version="1.0.0", *, title="", expression=None, **fields) -> ExperimentSpec:
    allocation = {"type": "random"}
    if expression is not None:
        rules = [{"variantId": "b", "expression": expression}]
        allocation = {"type": "targeted", "rules": rules, "fallback": "random"}
    document = {
        "meta": {"key": key, "version": version, "title": title},
        "controlVariant": "a",
        "variants": [{"id": "a"}, {"id": "b"}],
        "allocation": allocation,
    }
    return ExperimentSpec.model_validate(document | fields)


def metric(event: str) -> dict:
    return {
        "name": f"{event}s",
        "telemetryEvent": {"key": event, "version": 1},
        "aggregation": "count",
    }


def telemetry(key: str, *events: str) -> TelemetrySpec:
    return TelemetrySpec.model_validate(
        {
            "meta": {"key": key, "version": 1},
            "events": [{"key": e, "version": 1, "semantics": {"what": "it happened"}} for e in events],
        }
    )  # fmt: skip


def said(spec: Spec, **place) -> Recorded:
    sent = encode_spec(spec)
    return Recorded(sent.key, sent.value, sent.headers, **place)


def taken_back(spec: Spec, **place) -> Recorded:
    return replace(said(spec, **place), value=None, headers=())


def numbered(records: Iterable[Recorded]) -> list[Recorded]:
    """With offsets and times in order, in one partition."""
    return [replace(r, offset=n, timestamp=n) for n, r in enumerate(records)]
