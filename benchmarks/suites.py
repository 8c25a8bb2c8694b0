"""What can be measured, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.assign import suite as assign
from benchmarks.broker import broker
from benchmarks.evaluate import suite as evaluate
from benchmarks.tables import Comparison, Floor


@dataclass(frozen=True)
class Options:
    """See ``--help``."""

    rounds: int
    records: int
    partitions: int
    bootstrap: str | None


Progress = Callable[[str], None]


def assign_on_kafka(options: Options, progress: Progress) -> Comparison:
    """Work A: context in, assignment out."""
    with broker(options.bootstrap) as bootstrap:
        figures = assign.compete(
            bootstrap,
            records=options.records,
            rounds=options.rounds,
            partitions=options.partitions,
            progress=progress,
        )
    return Comparison(
        "Assign: context in, assignment of one experiment out, on Kafka",
        "context",
        figures,
        [Floor(assign.STAGE, assign.STOCK, 15), Floor(assign.STAGE, assign.RAW, 1 / 3)],
    )


def evaluate_in_process(options: Options, progress: Progress) -> Comparison:
    """What an application pays for a variant."""
    return Comparison(
        "Evaluate in-process: await evaluator.choose_variant(context)",
        "evaluation",
        evaluate.compete(rounds=max(options.rounds, 5), progress=progress),
    )


SUITES: Final[dict[str, Callable[[Options, Progress], Comparison]]] = {
    "evaluate": evaluate_in_process,
    "assign": assign_on_kafka,
}
