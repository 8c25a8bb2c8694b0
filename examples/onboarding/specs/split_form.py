"""Split onboarding form: single-step against multi-step, with targeting for the segment vip."""

from anabranch import (
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

COMPLETED = TelemetryEventRef(key="sigil.telemetry.onboarding_completed", version=1)

onboarding_split_form = ExperimentSpec(
    meta=Meta(
        key="sigil.onboarding.split_form",
        version=1,
        title="Split onboarding form",
        description="Compare single vs multi-step onboarding",
        domain="onboarding",
        owners=("@team.onboarding",),
        tags=("experiment",),
        stability=Stability.EXPERIMENTAL,
    ),
    control_variant="control",
    variants=(
        Variant(id="control", name="Single-step form"),
        Variant(
            id="multi_step",
            name="Multi-step form",
            overrides=(Override(type="workflow", target="sigil.onboarding.workflow.multi_step"),),
        ),
    ),
    allocation=TargetedAllocation(
        rules=(
            TargetingRule(
                variant_id="multi_step",
                expression="context.attributes?.segment === 'vip'",
            ),
        ),
        fallback="random",
    ),
    success_metrics=(
        SuccessMetric(name="Completion rate", telemetry_event=COMPLETED, aggregation="count"),
        SuccessMetric(
            name="Slowest completions",
            telemetry_event=COMPLETED,
            aggregation="p95",
            property="durationSeconds",
            direction="decrease",
        ),
    ),
)
