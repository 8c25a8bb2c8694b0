"""Prometheus' text exposition format, version 0.0.4.

Source: "Exposition formats", Prometheus documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from anabranch.web.metrics.registry import METRICS, Distribution, Metric, Sample

__all__ = ["CONTENT_TYPE", "render"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def render(samples: Iterable[Sample]) -> str:
    """The samples by metric, in the registry's order, with help and type."""
    by_metric: dict[Metric, list[Sample]] = {metric: [] for metric in METRICS}
    for sample in samples:
        by_metric[sample.metric].append(sample)
    return "".join(line for metric, found in by_metric.items() for line in _lines(metric, found))


def _lines(metric: Metric, samples: list[Sample]) -> Iterator[str]:
    if not samples:
        return
    escaped = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {metric.name} {escaped}\n# TYPE {metric.name} {metric.kind}\n"
    for sample in samples:
        labels = list(zip(metric.labels, sample.labels, strict=True))
        value = sample.value
        if not isinstance(value, Distribution):
            yield f"{metric.name}{_labels(labels)} {_number(value)}\n"
            continue
        total = 0
        for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
            total += count
            yield f"{metric.name}_bucket{_labels([*labels, ('le', _number(bound))])} {total}\n"
        yield f"{metric.name}_sum{_labels(labels)} {_number(value.sum)}\n"
        yield f"{metric.name}_count{_labels(labels)} {total}\n"


def _labels(labels: list[tuple[str, str]]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return repr(value)
