"""The topics as an AsyncAPI 3 document: what other teams may send, and what they get to read.

Payload schemas come from the very structures that the stages decode and encode. State, and
what stages tell each other, are nobody's contract and are left out.

Source: AsyncAPI 3.0.0; Kafka bindings 0.5.0; KIP-1034 for the headers of dead letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final, get_args

import msgspec

from anabranch.events import models
from anabranch.events.decoding import CONTEXT, EXPOSURE, TELEMETRY
from anabranch.lifecycle.audit import AuditEntry
from anabranch.processors.assignments import ASSIGNMENT
from anabranch.specs.documents import KINDS
from anabranch.topology import STAGES, TOPICS, Names, Topic

__all__ = ["INTERNAL", "PAYLOADS", "asyncapi"]

INTERNAL: Final = frozenset(
    f"{name}{suffix}"
    for name in ("claims", "deltas", "telemetry-counts")
    for suffix in ("", ".dlq")
) | {topic.name for topic in TOPICS if topic.name.endswith("-changelog")}
"""Topics between stages whose records may change with any release."""

PAYLOADS: Final[Mapping[str, Any]] = {
    "contexts": models.ContextData,
    "telemetry": models.TelemetryData,
    "exposures": models.ExposureData,
    "assignments": models.AssignmentData,
    "observations": models.Observation,
    "metric-windows": models.MetricWindow,
    "results": models.Results,
    "segments": models.Results,
    "alerts": models.Alert | models.Anomaly,
    "audit": AuditEntry,
}
"""What the values of public topics are."""
_TYPES: Final = {
    "contexts": CONTEXT,
    "telemetry": TELEMETRY,
    "exposures": EXPOSURE,
    "assignments": ASSIGNMENT,
}
"""Topics whose records are CloudEvents, in binary mode where anabranch writes them."""
_TEXT: Final = {"type": "string"}
_REF: Final = "#/components/schemas/{name}"
_ERRORS: Final = {
    "exception": "Name of the error.",
    "message": "What was wrong, where, and what to do.",
    "stacktrace": "The traceback, where it tells something.",
    "topic": "Topic of the record.",
    "partition": "Partition of the record.",
    "offset": "Offset of the record.",
}


def asyncapi(names: Names | None = None) -> dict[str, Any]:
    """The document, as JSON has it.

    Args:
        names: Gives the topics' names on the broker.
    """
    named = names or Names()
    public = [topic for topic in TOPICS if topic.name not in INTERNAL]
    payloads, schemas = _payloads()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "anabranch",
            "version": version("anabranch"),
            "description": "Experimentation as a stream: contexts and telemetry in, assignments, "
            "exposures and live results out. Read outputs with isolation.level=read_committed.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic, named) for topic in public},
        "operations": _operations({topic.name for topic in public}),
        "components": {
            "messages": {topic.name: _message(topic, payloads.get(topic.name)) for topic in public},
            "schemas": {**schemas, "Spec": _spec()},
        },
    }


def _payloads() -> tuple[dict[str, Any], dict[str, Any]]:
    """Topic to its payload's schema, and the schemas that they refer to.

    msgspec takes no union of structures that no field tells apart, so their members go one by one.
    """
    kinds = {topic: get_args(kind) or (kind,) for topic, kind in PAYLOADS.items()}
    flat = [kind for members in kinds.values() for kind in members]
    made, schemas = msgspec.json.schema_components(flat, ref_template=_REF)
    by_kind = dict(zip(flat, made, strict=True))
    payloads = {
        topic: by_kind[members[0]]
        if len(members) == 1
        else {"anyOf": [by_kind[member] for member in members]}
        for topic, members in kinds.items()
    }
    return payloads, schemas


def _channel(topic: Topic, names: Names) -> dict[str, Any]:
    config = topic.config()
    settings: dict[str, Any] = {"cleanup.policy": topic.cleanup.split(",")}
    for name in ("retention.ms", "max.message.bytes"):
        if name in config:
            settings[name] = int(config[name])
    address = names.topic(topic.name)
    return {
        "address": address,
        "description": f"{_sentence(topic.value)} Keyed by {topic.key}.",
        "messages": {"record": {"$ref": f"#/components/messages/{topic.name}"}},
        "bindings": {
            "kafka": {"topic": address, "topicConfiguration": settings, "bindingVersion": "0.5.0"}
        },
    }


def _message(topic: Topic, payload: dict[str, Any] | None) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": topic.name,
        "summary": _sentence(topic.value),
        "bindings": {
            "kafka": {"key": {**_TEXT, "description": topic.key}, "bindingVersion": "0.5.0"}
        },
    }
    if topic.name.endswith(".dlq"):
        message["contentType"] = "application/octet-stream"
        message["headers"] = _dead_letter_headers()
    elif topic.name == "specs":
        message["payload"] = {"$ref": _REF.format(name="Spec")}
    else:
        message["payload"] = payload
        if topic.name in _TYPES:
            message["headers"] = _event_headers(_TYPES[topic.name])
            message["externalDocs"] = {
                "description": "CloudEvents, Kafka protocol binding, binary mode",
                "url": "https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md",
            }
    return message


def _event_headers(kind: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_type", "ce_source", "ce_id"],
        "properties": {
            "content-type": {"const": "application/json"},
            "ce_specversion": {"const": "1.0"},
            "ce_type": {"const": kind},
            "ce_source": {**_TEXT, "minLength": 1},
            "ce_id": {**_TEXT, "minLength": 1, "description": "With the source, the event's name."},
            "ce_time": {**_TEXT, "format": "date-time", "description": "Event time."},
            "traceparent": {**_TEXT, "description": "W3C trace context, where it has one."},
            "tracestate": {**_TEXT, "description": "Of the trace's vendors."},
        },
    }


def _dead_letter_headers() -> dict[str, Any]:
    told = {
        f"__streams.errors.{name}": {**_TEXT, "description": what} for name, what in _ERRORS.items()
    }
    return {
        "type": "object",
        "description": "Those of the record as it came, and why it is here (KIP-1034).",
        "required": sorted(told),
        "properties": told,
    }


def _operations(public: set[str]) -> dict[str, Any]:
    """From anabranch's side: it receives what others send."""
    found: dict[str, Any] = {}
    for shape in STAGES:
        dead = [f"{source}.dlq" for source in shape.sources]
        for action, topics in (("receive", shape.sources), ("send", [*shape.outputs, *dead])):
            for name in topics:
                if name in public:
                    found[f"{shape.name}.{action}.{name}"] = {
                        "action": action,
                        "channel": {"$ref": f"#/channels/{name}"},
                        "summary": f"Stage {shape.name}: {shape.does}.",
                    }
    for name, action in (("specs", "receive"), ("specs.dlq", "send")):
        found[f"worker.{action}.{name}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": "Every worker takes in what is published, and tells of what does not hold.",
        }
    found["lifecycle.send.audit"] = {
        "action": "send",
        "channel": {"$ref": "#/channels/audit"},
        "summary": "Every command that publishes tells who, when and why.",
    }
    return found


def _spec() -> dict[str, Any]:
    """A spec's own schema lies with its kind: ``anabranch schema KIND``."""
    return {
        "type": "object",
        "description": "A spec; its complete schema is printed by `anabranch schema KIND`.",
        "required": ["kind", "meta"],
        "properties": {"kind": {"enum": sorted(KINDS)}, "meta": {"type": "object"}},
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
