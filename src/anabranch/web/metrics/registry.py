"""Every metric, declared once: ``docs/metrics.md`` is written from here.

Names follow Prometheus: base units, ``_total`` for what only grows. Labels have few values: stages,
partitions, topics by logical name, kinds of errors; never an experiment, a unit or a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["COUNTED", "METRICS", "Distribution", "Metric", "Sample"]

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: what it is called, what it means and what it is told apart by."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    def of(self, value: float | Distribution, *labels: object) -> Sample:
        """A value of it; labels in the declared order.

        Raises:
            ValueError: Not as many labels as declared.
        """
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} takes the labels {self.labels}, not {labels}")
        return Sample(self, tuple(map(str, labels)), value)


@dataclass(frozen=True, slots=True)
class Distribution:
    """The value of a histogram.

    Attributes:
        bounds: Upper bounds of the classes, rising, without infinity.
        counts: Observations in each class, the last those beyond all bounds.
        sum: Of the observations.
    """

    bounds: Sequence[float]
    counts: Sequence[int]
    sum: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A metric's value now."""

    metric: Metric
    labels: tuple[str, ...]
    value: float | Distribution


_TASK: Final = ("stage", "partition")

BUILD: Final = Metric("anabranch_build_info", "gauge", "Always 1; the version.", ("version",))
EXPERIMENTS: Final = Metric(
    "anabranch_experiments", "gauge", "Experiments that hold now, by status.", ("status",)
)
REFUSED_SPECS: Final = Metric(
    "anabranch_refused_specs", "gauge", "Specs on the topic that do not hold and are left out."
)

# -- tasks: one stage, one partition ----------------------------------------------------------

OPEN: Final = Metric(
    "anabranch_partition_open",
    "gauge",
    "1 while the partition is open and restored, else 0.",
    _TASK,
)
PAUSED: Final = Metric(
    "anabranch_partition_paused",
    "gauge",
    "1 while the circuit breaker has stopped the partition, else 0.",
    _TASK,
)
IDLE_SECONDS: Final = Metric(
    "anabranch_progress_age_seconds",
    "gauge",
    "Seconds since the task last went round, waiting for records included; beyond 120 it is hung.",
    _TASK,
)
RECORDS: Final = Metric(
    "anabranch_records_total", "counter", "Records processed and committed.", (*_TASK, "topic")
)
READ_BYTES: Final = Metric(
    "anabranch_read_bytes_total",
    "counter",
    "Bytes of the values of records processed and committed.",
    (*_TASK, "topic"),
)
WRITTEN: Final = Metric(
    "anabranch_written_records_total",
    "counter",
    "Records put out, dead letters included, the changelog left aside.",
    (*_TASK, "topic"),
)
WRITTEN_BYTES: Final = Metric(
    "anabranch_written_bytes_total",
    "counter",
    "Bytes put out as sent, keys and headers and the changelog included.",
    (*_TASK, "topic"),
)
BATCHES: Final = Metric("anabranch_batches_total", "counter", "Batches committed.", _TASK)
PROCESSING: Final = Metric(
    "anabranch_processing_seconds_total", "counter", "Seconds spent in processors.", _TASK
)
COMMITTING: Final = Metric(
    "anabranch_commit_seconds_total", "counter", "Seconds spent in transactions.", _TASK
)
BATCH_SECONDS: Final = Metric(
    "anabranch_batch_seconds",
    "histogram",
    "How long batches took from the first record processed to the commit.",
    ("stage",),
)
LAG: Final = Metric(
    "anabranch_lag_records",
    "gauge",
    "Offsets between what is committed and the end of the partition as last heard of.",
    (*_TASK, "topic"),
)
RECORD_AGE: Final = Metric(
    "anabranch_newest_record_age_seconds",
    "gauge",
    "Age of the newest record processed, by the record's timestamp; grows while nothing comes.",
    _TASK,
)
WATERMARK_DELAY: Final = Metric(
    "anabranch_watermark_delay_seconds",
    "gauge",
    "How far the watermark lies behind the clock; of attribute and aggregate.",
    _TASK,
)
STATE_ENTRIES: Final = Metric(
    "anabranch_state_entries", "gauge", "Keys in the state, where it is in memory.", _TASK
)
STATE_BYTES: Final = Metric(
    "anabranch_state_bytes", "gauge", "Bytes of the state, where it is on disk.", _TASK
)
RESTORES: Final = Metric(
    "anabranch_restores_total",
    "counter",
    "How often the partition was opened and its state restored.",
    _TASK,
)
RESTORED: Final = Metric(
    "anabranch_restored_records_total", "counter", "Changelog records read back.", _TASK
)
RESTORING: Final = Metric(
    "anabranch_restore_seconds_total", "counter", "Seconds spent opening and restoring.", _TASK
)
FENCES: Final = Metric(
    "anabranch_fences_total", "counter", "How often another worker took the partition over.", _TASK
)
FAILURES: Final = Metric(
    "anabranch_failures_total",
    "counter",
    "Batches dropped, or partitions opened again, because something failed.",
    _TASK,
)
PAUSES: Final = Metric(
    "anabranch_pauses_total",
    "counter",
    "How often the circuit breaker stopped the partition.",
    _TASK,
)
DEAD_LETTERS: Final = Metric(
    "anabranch_dead_letters_total",
    "counter",
    "Records put on the dead letters, by the kind of error.",
    (*_TASK, "reason"),
)
EVALUATIONS: Final = Metric(
    "anabranch_evaluations_total",
    "counter",
    "Assignments made, by why the variant was chosen: control, random, sticky, targeted, forced.",
    (*_TASK, "reason"),
)

