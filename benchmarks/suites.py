"""What can be measured, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.assign import suite as assign
from benchmarks.bounds import suite as bounds
from benchmarks.broker import broker
from benchmarks.evaluate import suite as evaluate
from benchmarks.latency import suite as latency
from benchmarks.metrics import suite as metrics
from benchmarks.ofrep import suite as ofrep
from benchmarks.peers import contestants as named
from benchmarks.peers import suite as peers
from benchmarks.peers.meter import Measured
from benchmarks.peers.report import PeerComparison
from benchmarks.registry import suite as registry
from benchmarks.restore import suite as restore
from benchmarks.scale import experiments, workers
from benchmarks.stages import suite as stages
from benchmarks.tables import Ceiling, Comparison, Floor


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
        [Floor(assign.STAGE, assign.STOCK, 15), Floor(assign.STAGE, assign.WORKED, 0.45)],
    )


def evaluate_in_process(options: Options, progress: Progress) -> Comparison:
    """What an application pays for a variant."""
    return Comparison(
        "Evaluate in-process: await evaluator.choose_variant(context)",
        "evaluation",
        evaluate.compete(rounds=max(options.rounds, 5), progress=progress),
        [
            Floor(evaluate.RANDOM, evaluate.GROWTHBOOK, 8),
            Floor(evaluate.TARGETED, evaluate.GROWTHBOOK_TARGETED, 5),
        ],
        by_cpu=True,
        ceilings=[
            Ceiling(evaluate.RANDOM, 2.5),
            Ceiling(evaluate.STICKY, 2.5),
            Ceiling(evaluate.TARGETED, 4),
            Ceiling(evaluate.MANY, 1.2),
        ],
    )


def registry_of_many(options: Options, progress: Progress) -> Comparison:
    """What a thousand specs take before the first variant is chosen."""
    return Comparison(
        f"Registry: {registry.SPECS:,} experiments",
        "registry",
        registry.compete(rounds=options.rounds, progress=progress),
        measure="CPU ms",
        ceilings=[Ceiling(registry.VALIDATED, 2000), Ceiling(registry.COMPILED, 1000)],
    )


def stages_in_process(options: Options, progress: Progress) -> Comparison:
    """What the processors cost by themselves, state sealed and applied."""
    return Comparison(
        "Stages: the processors by themselves, batches of 4,000",
        "record",
        stages.compete(units=options.records // 10, rounds=options.rounds, progress=progress),
    )


def memory_of_units(options: Options, progress: Progress) -> Comparison:
    """What a unit takes in the memory store of the attribute stage."""
    progress("filling the state")
    return Comparison(
        "Memory: state of the attribute stage",
        "unit",
        stages.memory(units=options.records // 10),
        measure="bytes",
    )


def metric_types(options: Options, progress: Progress) -> list[Comparison]:
    """What each metric type costs and takes in the attribute stage, by itself."""
    cost, memory = metrics.compete(
        units=options.records // 60, rounds=options.rounds, progress=progress
    )
    return [
        Comparison("Metric types: an experiment of one metric, attributed", "observation", cost),
        Comparison(
            f"Metric types: state of a unit with {metrics.EVENTS} events",
            "unit",
            memory,
            measure="bytes",
        ),
    ]


def latency_on_kafka(options: Options, progress: Progress) -> Comparison:
    """From a context produced to its assignment read."""
    with broker(options.bootstrap) as bootstrap:
        figures = latency.compete(
            bootstrap, seconds=20, partitions=options.partitions, progress=progress
        )
    return Comparison(
        "Latency: context produced to assignment readable by a committed reader",
        "context",
        figures,
        measure="ms",
    )


def restore_from_kafka(options: Options, progress: Progress) -> Comparison:
    """How long a partition of a million units takes to be back."""
    units = options.records * 10 // 3
    with broker(options.bootstrap) as bootstrap:
        figures = restore.compete(bootstrap, units=units, rounds=options.rounds, progress=progress)
    return Comparison(
        f"Restore: one partition of the attribute stage, {units:,} units",
        "partition",
        figures,
        measure="seconds",
    )


def many_experiments(options: Options, progress: Progress) -> Comparison:
    """Whether cost grows in step with the experiments."""
    return Comparison(
        "Experiments: stage assign in-process, one in five targeted, exposures too",
        "context and experiment",
        experiments.compete(
            counts=(1, 10, 100, 1_000),
            evaluations=options.records // 3,
            rounds=options.rounds,
            progress=progress,
        ),
    )


def many_workers(options: Options, progress: Progress) -> Comparison:
    """What more processes and more partitions bring."""
    with broker(options.bootstrap) as bootstrap:
        figures = workers.compete(
            bootstrap,
            records=options.records * 3,
            workers=(1, 2, 4),
            partitions=(4, 16, 64),
            rounds=options.rounds,
            progress=progress,
        )
    return Comparison("Workers: stage assign on Kafka, exactly once", "context", figures)


def bounds_on_kafka(options: Options, progress: Progress) -> list[Comparison]:
    """What a worker of all stages holds with a backlog before it, and how soon it leaves."""
    with broker(options.bootstrap) as bootstrap:
        memory, stopping = bounds.compete(
            bootstrap, records=options.records * 10 // 3, rounds=options.rounds, progress=progress
        )
    return [
        Comparison(f"Bounds: {title}", "worker", figures, measure=measure)
        for title, figures, measure in (
            ("memory at most", memory, "MB"),
            ("SIGTERM in the middle of it", stopping, "seconds"),
        )
    ]


def flags_over_http(options: Options, progress: Progress) -> list[Comparison]:
    """What one process of the evaluation API answers."""
    with broker(options.bootstrap) as bootstrap:
        latencies, most = ofrep.compete(
            bootstrap, seconds=10, rounds=options.rounds, progress=progress
        )
    return [
        Comparison(
            f"Evaluation API: one process at {ofrep.RATE:,} requests/s",
            "request",
            latencies,
            measure="ms",
            ceilings=[Ceiling(ofrep.quantile(case, "p99"), 20) for case in (ofrep.TOLD, ofrep.ONE)],
        ),
        Comparison(
            f"Evaluation API: one process, {ofrep.CONNECTIONS} connections that never rest",
            "request",
            most,
            ceilings=[Ceiling(case, 1e6 / ofrep.RATE) for case in (ofrep.TOLD, ofrep.ONE)],
        ),
    ]


def assign_of_peers(options: Options, progress: Progress) -> PeerComparison:
    """Work A beside Kafka Streams and Quix Streams."""
    return PeerComparison(
        "Peers, assign: context in, assignment of one experiment out",
        "context",
        _compete(peers.ASSIGN, options, progress),
        [
            Floor(named.ASSIGN, named.STREAMS, 1),
            Floor(named.ASSIGN, named.QUIX, 1),
        ],
    )


def count_of_peers(options: Options, progress: Progress) -> PeerComparison:
    """Tumbling windows beside Kafka Streams and Quix Streams."""
    return PeerComparison(
        "Peers, count: observations in, counts of one-minute windows out",
        "observation",
        _compete(peers.COUNT, options, progress),
        [
            Floor(named.COUNT, named.STREAMS_ROCKSDB, 1),
            Floor(named.COUNT, named.STREAMS_MEMORY, 1),
            Floor(named.COUNT, named.QUIX, 1),
        ],
    )


def _compete(job: peers.Job, options: Options, progress: Progress) -> dict[str, list[Measured]]:
    with broker(options.bootstrap) as bootstrap:
        return peers.compete(
            job,
            bootstrap,
            records=options.records,
            rounds=options.rounds,
            partitions=options.partitions,
            progress=progress,
        )


SUITES: Final[dict[str, Callable[[Options, Progress], Comparison]]] = {
    "evaluate": evaluate_in_process,
    "registry": registry_of_many,
    "stages": stages_in_process,
    "memory": memory_of_units,
    "assign": assign_on_kafka,
    "latency": latency_on_kafka,
    "restore": restore_from_kafka,
    "experiments": many_experiments,
    "workers": many_workers,
    "bounds": bounds_on_kafka,
    "metrics": metric_types,
    "ofrep": flags_over_http,
}

PEERS: Final[dict[str, Callable[[Options, Progress], PeerComparison]]] = {
    "peers-assign": assign_of_peers,
    "peers-count": count_of_peers,
}
"""They need Maven and Java and take long, so they run only where they are named."""
