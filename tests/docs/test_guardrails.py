"""docs/guardrails.md: every kind of alert and every setting is there, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
import yaml

from anabranch.events.models import Alert
from anabranch.metrics import health
from anabranch.metrics.health import Kind
from anabranch.specs import ExperimentSpec

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "guardrails.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    return found


def test_every_kind_has_a_section_and_every_section_a_kind():
    assert re.findall(r"^### `(\w+)`$", TEXT, flags=re.MULTILINE) == [str(kind) for kind in Kind]


def test_its_spec_is_valid_and_its_settings_are_those_of_the_page():
    spec = ExperimentSpec.model_validate(
        {
            "meta": {"key": "checkout", "version": 1},
            "controlVariant": "a",
            "variants": [{"id": "a"}, {"id": "b"}],
            "allocation": {"type": "random"},
            **yaml.safe_load(block("yaml")),
        }
    )
    revenue, latency = spec.success_metrics
    assert (spec.on_breach, spec.health.silence) == ("pause", 7200)
    assert revenue.guardrail is not None
    assert latency.guardrail is not None
    assert (latency.guardrail.tolerance, latency.guardrail.on_breach) == (20, "alert")
    assert re.findall(r"^\| `(\S+)` \|", TEXT, flags=re.MULTILINE) == [
        "guardrail",
        "guardrail.tolerance",
        "guardrail.onBreach",
        "onBreach",
        "health.silence",
    ]


def test_its_record_has_the_fields_of_an_alert():
    record = json.loads(block("json"))
    assert set(record) | {"event"} == {field.encode_name for field in msgspec.structs.fields(Alert)}
    assert msgspec.convert(record, Alert).kind == "guardrail"


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (health.MISMATCH, "at most 0.001"),
        (health.CALM, "0.05 or more"),
        (health.SUDDEN, "one in a million"),
        (health.HOURLY_CONCENTRATION, "a concentration of 100"),
        (health.LEAST_UNITS, "at least 50 units"),
        (health.LEAST_EXPECTED_EVENTS, "at least 14"),
    ],
)
def test_its_figures_are_those_of_the_code(figure, said):
    words = {1e-6: "one in a million"}
    assert words.get(figure, f"{figure:g}") in said
    assert said in " ".join(TEXT.split())
