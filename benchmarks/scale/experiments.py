"""One context against 1 to 1,000 running experiments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anabranch.specs import Catalog
from benchmarks.contestants import Figures
from benchmarks.stages.suite import experiment, run_stage, some_contexts, take


def compete(
    *, counts: Sequence[int], evaluations: int, rounds: int, progress: Callable[[str], None]
) -> dict[str, Figures]:
    """CPU of the assign stage's processor for each context and experiment.

    Args:
        counts: How many experiments run, every fifth of them targeted by an expression.
        evaluations: Contexts times experiments: the same work for each count.
        rounds: How often.
        progress: Told what is done next.
    """
    figures: dict[str, Figures] = {}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for count in counts:
            catalog = Catalog.of(map(experiment, range(count)))
            records = list(some_contexts(max(evaluations // count, 1)))
            spent, _ = run_stage(catalog, "assign", {"contexts": records})
            take(figures, f"{count:,} running experiments", spent, count)
    return figures
