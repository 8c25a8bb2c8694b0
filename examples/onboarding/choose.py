"""Chooses variants in this process, without Kafka: ``python examples/onboarding/choose.py``."""

import asyncio
from pathlib import Path

from anabranch import ExperimentContext, ExperimentEvaluator, load_specs

SPECS = Path(__file__).parent / "specs"

PEOPLE = [
    ExperimentContext(experiment="sigil.onboarding.split_form", user_id="ada"),
    ExperimentContext(experiment="sigil.onboarding.split_form", user_id="bob"),
    ExperimentContext(
        experiment="sigil.onboarding.split_form",
        user_id="cleo",
        attributes={"segment": "vip"},
    ),
    ExperimentContext(experiment="sigil.onboarding.split_form"),
]


async def main() -> None:
    evaluator = ExperimentEvaluator(load_specs(SPECS).experiments)
    for context, evaluation in zip(PEOPLE, await evaluator.choose_variants(PEOPLE), strict=True):
        if evaluation is None:
            print(f"there is no experiment {context.experiment}")
            continue
        variant = evaluation.variant
        print(f"{evaluation.unit or 'nobody'}: {variant.id} ({evaluation.reason})")
        for override in variant.overrides:
            print(f"  shows the {override.type} {override.target}")
        for line in evaluation.detail:
            print(f"  {line}")


if __name__ == "__main__":
    asyncio.run(main())
