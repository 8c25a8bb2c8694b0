"""The document's OnboardingSplitFormExperiment, in every spelling that is accepted."""

from textwrap import dedent
from typing import Any

from anabranch.specs import (
    ExperimentSpec,
    Meta,
    Override,
    Stability,
    SuccessMetric,
    TargetedAllocation,
    TargetingRule,
    TelemetryEventRef,
    Variant,
)

OnboardingSplitFormExperiment = ExperimentSpec(
    meta=Meta(
        key="sigil.onboarding.split_form",
        version="1.0.0",
        title="Split onboarding form",
        description="Compare single vs multi-step onboarding",
        domain="onboarding",
        owners=["@team.onboarding"],
        tags=["experiment"],
        stability=Stability.EXPERIMENTAL,
    ),
    control_variant="control",
    variants=[
        Variant(id="control", name="Single-step form"),
        Variant(
            id="multi_step",
            name="Multi-step form",
            overrides=[Override(type="workflow", target="sigil.onboarding.workflow.multi_step")],
        ),
    ],
    allocation=TargetedAllocation(
        rules=[
            TargetingRule(
                variant_id="multi_step", expression="context.attributes?.segment === 'vip'"
            )
        ],
        fallback="random",
    ),
    success_metrics=[
        SuccessMetric(
            name="Completion rate",
            telemetry_event=TelemetryEventRef(
                key="sigil.telemetry.onboarding_completed", version="1.0.0"
            ),
            aggregation="count",
        )
    ],
)

OLDER_YAML = dedent(
    """\
    kind: Experiment
    meta:
      name: sigil.onboarding.split_form
      version: 1
      title: Split onboarding form
      description: Compare single vs multi-step onboarding
      domain: onboarding
      owners: ['@team.onboarding']
      tags: [experiment]
      stability: Experimental
    controlVariant: control
    variants:
      - id: control
        name: Single-step form
      - id: multi_step
        name: Multi-step form
        overrides:
          - type: workflow
            target: sigil.onboarding.workflow.multi_step
    allocation:
      type: targeted
      rules:
        - variantId: multi_step
          expression: context.attributes?.segment === 'vip'
      fallback: random
    successMetrics:
      - name: Completion rate
        telemetryEvent: {name: sigil.telemetry.onboarding_completed, version: 1}
        aggregation: count
    """
)

NEWER_YAML = (
    OLDER_YAML.replace("  name: sigil.onboarding", "  key: sigil.onboarding")
    .replace("version: 1", "version: '1.0.0'")
    .replace("    name: Single", "    key: Single")
    .replace("    name: Multi", "    key: Multi")
    .replace("{name: sigil", "{key: sigil")
    .replace("stability: Experimental", "stability: experimental")
)

SNAKE_YAML = (
    OLDER_YAML.replace("controlVariant", "control_variant")
    .replace("variantId", "variant_id")
    .replace("successMetrics", "success_metrics")
    .replace("telemetryEvent", "telemetry_event")
)

TELEMETRY_YAML = dedent(
    """\
    kind: Telemetry
    meta: {name: sigil.telemetry.onboarding, version: 1}
    config:
      defaultSamplingRate: 1
    events:
      - name: sigil.telemetry.onboarding_completed
        version: 1
        semantics: {who: visitor, what: completed onboarding, why: activation}
        properties:
          duration_ms: {type: number, required: true}
          e_mail: {type: string, pii: true}
        retention: {days: 30, policy: delete}
        anomalyDetection:
          enabled: true
          thresholds: [{metric: duration_ms, min: 0, max: 60000}]
          actions: [alert]
    """
)


def experiment(**changes: Any) -> dict[str, Any]:
    """The least an experiment can say, with changes."""
    return {
        "meta": {"key": "shop.checkout", "version": 1},
        "controlVariant": "control",
        "variants": [{"id": "control"}, {"id": "green"}],
        "allocation": {"type": "random"},
        **changes,
    }


def spec(**changes: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate(experiment(**changes))