# -- what processors count --------------------------------------------------------------------


def _counted(name: str, text: str) -> Metric:
    return Metric(f"anabranch_{name}_total", "counter", text, _TASK)


COUNTED: Final[dict[str, Metric]] = {
    name: _counted(name, text)
    for name, text in {
        "contexts": "Contexts read.",
        "assignments": "Assignments published.",
        "exposures": "Exposures: of assign those published, of attribute those read.",
        "repeated_exposures": "Exposures not told again, because they were told not long ago.",
        "assignments_without_unit": "Experiments passed over for want of their unit's identity.",
        "undecided_policies": "Policies that could not be decided, and so did not match.",
        "expression_errors": "Targeting expressions that failed, and so did not match.",
        "excluded_contexts": "Evaluations of contexts that the experiment excludes, such as bots.",
        "claims": "Claims of variants that units are to keep.",
        "kept_assignments": "Assignments of a variant kept from before.",
        "forgotten_units": "Units not heard of for long, whose state was deleted.",
        "telemetry": "Telemetry events read.",
        "observations": "Observations: of gate those published, of attribute those read.",
        "sampled_out": "Telemetry events left out by sampling.",
        "undeclared_properties": "Properties left out because no spec declares them.",
        "anomalies": "Values beyond the thresholds of their telemetry spec.",
        "alerts": "Alerts that watching the runs gave, each told once.",
        "repeated_observations": "Observations left out because their event was counted before.",
        "unused_observations": "Observations that no metric of a run uses.",
        "unexposed_observations": "Observations that waited in vain for an exposure.",
        "ledger_evictions": "Event ids forgotten early, because a unit had too many.",
        "deltas": "Deltas: of attribute those published, of aggregate those read.",
        "heartbeats": "Deltas that only told the time.",
        "window_revisions": "Late events: updates of windows that were closed already.",
        "late_window_updates": "Late events: updates of windows no longer kept, dead letters too.",
        "windows_closed": "Windows closed by the watermark.",
        "windows_expired": "Windows deleted after their retention.",
    }.items()
}
"""Name of a processor's counter to its metric."""

# -- the evaluation API -----------------------------------------------------------------------

SERVED: Final = Metric(
    "anabranch_served_requests_total",
    "counter",
    "Requests answered by the evaluation API, by endpoint and status.",
    ("endpoint", "status"),
)
SERVED_SECONDS: Final = Metric(
    "anabranch_served_request_seconds",
    "histogram",
    "How long requests took from their head to their answer, without what the network took.",
    ("endpoint",),
)
FLAGS: Final = Metric(
    "anabranch_served_flags_total",
    "counter",
    "Flags answered, by OpenFeature's reason.",
    ("reason",),
)
USES: Final = Metric(
    "anabranch_served_exposures_total",
    "counter",
    "Exposures by use: sent (acknowledged), repeated, dropped (queue full), lost (at the end); "
    "failed are attempts.",
    ("outcome",),
)
USES_WAITING: Final = Metric(
    "anabranch_served_exposures_waiting", "gauge", "Exposures that wait to be acknowledged."
)

# -- the process ------------------------------------------------------------------------------

CPU: Final = Metric("process_cpu_seconds_total", "counter", "User and system CPU time spent.")
RESIDENT: Final = Metric("process_resident_memory_bytes", "gauge", "Resident memory.")
STARTED: Final = Metric(
    "process_start_time_seconds", "gauge", "Start of the process since the epoch."
)
FILES: Final = Metric("process_open_fds", "gauge", "Open file descriptors.")
FILES_AT_MOST: Final = Metric("process_max_fds", "gauge", "Most file descriptors it may open.")

METRICS: Final[tuple[Metric, ...]] = (
    BUILD,
    EXPERIMENTS,
    REFUSED_SPECS,
    OPEN,
    PAUSED,
    IDLE_SECONDS,
    RECORDS,
    READ_BYTES,
    WRITTEN,
    WRITTEN_BYTES,
    BATCHES,
    PROCESSING,
    COMMITTING,
    BATCH_SECONDS,
    LAG,
    RECORD_AGE,
    WATERMARK_DELAY,
    STATE_ENTRIES,
    STATE_BYTES,
    RESTORES,
    RESTORED,
    RESTORING,
    FENCES,
    FAILURES,
    PAUSES,
    DEAD_LETTERS,
    EVALUATIONS,
    *COUNTED.values(),
    SERVED,
    SERVED_SECONDS,
    FLAGS,
    USES,
    USES_WAITING,
    CPU,
    RESIDENT,
    STARTED,
    FILES,
    FILES_AT_MOST,
)
"""All of them, in the order of the page and of the answer."""
