"""The document's example means the same in Python and YAML, older and newer, camel and snake."""

import json

import pytest
import yaml

from anabranch.specs import load_files, load_specs, parse_document
from tests.specs.examples import (
    NEWER_YAML,
    OLDER_YAML,
    SNAKE_YAML,
    TELEMETRY_YAML,
    OnboardingSplitFormExperiment,
)

PYTHON = """
from anabranch.specs import (
    ExperimentSpec, Meta, Override, SuccessMetric, TargetedAllocation, TargetingRule, Variant,
)

OnboardingSplitFormExperiment = ExperimentSpec(
    meta=Meta(
        name="sigil.onboarding.split_form",
        version=1,
        title="Split onboarding form",
        description="Compare single vs multi-step onboarding",
        domain="onboarding",
        owners=["@team.onboarding"],
        tags=["experiment"],
        stability="Experimental",
    ),
    controlVariant="control",
    variants=[
        {"id": "control", "name": "Single-step form"},
        {
            "id": "multi_step",
            "name": "Multi-step form",
            "overrides": [{"type": "workflow", "target": "sigil.onboarding.workflow.multi_step"}],
        },
    ],
    allocation={
        "type": "targeted",
        "rules": [
            {"variantId": "multi_step", "expression": "context.attributes?.segment === 'vip'"},
        ],
        "fallback": "random",
    },
    successMetrics=[
        {
            "name": "Completion rate",
            "telemetryEvent": {"name": "sigil.telemetry.onboarding_completed", "version": 1},
            "aggregation": "count",
        },
    ],
)
"""


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("older.yaml", OLDER_YAML),
        ("newer.yml", NEWER_YAML),
        ("snake.yaml", SNAKE_YAML),
        ("older.json", json.dumps(yaml.safe_load(OLDER_YAML), indent="\t")),
        ("document.json", json.dumps(OnboardingSplitFormExperiment.document)),
        ("spec.py", PYTHON),
    ],
)
def test_every_spelling_gives_the_same_spec(tmp_path, file, text):
    path = tmp_path / file
    path.write_text(text)
    [loaded] = load_files(path)
    assert loaded.spec == OnboardingSplitFormExperiment
    assert loaded.spec.digest == OnboardingSplitFormExperiment.digest
    assert loaded.path == path


def test_older_and_newer_texts_really_differ():
    assert len({OLDER_YAML, NEWER_YAML, SNAKE_YAML}) == 3
    assert "name: sigil" not in NEWER_YAML
    assert "controlVariant" not in SNAKE_YAML


def test_the_example_with_its_telemetry_holds_together(tmp_path):
    (tmp_path / "specs.yaml").write_text(OLDER_YAML + "---\n" + TELEMETRY_YAML)
    catalog = load_specs(tmp_path).check()
    assert [s.key for s in catalog.running()] == ["sigil.onboarding.split_form"]
    event = catalog.telemetry.event("sigil.telemetry.onboarding_completed", 1)
    assert event.numeric == ("duration_ms",)
    telemetry = catalog.telemetry.require("sigil.telemetry.onboarding")
    assert parse_document(telemetry.document) == telemetry
