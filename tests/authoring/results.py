"""Values of the results topic, made short."""

from __future__ import annotations

import msgspec

from anabranch.events.models import Results
from anabranch.specs import ExperimentSpec


def results(
    spec: ExperimentSpec, ratio: float | None = 1.0, **intervals: tuple[float, float] | None
) -> Results:
    """Results in which the second variant's sequential intervals are those, by metric."""
    control, variant = (one.id for one in spec.variants)
    return msgspec.convert(
        {
            "experiment": spec.key,
            "version": spec.version,
            "digest": spec.digest,
            "asOf": "2030-01-01T00:00:00Z",
            "control": control,
            "variants": [{"id": id_, "units": 1000, "crossovers": 0} for id_ in (control, variant)],
            "srm": {"pValue": ratio, "expected": {}, "sequentialPValue": ratio},
            "metrics": [
                {
                    "name": name,
                    "aggregation": "count",
                    "variants": [],
                    "comparisons": [
                        {
                            "variant": variant,
                            "control": control,
                            "difference": None if bounds is None else sum(bounds) / 2,
                            "relativeLift": None,
                            "fixed": None,
                            "sequential": None
                            if bounds is None
                            else {"low": bounds[0], "high": bounds[1], "pValue": 0.01},
                        }
                    ],
                }
                for name, bounds in intervals.items()
            ],
        },
        Results,
    )
