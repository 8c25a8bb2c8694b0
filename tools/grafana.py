"""Writes the dashboards in deploy/grafana/dashboards: ``python -m tools.grafana``.

A panel is a row of a table here: its title, its unit and what it asks Prometheus. Grafana's JSON
(schema 39, Grafana 10 and later) follows from that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER = Path(__file__).resolve().parents[1] / "deploy" / "grafana" / "dashboards"
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
WIDTH: Final = 24
HEIGHT: Final = 8
BY: Final = '{stage=~"$stage"}'
OURS: Final = '{job=~"anabranch.*"}'


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph.

    Attributes:
        title: Above it.
        unit: Grafana's name of the unit.
        queries: PromQL by legend.
        says: What to read from it.
        width: Of 24.
    """

    title: str
    unit: str
    queries: Mapping[str, str]
    says: str
    width: int = 8


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of rows of panels."""

    uid: str
    title: str
    stages: bool
    rows: Mapping[str, Sequence[Panel]]


def rate(name: str, *by: str, where: str = BY) -> str:
    """How much of a counter comes in a second."""
    groups = f" by ({', '.join(by)})" if by else ""
    return f"sum{groups} (rate({name}{where}[$__rate_interval]))"


def quantile(share: float, name: str, *by: str, where: str = "") -> str:
    """A quantile of a histogram."""
    groups = ", ".join([*by, "le"])
    inner = f"sum by ({groups}) (rate({name}_bucket{where}[$__rate_interval]))"
    return f"histogram_quantile({share}, {inner})"


def largest(name: str, *by: str) -> str:
    """The largest of a gauge."""
    return f"max by ({', '.join(by)}) ({name}{BY})"


def total(name: str, *by: str) -> str:
    """The sum of a gauge."""
    return f"sum by ({', '.join(by)}) ({name}{BY})"


PIPELINE: Final = Dashboard(
    "anabranch-pipeline",
    "anabranch: pipeline",
    stages=True,
    rows={
        "Whether it keeps up": (
            Panel(
                "Lag",
                "short",
                {"{{stage}} {{topic}}": total("anabranch_lag_records", "stage", "topic")},
                "Records between what is committed and the end of the topics.",
            ),
            Panel(
                "Watermark delay",
                "s",
                {"{{stage}}": largest("anabranch_watermark_delay_seconds", "stage")},
                "The slowest partition's; windows close by it. It grows while nothing comes.",
            ),
            Panel(
                "Partitions: open, paused",
                "short",
                {
                    "{{stage}} open": total("anabranch_partition_open", "stage"),
                    "{{stage}} paused": total("anabranch_partition_paused", "stage"),
                },
                "Open ones add up to the partitions of the topics; a paused one is an incident.",
            ),
        ),
        "Throughput and latency": (
            Panel(
                "Records read",
                "cps",
                {"{{stage}} {{topic}}": rate("anabranch_records_total", "stage", "topic")},
                "Processed and committed, a second.",
            ),
            Panel(
                "Records written",
                "cps",
                {"{{stage}} {{topic}}": rate("anabranch_written_records_total", "stage", "topic")},
                "Put out a second, the changelog left aside.",
            ),
            Panel(
                "Bytes",
                "Bps",
                {
                    "{{stage}} read": rate("anabranch_read_bytes_total", "stage"),
                    "{{stage}} written": rate("anabranch_written_bytes_total", "stage"),
                },
                "Values read; whole records written, the changelog included.",
            ),
            Panel(
                "Seconds a batch, p50",
                "s",
                {"{{stage}}": quantile(0.5, "anabranch_batch_seconds", "stage", where=BY)},
                "From the first record processed to the commit.",
            ),
            Panel(
                "Seconds a batch, p99",
                "s",
                {"{{stage}}": quantile(0.99, "anabranch_batch_seconds", "stage", where=BY)},
                "From the first record processed to the commit.",
            ),
            Panel(
                "Where the time goes",
                "percentunit",
                {
                    "{{stage}} processing": rate("anabranch_processing_seconds_total", "stage"),
                    "{{stage}} transactions": rate("anabranch_commit_seconds_total", "stage"),
                },
                "Share of the time, of all partitions together; 1 is one of them busy always.",
            ),
        ),
        "State": (
            Panel(
                "Keys in memory",
                "short",
                {"{{stage}}": total("anabranch_state_entries", "stage")},
                "Of states that are kept in memory.",
            ),
            Panel(
                "Bytes on disk",
                "bytes",
                {"{{stage}}": total("anabranch_state_bytes", "stage")},
                "Of states that are kept on disk.",
            ),
            Panel(
                "Restores",
                "cps",
                {
                    "{{stage}}": rate("anabranch_restores_total", "stage"),
                    "{{stage}} records": rate("anabranch_restored_records_total", "stage"),
                },
                "Partitions opened, and changelog records read back for it.",
            ),
            Panel(
                "Fences",
                "cps",
                {"{{stage}}": rate("anabranch_fences_total", "stage")},
                "Partitions taken over: some while scaling, none else.",
            ),
            Panel(
                "Failures and pauses",
                "cps",
                {
                    "{{stage}} failures": rate("anabranch_failures_total", "stage"),
                    "{{stage}} pauses": rate("anabranch_pauses_total", "stage"),
                },
                "Batches dropped and tried again; partitions stopped by the circuit breaker.",
            ),
            Panel(
                "Resident memory",
                "bytes",
                {"{{instance}}": f"process_resident_memory_bytes{OURS}"},
                "Of each process.",
            ),
        ),
    },
)

DATA: Final = Dashboard(
    "anabranch-data",
    "anabranch: data",
    stages=True,
    rows={
        "Assignment": (
            Panel(
                "Evaluations by reason",
                "cps",
                {"{{reason}}": rate("anabranch_evaluations_total", "reason")},
                "Why the variant was chosen.",
            ),
            Panel(
                "Exposures",
                "cps",
                {
                    "{{stage}}": rate("anabranch_exposures_total", "stage"),
                    "{{stage}} repeated": rate("anabranch_repeated_exposures_total", "stage"),
                },
                "Of assign those published, of attribute those read.",
            ),
            Panel(
                "Not decided as meant",
                "cps",
                {
                    "expression errors": rate("anabranch_expression_errors_total"),
                    "policies undecided": rate("anabranch_undecided_policies_total"),
                    "without unit": rate("anabranch_assignments_without_unit_total"),
                },
                "Rules that failed do not match; nobody is enrolled without a unit.",
            ),
        ),
        "What is left out": (
            Panel(
                "Dead letters",
                "cps",
                {
                    "{{stage}} {{reason}}": rate("anabranch_dead_letters_total", "stage", "reason"),
                },
                "Records that could not be processed, by the kind of error.",
            ),
            Panel(
                "Late events",
                "cps",
                {
                    "taken in": rate("anabranch_window_revisions_total"),
                    "too late": rate("anabranch_late_window_updates_total"),
                },
                "Updates of windows closed already, and of windows deleted already.",
            ),
            Panel(
                "Observations not counted",
                "cps",
                {
                    "repeated": rate("anabranch_repeated_observations_total"),
                    "unused": rate("anabranch_unused_observations_total"),
                    "never exposed": rate("anabranch_unexposed_observations_total"),
                },
                "Counted before; of no metric; of units that no exposure came for.",
            ),
        ),
        "Telemetry and results": (
            Panel(
                "Telemetry",
                "cps",
                {
                    "events": rate("anabranch_telemetry_total"),
                    "observations": rate("anabranch_observations_total"),
                    "sampled out": rate("anabranch_sampled_out_total"),
                },
                "What comes in, and what goes on.",
            ),
            Panel(
                "Alerts and anomalies",
                "cps",
                {
                    "alerts": rate("anabranch_alerts_total"),
                    "anomalies": rate("anabranch_anomalies_total"),
                },
                "Of experiments and of telemetry: what they say is in the alerts topic.",
            ),
            Panel(
                "Experiments by status",
                "short",
                {
                    "{{status}}": "max by (status) (anabranch_experiments)",
                    "refused specs": "max(anabranch_refused_specs)",
                },
                "As the workers hold them; a refused spec is left out.",
            ),
        ),
    },
)

SERVE: Final = Dashboard(
    "anabranch-serve",
    "anabranch: evaluation API",
    stages=False,
    rows={
        "Requests": (
            Panel(
                "Requests",
                "reqps",
                {
                    "{{endpoint}} {{status}}": rate(
                        "anabranch_served_requests_total", "endpoint", "status", where=""
                    )
                },
                "By endpoint and status.",
            ),
            Panel(
                "Latency",
                "s",
                {
                    f"{{{{endpoint}}}} p{share * 100:.0f}": quantile(
                        share, "anabranch_served_request_seconds", "endpoint"
                    )
                    for share in (0.5, 0.99)
                },
                "From a request's head to its answer, without the network.",
            ),
            Panel(
                "Flags by reason",
                "cps",
                {"{{reason}}": rate("anabranch_served_flags_total", "reason", where="")},
                "By OpenFeature's reason.",
            ),
        ),
        "Exposures": (
            Panel(
                "Exposures by outcome",
                "cps",
                {"{{outcome}}": rate("anabranch_served_exposures_total", "outcome", where="")},
                "sent is acknowledged; dropped and lost are missing from the results.",
            ),
            Panel(
                "Exposures waiting",
                "short",
                {"{{instance}}": "anabranch_served_exposures_waiting"},
                "Not acknowledged yet; at ANABRANCH_SERVE_QUEUE they are dropped.",
            ),
            Panel(
                "CPU",
                "percentunit",
                {"{{instance}}": f"rate(process_cpu_seconds_total{OURS}[$__rate_interval])"},
                "Of each process; 1 is one core busy.",
            ),
        ),
    },
)

DASHBOARDS: Final = {"pipeline": PIPELINE, "data": DATA, "evaluation-api": SERVE}


def model(page: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    return {
        "uid": page.uid,
        "title": page.title,
        "tags": ["anabranch"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(_variables(page))},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": "anabranch",
                "icon": "external link",
                "tooltip": "",
                "url": "",
                "targetBlank": False,
                "tags": ["anabranch"],
                "includeVars": True,
                "keepTime": True,
                "asDropdown": False,
            }
        ],
        "panels": list(_panels(page)),
    }


def _variables(page: Dashboard) -> Iterator[dict[str, Any]]:
    yield {
        "name": "source",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": "Prometheus", "value": "anabranch-prometheus"},
    }
    if page.stages:
        yield {
            "name": "stage",
            "label": "Stage",
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": "label_values(anabranch_partition_open, stage)", "refId": "stages"},
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
        }


def _panels(page: Dashboard) -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for title, panels in page.rows.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
            "panels": [],
        }
        y, x = y + 1, 0
        for panel in panels:
            if x + panel.width > WIDTH:
                y, x = y + HEIGHT, 0
            number += 1
            place = {"x": x, "y": y, "w": panel.width, "h": HEIGHT}
            yield {"id": number, "gridPos": place, **_graph(panel)}
            x += panel.width
        y += HEIGHT


def _graph(panel: Panel) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "custom": {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never"},
            },
            "overrides": [],
        },
        "options": {
            "legend": {
                "displayMode": "list",
                "placement": "bottom",
                "showLegend": True,
                "calcs": [],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for n, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def text(page: Dashboard) -> str:
    """The file."""
    return json.dumps(model(page), indent=2) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in DASHBOARDS.items():
        (FOLDER / f"{name}.json").write_text(text(page), encoding="utf-8")
